"""DFL's merger sessions: what each frame was set to.

A `_merger_session.dat` in, names of frames and their settings out. Read only, by the allow-list
reader; ours are JSON. Source: reference "dfl-formats" section 9.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from understudy import safe_pickle
from understudy.errors import FormatError, OptionError
from understudy.files import read_bytes
from understudy.merging.settings import CONFIG_KEYS, MergeSettings, from_dfl

SUFFIX = "_merger_session.dat"
_LARGEST = 1 << 30
_NO_SETTINGS = frozenset({"type", "sharpen_dict", "default_mode"})
_MASKED = 1


@dataclass(frozen=True, slots=True)
class DflFrame:
    """A frame of the session; `config` is None if it was never looked at."""

    name: str
    config: Mapping[str, Any] | None
    num_faces: int
    done: bool


@dataclass(frozen=True, slots=True)
class DflSession:
    """Frames in the order of the clip, and how far the model was trained."""

    frames: Sequence[DflFrame]
    iteration: int


def read_dfl_session(path: Path) -> DflSession:
    """The session in a file of DFL's merger.

    Raises:
        FormatError: the file is damaged, too large or something else.
        UnsafeFileError: it refers to code.
    """
    value = safe_pickle.loads(read_bytes(path, limit=_LARGEST), source=path, limit=_LARGEST)
    if not isinstance(value, dict) or not isinstance(value.get("frames"), list):
        raise _foreign(path, "other data")
    rows = value["frames"]
    if not rows:
        raise _foreign(path, "a session without frames")
    frames = [_frame(row, path, place) for place, row in enumerate(rows)]
    iteration = value.get("model_iter", 0)
    if not isinstance(iteration, int | np.integer):
        raise _foreign(path, f"model_iter {iteration!r}")
    return DflSession(frames, int(iteration))


def _frame(row: Any, path: Path, place: int) -> DflFrame:
    """One frame; nothing in the file is taken on trust."""
    info = row.get("frame_info") if isinstance(row, dict) else None
    if not isinstance(info, dict) or not isinstance(info.get("filepath"), str):
        raise _foreign(path, f"frame {place} without the path of its picture")
    config, landmarks = row.get("cfg"), info.get("landmarks_list") or []
    if not (config is None or isinstance(config, dict)) or not isinstance(landmarks, list):
        raise _foreign(path, f"frame {place} with settings of another kind")
    if config is not None and config.get("type", _MASKED) != _MASKED:
        raise _foreign(path, f"frame {place} with settings of another merger")
    # DFL may have run on either kind of system.
    name = info["filepath"].replace("\\", "/").rsplit("/", 1)[-1]
    return DflFrame(name, config, len(landmarks), row.get("is_done") is True)


def readable_settings(config: Mapping[str, Any]) -> tuple[MergeSettings, tuple[str, ...]]:
    """The settings of a config, and why others of its values are left at their default."""
    taken: dict[str, Any] = {}
    refused = []
    for key, value in config.items():
        if key in _NO_SETTINGS:
            continue
        if key not in CONFIG_KEYS:
            refused.append(f"{ascii(key).strip(chr(39))[:40]} {_shown(value)} (not known)")
            continue
        if not isinstance(value, str | int | float | np.generic | None):
            refused.append(f"{key} {_shown(value)} (of a wrong kind)")
            continue
        try:
            from_dfl({key: value})
        except OptionError as error:
            refused.append(f"{key} {_shown(value)} (expected {error.expected})")
        except (TypeError, ValueError, ArithmeticError):
            refused.append(f"{key} {_shown(value)} (of a wrong kind)")
        else:
            taken[key] = value
    return from_dfl(taken), tuple(refused)


def _shown(value: Any) -> str:
    plain = value.item() if isinstance(value, np.generic) else value
    return ascii(plain)[:40]


def _foreign(path: Path, found: str) -> FormatError:
    return FormatError(
        path,
        expected="a session of DeepFaceLab's merger",
        found=found,
        remedy=f"They are called NAME_KIND{SUFFIX} and lie beside the model.",
    )
