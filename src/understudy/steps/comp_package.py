"""The layers of a frame for a compositor, and the words that say what they are.

A plate, its merged frame and its faces in; EXR files registered to the plate and rows of transforms
out. Numbers are the plate's, unlinearised. Knows nothing of the workspace.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32

from understudy.files import make_dir, remove_leftovers, write_bytes, write_json
from understudy.imaging.geometry import invert, transform_points
from understudy.imaging.resample import Box, place_part, reach_of
from understudy.media.images import read_pixels, to_image
from understudy.media.plates import Colors, read_plate
from understudy.media.stills import write_still
from understudy.merging.predict import AlignedFace, PredictedFace, Predictor, predict_face
from understudy.merging.settings import MergeSettings
from understudy.provenance.frame_list import write_frame_list
from understudy.types import Landmarks, Mask

if TYPE_CHECKING:
    from understudy.media.frames import FrameManifest

Layer = Float32[np.ndarray, "h w 4"]
"""RGBA, colours multiplied by alpha."""

TRANSFORMS = "transforms.json"
README = "README.txt"
FINAL, PREDICTION, MATTE = "final", "prediction", "matte"
_BARE = {"mask_mode": "learned-dst", "super_resolution": 0.0}  # asks no other network for its part

_TEXT = """\
What this folder holds
======================

Made by Understudy for a compositor. All pictures have the size of the plate and lie exactly over
it; their names are the plate's frames. They are OpenEXR, {depth}. Their numbers are the plate's
own{tags}, not linear light: read them in the plate's colour space, or as raw data.

final/       RGBA, premultiplied. The finished face and nothing else: 0 where the plate is
             untouched. In the plate's own encoding, "final over plate" is the merged frame, to
             the precision of the file: plate * (1 - alpha) + RGB.
prediction/  RGBA, premultiplied. What the model said, laid over the plate: no mask, no colour
             transfer, no sharpening. Alpha is the square the model sees.
matte/       One channel. How far the finished face counts, 0 to 1: the alpha of final/.
transforms.json   Where each face is, per frame.
frames.sha256     Hashes of all files here (sha256sum -c frames.sha256); its signed manifest
                  lies beside it. understudy verify FOLDER looks at all of it.

transforms.json
---------------

Pixels count from the centre of the top-left one, x to the right, y down. For Nuke, which counts
from the lower left corner of the picture: x + 0.5, height - (y + 0.5). After Effects: x + 0.5,
y + 0.5.

frame_rate, width, height, first_timecode
frames[]            in the order shown
  name              the frame, as its files are called
  faces[]           none where the plate shows no face
    size            side of the square the model sees, in its own pixels
    frame_to_face   2x3 matrix, plate pixels to pixels of that square
    face_to_frame   its inverse
    corners         top left, top right, bottom right, bottom left of the square on the plate: a
                    corner pin
    centre, scale, rotation_deg   the same as one position, size (plate pixels per pixel of the
                    square) and angle (clockwise)
    landmarks       68 points on the plate
{notices}"""


@dataclass(frozen=True, slots=True)
class MergedFrame:
    """One merged frame: where its pictures lie, its faces, and the settings it was merged with."""

    plate: Path
    merged: Path
    matte: Path
    faces: Sequence[Landmarks]
    settings: MergeSettings


class CompPackage:
    """Writes one frame after another into `folder`."""

    def __init__(self, folder: Path, *, predictor: Predictor, bit_depth: int | None) -> None:
        self.folder = folder
        self._predictor, self._depth = predictor, bit_depth
        self._files: list[Path] = []
        self._shape_hw = (0, 0)
        for name in (FINAL, PREDICTION, MATTE):
            remove_leftovers(make_dir(folder / name))

    def write(self, frame: MergedFrame) -> dict[str, Any]:
        """The frame's row of transforms; its three pictures are written."""
        plate, merged = read_plate(frame.plate).colors, read_plate(frame.merged).colors
        matte = to_image(read_pixels(frame.matte))[..., 0]
        depth = self._depth or (16 if plate.dtype == np.uint8 else 32)
        settings = frame.settings.model_copy(update=_BARE)
        found = [predict_face(plate, face, self._predictor, settings) for face in frame.faces]
        layers = {
            FINAL: final_layer(plate, merged, matte),
            PREDICTION: prediction_layer(found, (plate.shape[0], plate.shape[1])),
            MATTE: matte[..., None],
        }
        name = f"{frame.plate.stem}.exr"
        for kind, picture in layers.items():
            write_still(self.folder / kind / name, picture, bit_depth=depth)
            self._files.append(self.folder / kind / name)
        self._shape_hw, self._depth = (plate.shape[0], plate.shape[1]), depth
        return {"name": frame.plate.stem, "faces": [_placement(face.aligned) for face in found]}

    def finish(
        self,
        frames: Sequence[dict[str, Any]],
        parts: "Sequence[FrameManifest]",
        notices: Sequence[str],
    ) -> Path:
        """The list of all files' hashes, written last; before it the transforms and the README."""
        height, width = self._shape_hw
        part = parts[0] if len(parts) == 1 else None
        content = {
            "version": 1,
            "frame_rate": None if part is None else str(part.timing.rate),
            "first_timecode": None if part is None else part.timecode,
            "width": width,
            "height": height,
            "frames": list(frames),
        }
        write_json(self.folder / TRANSFORMS, content)
        color = None if part is None else part.color
        named = [] if color is None else [color.primaries, color.transfer, color.matrix]
        tags = ", ".join(name for name in named if name)
        text = _TEXT.format(
            depth="half floats" if self._depth == 16 else "32-bit floats",
            tags=f" ({tags})" if tags else "",
            notices="".join(f"\nNote: {notice}.\n" for notice in notices),
        )
        write_bytes(self.folder / README, text.encode())
        return write_frame_list(
            self.folder, [*self._files, self.folder / TRANSFORMS, self.folder / README]
        )


