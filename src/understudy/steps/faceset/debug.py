"""Pictures beside the faces that show their landmarks; and taking them away again."""

from pathlib import Path

from understudy.job import Job
from understudy.options import argument, option
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.wording import counted
from understudy.workspace import Workspace

SUFFIX = "_debug.jpg"


class DebugOptions(StepOptions):
    """Options of `faceset debug`."""

    faces: str = argument("Which faces: src, dst or a folder.")
    remove: bool = option(False, "Delete the pictures instead of making them.")
    line_px: int = option(1, "Width of the lines in pixels.", ge=1, le=8)
    jpeg_quality: int = option(90, "Quality of the pictures.", ge=1, le=100)
    restart: bool = option(False, "Draw those again that are newer than their faces.")


def debug(options: DebugOptions, job: Job) -> Report:
    """`<face>_debug.jpg` beside every face, with landmarks and hull.

    Raises:
        MaterialError: there are no faces.
    """
    folder = Workspace.open(options.workspace).faceset_dir(options.faces)
    return _remove(folder, job) if options.remove else _draw(options, folder, job)


def _draw(options: DebugOptions, folder: Path, job: Job) -> Report:
    from understudy.errors import FileError
    from understudy.faces.drawing import draw_aligned
    from understudy.facesets.dfl.entry_names import inside
    from understudy.facesets.faceset import Faceset
    from understudy.files import make_dir
    from understudy.media.images import write_image

    faceset = Faceset.open(folder)
    names = faceset.names

    def draw(index: int) -> bool:
        path = _debug_path(folder / names[index])
        if path.exists() and not _is_debug(path):
            raise FileError(
                path,
                expected="a free name for the debug picture",
                found="a face",
                remedy="Rename that face.",
            )
        if not options.restart and _is_newer(path, folder / names[index]):
            return False
        face = faceset[index]
        make_dir(path.parent)
        drawn = draw_aligned(face.image, face, line_px=options.line_px)
        write_image(inside(path, folder), drawn, jpeg_quality=options.jpeg_quality)
        return True

    results = job.map(draw, range(len(names)), total=len(names), name=lambda i: names[i])
    drawn = [new for _, new in results]
    done, earlier = sum(drawn), len(drawn) - sum(drawn)
    summary = f"{counted(done, 'debug picture')}"
    return Report(
        "faceset debug", done=done, skipped=earlier, outputs=[folder], details={"summary": summary}
    )


def is_debug_picture(path: Path) -> bool:
    """Whether `debug` made this file: a user may well have named a face so."""
    from understudy.errors import FormatError

    try:
        return path.name.endswith(SUFFIX) and _is_debug(path)
    except FormatError:  # of whatever made it
        return False


def _remove(folder: Path, job: Job) -> Report:
    from understudy.files import remove_files

    paths = [path for path in sorted(folder.rglob("*" + SUFFIX)) if path.is_file()]
    # A user may well have named a face so.
    looked = job.map(_is_debug, paths, total=len(paths), name=lambda path: path.name)
    shown = [path for path, is_debug in looked if is_debug]
    remove_files(shown)
    summary = f"{counted(len(shown), 'debug picture')} removed"
    return Report("faceset debug", done=len(shown), outputs=[folder], details={"summary": summary})


def _debug_path(face: Path) -> Path:
    return face.with_name(face.stem + SUFFIX)


def _is_debug(path: Path) -> bool:
    from understudy.facesets.dfl.face_file import read_file_header

    return not read_file_header(path).payload


def _is_newer(picture: Path, face: Path) -> bool:
    """Whether the debug picture was made after the face; one in a pak has no file to tell by."""
    both = picture.exists() and face.exists()
    return both and picture.stat().st_mtime_ns > face.stat().st_mtime_ns
