"""Looks at a model in training: measures faces kept aside, paints the preview picture.

A model and its batches in, numbers and a picture out. Knows no files and no loop.
"""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from understudy.models.face_model import FaceModel
from understudy.training.batches import BatchSource, Side
from understudy.training.health import is_likeness, likeness
from understudy.training.history import History
from understudy.training.preview import ROWS_MAX, Picture, Viewer, preview_picture

_MEASURED_MAX = 16  # faces of each side painted for a measure


class Watch:
    """Shows the same faces every time, as the averaged weights paint them."""

    def __init__(self, model: FaceModel, src: Side, dst: Side, *, dtype: torch.dtype) -> None:
        self._viewer = Viewer(model, dtype=dtype)
        sides = (src, dst)
        self._shown = tuple(_places(side.held_out, side.trained) for side in sides)
        count = min(len(src.held_out), len(dst.held_out), _MEASURED_MAX)
        self._measured = tuple(side.held_out[:count] for side in sides)

    @property
    def can_measure(self) -> bool:
        """Whether faces were kept aside on both sides."""
        return bool(len(self._measured[0]))

    def measure(self, source: BatchSource, averaged: Mapping[str, Tensor]) -> dict[str, float]:
        """SSIM and PSNR of both sides' faces kept aside; empty if there are none."""
        src, dst = self._measured
        if not len(src):
            return {}
        batch = source.unwarped(src, dst)
        view = self._viewer.view(batch.src.target, batch.dst.target, averaged=averaged)
        found: dict[str, float] = {}
        for name, made, side in (
            ("src", view.src_src, batch.src),
            ("dst", view.dst_dst, batch.dst),
        ):
            ssim, psnr = likeness(made, side.target, side.mask)
            found |= {f"{name} SSIM": ssim, f"{name} PSNR": psnr}
        return found

    def picture(
        self,
        source: BatchSource,
        averaged: Mapping[str, Tensor],
        history: History,
        *,
        title: str,
    ) -> Picture:
        """The preview, headed by the title, the iteration and the last measures."""
        batch = source.unwarped(*self._shown)
        view = self._viewer.view(batch.src.target, batch.dst.target, averaged=averaged)
        heading = f"{title}   iteration {history.start + len(history)}"
        last = {name: value for _, name, value in history.measures if is_likeness(name)}
        heading += "".join(f"   {name} {value:.3f}" for name, value in last.items())
        return preview_picture(
            batch.src.target, batch.dst.target, view, history=history, title=heading
        )


def _places(
    held_out: Int64[np.ndarray, " h"], trained: Int64[np.ndarray, " t"]
) -> Int64[np.ndarray, " r"]:
    """Places to show: half of faces kept aside, half of faces trained on, each spread in time."""
    aside = held_out[[0, -1][: len(held_out)]] if len(held_out) else held_out
    rest = ROWS_MAX - len(aside)
    inner = (np.arange(rest) + 0.5) / rest * len(trained)
    return np.concatenate([aside, trained[inner.astype(int)]])
