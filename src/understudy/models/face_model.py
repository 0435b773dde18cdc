"""What every face model can do, whatever its networks: show, merge, reconstruct.

Tensors in and out (NCHW RGB float32 0..1); knows nothing of losses, files or frames.
"""

from abc import abstractmethod
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from understudy.errors import OptionError
from understudy.models.model import MODELS, Model

__all__ = [
    "MODELS",
    "FaceModel",
    "Merged",
    "Painted",
    "Reconstruction",
    "SwapModel",
    "View",
    "as_face_model",
    "join",
    "paint",
    "split",
]


class View(NamedTuple):
    """What a preview shows; `src_dst` is the swap."""

    src_src: Float[Tensor, "b 3 r r"]
    dst_dst: Float[Tensor, "b 3 r r"]
    dst_dst_mask: Float[Tensor, "b 1 r r"]
    src_dst: Float[Tensor, "b 3 r r"]
    src_dst_mask: Float[Tensor, "b 1 r r"]


class Merged(NamedTuple):
    """What the merger needs of dst faces."""

    src_dst: Float[Tensor, "b 3 r r"]
    dst_mask: Float[Tensor, "b 1 r r"]
    src_dst_mask: Float[Tensor, "b 1 r r"]


class Painted(NamedTuple):
    """One side as its own decoder paints it, and the code it was painted from."""

    face: Float[Tensor, "b 3 r r"]
    mask: Float[Tensor, "b 1 r r"]
    code: Float[Tensor, "b c s s"]


class Reconstruction(NamedTuple):
    """Both sides painted: what training compares with the targets."""

    src: Painted
    dst: Painted


class FaceModel(Model):
    """Networks that turn dst faces into src faces."""

    @abstractmethod
    def view(self, src: Float[Tensor, "b 3 r r"], dst: Float[Tensor, "b 3 r r"]) -> View:
        """Both sides reconstructed, and the swap."""

    @abstractmethod
    def merge(self, dst: Float[Tensor, "b 3 r r"]) -> Merged:
        """The swap of `dst`, with the masks both decoders paint."""

    @abstractmethod
    def reconstruct(
        self,
        src: Float[Tensor, "b 3 r r"],
        dst: Float[Tensor, "b 3 r r"],
        *,
        channels: Bool[Tensor, "b n"] | None = None,
    ) -> Reconstruction:
        """Both sides through the networks, for training.

        `channels` are those that AMP's src inter makes of each src face; other models have none.
        """

    @abstractmethod
    def reconstruct_side(
        self,
        faces: Float[Tensor, "b 3 r r"],
        *,
        is_src: bool,
        channels: Bool[Tensor, "b n"] | None = None,
    ) -> Painted:
        """Face, mask and code of one side alone, the same as `reconstruct` gives."""


class SwapModel(FaceModel):
    """A face model that can paint the swap from the code of the dst side."""

    @abstractmethod
    def paint_swap(
        self, dst_code: Float[Tensor, "b c s s"]
    ) -> tuple[Float[Tensor, "b 3 r r"], Float[Tensor, "b 1 r r"]]:
        """Face and mask of the swap."""


def paint(decoder: nn.Module, code: Tensor) -> Painted:
    """What a decoder makes of a code, and the code."""
    face, mask = decoder(code)
    return Painted(face, mask, code)


def split(both: Tensor, num_src: int) -> tuple[Tensor, Tensor]:
    """The src part and the dst part of a batch that went through a shared network as one."""
    return both[:num_src], both[num_src:]


def join(src: Tensor, dst: Tensor) -> Tensor:
    """Both sides as one batch."""
    return torch.cat([src, dst])


def as_face_model(model: Model) -> FaceModel:
    """`model`, which is one of faces.

    Raises:
        OptionError: it paints masks.
    """
    if isinstance(model, FaceModel):
        return model
    raise OptionError(
        "model",
        expected="a model that swaps faces",
        found=f"one of kind {model.config.kind}, which paints masks",
        remedy="Give the name of another model; masks are trained and applied by: understudy mask",
    )
