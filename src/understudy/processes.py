"""Which of several processes of one run this one is.

`torchrun` tells each process its number in the environment; processes that a step starts itself are
told in the same way. Knows no step and no network.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from understudy.errors import OptionError


@dataclass(frozen=True, slots=True)
class Place:
    """Number of a process among all, and among those of its machine; the first is 0."""

    rank: int
    size: int
    local_rank: int
    local_size: int

    def environment(self, address: str, port: int) -> dict[str, str]:
        """The variables that tell it, and where the processes meet."""
        values = {
            "RANK": self.rank,
            "WORLD_SIZE": self.size,
            "LOCAL_RANK": self.local_rank,
            "LOCAL_WORLD_SIZE": self.local_size,
            "MASTER_ADDR": address,
            "MASTER_PORT": port,
        }
        return {name: str(value) for name, value in values.items()}


def own_place(environment: Mapping[str, str] = os.environ) -> Place | None:
    """Place of this process; None if it is the only one of its run.

    Raises:
        OptionError: a variable is missing or no number.
    """
    if int(_number(environment, "WORLD_SIZE", "1")) < 2:
        return None
    size = _number(environment, "WORLD_SIZE")
    rank = _number(environment, "RANK")
    local_size = _number(environment, "LOCAL_WORLD_SIZE", str(size))
    return Place(rank, size, _number(environment, "LOCAL_RANK", str(rank)), local_size)


def is_further_one() -> bool:
    """Whether another process of this run is the first, which alone talks and writes."""
    place = own_place()
    return place is not None and place.rank > 0


def _number(environment: Mapping[str, str], name: str, default: str = "") -> int:
    text = environment.get(name, default)
    if not text.isdecimal():
        raise OptionError(
            f"environment variable {name}",
            expected="the number that torchrun gives each process",
            found=repr(text) if text else "nothing",
            remedy="Start by torchrun, or unset WORLD_SIZE.",
        )
    return int(text)
