"""Frames out of a clip, or several joined into one sequence."""

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from understudy.errors import FormatError, MaterialError, OptionError
from understudy.files import remove_files, remove_leftovers, sha256_file
from understudy.job import Job
from understudy.options import argument, option
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.wording import counted
from understudy.workspace import Side, SideName, Workspace

if TYPE_CHECKING:
    from understudy.media.frames import FrameManifest


class FramesOptions(StepOptions):
    """Options of `frames`."""

    side: SideName = argument("Which clip: src or dst.")
    video: tuple[Path, ...] = option(
        (), "Clip, or clips to join; without it the data_src.* or data_dst.* in the workspace."
    )
    format: Literal["png", "jpg"] = option("png", "png loses nothing, jpg is smaller.")
    jpeg_quality: int = option(95, "Quality of jpg.", ge=1, le=100)
    fps: float = option(
        0.0, "Keep at most so many frames of each second, evenly; 0 = all. Leave dst at 0.", ge=0
    )
    restart: bool = option(False, "Delete the frames of this side and begin anew.")


def frames(options: FramesOptions, job: Job) -> Report:
    """The frames of one side as numbered pictures in `data_src` or `data_dst`.

    Raises:
        FileError, FormatError: a clip can't be read, or is none.
        MaterialError: there is no clip, or one without frames.
        OptionError: the folder holds frames of other clips and `restart` is off.
    """
    from understudy.media.images import list_images
    from understudy.provenance.kept import keep_sources

    workspace = Workspace.open(options.workspace)
    side = workspace.side(options.side)
    remove_leftovers(side.frames_dir)
    clips = _clips(options, workspace, side)
    name = f"frames_{side.name}"
    manifest = None if options.restart else _manifest(workspace, side.name)
    there = list_images(side.frames_dir) if side.frames_dir.is_dir() else []
    if not clips:
        return _own_pictures(side, len(there))
    asked = _asked(options, clips)
    if options.restart:
        remove_files(there)
        there = []
    if manifest is None and there:
        raise OptionError(
            side.frames_dir,
            expected="an empty folder, or frames made by this step",
            found=f"{counted(len(there), 'picture')} of unknown origin",
            remedy="Leave out --video to use them, or add --restart to delete them.",
        )
    if manifest is not None and not _same(manifest, asked):
        raise OptionError(
            side.frames_dir,
            expected="the same clips and format as before",
            found=_difference(manifest["asked"], asked),
            remedy="Add --restart to delete the old frames, or choose another workspace.",
        )
    if manifest is not None and manifest["complete"]:
        names = [n for part in read_frame_manifests(workspace, side.name) for n in part.names]
        if {path.name for path in there}.issuperset(names):
            return _report(side, done=0, skipped=len(names))
    workspace.write_manifest(name, {"asked": asked, "complete": False, "clips": []})
    parts, written, kept = _extract(options, side, clips, job)
    keep_sources(clips, workspace.ingredients_dir, side=side.name)
    content = {"asked": asked, "complete": True, "clips": [p.to_json() for p in parts]}
    workspace.write_manifest(name, content)
    return _report(side, done=written, skipped=kept)


def _extract(
    options: FramesOptions, side: Side, clips: tuple[Path, ...], job: Job
) -> tuple[list["FrameManifest"], int, int]:
    from understudy.media.frames import extract_frames
    from understudy.media.video import probe

    counts = [probe(clip).frame_count for clip in clips]
    total = None if None in counts else sum(count or 0 for count in counts)
    parts: list[FrameManifest] = []
    written = kept = before = 0
    for clip in clips:

        def on_frame(done: int, _: int | None, before: int = before, clip: Path = clip) -> None:
            job.check()
            job.progress(before + done, total, clip.name)

        result = extract_frames(
            clip,
            side.frames_dir,
            picture_format=options.format,
            jpeg_quality=options.jpeg_quality,
            first_number=1 + before,
            workers=job.workers,
            fps=Fraction(options.fps).limit_denominator(1001) if options.fps else None,
            on_frame=on_frame,
            on_notice=job.message,
        )
        parts.append(result.manifest)
        written, kept = written + result.written, kept + result.kept
        before += result.manifest.timing.count
    job.progress(before, before)
    return parts, written, kept


def read_frame_manifests(workspace: Workspace, side: SideName) -> list["FrameManifest"]:
    """What the frames of a side came from, one entry per clip; empty for a user's own pictures."""
    from understudy.media.frames import FrameManifest

    content = _manifest(workspace, side) or {"clips": []}
    path = workspace.manifest_path(f"frames_{side}")
    return [FrameManifest.from_json(part, name=path) for part in content["clips"]]


