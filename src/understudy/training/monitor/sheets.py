"""What previews show, laid out as DeepFaceLab lays it out: sheets of faces in rows and columns.

A model and a few faces of both sides in, named sheets of faces out. Knows no files and no drawing.
Source: reference "networks, losses, training", section 11; what is beyond it is said where it is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from understudy.models.amp import AmpModel
from understudy.models.face_model import FaceModel, View
from understudy.registry import Registry
from understudy.training.samples.batch import SideBatch
from understudy.types import FaceType

ROWS_MAX = 4
_TALLEST_PX = 800  # of the faces in a column together
_SIDE_BY_SIDE_PX = 256  # the largest faces of which five stand in a row
_MORPHS = (0.25, 0.5, 0.65, 0.75, 1.0)
_HEADS = (FaceType.HEAD, FaceType.HEAD_NO_ALIGN)

Face = Float[Tensor, "c r r"]  # three channels, or one


@dataclass(frozen=True, slots=True)
class Sheet:
    """Faces in rows, each with its caption; where all rows have the same ones, said once above."""

    name: str
    captions: Sequence[Sequence[str]]
    rows: Sequence[Sequence[Face]]


def num_rows(resolution: int, batch_size: int) -> int:
    """How many faces of each side a preview shows."""
    return max(1, min(ROWS_MAX, batch_size, _TALLEST_PX // resolution))


@torch.no_grad()
def sheets(model: FaceModel, src: SideBatch, dst: SideBatch) -> list[Sheet]:
    """The previews of `model`, the main one first; it takes faces in its own number type."""
    return SHEETS[model.config.kind](model, src, dst)


Layout = Callable[[FaceModel, SideBatch, SideBatch], list[Sheet]]
SHEETS: Registry[Layout] = Registry("preview of a kind of model")


@SHEETS.register("SAEHD")
@SHEETS.register("Quick96")
def _swaps(model: FaceModel, src: SideBatch, dst: SideBatch) -> list[Sheet]:
    """Both sides, what they are rebuilt as, the swap; the same inside their masks.

    Large faces stand two by two, on sheets of their own. Beyond the predecessor's, the last sheet
    has the swap laid into the dst face.
    """
    config = model.config
    view = as_shown(model, src.target, dst.target)
    placing = view.dst_dst_mask * view.src_dst_mask
    swap_mask = view.src_dst_mask if config.face_type in _HEADS else placing
    plain = (src.target, view.src_src, dst.target, view.dst_dst, view.src_dst)
    masked = (
        src.target * src.mask,
        view.src_src,
        dst.target * dst.mask,
        view.dst_dst * view.dst_dst_mask,
        view.src_dst * swap_mask,
    )
    made: list[Sheet] = []
    for name, columns in ((config.kind, plain), (f"{config.kind} masked", masked)):
        if config.resolution <= _SIDE_BY_SIDE_PX:
            made.append(
                sheet_of_columns(name, ("src", "src-src", "dst", "dst-dst", "src-dst"), columns)
            )
        else:
            src_face, src_src, dst_face, dst_dst, swap = columns
            made += [
                sheet_of_columns(f"{name} src-src", ("src", "src-src"), (src_face, src_src)),
                sheet_of_columns(f"{name} dst-dst", ("dst", "dst-dst"), (dst_face, dst_dst)),
                sheet_of_columns(f"{name} pred", ("dst", "src-dst"), (dst_face, swap)),
            ]
    placed = dst.target * (1 - placing) + view.src_dst * placing
    laid = (dst.target, view.src_dst, placed)
    made.append(sheet_of_columns(f"{config.kind} placed", ("dst", "src-dst", "placed"), laid))
    return made


@SHEETS.register("AMP")
def _morphs(model: FaceModel, src: SideBatch, dst: SideBatch) -> list[Sheet]:
    """One face of each side, and the way from the dst to the swap, plain and inside the masks."""
    if not isinstance(model, AmpModel):
        raise TypeError(f"an AMP model, not {type(model).__name__}")
    dtype = _dtype(model)
    one_src, one_dst = src.target[:1].to(dtype), dst.target[:1].to(dtype)
    views = [_whole(model.view(one_src, one_dst, morph=morph)) for morph in _MORPHS]
    whole = views[-1]
    mask = whole.dst_dst_mask
    main = (
        (src.target, dst.target, whole.dst_dst * mask),
        (whole.src_src, whole.dst_dst, whole.src_dst),
    )
    captions = (("src", "dst", "dst-dst masked"), ("src-src", "dst-dst", "morph 1.0"))
    made = [Sheet("AMP morph 1.0", captions, [[faces[0] for faces in row] for row in main])]
    plain = [whole.dst_dst, *(view.src_dst for view in views)]
    masked = [whole.dst_dst, *(view.src_dst * mask * view.src_dst_mask for view in views)]
    told = ("dst-dst", *(f"morph {morph}" for morph in _MORPHS))
    for name, way in (("AMP morph list", plain), ("AMP morph list masked", masked)):
        first = [faces[0] for faces in way]
        made.append(Sheet(name, (told[:3], told[3:]), (first[:3], first[3:])))
    return made


def as_shown(
    model: FaceModel, src: Float[Tensor, "b 3 r r"], dst: Float[Tensor, "b 3 r r"]
) -> View:
    """What the networks make of both sides, in float32."""
    dtype = _dtype(model)
    return _whole(model.view(src.to(dtype), dst.to(dtype)))


def _dtype(model: FaceModel) -> torch.dtype:
    return next(model.parameters()).dtype


def _whole(view: View) -> View:
    return View(*(part.float().clamp(0, 1) for part in view))


def sheet_of_columns(name: str, captions: Sequence[str], columns: Sequence[Tensor]) -> Sheet:
    """A sheet with a row for every face."""
    rows = [[faces[row] for faces in columns] for row in range(len(columns[0]))]
    return Sheet(name, (captions,), rows)
