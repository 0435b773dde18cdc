"""The folder of one job: where everything lies, who works on it, what is finished.

The folders are those a DFL user knows; a DFL workspace opens as it is. Beside them lie
`workspace.json` (our version), `manifests/` (what each step has finished) and `reports/`.
Knows paths and JSON, not what the steps do.
"""

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from understudy import __version__
from understudy.errors import (
    FileError,
    FormatError,
    MaterialError,
    WorkspaceBusyError,
    WorkspaceError,
    from_os_error,
)
from understudy.files import TEMPORARY_SUFFIX, make_dir, read_json, write_json

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

VERSION = 1
SideName = Literal["src", "dst"]
NO_CLIPS = frozenset({".c2pa", ".csv", ".json", ".md", ".srt", ".txt", ".wav", ".xml"})
# Kinds of files that steps, or DFL, put into the folders that `clear` empties.
MADE = frozenset(
    {".c2pa", ".dat", ".dfm", ".jpeg", ".jpg", ".json", ".jsonl", ".npy", ".onnx", ".pak", ".png"}
    | {".safetensors", ".tif", ".tiff"}
)
DFL_SUMMARY = "_summary.txt"
MOST_NAMED = 3
_held: set[Path] = set()


@dataclass(frozen=True, slots=True)
class Content:
    """Files in the folders that `clear` empties: those it removes, and those no step makes."""

    made: tuple[Path, ...]
    foreign: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Side:
    """Folders of one of the two clips."""

    name: SideName
    root: Path

    @property
    def frames_dir(self) -> Path:
        """Frames of the clip, or the user's own pictures."""
        return self.root / f"data_{self.name}"

    @property
    def aligned_dir(self) -> Path:
        """The faceset."""
        return self.frames_dir / "aligned"

    @property
    def debug_dir(self) -> Path:
        """Frames with landmarks drawn on them."""
        return self.frames_dir / "aligned_debug"

    def video(self) -> Path | None:
        """The clip lying in the workspace as `data_src.*` or `data_dst.*`, if there is one."""
        stem = f"data_{self.name}"
        named = (p for p in self.root.glob("*.*") if p.is_file() and p.stem.lower() == stem)
        # Other tools lay a clip's provenance and notes beside it under the clip's own name.
        return min((p for p in named if p.suffix.lower() not in NO_CLIPS), default=None)


