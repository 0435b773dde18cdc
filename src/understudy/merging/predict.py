"""From a plate to what the model says of one of its faces.

Plate and landmarks in, the aligned face and its prediction out. The model is any function; this
module does not know how it works. Source: reference section 17.1.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32

from understudy.errors import OptionError, StateError
from understudy.faces.align import face_matrix
from understudy.faces.pixels import white
from understudy.faces.regions import hull_mask
from understudy.imaging.filters import pre_sharpen
from understudy.imaging.geometry import transform_points
from understudy.imaging.resample import Pixels, read_part
from understudy.merging.coloring import ColorsOverTime
from understudy.merging.masking import XSEG_SIDES, XSegSide
from understudy.merging.motion import STILL, Motion
from understudy.merging.settings import MergeSettings
from understudy.types import FaceType, Image, Landmarks, Mask, Matrix, Prediction

Predictor = Callable[[Image], Prediction]
"""A model as a function of one aligned face.

It should carry `resolution` (pixels) and `face_type` as attributes. Where it does not, the
settings' fields of that name count, and for a resolution given nowhere the size of its answer: the
function is then asked with a face of `FIRST_RESOLUTION` pixels. One that can morph has a method
`morphed(amount)` that gives the function for that amount.
"""

MaskNet = Callable[[Image, Landmarks, FaceType], Mask]
"""A mask model as a function of one aligned face of `MASK_PX` pixels, its landmarks and type."""

Enhancer = Callable[[Image], Image]
"""A super-resolution network as a function of a face; gives it four times as large."""

FIRST_RESOLUTION = 256
PaintedMask = Float32[np.ndarray, "mask_px mask_px"]
Square = Float32[np.ndarray, "side side 3"]
"""As Image, square, and not of the size of the one that came in."""

MASK_PX = 256
ENLARGED = 4
_HULL_DETAIL = 4
_STEPS = 1024
_HALF_STEP = 16


@dataclass(frozen=True, slots=True)
class AlignedFace:
    """One face of the plate as the model gets it.

    `inside` is where the square lies in the frame; elsewhere `image` only continues its rim.
    """

    image: Image
    inside: Mask
    landmarks: Landmarks
    face_type: FaceType
    plate_hw: tuple[int, int]

    @property
    def size(self) -> int:
        """Side of the square."""
        return len(self.image)

    def matrix(self, size: int, *, scale: float = 1.0) -> Matrix:
        """Map from the frame to the face square of that size; `scale` as in `face_matrix`."""
        return face_matrix(self.landmarks, size, self.face_type, scale=scale)

    def hull(self, size: int) -> Mask:
        """The landmarks' hull in the square of `size` pixels, its edge smooth."""
        fine = size * _HULL_DETAIL
        points = transform_points(self.landmarks, self.matrix(fine))
        drawn = hull_mask(points, (fine, fine))
        return np.asarray(cv2.resize(drawn, (size, size), interpolation=cv2.INTER_AREA), np.float32)

    def hull_dfl(self) -> Mask:
        """The landmarks' hull drawn on whole pixels of the frame and moved into the square."""
        drawn = hull_mask(self.landmarks, self.plate_hw)
        laid = warp_dfl(drawn, self.matrix(self.size), (self.size, self.size))
        return np.asarray(np.clip(laid, 0, 1))


@dataclass(frozen=True, slots=True)
class Networks:
    """What merging may ask beside the model; only what the settings need has to be there."""

    mask: MaskNet | None = None
    enhance: Enhancer | None = None


NO_NETWORKS = Networks()


@dataclass(frozen=True, slots=True)
class PredictedFace:
    """One face of the plate and all that networks say of it.

    `aligned` and the predicted face are larger than the masks where they were enhanced.
    `xseg_masks` holds those masks of the mask model that the settings ask for, `colors` what the
    frames around show, if that is to count.
    """

    aligned: AlignedFace
    prediction: Prediction
    xseg_masks: Mapping[XSegSide, PaintedMask]
    motion: Motion = STILL
    colors: ColorsOverTime | None = None

    @property
    def resolution(self) -> int:
        """Side of the model's square."""
        return len(self.prediction.mask)


