"""The finished video, or its frames as pictures, with the sound of dst, signed."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from understudy.errors import FileError, FormatError, MaterialError, OptionError
from understudy.files import read_json, remove_leftovers, sha256_file
from understudy.job import Job
from understudy.options import option
from understudy.steps.frames import clip_paths, read_frame_manifests
from understudy.steps.merge_plan import SESSION
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.wording import counted
from understudy.workspace import Workspace

if TYPE_CHECKING:
    from understudy.media.frames import FrameManifest

X264_PRESETS = Literal["ultrafast", "veryfast", "fast", "medium", "slow", "slower"]
FilmFormat = Literal[
    "h264",
    "h265",
    "h265-lossless",
    "av1",
    "lossless",
    "prores-hq",
    "prores-4444",
    "dnxhr",
    "ffv1",
]
StillName = Literal["png", "tiff", "exr", "dpx"]


class VideoOptions(StepOptions):
    """Options of `video`."""

    out: Path = option(
        Path("result.mp4"),
        "The finished video (.mp4, .mov, .mkv, .avi), or a folder for a sequence of pictures.",
    )
    format: Literal["auto"] | FilmFormat | StillName = option(
        "auto",
        "How it is stored; auto is h264 for a video and png for a folder. lossless and ffv1 keep "
        "every bit, prores-4444, ffv1 and all pictures but dpx of 10 bits can hold the matte.",
    )
    matte: Literal["none", "alpha", "video"] = option(
        "none",
        "Where the matte goes: nowhere, into the alpha channel (straight), or into a video or "
        "folder of its own, NAME_mask.",
    )
    sound: bool = option(True, "Take along all sound tracks of dst.")
    crf: float | None = option(
        None,
        "Quality of h264, h265 and av1: lower is better and larger. Without it what looks "
        "lossless: 16, 18 and 20.",
        group="Encoder",
        ge=0,
        le=63,
    )
    bitrate: float = option(
        0.0, "Megabits per second, in place of a quality; 0 = by quality.", group="Encoder", ge=0
    )
    bit_depth: Literal[0, 8, 10, 16, 32] = option(
        0,
        "Bits per channel; 0 keeps what the merged frames have as far as the format can (h264: 8, "
        "or 10 for HDR). exr: 16 is half, 32 float.",
        group="Encoder",
    )
    encoder_preset: X264_PRESETS = option(
        "medium", "Effort of the encoder: slower is smaller.", group="Encoder"
    )
    overwrite: bool = option(False, "Replace files that this workspace did not make.")
    fps: float = option(
        0.0, "Frames per second for pictures that came from no clip; 0 = 25.", group="Encoder", ge=0
    )
    timecode: str = option(
        "",
        "Timecode of the first frame, hh:mm:ss:ff; without it that of dst.",
        group="Encoder",
        pattern=r"^$|^\d\d:\d\d:\d\d[:;]\d\d$",
    )


def video(options: VideoOptions, job: Job) -> Report:
    """What `out` names: every merged frame once, the plate's rate and sound, and its mark.

    Raises:
        MaterialError: frames are missing in `merged`, or merging did not end.
        FileError, OptionError: `out` is one of the clips, or holds what this workspace did not
            make; or the format can't be stored there.
        StorageError: there is no room for the video; nothing is left behind.
    """
    from understudy.steps.marks import check_can_sign
    from understudy.steps.video_out import deliver_films, deliver_pictures, targets_of

    workspace = Workspace.open(options.workspace)
    check_can_sign(workspace)
    targets = targets_of(options)
    clips = (*clip_paths(workspace, "src"), *clip_paths(workspace, "dst"))
    for target in targets:
        check_out(target.path, workspace, clips=clips, overwrite=options.overwrite)
        remove_leftovers(target.path.absolute().parent, stem=target.path.stem)
    parts = read_frame_manifests(workspace, "dst")
    session = merge_session(workspace)
    frames = merged_frames(workspace, parts)
    if options.matte != "none":
        _check_mattes(workspace, frames)
    asked = _asked(options, workspace, frames, session)
    done = workspace.read_manifest("video") or {}
    if done.get("asked") == asked and _are_whole(done):
        return _report(options, done["facts"], written=0, kept=len(frames))
    films = sorted({*done.get("films", ()), *(str(t.path.absolute()) for t in targets)})
    workspace.write_manifest("video", {"films": films})  # a kill must not make it another's file
    deliver = deliver_pictures if targets[0].is_sequence else deliver_films
    facts = deliver(options, workspace, targets, parts, frames, job)
    hashes = {str(path): sha256_file(Path(path)) for path in facts["proofs"]}
    content = {"asked": asked, "proofs": hashes, "facts": facts, "films": films}
    workspace.write_manifest("video", content)
    return _report(options, facts, written=len(frames), kept=0)


def _are_whole(done: dict[str, Any]) -> bool:
    """Whether what an earlier run delivered is still there as it was."""
    proofs = done.get("proofs", {})
    return bool(proofs) and all(
        Path(path).is_file() and sha256_file(Path(path)) == digest
        for path, digest in proofs.items()
    )


def check_out(out: Path, workspace: Workspace, *, clips: Sequence[Path], overwrite: bool) -> None:
    """Nothing, if a film may be put at `out`.

    Raises:
        FileError: it is one of the clips.
        OptionError: it is a file this workspace did not make, and `overwrite` is off.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
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
            found="files" if out.is_dir() else "a file that this workspace did not make",
            remedy="Choose another name for --out, or add --overwrite to replace it.",
        )


def merge_session(workspace: Workspace) -> dict[str, Any]:
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


def merged_frames(workspace: Workspace, parts: "list[FrameManifest]") -> list[Path]:
    """The merged picture of every frame of dst, in the order shown.

    Raises:
        MaterialError: one is missing.
    """
    from understudy.media.images import list_unique_images
    from understudy.media.plates import merged_name

    folder = workspace.dst.frames_dir
    plates = [Path(name) for part in parts for name in part.names]
    if not plates and folder.is_dir():
        plates = list(list_unique_images(folder).paths)
    merged = [workspace.merged_dir / merged_name(plate) for plate in plates]
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


def _check_mattes(workspace: Workspace, frames: list[Path]) -> None:
    folder = workspace.merged_mask_dir
    missing = [path for path in frames if not (folder / f"{path.stem}.png").exists()]
    if missing:
        raise MaterialError(
            folder,
            expected="a matte for every merged frame",
            found=f"{len(missing)} of {len(frames)} missing",
            remedy=f"First: understudy merge --workspace {workspace.root}",
        )


def _asked(
    options: VideoOptions, workspace: Workspace, frames: list[Path], session: dict[str, Any]
) -> dict[str, Any]:
    from understudy.provenance.consent import read_consent, read_marking, status_sentence

    newest = max(path.stat().st_mtime_ns for path in frames)
    wanted = options.model_dump(mode="json", exclude={"workspace", "overwrite"})
    return wanted | {
        "out": str(options.out.absolute()),
        "frames": len(frames),
        "newest_ns": newest,
        "merging": session.get("made_by"),
        "marking": read_marking(workspace.root).model_dump(mode="json"),
        "consent": status_sentence(read_consent(workspace.root)),
    }


def _report(options: VideoOptions, facts: dict[str, Any], *, written: int, kept: int) -> Report:
    return Report(
        "video",
        done=written,
        skipped=kept,
        outputs=[Path(path) for path in facts["outputs"]],
        details={
            "summary": f"{counted(written + kept, 'frame')} {facts['where']}",
            "unit": "frame",
            **facts,
        },
    )
