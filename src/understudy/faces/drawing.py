"""Pictures that show what was found: landmarks, hull, box and aligned square drawn on a frame.

Pixels and faces in, 8-bit pixels out; the drawing is DFL's to the pixel, so that a user's eye for
bad fits carries over. Knows nothing of files. Source: reference section 5.4, golden.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8

from understudy.errors import OptionError
from understudy.faces.align import face_matrix, face_square
from understudy.faces.landmarks import JAW, LEFT_BROW, LEFT_EYE, NOSE, RIGHT_BROW, RIGHT_EYE
from understudy.faces.pixels import Pixels, white
from understudy.faces.regions import hull_mask
from understudy.imaging.geometry import invert, transform_points
from understudy.types import FaceSample, FaceType, Landmarks, Matrix

Drawn = UInt8[np.ndarray, "h w 3"]

LANDMARKS_RGB = (0, 255, 0)
BOX_RGB = (0, 0, 255)
SQUARE_RGB = (255, 0, 0)

_OPEN_LINES = (JAW, RIGHT_BROW, LEFT_BROW, (*NOSE, 30))
_CLOSED_LINES = (RIGHT_EYE, LEFT_EYE, tuple(range(48, 68)))
_JAW_DOT_PX = 2
_INNER_DOT_PX = 1
_FRAME_LINE_PX = 2
_MARK_SIZE = 256


def draw_landmarks(
    picture: Pixels,
    landmarks: Landmarks,
    *,
    darken_hull: bool = True,
    brow_expand: float = 1.0,
    line_px: int = 1,
) -> Drawn:
    """A copy of `picture` with the landmarks as lines and dots, the face's hull at half brightness.

    `line_px` is the width of the lines; DFL's is 1, a 4K frame is better read with 2 or 3.
    """
    canvas = _eight_bit(picture)
    _draw_points(canvas, landmarks, line_px)
    return _darkened(canvas, landmarks, brow_expand) if darken_hull else canvas


def draw_face(
    picture: Pixels,
    landmarks: Landmarks,
    *,
    frame_to_face: Matrix,
    size: int,
    box: tuple[int, int, int, int] | None = None,
    brow_expand: float = 1.0,
    line_px: int = 1,
) -> Drawn:
    """As `draw_landmarks`, with the detector's `box` and the square that `frame_to_face` cuts out.

    `size` is the side of the aligned picture. A triangle marks the square's top left corner, so
    that one sees which way is up. A face whose matrix flattens the plane has no square.
    """
    canvas = draw_landmarks(picture, landmarks, brow_expand=brow_expand, line_px=line_px)
    width = _FRAME_LINE_PX * line_px
    if box is not None:
        left, top, right, bottom = box
        cv2.rectangle(canvas, (left, top), (right, bottom), BOX_RGB, width)
    last = size - 1
    # Whole pixels of the aligned picture first, of the frame then: DFL rounds twice.
    arrow = np.array([[last // 20, 0], [last // 10, last // 10], [0, last // 10]], np.float64)
    for outline in (
        face_square(frame_to_face, size),
        transform_points(arrow, invert(frame_to_face)),
    ):
        cv2.polylines(canvas, [_rounded(outline)], True, SQUARE_RGB, width)
    return canvas


def draw_samples(
    picture: Pixels, faces: Sequence[FaceSample], *, size: int, line_px: int = 1
) -> Drawn:
    """A debug picture: `picture` (a frame) with all `faces` found in it; a plain copy for none.

    `size` is the side of the aligned pictures.

    Raises:
        OptionError: a face does not know where in its frame it lies.
    """
    canvas = _eight_bit(picture)
    for face in faces:
        points = face.source_landmarks
        if points is None and face.face_type is FaceType.MARK_ONLY:
            points = face.landmarks
        if points is None:
            raise OptionError(
                face.name or "face",
                expected="its landmarks in the frame",
                found="none",
                remedy="Extract this face again.",
            )
        matrix, side = face.frame_to_face, size
        if matrix is None:  # a face that is only marked, or of an old version
            matrix, side = face_matrix(points, _MARK_SIZE, FaceType.FULL), _MARK_SIZE
        canvas = draw_face(
            canvas,
            points,
            frame_to_face=matrix,
            size=side,
            box=face.source_box,
            brow_expand=face.brow_expand,
            line_px=line_px,
        )
    return canvas


def draw_aligned(picture: Pixels, face: FaceSample, *, line_px: int = 1) -> Drawn:
    """The aligned picture of `face` with its landmarks and hull.

    A face that is only marked in a whole frame also shows its box and the square of a full face.
    """
    if face.face_type is not FaceType.MARK_ONLY:
        return draw_landmarks(
            picture, face.landmarks, brow_expand=face.brow_expand, line_px=line_px
        )
    return draw_samples(picture, [face], size=_MARK_SIZE, line_px=line_px)


def _eight_bit(picture: Pixels) -> Drawn:
    if picture.dtype == np.uint8:
        return np.array(picture, np.uint8, order="C")
    levels = np.clip(picture.astype(np.float32) / np.float32(white(picture)), 0, 1)
    return np.asarray(np.rint(levels * 255), np.uint8)


def _draw_points(canvas: Drawn, landmarks: Landmarks, line_px: int) -> None:
    points = _truncated(landmarks)
    for lines, closed in ((_OPEN_LINES, False), (_CLOSED_LINES, True)):
        for line in lines:
            chain = [points[list(line)]]
            cv2.polylines(canvas, chain, closed, LANDMARKS_RGB, line_px, cv2.LINE_AA)
    for index, (x, y) in enumerate(points.tolist()):
        radius = (_JAW_DOT_PX if index in JAW else _INNER_DOT_PX) * line_px
        cv2.circle(canvas, (x, y), radius, LANDMARKS_RGB, line_px, cv2.LINE_AA)


def _darkened(canvas: Drawn, landmarks: Landmarks, brow_expand: float) -> Drawn:
    hull = hull_mask(landmarks, canvas.shape[:2], brow_expand) > 0
    return np.where(hull[..., None], canvas // 2, canvas)


def _truncated(points: Float[np.ndarray, "n 2"]) -> Int[np.ndarray, "n 2"]:
    return np.asarray(np.trunc(points), np.int32)


def _rounded(points: Float[np.ndarray, "n 2"]) -> Int[np.ndarray, "n 2"]:
    return np.asarray(np.rint(points), np.int32)
