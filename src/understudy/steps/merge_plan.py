"""Which settings each frame is merged with: those given, or the keyframes of the session.

The session is `merge.json` in the workspace: keyframes by the name of their frame, the cuts between
which they hold, what model made the frames and whether all are done.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from understudy.errors import FormatError, OptionError
from understudy.files import read_json
from understudy.job import Job
from understudy.merging.settings import MergeSettings
from understudy.options import parse
from understudy.steps.extract_frames import frame_place
from understudy.steps.merge_kin import reach_of
from understudy.workspace import Workspace

SESSION = "merge.json"
SESSION_VERSION = 1


@dataclass(frozen=True, slots=True)
class MergePlan:
    """Settings of every frame, and the keyframes they come from, by place.

    `keyed` says that keyframes were set, so that a run without settings keeps to them. `cuts` are
    places where shots begin; None where nothing had to know.
    """

    keyframes: Mapping[int, MergeSettings]
    settings: Sequence[MergeSettings]
    keyed: bool
    cuts: tuple[int, ...] | None

    def to_json(self, frames: Sequence[Path]) -> dict[str, Any]:
        """The part of the session that says it."""
        rows = [
            {"frame": frames[place].name, "settings": settings.model_dump(mode="json")}
            for place, settings in sorted(self.keyframes.items())
        ]
        cuts = None if self.cuts is None else [frames[place].name for place in self.cuts]
        return {"keyframes": rows, "keyed": self.keyed, "cuts": cuts, "frames": len(frames)}


def read_session(workspace: Workspace) -> dict[str, Any]:
    """The session as it lies there; empty if nothing was merged yet.

    Raises:
        FormatError: the file is no session.
    """
    path = workspace.root / SESSION
    session = read_json(path) if path.exists() else {}
    if isinstance(session, dict) and isinstance(session.get("keyframes", []), list):
        return session
    raise FormatError(
        path,
        expected="a session of merging",
        found="other JSON",
        remedy=f"Move {SESSION} away and merge again.",
    )


def plan_merge(
    workspace: Workspace,
    frames: Sequence[Path],
    given: Mapping[str, Any],
    *,
    at: str = "",
    drop_key: bool = False,
    replace_keys: bool = False,
    job: Job,
) -> MergePlan:
    """What the given settings mean for each frame.

    Raises:
        OptionError: there are keyframes, and it is not said whether these settings replace them.
        FormatError: the session can't be read.
    """
    session = read_session(workspace)
    keyframes = _keyframes(session, frames, job)
    keyed = bool(session.get("keyed")) and bool(keyframes)
    if not at and (not keyed or replace_keys):
        settings = parse(MergeSettings, given)
        cuts = _cuts(session, frames, job) if reach_of(settings) else None
        return MergePlan({0: settings}, [settings] * len(frames), False, cuts)
    if not at and given:
        raise OptionError(
            f"--{next(iter(given)).replace('_', '-')}",
            expected="--at FRAME beside it, since this clip has keyframes",
            found="none",
            remedy="Say at which frame it holds, or --replace-keys for all frames.",
        )
    cuts = _cuts(session, frames, job)
    if at:
        place = frame_place(frames, at, "--at")
        keyframes = _changed(keyframes, place, given, drop=drop_key, count=len(frames), cuts=cuts)
    return MergePlan(keyframes, _along(keyframes, len(frames), cuts), True, cuts)


def session_settings(
    workspace: Workspace, frames: Sequence[Path], job: Job
) -> Sequence[MergeSettings]:
    """What the session says that each of the frames is merged with.

    Raises:
        FormatError: there is no session, or it can't be read.
    """
    session = read_session(workspace)
    keyframes = _keyframes(session, frames, job)
    if not keyframes:
        raise FormatError(
            workspace.root / SESSION,
            expected="settings for the frames that are there",
            found="none",
            remedy=f"First: understudy merge --workspace {workspace.root}",
        )
    cuts = _cuts(session, frames, job) if session.get("keyed") else ()
    return _along(keyframes, len(frames), cuts)


def _along(
    keyframes: Mapping[int, MergeSettings], count: int, cuts: Sequence[int]
) -> list[MergeSettings]:
    from understudy.merging.keyframes import settings_along

    return settings_along(keyframes, count, cuts=cuts)


def _changed(
    keyframes: Mapping[int, MergeSettings],
    place: int,
    given: Mapping[str, Any],
    *,
    drop: bool,
    count: int,
    cuts: Sequence[int],
) -> dict[int, MergeSettings]:
    """The keyframes with one more at `place`, changed there, or dropped."""
    if drop:
        left = {key: settings for key, settings in keyframes.items() if key != place}
        if len(left) == len(keyframes) or not left:
            raise OptionError(
                "--drop-key",
                expected="a frame with a keyframe, and another one left",
                found=f"keyframes at places {', '.join(map(str, sorted(keyframes))) or 'nowhere'}",
                remedy="See the keyframes in merge.json; --replace-keys does without any.",
            )
        return left
    base = _along(keyframes, count, cuts)[place] if keyframes else MergeSettings()
    changed = parse(MergeSettings, base.model_dump() | dict(given))
    return {**keyframes, place: changed}


def _keyframes(
    session: Mapping[str, Any], frames: Sequence[Path], job: Job
) -> dict[int, MergeSettings]:
    """The session's keyframes by place; those of frames that are gone are told and left out."""
    places = {frame.name: place for place, frame in enumerate(frames)}
    found = {}
    for row in session.get("keyframes", []):
        if row["frame"] in places:
            found[places[row["frame"]]] = parse(MergeSettings, row["settings"])
        else:
            job.message(f"the keyframe at {row['frame']} is left out: that frame is gone")
    return found


def _cuts(session: Mapping[str, Any], frames: Sequence[Path], job: Job) -> tuple[int, ...]:
    """Places where shots begin, found once and kept in the session."""
    from understudy.imaging.cuts import CutFinder
    from understudy.media.images import read_pixels

    names = session.get("cuts")
    places = {frame.name: place for place, frame in enumerate(frames)}
    if names is not None and session.get("frames") == len(frames) and set(names) <= set(places):
        return tuple(places[name] for name in names)
    job.message("looking for cuts between shots")
    finder, cuts = CutFinder(), []
    for place, frame in enumerate(frames):
        job.check()
        if finder.push(read_pixels(frame)):
            cuts.append(place)
    return tuple(cuts)
