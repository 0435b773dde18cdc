"""Masks and labels as pictures for other programs."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from understudy.job import Job
from understudy.options import argument, option
from understudy.steps.faceset.left_out import tell_left_out
from understudy.steps.perform import StepOptions
from understudy.types import FaceSample, Mask, Report
from understudy.wording import counted
from understudy.workspace import Workspace

if TYPE_CHECKING:
    from understudy.facesets.faceset import Faceset

Found = Literal["written", "there"]
KINDS = ("applied", "drawn", "hull")


class ExportOptions(StepOptions):
    """Options of `mask export`."""

    faces: str = argument("Which faces: src, dst or a folder.")
    kind: Literal["auto", "applied", "drawn", "hull"] = option(
        "auto",
        "Which mask: the applied one, the polygons drawn by hand, the hull of the landmarks, or "
        "the first of these there is.",
    )
    per: Literal["face", "frame"] = option(
        "face", "One picture for each face, or one for each frame with the masks of its faces."
    )
    every_frame: bool = option(
        False, "With --per frame, also black ones for frames without a face."
    )
    with_picture: bool = option(
        False, "The face or frame itself with its mask as alpha channel, to paint on."
    )
    hard: bool = option(False, "Write black and white only, cut at one half.")
    out: Path | None = option(
        None,
        "Folder for the pictures; if not given, aligned_masks or frame_masks beside the faceset, "
        "with --with-picture aligned_cutouts or frame_cutouts.",
        group="Output",
    )
    replace: bool = option(
        False, "Overwrite pictures that are there and differ: they may be painted on.",
        group="Output",
    )  # fmt: skip


def export(options: ExportOptions, job: Job) -> Report:
    """PNG pictures named after their face or frame with _mask at the end, as import takes them.

    Raises:
        MaterialError: there are no faces.
        OptionError: the pictures would go among the faces or the frames.
    """
    from understudy.facesets.faceset import Faceset
    from understudy.files import make_dir

    folder = Workspace.open(options.workspace).faceset_dir(options.faces)
    faceset = Faceset.open(folder)
    out_dir = make_dir(_out_dir(options, folder))
    items = _by_frame(options, faceset, folder, job) if options.per == "frame" else (
        [(name, [index]) for index, name in enumerate(faceset.names)]
    )  # fmt: skip

    def write(item: tuple[str, list[int]]) -> tuple[Found, list[str]]:
        name, indices = item
        masks = [_mask(faceset[i], options) for i in indices]
        faces = [(faceset[i], mask) for i, (mask, _) in zip(indices, masks, strict=True)]
        data = (_frame if options.per == "frame" else _face)(name, faces, options, folder)
        how = _put(out_dir / name, data, out_dir, replace=options.replace)
        return how, [kind for _, kind in masks]

    results = job.map(
        write, items, total=len(items), name=lambda item: item[0], message="writing masks"
    )
    found, kinds = [], Counter[str]()
    for _, (how, of_faces) in results:
        found.append(how)
        kinds.update(of_faces if how == "written" else ())
    left_out = tell_left_out(faceset, job)
    written = found.count("written")
    told = ", ".join(f"{kinds[kind]} {kind}" for kind in KINDS if kinds[kind])
    summary = f"{counted(written, 'mask')} of {options.per}s" + (f" ({told})" if told else "")
    return Report(
        "mask export",
        done=written,
        skipped=len(found) - written,
        outputs=[out_dir],
        details={"summary": summary, "left_out": left_out, **{kind: kinds[kind] for kind in KINDS}},
    )


def _out_dir(options: ExportOptions, folder: Path) -> Path:
    from understudy.errors import OptionError

    real = folder.resolve()
    what = "frame" if options.per == "frame" else real.name
    kind = "cutouts" if options.with_picture else "masks"
    out_dir = options.out or real.with_name(f"{what}_{kind}")
    if out_dir.resolve() in (real, real.parent):
        raise OptionError(
            "--out",
            expected="another folder than the faceset's or the frames'",
            found=str(out_dir),
            remedy="Masks among faces or frames would be taken for some; leave --out away.",
        )
    return out_dir


def _by_frame(
    options: ExportOptions, faceset: "Faceset", folder: Path, job: Job
) -> list[tuple[str, list[int]]]:
    """Frames with the places of their faces, in order of their names."""
    from understudy.media.images import list_images

    names = faceset.names
    read = job.map(
        lambda index: _source(faceset[index]),
        range(len(names)),
        total=len(names),
        name=lambda index: names[index],
        message="reading faces",
    )
    frames: dict[str, list[int]] = {}
    for index, source in read:
        frames.setdefault(source, []).append(index)
    if options.every_frame:
        for path in list_images(folder.resolve().parent):
            frames.setdefault(path.name, [])
    return sorted(frames.items())


def _source(face: FaceSample) -> str:
    from understudy.errors import MaterialError

    if not face.source_name:
        raise MaterialError(
            face.name or "face",
            expected="a face that knows its frame",
            found="none",
            remedy="Export masks of faces, or extract it again.",
        )
    return Path(face.source_name).name


def _mask(face: FaceSample, options: ExportOptions) -> tuple[Mask, str]:
    """The mask of a face, and which of the kinds it is."""
    from understudy.masks.face_masks import face_mask, hardened

    mask, kind = face_mask(face, options.kind)
    return hardened(mask) if options.hard else mask, kind


def _face(_: str, faces: list[tuple[FaceSample, Mask]], options: ExportOptions, __: Path) -> bytes:
    from understudy.media.mask_images import encode_cutout, encode_mask

    (face, mask), *_rest = faces
    return encode_cutout(face.image, mask) if options.with_picture else encode_mask(mask)


def _frame(
    name: str, faces: list[tuple[FaceSample, Mask]], options: ExportOptions, folder: Path
) -> bytes:
    from understudy.errors import FileError
    from understudy.masks.face_masks import hardened
    from understudy.masks.frame_masks import into_frame
    from understudy.media.images import read_image
    from understudy.media.mask_images import encode_cutout, encode_mask, read_size

    path = folder.resolve().parent / name
    if not path.is_file():
        raise FileError(
            path,
            expected="the frame, for its size",
            found="nothing",
            remedy="Put the frames into the folder above the faces, or export masks of faces.",
        )
    mask = into_frame(faces, read_size(path))
    mask = hardened(mask) if options.hard else mask
    return encode_cutout(read_image(path), mask) if options.with_picture else encode_mask(mask)


def _put(source: Path, data: bytes, out_dir: Path, *, replace: bool) -> Found:
    from understudy.errors import FileError
    from understudy.facesets.dfl.entry_names import inside
    from understudy.files import make_dir, read_bytes, write_bytes

    path = source.with_name(source.name.rpartition(".")[0] + "_mask.png")
    make_dir(path.parent)
    inside(path, out_dir)
    if path.is_file() and read_bytes(path) == data:
        return "there"
    if path.exists() and not replace:
        raise FileError(
            path,
            expected="nothing, or the same mask",
            found="another one",
            remedy="Add --replace to overwrite it, or choose another --out.",
        )
    write_bytes(path, data, durable=False)  # it can be made again
    return "written"
