"""Batches computed in portions, one after the other: as many faces at once as memory allows.

A batch and a function of its parts in, the function's result out. When memory runs out, the parts
are halved and the same batch is taken again; gradients are those of a sum over the batch, so the
sum over its parts is the same. Knows no network.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor

from understudy.errors import MemoryShortError
from understudy.training.step.allocator import give_back

T = TypeVar("T")
Say = Callable[[str], None]

# what those say that raise no error of their own kind: torch's host allocator, oneDNN (which has
# the same words for all that hinders it), mps, cuDNN and cuBLAS
_SHORT = ("t allocate memory", "a primitive", "out of memory", "bad_alloc", "ALLOC_FAILED")


def is_short_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, of the device or of the host."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in _SHORT)


class Portions:
    """How many faces of a side are computed at once; fewer from when memory ran out."""

    def __init__(
        self, at_once: int, *, device: torch.device, say: Say = lambda _text: None
    ) -> None:
        self.at_once = max(1, at_once)
        self.was_short = False
        """Whether memory ran out."""
        self._device, self._say = device, say

    def count(self, size: int) -> int:
        """Number of parts a batch of that size is computed in."""
        return -(-size // self.at_once)

    def run(self, size: int, work: Callable[[list[slice]], T]) -> T:
        """What `work` gives for `size` faces, given the rows of each part.

        Work that fails for want of memory is begun anew in smaller parts; it must have changed
        nothing then.

        Raises:
            MemoryShortError: not even one face fits.
        """
        while True:
            try:
                return work(rows_of(size, self.count(size)))
            except (RuntimeError, MemoryError) as error:
                if not is_short_of_memory(error):
                    raise
                reason = _first_line(error)
            # beyond the except clause: the error holds on to the tensors of what failed
            give_back(self._device)
            if min(size, self.at_once) <= 1:
                raise MemoryShortError(
                    f"memory of {self._device}",
                    expected="room for one face of each side at a time",
                    found=f"none left ({reason})",
                    remedy="Free memory, or train with less.",
                )
            self.was_short = True
            self.at_once = -(-min(size, self.at_once) // 2)
            self._say(
                f"memory ran out ({reason}): from now on batches of {size} are computed in "
                f"{self.count(size)} parts, with the same result"
            )


@contextmanager
def shortage_named(what: str, device: torch.device) -> Iterator[None]:
    """Errors that say memory ran out come as one that names what it was wanted for.

    Raises:
        MemoryShortError: memory ran out.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_short_of_memory(error):
            raise
        raise MemoryShortError(
            f"memory of {device}",
            expected=f"room for {what}",
            found=f"none left ({_first_line(error)})",
            remedy="Free memory, or train with less.",
        ) from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def rows_of(size: int, parts: int) -> list[slice]:
    """Rows of each part of a batch of `size`, as even as they can be."""
    edges = [size * k // parts for k in range(parts + 1)]
    return [slice(low, high) for low, high in pairwise(edges)]


class GradientSum:
    """Gradients of a batch, added up from those of its parts.

    Those of a single part are kept as they are; more are added up in float32, which keeps what
    a narrower type would round off.
    """

    def __init__(self, parts: int) -> None:
        self.found: list[dict[str, Tensor]] = [] if parts == 1 else [{}]
        self._is_whole = parts == 1

    def add(self, several: Sequence[dict[str, Tensor]]) -> None:
        """Take in the gradients of one part, which may come in several dicts; they are emptied."""
        if self._is_whole:
            self.found += several
            return
        (total,) = self.found
        for some in several:
            while some:
                name, gradient = some.popitem()  # two of each would be too many
                if name in total:
                    total[name].add_(gradient)
                else:
                    total[name] = gradient.float()
