"""Named variants of one thing: sorts, colour transfers, detectors, models.

A registry is filled when the module that defines the variants is imported and never changes after.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

from understudy.errors import OptionError

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """An ordered mapping from a user's name for a method to the method."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator that enters its target under `name`; a name is given once."""

        def enter(entry: T) -> T:
            if name in self._entries:
                raise ValueError(f"{self.kind} {name!r} is registered twice")
            self._entries[name] = entry
            return entry

        return enter

    def __getitem__(self, name: str) -> T:
        """Entry called `name`.

        Raises:
            OptionError: no such entry; the message lists those there are.
        """
        try:
            return self._entries[name]
        except KeyError:
            raise OptionError(
                self.kind,
                expected=f"one of {', '.join(self._entries)}",
                found=repr(name),
                remedy="Use one of these names.",
            ) from None

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
