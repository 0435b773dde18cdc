"""Put the faces of a folder into one `faceset.pak`, which trains from one file instead of many."""

from pathlib import Path

from understudy.job import Job
from understudy.options import argument, option
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.wording import counted
from understudy.workspace import Workspace


class PackOptions(StepOptions):
    """Options of `faceset pack`."""

    faces: str = argument("Faceset to pack: src, dst or a folder of faces.")
    delete_originals: bool = option(
        False, "Move the packed files to the trash beside the faceset; undo brings them back."
    )
    replace: bool = option(False, "Pack again though there is a pak; it goes to the trash.")


def pack(options: PackOptions, job: Job) -> Report:
    """One pak that holds every face that was looked at and read back.

    Raises:
        FileError: there is a pak already.
        MaterialError: no picture there is a face.
    """
    from understudy.errors import FileError, MaterialError
    from understudy.facesets.dfl.pack import PAK_NAME, PakItem, write_pak
    from understudy.facesets.faceset import list_loose
    from understudy.facesets.moves import edit
    from understudy.facesets.moves.packing import look_at
    from understudy.files import remove_leftovers

    folder = Workspace.open(options.workspace).faceset_dir(options.faces)
    edit.recover(folder)
    pak = folder / PAK_NAME
    if pak.exists() and not options.replace:
        raise FileError(
            pak,
            expected="no pak yet",
            found="one",
            remedy="Unpack it first, or pack the loose files in its place with --replace.",
        )
    loose = {face.name: face.path for face in list_loose(folder)}
    remove_leftovers(folder, stem=pak.stem)

    def look(name: str) -> PakItem | None:
        return look_at(name, loose[name]) if _is_meant_as_face(loose[name]) else None

    def progress(doing: str, place: int) -> None:
        job.check()
        job.progress(place + 1, message=doing)

    def ready(count: int) -> None:
        if not count:
            raise MaterialError(
                folder,
                expected="faces to pack",
                found=f"{counted(len(loose), 'picture')} that are none",
                remedy="Extract faces into it first.",
            )
        if pak.exists():
            edit.apply_moves(folder, edit.trash_moves(folder, [pak]), operation="pack (old pak)")

    looked = job.map(look, loose, total=len(loose), message="looking at faces")
    items = (item for _, item in looked if item is not None)
    packed = write_pak(pak, items, progress=progress, ready=ready)
    others = len(loose) - len(packed) - len(job.failures)
    said = f"{counted(len(packed), 'face')} in {pak.name}"
    if others:
        said += f", {counted(others, 'picture')} without metadata left out"
    if options.delete_originals:
        moves = edit.trash_moves(folder, [loose[name] for name in packed])
        edit.apply_moves(folder, moves, operation="pack")
        said += f", their files are in {edit.trash_dir(folder).name}"
    details = {"summary": said, "left_out": others, "bytes": pak.stat().st_size}
    return Report("faceset pack", done=len(packed), outputs=[pak], details=details)


def _is_meant_as_face(path: Path) -> bool:
    """Whether a picture holds metadata: those that don't (debug pictures) are no failures."""
    from understudy.facesets.dfl.face_file import read_file_header

    if path.suffix.lower() in (".tif", ".tiff"):
        return False
    return bool(read_file_header(path).payload)