def clip_paths(workspace: Workspace, side: SideName) -> tuple[Path, ...]:
    """The clips the frames of a side came from, where they lay then."""
    content = _manifest(workspace, side)
    return tuple(Path(clip["path"]) for clip in content["asked"]["clips"]) if content else ()


def are_unfinished(workspace: Workspace, side: SideName) -> bool:
    """Whether the frames of a side were begun and the step did not end."""
    content = _manifest(workspace, side)
    return content is not None and not content["complete"]


def frames_identity(workspace: Workspace, side: SideName) -> list[list[Any]] | None:
    """What tells one side's frames from those of other clips; None for a user's own pictures.

    Raises:
        MaterialError: the step that makes the frames did not end, so some of them are missing.
    """
    content = _manifest(workspace, side)
    if content is None:
        return None
    if not content["complete"]:
        raise MaterialError(
            workspace.side(side).frames_dir,
            expected="all frames of the clip",
            found="a part of them, since the step that makes them was stopped",
            remedy=f"First: understudy frames {side} --workspace {workspace.root}",
        )
    return [[Path(clip["path"]).name, clip["bytes"]] for clip in content["asked"]["clips"]]


def _manifest(workspace: Workspace, side: SideName) -> dict[str, Any] | None:
    """The record of a side's frames, or None if there is none.

    Raises:
        FormatError: it is no such record.
    """
    name = f"frames_{side}"
    content = workspace.read_manifest(name)
    if content is None:
        return None
    try:
        known = [{"path": c["path"], "bytes": c["bytes"]} for c in content["asked"]["clips"]]
    except (KeyError, TypeError):
        known = None
    if known is None or not {"complete", "clips"} <= content.keys():
        raise FormatError(
            workspace.manifest_path(name),
            expected="the record of a clip's frames",
            found="something else",
            remedy="Restore it from a backup, or add --restart to make the frames anew.",
        )
    return content


def _clips(options: FramesOptions, workspace: Workspace, side: Side) -> tuple[Path, ...]:
    if options.video:
        return options.video
    own = side.video()
    if own is None and not options.restart and are_unfinished(workspace, side.name):
        return clip_paths(workspace, side.name)  # go on with what was begun
    return (own,) if own else ()


def _asked(options: FramesOptions, clips: tuple[Path, ...]) -> dict[str, Any]:
    from understudy.media.video import probe

    listed = []
    for clip in clips:
        probe(clip)  # says what is wrong with it, if anything is
        facts = clip.stat()
        path = str(clip.absolute())
        listed.append({"path": path, "bytes": facts.st_size, "mtime_ns": facts.st_mtime_ns})
    quality = options.jpeg_quality if options.format == "jpg" else None
    asked = {"clips": listed, "format": options.format, "jpeg_quality": quality}
    return asked | ({"fps": options.fps} if options.fps else {})  # older records know none


def _same(manifest: dict[str, Any], asked: dict[str, Any]) -> bool:
    """Whether the frames are of these clips, wherever those lie now."""
    before = manifest["asked"]
    if before == asked:
        return True
    old, new = before["clips"], asked["clips"]
    kept = {key: before.get(key) for key in ("format", "jpeg_quality", "fps")}
    if kept != {key: asked.get(key) for key in kept} or len(old) != len(new):
        return False
    if [clip["bytes"] for clip in old] != [clip["bytes"] for clip in new]:
        return False
    known = [clip["source_sha256"] for clip in manifest["clips"]]
    return known == [sha256_file(Path(clip["path"])) for clip in new]


def _difference(before: dict[str, Any], now: dict[str, Any]) -> str:
    if [c["path"] for c in before["clips"]] != [c["path"] for c in now["clips"]]:
        return "frames of " + ", ".join(Path(c["path"]).name for c in before["clips"])
    if before["clips"] != now["clips"]:
        return "a clip that has changed since"
    if before.get("fps") != now.get("fps"):
        return f"{before['fps']:g} frames of each second" if before.get("fps") else "all frames"
    return f"frames kept as {before['format']}"


def _own_pictures(side: Side, count: int) -> Report:
    if not count:
        raise MaterialError(
            side.frames_dir,
            expected=f"a clip, data_{side.name}.* in the workspace, or pictures",
            found="none of them",
            remedy="Name a clip: --video FILE",
        )
    return _report(side, done=0, skipped=count)


def _report(side: Side, *, done: int, skipped: int) -> Report:
    summary = f"{counted(done + skipped, 'frame')} of {side.name}"
    return Report(
        "frames",
        done=done,
        skipped=skipped,
        outputs=[side.frames_dir],
        details={"summary": summary, "unit": "frame", "frames": done + skipped},
    )
