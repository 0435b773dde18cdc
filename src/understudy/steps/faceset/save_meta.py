"""Keep what is known of each face apart from the pictures, before they are edited."""

from understudy.job import Job
from understudy.options import argument
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.wording import counted
from understudy.workspace import Workspace


class SaveMetaOptions(StepOptions):
    """Options of `faceset save-meta`."""

    faces: str = argument("Faceset to save the metadata of: src, dst or a folder of faces.")


def save_meta(options: SaveMetaOptions, job: Job) -> Report:
    """`meta.dat` in the faceset with the metadata of every face; an older one goes to the trash.

    Raises:
        MaterialError: there are no faces in files of their own.
    """
    from understudy.errors import MaterialError
    from understudy.facesets.dfl.face_file import read_file_header
    from understudy.facesets.dfl.meta import META_NAME, SavedFace, save_face, write_meta
    from understudy.facesets.faceset import list_loose
    from understudy.facesets.moves import edit

    folder = Workspace.open(options.workspace).faceset_dir(options.faces)
    edit.recover(folder)
    loose = {face.name: face.path for face in list_loose(folder)}
    staged, path = folder / f"new_{META_NAME}", folder / META_NAME

    def save(name: str) -> SavedFace | None:
        return save_face(loose[name]) if read_file_header(loose[name]).payload else None

    saved = job.map(save, loose, total=len(loose), message="reading metadata")
    count = write_meta(staged, ((name, face) for name, face in saved if face is not None))
    if not count:
        staged.unlink()
        raise MaterialError(
            folder,
            expected="faces in files of their own",
            found=f"{counted(len(loose), 'picture')} without metadata" if loose else "none",
            remedy="Unpack a pak first; extract faces where there are none.",
        )
    moves = edit.trash_moves(folder, [path]) if path.exists() else []
    edit.apply_moves(folder, [*moves, edit.Move(staged, path)], operation="save-meta")
    others = len(loose) - count - len(job.failures)
    said = f"metadata of {counted(count, 'face')} saved"
    if others:
        said += f", {counted(others, 'picture')} without any"
    details = {"summary": said, "without": others}
    return Report("faceset save-meta", done=count, outputs=[path], details=details)