def final_layer(plate: Colors, merged: Colors, matte: Mask) -> Layer:
    """The finished face alone: what "over" has to lay on the plate to give the merged frame."""
    with np.errstate(invalid="ignore"):  # a scene's infinity, where nothing was changed
        share = _unit(merged) - (1 - matte[..., None]) * _unit(plate)
    untouched = (plate == merged).all(axis=-1) & (matte == 0)
    share[untouched] = 0
    return np.dstack([share, matte]).astype(np.float32)


def _unit(colors: Colors) -> Float32[np.ndarray, "h w 3"]:
    return colors if colors.dtype == np.float32 else to_image(colors)


def prediction_layer(found: Sequence[PredictedFace], shape_hw: tuple[int, int]) -> Layer:
    """What the model said of each face, laid over an empty plate; later ones over earlier ones."""
    layer = np.zeros((*shape_hw, 4), np.float32)
    for one in found:
        aligned = one.aligned
        to_frame = invert(aligned.matrix(aligned.size))
        box = reach_of(Box(0, 0, aligned.size, aligned.size), to_frame).clipped(shape_hw)
        if box.empty:
            continue
        square = np.ones((aligned.size, aligned.size), np.float32)
        alpha = np.clip(place_part(square, to_frame, box), 0, 1)[..., None]
        face = np.clip(place_part(one.prediction.face, to_frame, box, rim="continue"), 0, 1)
        part = layer[box.slices]
        part *= 1 - alpha
        part += np.dstack([face * alpha, alpha])
    return layer


def _placement(aligned: AlignedFace) -> dict[str, Any]:
    size = aligned.size
    to_face = np.asarray(aligned.matrix(size), np.float64)
    to_frame = np.asarray(invert(to_face), np.float64)
    last = size - 1
    corners = np.array([(0, 0), (last, 0), (last, last), (0, last)], np.float64)
    centre = transform_points(np.array([[last / 2, last / 2]]), to_frame)[0]
    return {
        "size": size,
        "frame_to_face": to_face.tolist(),
        "face_to_frame": to_frame.tolist(),
        "corners": transform_points(corners, to_frame).tolist(),
        "centre": centre.tolist(),
        "scale": math.hypot(to_frame[0, 0], to_frame[1, 0]),
        "rotation_deg": math.degrees(math.atan2(to_frame[1, 0], to_frame[0, 0])),
        "landmarks": np.asarray(aligned.landmarks, np.float64).tolist(),
    }
