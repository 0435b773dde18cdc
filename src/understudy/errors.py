"""Every error a user can cause, each with its exit code.

Each names the thing, what was expected, what was found and what to do, in one line::

    UnderstudyError                 exit 2
    +-- FileError                   a path is missing, unreadable or of the wrong sort
    |   +-- StorageError            a write failed: full disk, read-only folder, no permission
    +-- FormatError                 a file opens but does not hold what it should
    |   +-- UnsafeFileError         a file asks for something no data file may ask for
    |   +-- StateError              a saved model state is damaged or does not fit its config
    +-- OptionError                 an unknown option or a value out of range
    +-- WorkspaceError              a workspace is not one, or is of a newer version
    |   +-- WorkspaceBusyError      another process holds it
    +-- MaterialError               a step has nothing to work on: no frames, no faces
    +-- MemoryShortError            there is less memory than what was asked for needs
    +-- WeightsError                a face model has to be fetched first
    +-- ProvenanceError             signing or consent is impossible as set up
    Cancelled                       exit 130; not an error: the user stopped the job
"""

import errno
from pathlib import Path


class UnderstudyError(Exception):
    """An error the user can mend, told in one line."""

    exit_code = 2

    def __init__(self, thing: str | Path, /, *, expected: str, found: str, remedy: str) -> None:
        self.thing, self.expected, self.found, self.remedy = str(thing), expected, found, remedy
        super().__init__(f"{thing}: expected {expected}, found {found}. {remedy}")

    def about(self, thing: str | Path) -> "UnderstudyError":
        """The same error of another thing: of the file the user knows, not a temporary one."""
        return type(self)(thing, expected=self.expected, found=self.found, remedy=self.remedy)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.thing, self.expected, self.found, self.remedy)


def _rebuild(
    kind: type[UnderstudyError], thing: str, expected: str, found: str, remedy: str
) -> UnderstudyError:
    return kind(thing, expected=expected, found=found, remedy=remedy)


class FileError(UnderstudyError):
    """A path is missing, unreadable or of the wrong sort."""


class StorageError(FileError):
    """A write failed; the old file, if any, is untouched."""


class FormatError(UnderstudyError):
    """A file opens but does not hold what it should."""


class UnsafeFileError(FormatError):
    """A file asks for something no data file may ask for."""


class StateError(FormatError):
    """A saved model state is damaged or does not fit its config."""


class OptionError(UnderstudyError):
    """An unknown option or a value out of range."""


class WorkspaceError(UnderstudyError):
    """A workspace is not one, or is of a newer version."""


class WorkspaceBusyError(WorkspaceError):
    """Another process holds the workspace."""


class MaterialError(UnderstudyError):
    """A step has nothing to work on."""


class MemoryShortError(UnderstudyError):
    """There is less memory, of the host or of a device, than what was asked for needs."""


class WeightsError(UnderstudyError):
    """A face model has to be fetched first."""


class ProvenanceError(UnderstudyError):
    """Signing or consent is impossible as set up."""


class Cancelled(Exception):
    """The user stopped the job; what was finished is kept."""

    exit_code = 130


def from_os_error(error: OSError, path: Path, *, doing: str) -> FileError:
    """The `FileError` that tells a failed system call on `path` in the user's terms.

    `doing` is "read" or "write".
    """
    code = error.errno
    if code in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(
            path,
            expected="free disk space",
            found="a full disk",
            remedy="Free some space and start again: finished work is kept.",
        )
    if code in (errno.EACCES, errno.EPERM, errno.EROFS):
        kind = StorageError if doing == "write" else FileError
        return kind(
            path,
            expected=f"permission to {doing} here",
            found="none (read-only or protected)",
            remedy="Change the permissions or choose another folder.",
        )
    if code == errno.ENOENT:
        return FileError(
            path, expected="a file or folder", found="nothing", remedy="Check the path."
        )
    if code == errno.EISDIR:
        return FileError(path, expected="a file", found="a folder", remedy="Name a file.")
    if code == errno.ENOTDIR:
        return FileError(
            path, expected="a folder", found="a file in its place", remedy="Choose another folder."
        )
    kind = StorageError if doing == "write" else FileError
    return kind(
        path,
        expected=f"to {doing} it",
        found=error.strerror or str(error),
        remedy="Check the disk and the path.",
    )