class Workspace:
    """One workspace folder. Opening it changes nothing on disk."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.src, self.dst = Side("src", root), Side("dst", root)
        self.model_dir = root / "model"
        self.merged_dir = self.dst.frames_dir / "merged"
        self.merged_mask_dir = self.dst.frames_dir / "merged_mask"
        self.reports_dir = root / "reports"
        self.ingredients_dir = root / "manifests" / "ingredients"
        self.run_log_path = self.reports_dir / "log.jsonl"
        self.manifests_dir = root / "manifests"
        self.commands_dir = root / "commands"
        self.listener_path = self.commands_dir / "open.json"

    @classmethod
    def open(cls, root: Path) -> "Workspace":
        """The workspace at `root`.

        Raises:
            WorkspaceError: there is none, or it is of a newer version.
        """
        if not root.is_dir():
            found = "a file" if root.exists() else "nothing"
            raise WorkspaceError(
                root,
                expected="a workspace folder",
                found=found,
                remedy=f'Make one with: understudy new "{root}"',
            )
        workspace = cls(root)
        workspace._check_version()
        return workspace

    @classmethod
    def create(cls, root: Path) -> "Workspace":
        """The workspace at `root`, made if it is not there; what lies in it stays.

        Raises:
            WorkspaceError: a file has that name, or a newer version made the workspace.
            StorageError: it can't be written.
        """
        if root.exists() and not root.is_dir():
            raise WorkspaceError(
                root,
                expected="a folder or a free name",
                found="a file",
                remedy="Choose another name.",
            )
        workspace = cls(root)
        make_dir(root)
        workspace._check_version()
        for side in (workspace.src, workspace.dst):
            make_dir(side.aligned_dir)
        make_dir(workspace.model_dir)
        if not workspace._file.exists():
            write_json(
                workspace._file, {"version": VERSION, "made_by": f"understudy {__version__}"}
            )
        return workspace

    @property
    def _file(self) -> Path:
        return self.root / "workspace.json"

    def _check_version(self) -> None:
        if not self._file.exists():
            return  # a DFL workspace, or an empty folder
        content = read_json(self._file)
        version = content.get("version") if isinstance(content, dict) else None
        if not isinstance(version, int) or version < 1:
            raise WorkspaceError(
                self._file,
                expected="a version number",
                found=repr(version),
                remedy=f'Restore the file, or write {{"version": {VERSION}}} into it.',
            )
        if version > VERSION:
            raise WorkspaceError(
                self.root,
                expected=f"a workspace of version {VERSION} or older",
                found=f"version {version}",
                remedy="Use the newer Understudy that made it.",
            )

    def check_is_one(self) -> None:
        """Nothing, if this is a workspace: made by Understudy, worked in by it, or DFL's.

        Raises:
            WorkspaceError: it is some other folder.
        """
        sides = (self.src, self.dst)
        there = [side.frames_dir.is_dir() for side in sides]
        worked_in = any(there) and self.manifests_dir.is_dir()
        clips = any(side.video() is not None for side in sides)
        if not (self._file.exists() or all(there) or worked_in or clips):
            raise self._is_none("a folder without them")

    def check_may_be_cleared(self) -> None:
        """Nothing, if this is plainly a workspace, so that its files may be removed.

        Raises:
            WorkspaceError: it may be some other folder.
        """
        if self._file.exists():
            return
        if not all(side.frames_dir.is_dir() for side in (self.src, self.dst)):
            raise self._is_none("a folder without them")
        foreign = self.content().foreign
        if foreign:
            raise self._is_none(f"files that no step makes: {self.named(foreign)}")

    def named(self, paths: Sequence[Path]) -> str:
        """Paths in the workspace as one reads them, the first few if they are many."""
        names = [path.relative_to(self.root).as_posix() for path in paths[:MOST_NAMED]]
        more = len(paths) - len(names)
        return ", ".join(names) + (f" and {more} more" if more else "")

    def _is_none(self, found: str) -> WorkspaceError:
        return WorkspaceError(
            self.root,
            expected="a workspace: workspace.json, or the folders data_src and data_dst of DFL's",
            found=found,
            remedy=f'Check the path; a workspace is made with: understudy new "{self.root}"',
        )

    def side(self, name: SideName) -> Side:
        """Folders of `src` or `dst`."""
        return self.src if name == "src" else self.dst

    def faceset_dir(self, faces: str) -> Path:
        """The faceset called "src" or "dst", or the folder of that name.

        Raises:
            MaterialError: there is no such folder.
        """
        sides: dict[str, Side] = {side.name: side for side in (self.src, self.dst)}
        folder = sides[faces].aligned_dir if faces in sides else Path(faces)
        if not folder.is_dir():
            first = f"First: understudy extract {faces}"
            raise MaterialError(
                folder,
                expected="src, dst or a folder of faces",
                found="a file" if folder.exists() else "nothing",
                remedy=first if faces in sides else "Check the path.",
            )
        return folder

    # ------------------------------------------------------------------ one process at a time

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the workspace for this process; the system lets go of it when the process ends.

        Raises:
            WorkspaceBusyError: another process holds it.
            FileError: the folder can't be written.
        """
        key = self.root.resolve()
        if key in _held:  # a step within a step
            yield
            return
        path = self.root / "workspace.lock"
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise FileError(
                self.root,
                expected="a folder that can be written",
                found=error.strerror or str(error),
                remedy="Change the permissions or choose another workspace.",
            ) from error
        try:
            if not _try_lock(handle):
                owner = os.read(handle, 32).decode("ascii", "replace").strip()
                raise WorkspaceBusyError(
                    self.root,
                    expected="a workspace nobody is working on",
                    found=f"process {owner or 'unknown'} at work",
                    remedy="Wait for it, stop it, or choose another --workspace.",
                )
            with contextlib.suppress(OSError):  # it only tells; a full disk is freed under the lock
                os.ftruncate(handle, 0)
                os.write(handle, f"{os.getpid()}\n".encode())
            if self.listener_path.exists():  # of one that was killed
                self.listener_path.unlink()
            _held.add(key)
            try:
                yield
            finally:
                _held.remove(key)
        finally:
            os.close(handle)

    def is_held(self) -> bool:
        """Whether some process, this one or another, holds the workspace."""
        path = self.root / "workspace.lock"
        if not path.exists():
            return False
        try:
            handle = os.open(path, os.O_RDWR)
        except OSError as error:
            raise from_os_error(error, path, doing="write") from error
        try:
            return not _try_lock(handle, times=1)
        finally:
            os.close(handle)

    # ------------------------------------------------------------------ what is finished

    def manifest_path(self, name: str) -> Path:
        """File of the manifest `name`."""
        return self.manifests_dir / f"{name}.json"

    def read_manifest(self, name: str) -> dict[str, Any] | None:
        """Manifest `name`, or None if nothing was recorded yet.

        Raises:
            FormatError: the file is damaged.
        """
        path = self.manifest_path(name)
        if not path.exists():
            return None
        content = read_json(path)
        if not isinstance(content, dict):
            raise FormatError(
                path,
                expected="what a step has finished",
                found=f"a {type(content).__name__}",
                remedy="Restore it from a backup, or remove it to do this part anew.",
            )
        return content

    def write_manifest(self, name: str, content: dict[str, Any]) -> None:
        """Record what a step has finished."""
        make_dir(self.manifests_dir)
        write_json(self.manifest_path(name), content)

    # ------------------------------------------------------------------ clearing

    def content(self) -> Content:
        """What `clear` removes, and what lies among it that no step makes: a clip, a text.

        Raises:
            FileError: one of the folders is a link, so that its files lie elsewhere.
        """
        made: list[Path] = []
        foreign: list[Path] = []
        for folder in self._content_folders():
            for where, folders, names in os.walk(folder):
                inner = [Path(where, name) for name in folders]
                foreign += [path for path in inner if path.is_symlink()]
                for path in sorted(Path(where, name) for name in names):
                    # One tells of this very step, the other of all there ever were.
                    if path not in (self.reports_dir / "clear.json", self.run_log_path):
                        (made if _is_made(path) else foreign).append(path)
        return Content(tuple(made), tuple(foreign))

    def _content_folders(self) -> list[Path]:
        names = ("data_src", "data_dst", "model", "manifests", "reports")
        folders = [self.root / name for name in names if (self.root / name).is_dir()]
        for folder in folders:
            if folder.is_symlink():
                raise FileError(
                    folder,
                    expected="a folder of the workspace itself",
                    found="a link to another place",
                    remedy="Remove the link, or clear what it points to by hand.",
                )
        return folders

    def clear(self) -> Content:
        """Remove frames, faces, models and results, and make the empty folders again.

        Raises:
            FileError: one of the folders is a link; nothing was removed.
            StorageError: something can't be removed; the rest may be gone.
        """
        content = self.content()
        folders = [Path(p) for top in self._content_folders() for p, _, _ in os.walk(top)]
        try:
            for path in content.made:
                path.unlink()
            for path in reversed(folders):  # the inner ones first
                if not any(path.iterdir()):
                    path.rmdir()
        except OSError as error:
            raise from_os_error(error, path, doing="write") from error
        self.create(self.root)
        return content


def _is_made(path: Path) -> bool:
    name = path.name.lower()
    left_over = name.startswith(".") and TEMPORARY_SUFFIX in name
    return path.suffix.lower() in MADE or name.endswith(DFL_SUMMARY) or left_over


def _try_lock(handle: int, *, times: int = 10) -> bool:
    """Whether the file is ours now; tried for a second, since a killed owner may be on its way."""
    for attempt in range(times):
        if attempt:
            time.sleep(0.1)
        try:
            if sys.platform == "win32":
                msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue
        return True
    return False