def resolution_of(predictor: Predictor, settings: MergeSettings) -> int | None:
    """Side of the square the model takes; None if nobody says."""
    given = getattr(predictor, "resolution", None)
    return settings.resolution if given is None else int(given)


def face_type_of(predictor: Predictor, settings: MergeSettings) -> FaceType:
    """Face type the model was trained on."""
    given = getattr(predictor, "face_type", None)
    return settings.face_type if given is None else FaceType(given)


def align_face(
    pixels: Pixels, landmarks: Landmarks, *, size: int, face_type: FaceType, settings: MergeSettings
) -> AlignedFace:
    """The face with these landmarks as a picture of `size` pixels."""
    matrix = face_matrix(landmarks, size, face_type)
    plate_hw = (pixels.shape[0], pixels.shape[1])
    if settings.dfl_parity:
        image = np.clip(warp_dfl(to_unit(pixels), matrix, (size, size)), 0, 1)
        inside = np.ones((size, size), np.float32)
    else:
        levels = read_part(pixels, matrix, shape_hw=(size, size))
        image = np.clip(levels / np.float32(white(pixels)), 0, 1)
        inside = _inside(matrix, plate_hw, size)
    image = pre_sharpen(image, settings.pre_sharpen)
    return AlignedFace(image, inside, landmarks, face_type, plate_hw)


def predict_face(
    pixels: Pixels,
    landmarks: Landmarks,
    predictor: Predictor,
    settings: MergeSettings,
    *,
    motion: Motion = STILL,
    networks: Networks = NO_NETWORKS,
) -> PredictedFace:
    """The aligned face and what `predictor` makes of it.

    Raises:
        StateError: the prediction is no square picture with two masks, or not finite.
        OptionError: the settings ask for a network that is not there.
    """
    size = resolution_of(predictor, settings) or FIRST_RESOLUTION
    face_type = face_type_of(predictor, settings)
    enlarged = ENLARGED if settings.super_resolution else 1

    def align(side: int) -> AlignedFace:
        return align_face(pixels, landmarks, size=side, face_type=face_type, settings=settings)

    aligned = align(size * enlarged if settings.dfl_parity else size)
    shown = _resized(aligned.image, size) if len(aligned.image) != size else aligned.image.copy()
    prediction = _asked(predictor, shown, settings)
    answered = len(prediction.face)
    if aligned.size != answered * enlarged:
        aligned = align(answered * enlarged)
    if enlarged > 1:
        finer = _enhanced(prediction.face, networks.enhance, settings)
        prediction = prediction._replace(face=finer)
    xseg_masks = {
        side: _painted(side, pixels, aligned, prediction.face, networks, settings)
        for side in XSEG_SIDES
        if f"XSeg-{side}" in settings.mask_mode
    }
    return PredictedFace(aligned, prediction, xseg_masks, motion)


def _asked(predictor: Predictor, face: Image, settings: MergeSettings) -> Prediction:
    """What the model makes of `face`; in two-pass modes of its own answer, too."""
    morphed = getattr(predictor, "morphed", None)
    if morphed is not None:
        predictor = morphed(settings.morph)
    prediction, repeated = checked(predictor(face)), settings.two_pass
    if repeated == "none":
        return prediction
    again = checked(predictor(prediction.face.copy()))
    return again if repeated == "face+mask" else prediction._replace(face=again.face)


def _enhanced(face: Image, enhance: Enhancer | None, settings: MergeSettings) -> Square:
    if enhance is None:
        raise OptionError(
            "--super-resolution",
            expected="a super-resolution network",
            found="none",
            remedy="Give one, or set it to 0.",
        )
    size = ENLARGED * len(face)
    share = np.float32(settings.super_resolution / 100)
    plain = cv2.resize(face, (size, size), interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip(plain * (1 - share) + enhance(face) * share, 0, 1), np.float32)


