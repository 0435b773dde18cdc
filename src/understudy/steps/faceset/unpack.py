"""Take the faces out of a `faceset.pak` as files of their own."""

from understudy.job import Job
from understudy.options import argument, option
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.wording import counted
from understudy.workspace import Workspace


class UnpackOptions(StepOptions):
    """Options of `faceset unpack`."""

    faces: str = argument("Faceset to unpack: src, dst or a folder with a faceset.pak.")
    keep_pak: bool = option(
        False, "Leave the pak where it is; the loose files stay out of sight behind it."
    )


def unpack(options: UnpackOptions, job: Job) -> Report:
    """The pak's faces in the folder, persons in sub-folders; the pak itself goes to the trash.

    Raises:
        MaterialError: there is no pak.
        FormatError: it is damaged.
    """
    from understudy.errors import MaterialError
    from understudy.facesets.dfl.pack import PAK_NAME, read_index
    from understudy.facesets.moves import edit
    from understudy.facesets.moves.packing import unpack_face

    folder = Workspace.open(options.workspace).faceset_dir(options.faces)
    edit.recover(folder)
    pak = folder / PAK_NAME
    if not pak.is_file():
        raise MaterialError(
            folder,
            expected=f"a {PAK_NAME}",
            found="none",
            remedy="Nothing needs to be unpacked here.",
        )
    faces = read_index(pak)
    unpacked = sum(
        1
        for _ in job.map(
            lambda face: unpack_face(face, folder),
            faces,
            total=len(faces),
            name=lambda face: face.name,
            message="unpacking",
        )
    )
    said = f"{counted(unpacked, 'face')} unpacked"
    if job.failures:
        said += f", {len(job.failures)} could not be; the pak stays"
    elif not options.keep_pak:
        edit.apply_moves(folder, edit.trash_moves(folder, [pak]), operation="unpack")
        said += f", the pak is in {edit.trash_dir(folder).name}"
    return Report("faceset unpack", done=unpacked, outputs=[folder], details={"summary": said})
