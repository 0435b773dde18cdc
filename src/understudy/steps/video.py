"""The finished video, with the sound of dst, signed."""

import contextlib
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from understudy.errors import (
    FileError,
    FormatError,
    MaterialError,
    OptionError,
    UnderstudyError,
)
from understudy.files import (
    read_json,
    remove_files,
    remove_leftovers,
    replacing,
    sha256_file,
    temporary_path,
)
from understudy.job import Job
from understudy.options import option
from understudy.steps.frames import clip_paths, read_frame_manifests
from understudy.steps.merge import SESSION
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.wording import counted
from understudy.workspace import Workspace

if TYPE_CHECKING:
    from understudy.media.frames import FrameManifest
    from understudy.media.images import Pixels

X264_PRESETS = Literal["ultrafast", "veryfast", "fast", "medium", "slow", "slower"]


class VideoOptions(StepOptions):
    """Options of `video`."""

    out: Path = option(Path("result.mp4"), "The finished video (.mp4, .mov or .mkv).")
    crf: float = option(
        16.0,
        "Quality: lower is better and larger; 16 looks lossless.",
        group="Encoder",
        ge=0,
        le=51,
    )
    encoder_preset: X264_PRESETS = option(
        "medium", "Effort of the encoder: slower is smaller.", group="Encoder"
    )
    overwrite: bool = option(False, "Replace a file that this workspace did not make.")
    fps: float = option(
        0.0, "Frames per second for pictures that came from no clip; 0 = 25.", group="Encoder", ge=0
    )


def video(options: VideoOptions, job: Job) -> Report:
    """The video at `out`: every merged frame once, the plate's rate and sound, and its mark.

    Raises:
        MaterialError: frames are missing in `merged`, or merging did not end.
        FileError, OptionError: `out` is one of the clips, or a file this workspace did not make.
        StorageError: there is no room for the video; nothing is left behind.
    """
    workspace = Workspace.open(options.workspace)
    clips = (*clip_paths(workspace, "src"), *clip_paths(workspace, "dst"))
    check_out(options.out, workspace, clips=clips, overwrite=options.overwrite)
    remove_leftovers(options.out.absolute().parent, stem=options.out.stem)
    parts = read_frame_manifests(workspace, "dst")
    session = _session(workspace)
    frames = _merged_frames(workspace, parts)
    asked = _asked(options, workspace, frames, session)
    done = workspace.read_manifest("video") or {}
    if done.get("asked") == asked and options.out.exists():
        if sha256_file(options.out) == done.get("sha256"):
            return _report(options, done["facts"], written=0, kept=len(frames))
    films = sorted({*done.get("films", ()), asked["out"]})
    workspace.write_manifest("video", {"films": films})  # a kill must not make it another's file
    facts = _deliver(options, workspace, parts, frames, job)
    content = {"asked": asked, "sha256": sha256_file(options.out), "facts": facts, "films": films}
    workspace.write_manifest("video", content)
    return _report(options, facts, written=len(frames), kept=0)


def check_out(out: Path, workspace: Workspace, *, clips: Sequence[Path], overwrite: bool) -> None:
    """Nothing, if a film may be put at `out`.

    Raises:
        FileError: it is one of the clips.
        OptionError: it is a file this workspace did not make, and `overwrite` is off.
    """
    if not out.exists():
        return
    if any(clip.exists() and out.samefile(clip) for clip in clips):
        raise FileError(
            out,
            expected="a name for the film",
            found="one of the clips it is made of",
            remedy="Choose another name for --out.",
        )
    films = (workspace.read_manifest("video") or {}).get("films", ())
    own = str(out.absolute()) in films or out.resolve().is_relative_to(workspace.root.resolve())
    if not own and not overwrite:
        raise OptionError(
            out,
            expected="a free name, or --overwrite",
            found="a file that this workspace did not make",
            remedy="Choose another name for --out, or add --overwrite to replace it.",
        )


def _session(workspace: Workspace) -> dict[str, Any]:
    """What the merged frames were made with; empty for those another program made."""
    path = workspace.root / SESSION
    session = read_json(path) if path.exists() else {}
    if not isinstance(session, dict):
        raise FormatError(
            path,
            expected="what the frames were merged with",
            found=f"a {type(session).__name__}",
            remedy=f"Remove it, then: understudy merge --workspace {workspace.root}",
        )
    if session and not session.get("complete", True):
        raise MaterialError(
            workspace.merged_dir,
            expected="frames merged to the end",
            found="a merge that was stopped or had failures, so old and new frames may be mixed",
            remedy=f"First: understudy merge --workspace {workspace.root}",
        )
    return session


