"""One browser tab on one page: what it looks at and where its links lead."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from understudy.studio.desk import Desk, Opened


@dataclass(frozen=True, slots=True)
class Visit:
    """A tab: the desk, and the workspace its address names, if one is open."""

    desk: Desk
    opened: Opened | None

    def link(self, path: str) -> str:
        """Address of a page on the same workspace."""
        return path if self.opened is None else f"{path}?w={self.opened.key}"


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the studio: one file in `pages/`.

    `name` is that of its texts ("pages.NAME.title" ...), `build` makes its content, `keys` are the
    keys it obeys with the names of their texts, `needs_workspace` is off for pages that make sense
    without one.
    """

    name: str
    path: str
    build: Callable[[Visit], Awaitable[None] | None]
    keys: tuple[tuple[str, str], ...] = ()
    needs_workspace: bool = True
    scripts: tuple[str, ...] = field(default=())
