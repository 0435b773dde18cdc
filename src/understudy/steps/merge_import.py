"""Take over a session of DeepFaceLab's merger."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from understudy.errors import MaterialError, OptionError
from understudy.files import write_json
from understudy.job import Job
from understudy.merging.settings import MergeSettings
from understudy.options import argument, option
from understudy.steps.merge import frames_of
from understudy.steps.merge_plan import SESSION, SESSION_VERSION, MergePlan
from understudy.steps.perform import StepOptions
from understudy.types import Report
from understudy.wording import counted
from understudy.workspace import Workspace

if TYPE_CHECKING:
    from understudy.merging.dfl_session import DflSession


class MergeImportOptions(StepOptions):
    """Options of `merge import`."""

    file: Path | None = argument(
        "DeepFaceLab's NAME_KIND_merger_session.dat; left out: the one in the workspace's model "
        "folder.",
        default=None,
    )
    dfl_parity: bool = option(
        True,
        "Merge to the last level as DeepFaceLab did. Without it the same settings are done in our "
        "own ways, and what degrades the plate still does.",
    )
    overwrite: bool = option(False, "Replace the keyframes the workspace has.")


def import_(options: MergeImportOptions, job: Job) -> Report:
    """The session's settings as keyframes; `merge` then makes the frames.

    Raises:
        MaterialError: there is no session, or it is of other frames.
        FormatError: the file is no session, or not a safe one.
        OptionError: the workspace has keyframes already.
    """
    from understudy.merging.dfl_session import read_dfl_session

    workspace = Workspace.open(options.workspace)
    frames = frames_of(workspace)
    path = options.file or _only_session(workspace.model_dir)
    if (workspace.root / SESSION).exists() and not options.overwrite:
        raise OptionError(
            "merge import",
            expected="no settings of merging yet",
            found=str(workspace.root / SESSION),
            remedy="Move it away, or allow it by --overwrite.",
        )
    session = read_dfl_session(path)
    told = Told(job)
    keyframes = keyframes_of(session, frames, dfl_parity=options.dfl_parity, told=told)
    if not keyframes:
        raise MaterialError(
            path,
            expected="settings of the frames of dst",
            found="none of a frame that is here",
            remedy="Take the session of this clip; frames are known by their names.",
        )
    plan = MergePlan(keyframes, [], True, None)
    write_json(
        workspace.root / SESSION,
        {"version": SESSION_VERSION, "complete": False} | plan.to_json(frames),
    )
    told.add(
        "frames are merged as DeepFaceLab merged them (--no-dfl-parity: in our own ways)"
        if options.dfl_parity
        else "the settings are kept, frames are merged in our own ways"
    )
    told.add("faces are those of the faceset, and all frames are merged anew")
    done = sum(frame.config is not None for frame in session.frames)
    summary = f"settings of {counted(done, 'frame')} taken over"
    details = {"summary": summary, "unit": "frame", "told": told.lines, "keyframes": len(keyframes)}
    return Report("merge import", done=done, outputs=[workspace.root / SESSION], details=details)


class Told:
    """What the user was told, kept for the report."""

    def __init__(self, job: Job) -> None:
        self.lines: list[str] = []
        self._job = job

    def add(self, text: str) -> None:
        """Tell `text`."""
        self.lines.append(text)
        self._job.message(text)


def keyframes_of(
    session: "DflSession", frames: Sequence[Path], *, dfl_parity: bool, told: Told
) -> dict[int, MergeSettings]:
    """Keyframes by place, between which every frame has the settings it had in the session.

    Frames that were never looked at go on with the settings before them, as in DFL.
    """
    found = _settings_by_place(session, frames, dfl_parity=dfl_parity, told=told)
    keyframes: dict[int, MergeSettings] = {}
    last: int | None = None
    for place in sorted(found):
        if last is not None and keyframes[last] == found[place]:
            continue
        if last is not None:
            keyframes[place - 1] = keyframes[last]
        keyframes[place], last = found[place], place
    return keyframes


def _settings_by_place(
    session: "DflSession", frames: Sequence[Path], *, dfl_parity: bool, told: Told
) -> Mapping[int, MergeSettings]:
    from understudy.merging.dfl_session import readable_settings

    places = {frame.stem: place for place, frame in enumerate(frames)}
    found: dict[int, MergeSettings] = {}
    refused: dict[str, list[str]] = {}
    gone, unseen = [], 0
    for frame in session.frames:
        place = places.pop(Path(frame.name).stem, None)
        if place is None:
            gone.append(frame.name)
        elif frame.config is None:
            unseen += 1
        else:
            settings, reasons = readable_settings(frame.config)
            found[place] = settings.model_copy(update={"dfl_parity": dfl_parity})
            for reason in reasons:
                refused.setdefault(reason, []).append(frame.name)
    for reason, names in refused.items():
        told.add(f"not taken over, of {_listed(names)}: {reason}")
    if gone:
        told.add(f"left out, since they are not here: {_listed(gone)}")
    if unseen or places:
        told.add(f"without settings of their own: {counted(unseen + len(places), 'frame')}")
    return found


def _listed(names: Sequence[str]) -> str:
    shown = ascii(names[0])[1:-1]
    return shown if len(names) == 1 else f"{counted(len(names), 'frame')} from {shown}"


def _only_session(folder: Path) -> Path:
    from understudy.merging.dfl_session import SUFFIX

    found = sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else []
    if len(found) != 1:
        raise MaterialError(
            folder,
            expected="one session of DeepFaceLab's merger",
            found=", ".join(path.name for path in found) or "none",
            remedy="Name the file: understudy merge import FILE",
        )
    return found[0]