def _deliver(
    options: VideoOptions,
    workspace: Workspace,
    parts: "list[FrameManifest]",
    frames: list[Path],
    job: Job,
) -> dict[str, Any]:
    """Encode and sign under a temporary name, so that `out` is never a film without its mark."""
    from understudy.media.encode import encode_video

    plate = clip_paths(workspace, "dst")
    sound = plate[0] if len(plate) == 1 and plate[0].exists() else None
    if plate and sound is None and any(part.audio_tracks for part in parts):
        why = "no longer there" if len(plate) == 1 else "joined from several clips"
        job.message(f"{plate[0]}: {why}, the video stays silent")

    if len({part.timing.rate for part in parts}) > 1:
        job.message(
            f"the clips of dst differ in their rate; all are shown at {parts[0].timing.rate}"
        )

    def on_frame(done: int) -> None:
        job.check()
        job.progress(done, len(frames), options.out.name)

    partial = temporary_path(options.out)
    try:
        encoded = encode_video(
            _pictures(frames),
            partial,
            timing=parts[0].timing if len(parts) == 1 else _rate(options, parts),
            audio_from=sound,
            color=parts[0].color if parts else None,
            sample_aspect=parts[0].sample_aspect if parts else Fraction(1),
            crf=options.crf,
            preset=options.encoder_preset,
            on_frame=on_frame,
        )
        mark = _sign(partial, options.out, workspace, plate, job)
    except UnderstudyError as error:
        if error.thing != str(partial):
            raise
        raise error.about(options.out) from error
    finally:
        with contextlib.suppress(OSError):  # a disk that takes no writing holds nothing to remove
            partial.unlink(missing_ok=True)
    notices = [notice.replace(str(partial), str(options.out)) for notice in encoded.notices]
    for notice in notices:
        job.message(notice)
    return {
        "frames": encoded.frames,
        "size": f"{encoded.width}x{encoded.height}",
        "frame_rate": str(encoded.rate),
        "sound": list(encoded.sound),
        "notices": notices,
        "provenance": mark,
    }


def _sign(partial: Path, out: Path, workspace: Workspace, plate: tuple[Path, ...], job: Job) -> str:
    """Moves the video to `out`, signed unless the workspace says otherwise."""
    from understudy.provenance.consent import marking_enabled, read_consent, status_sentence
    from understudy.provenance.container import sidecar_path
    from understudy.provenance.mark import MarkDetails, sign

    if not marking_enabled(workspace.root):
        with replacing(out) as last:
            partial.replace(last)
        remove_files([sidecar_path(out)])  # it spoke of the film that lay here before
        return "provenance: off by the workspace's setting"
    session = _session(workspace)
    details = MarkDetails(
        consent=status_sentence(read_consent(workspace.root)),
        model_sha256=session.get("model", {}).get("sha256", ""),
        settings_sha256=session.get("made_by", ""),
    )
    job.message("signing")
    sources = [path for path in clip_paths(workspace, "src") if path.exists()]
    parent = plate[0] if len(plate) == 1 and plate[0].exists() else None
    return sign(partial, out, details=details, plate=parent, sources=sources).sentence()


def _merged_frames(workspace: Workspace, parts: "list[FrameManifest]") -> list[Path]:
    from understudy.media.images import list_unique_images

    folder = workspace.dst.frames_dir
    plates = [Path(name) for part in parts for name in part.names]
    if not plates and folder.is_dir():
        plates = list(list_unique_images(folder).paths)
    merged = [workspace.merged_dir / f"{plate.stem}.png" for plate in plates]
    missing = [path for path in merged if not path.exists()]
    if missing or not merged:
        found = f"{len(missing)} of {len(merged)} missing" if merged else "none"
        raise MaterialError(
            workspace.merged_dir,
            expected="a merged picture for every frame of dst",
            found=found,
            remedy=_way_to_merged(workspace, plates),
        )
    return merged


def _way_to_merged(workspace: Workspace, plates: list[Path]) -> str:
    """The commands that are missing, and no others: frames and faces that are there stay."""
    faces = workspace.dst.aligned_dir
    has_faces = faces.is_dir() and any(path.is_file() for path in faces.iterdir())
    has_frames = bool(plates) and all((workspace.dst.frames_dir / p.name).exists() for p in plates)
    steps = [
        *(() if has_frames else ("frames dst",)),
        *(() if has_faces else ("extract dst",)),
        *(() if any(workspace.model_dir.glob("[!.]*")) else ("train",)),
        "merge",
    ]
    if len(steps) == 1:
        return f"First: understudy merge --workspace {workspace.root}"
    return f"First, in this order: understudy {', '.join(steps)} --workspace {workspace.root}"


def _pictures(paths: list[Path]) -> "Iterator[Pixels]":
    from understudy.media.images import read_pixels

    for path in paths:
        yield read_pixels(path)


def _rate(options: VideoOptions, parts: "list[FrameManifest]") -> Fraction:
    if parts:
        return parts[0].timing.rate
    return Fraction(options.fps).limit_denominator(1001) if options.fps else Fraction(25)


def _asked(
    options: VideoOptions, workspace: Workspace, frames: list[Path], session: dict[str, Any]
) -> dict[str, Any]:
    from understudy.provenance.consent import marking_enabled, read_consent, status_sentence

    newest = max(path.stat().st_mtime_ns for path in frames)
    return {
        "out": str(options.out.absolute()),
        "crf": options.crf,
        "preset": options.encoder_preset,
        "fps": options.fps,
        "frames": len(frames),
        "newest_ns": newest,
        "merging": session.get("made_by"),
        "marking": marking_enabled(workspace.root),
        "consent": status_sentence(read_consent(workspace.root)),
    }


def _report(options: VideoOptions, facts: dict[str, Any], *, written: int, kept: int) -> Report:
    return Report(
        "video",
        done=written,
        skipped=kept,
        outputs=[options.out],
        details={
            "summary": f"{counted(written + kept, 'frame')} in the film",
            "unit": "frame",
            **facts,
        },
    )
