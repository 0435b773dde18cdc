"""What a face model is shown at an iteration. Values only."""

from typing import NamedTuple

from jaxtyping import Bool, Float
from torch import Tensor


class SideBatch(NamedTuple):
    """Faces of one side: what goes in, and what should come out."""

    warped: Float[Tensor, "b 3 r r"]
    target: Float[Tensor, "b 3 r r"]
    mask: Float[Tensor, "b 1 r r"]
    eyes_mouth: Float[Tensor, "b 1 r r"] | None = None

    def part(self, rows: slice) -> "SideBatch":
        """Some of the faces."""
        eyes_mouth = None if self.eyes_mouth is None else self.eyes_mouth[rows]
        return SideBatch(self.warped[rows], self.target[rows], self.mask[rows], eyes_mouth)


class Batch(NamedTuple):
    """Faces of both sides for one iteration."""

    src: SideBatch
    dst: SideBatch
    channels: Bool[Tensor, "b n"] | None = None
    """Which channels of each src face's code are its own; AMP only."""

    def part(self, rows: slice) -> "Batch":
        """Some of the faces of both sides."""
        channels = None if self.channels is None else self.channels[rows]
        return Batch(self.src.part(rows), self.dst.part(rows), channels)