def _painted(
    side: XSegSide,
    pixels: Pixels,
    aligned: AlignedFace,
    predicted: Image,
    networks: Networks,
    settings: MergeSettings,
) -> PaintedMask:
    """The mask model's mask of the predicted face or of the plate's, `MASK_PX` wide."""
    if networks.mask is None:
        if settings.dfl_parity:
            return np.full((MASK_PX, MASK_PX), 0.5, np.float32)
        raise OptionError(
            "--mask-mode",
            expected=f"a mask model, which {settings.mask_mode} needs",
            found="none",
            remedy="Train one with `understudy mask train`, use the one that ships with "
            "--mask-model generic, or choose another mode.",
        )
    if side == "dst":
        again = settings.model_copy(update={"pre_sharpen": 0.0})
        picture = align_face(
            pixels,
            aligned.landmarks,
            size=MASK_PX,
            face_type=aligned.face_type,
            settings=again,
        ).image
    else:
        picture = np.clip(_resized(predicted, MASK_PX, cv2.INTER_CUBIC), 0, 1)
    points = transform_points(aligned.landmarks, aligned.matrix(MASK_PX))
    return np.asarray(np.clip(networks.mask(picture, points, aligned.face_type), 0, 1), np.float32)


def _resized(picture: Image, size: int, how: int = cv2.INTER_LINEAR) -> Square:
    if len(picture) == size:
        return picture
    return np.asarray(cv2.resize(picture, (size, size), interpolation=how), np.float32)


def checked(prediction: Prediction) -> Prediction:
    """`prediction` as contiguous float32 in 0..1.

    Raises:
        StateError: it is no square picture with two masks, or not finite.
    """
    face, mask, dst_mask = (np.ascontiguousarray(part, np.float32) for part in prediction)
    size = len(face)
    if face.shape != (size, size, 3) or {mask.shape, dst_mask.shape} != {(size, size)}:
        raise StateError(
            "the model's prediction",
            expected="a square RGB picture and two masks of its size",
            found=f"shapes {face.shape}, {mask.shape}, {dst_mask.shape}",
            remedy="Check the model's resolution.",
        )
    if not all(bool(np.isfinite(part).all()) for part in (face, mask, dst_mask)):
        raise StateError(
            "the model's prediction",
            expected="finite numbers",
            found="NaN or infinity",
            remedy="The model has diverged: go back to a backup.",
        )
    return Prediction(np.clip(face, 0, 1), np.clip(mask, 0, 1), np.clip(dst_mask, 0, 1))


def to_unit(pixels: Pixels) -> Image:
    """`pixels` of any depth as float32 in 0..1."""
    peak = white(pixels)
    return (
        pixels.astype(np.float32) if peak == 1.0 else pixels.astype(np.float32) / np.float32(peak)
    )


def _inside(matrix: Matrix, plate_hw: tuple[int, int], size: int) -> Mask:
    """1 where a square's pixel comes from inside the frame."""
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float64)
    inverse = cv2.invertAffineTransform(matrix)
    x = inverse[0, 0] * columns + inverse[0, 1] * rows + inverse[0, 2]
    y = inverse[1, 0] * columns + inverse[1, 1] * rows + inverse[1, 2]
    height, width = plate_hw
    within = (x >= -0.5) & (y >= -0.5) & (x < width - 0.5) & (y < height - 0.5)
    return np.asarray(within, np.float32)


def warp_dfl(picture: np.ndarray, matrix: Matrix, shape_hw: tuple[int, int]) -> np.ndarray:
    """`picture` through `matrix` (source to result), black outside, read at 32nds of a pixel.

    DFL's numbers come from the fixed-point warp of OpenCV 4; OpenCV 5 reads at exact places, which
    is better and not the same.
    """
    inverse = cv2.invertAffineTransform(matrix)
    (xx, xy, x0), (yx, yy, y0) = inverse
    columns = np.arange(shape_hw[1], dtype=np.float64)
    rows = np.arange(shape_hw[0], dtype=np.float64)
    x_starts = np.rint((xy * rows + x0) * _STEPS).astype(np.int64) + _HALF_STEP
    y_starts = np.rint((yy * rows + y0) * _STEPS).astype(np.int64) + _HALF_STEP
    x = (x_starts[:, None] + np.rint(xx * columns * _STEPS).astype(np.int64)) >> 5
    y = (y_starts[:, None] + np.rint(yx * columns * _STEPS).astype(np.int64)) >> 5
    places = np.clip(np.stack([x >> 5, y >> 5], axis=-1), -(2**15), 2**15 - 1).astype(np.int16)
    parts = ((y & 31) * 32 + (x & 31)).astype(np.uint16)
    warped = cv2.remap(picture, places, parts, cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(warped, np.float32)
