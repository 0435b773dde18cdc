"""The models of a workspace as things on a shelf: what each is and how far it came.

Folders in, facts out. Works from what saves say of themselves: no tensor is read, torch is not
loaded and nothing is changed. `shelf_moves` moves them about.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from understudy import files
from understudy.errors import FileError, FormatError, StateError
from understudy.models.config import ModelConfig
from understudy.training.plan.options import TrainOptions
from understudy.training.state.dfl_files import DflModel, find_models, known_data
from understudy.training.state.history import FACES, is_likeness
from understudy.training.state.save_mark import OPTIONS, SAVE, SaveMark, read_mark

RECENT = 100
"""Iterations whose losses are averaged for the list."""

_TAIL_BYTES = 1 << 15


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a list says of one model."""

    name: str
    form: str  # "understudy" or "dfl": a folder of ours, or DFL's files
    shape: str
    iteration: int
    seconds: float
    losses: dict[str, float] | None  # mean of each over the last iterations
    bytes: int
    saves: int
    backups: int
    preview: Path | None
    saved: float = 0.0  # seconds of the clock at the last save
    likeness: dict[str, float] = field(default_factory=dict)  # of the faces kept aside
    phase: str = ""  # of the recipe that is followed
    trouble: str = ""

    def line(self) -> str:
        """The model in one line."""
        parts = [self.shape or "unknown", f"iteration {self.iteration}"]
        if self.losses is not None:
            parts.append(" ".join(["loss", *(f"{loss:.3f}" for loss in self.losses.values())]))
        parts.append(in_words(self.bytes))
        if self.form == "dfl":
            parts.append("DeepFaceLab's files")
        if self.trouble:
            parts.append(self.trouble)
        return f"{self.name}: {', '.join(parts)}"

    def as_json(self) -> dict[str, object]:
        """The facts as JSON values."""
        return asdict(self) | {"preview": str(self.preview) if self.preview else None}


def table(found: Sequence[ModelFacts]) -> list[str]:
    """The models under one another, a line each below the names of the columns."""
    rows = [("name", "model", "iteration", "hours", "loss", "likeness", "size", "last saved", "")]
    for one in found:
        notes = [one.phase, "DeepFaceLab's files" if one.form == "dfl" else "", one.trouble]
        rows.append(
            (
                one.name,
                one.shape or "unknown",
                str(one.iteration),
                f"{one.seconds / 3600:.1f}" if one.seconds else "",
                numbers(one.losses or {}),
                numbers(one.likeness),
                in_words(one.bytes),
                time.strftime("%Y-%m-%d %H:%M", time.localtime(one.saved)) if one.saved else "",
                ", ".join(note for note in notes if note),
            )
        )
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    to_the_right = (2, 3, 6)
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if k in to_the_right else cell.ljust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines if found else []


def numbers(values: Mapping[str, float]) -> str:
    """Values without their names, in their order."""
    return " ".join(f"{value:.3f}" for value in values.values())


def in_words(size: int) -> str:
    """A size in bytes as people write it."""
    value, unit = float(size), "B"
    for unit in ("B", "KB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if value >= 10 or unit == "B" else f"{value:.1f} {unit}"


def models(model_dir: Path) -> list[ModelFacts]:
    """Every model in the folder, ours first, the last saved first."""
    ours = (facts(path) for path in our_models(model_dir))
    return [
        *sorted(ours, key=lambda model: (-model.saved, model.name)),
        *(dfl_facts(model) for model in find_models(model_dir)),
    ]


def our_models(model_dir: Path) -> list[Path]:
    """Folders of the models that are ours; those being made are hidden."""
    found = (path.parent for path in model_dir.glob("*/config.json"))
    return sorted(path for path in found if path.name[0] != ".")


def facts(path: Path) -> ModelFacts:
    """What is known of the model in folder `path`; damage is told, not raised."""
    trouble, shape, mark, saved = "", "", None, 0.0
    try:
        shape = describe(read_config(path))
        found = newest_mark(path)
        trouble = "" if found else "never saved"
        if found is not None:
            saved, mark = (found[0] / SAVE).stat().st_mtime, found[1]
    except (FileError, FormatError) as error:
        trouble = f"damaged: {error.found}"
    losses, likeness = _last_rows(path / "history.jsonl", mark.history_bytes) if mark else ({}, {})
    return ModelFacts(
        name=path.name,
        form="understudy",
        shape=shape,
        iteration=mark.iteration if mark else 0,
        seconds=mark.seconds if mark else 0.0,
        losses=losses or None,
        bytes=size_of(path),
        saves=len(numbered(path / "saves")),
        backups=len(numbered(path / "backups")),
        preview=_if_there(path / "previews" / "latest.png"),
        saved=saved,
        likeness=likeness,
        phase=mark.plan.where if mark and mark.plan else "",
        trouble=trouble,
    )


def dfl_facts(model: DflModel) -> ModelFacts:
    """What is known of a model in DFL's files."""
    shape, iteration, losses, trouble = model.kind, 0, None, ""
    try:
        data = known_data(model, lambda _: None)
        iteration = data.iteration
        known = [str(data.options[k]) for k in ("archi", "resolution") if k in data.options]
        shape = " ".join([model.kind, *known]) + (" px" if known else "")
        recent = data.losses[-RECENT:]
        if recent:
            means = [_mean(list(curve)) for curve in zip(*recent, strict=False)]
            losses = dict(zip(FACES if len(means) > 1 else ("mask",), means, strict=False))
    except (FileError, FormatError) as error:
        trouble = f"damaged: {error.found}"
    return ModelFacts(
        name=model.name,
        form="dfl",
        shape=shape,
        iteration=iteration,
        seconds=0.0,
        losses=losses,
        bytes=sum(path.stat().st_size for path in model.files),
        saves=1,
        backups=len(numbered(model.path("autobackups"))),
        preview=dfl_preview(model),
        saved=max((path.stat().st_mtime for path in model.files), default=0.0),
        trouble=trouble,
    )


def dfl_preview(model: DflModel) -> Path | None:
    """The last preview picture DFL kept of a model; None if it kept none."""
    previews = model.path("history").glob("*/_last.jpg")
    return max(previews, key=lambda path: path.stat().st_mtime, default=None)


def describe(config: ModelConfig) -> str:
    """The shape of a model in a few words."""
    archi = f" {config.archi}" if config.kind == "SAEHD" else ""
    usual = ModelConfig.model_fields["base_dims"].default
    width = f" of width {config.base_dims}" if config.base_dims != usual else ""
    return f"{config.kind}{archi}{width} {config.resolution} px {config.face_type.value}"


_MODEL = ("resolution", "face_type", "archi", "ae_dims", "e_dims", "d_dims", "d_mask_dims")
_SHAPES = {
    "SAEHD": _MODEL,
    "AMP": ("resolution", "face_type", *_MODEL[3:], "inter_dims", "morph_factor"),
    "Quick96": (),
    "XSeg": ("resolution", "face_type", "base_dims"),
}


def shape_of(config: ModelConfig) -> dict[str, object]:
    """What was chosen when a model of this kind was made."""
    values = config.model_dump(mode="json")
    return {name: values[name] for name in _SHAPES[config.kind]}


def saves_of(folder: Path) -> list[str]:
    """Each save in a folder of them in words, the newest first."""
    told = []
    for save in reversed(numbered(folder)):
        try:
            told.append(f"{save.name} at iteration {read_mark(save).iteration}")
        except (StateError, FileError) as error:
            told.append(f"{save.name}, damaged: {error.found}")
    return told


def backups_of(path: Path) -> list[str]:
    """Each backup of the model in words, the newest first."""
    told = []
    for folder in numbered(path / "backups"):
        saves = saves_of(folder / "saves")
        told.append(f"{folder.name} ({saves[0] if saves else 'empty'})")
    return told


def read_config(path: Path) -> ModelConfig:
    """Config of the model in folder `path`.

    Raises:
        FileError: there is none.
        StateError: it is damaged.
    """
    value = files.read_json(path / "config.json", limit=1 << 20)
    try:
        return ModelConfig.model_validate(value["config"])
    except (KeyError, TypeError, ValueError) as error:
        raise StateError(
            path / "config.json",
            expected="the config of a model",
            found="something else",
            remedy="Take config.json from one of the model's backups.",
        ) from error


def newest_mark(path: Path) -> tuple[Path, SaveMark] | None:
    """Folder of the newest readable save and what it says of itself; None if none was made.

    Raises:
        StateError: there are saves, and none can be read.
    """
    folders = sorted(numbered(path / "saves"), key=lambda folder: int(folder.name), reverse=True)
    problem: StateError | FileError | None = None
    for folder in sorted(folders, key=lambda folder: folder.name != current_save(path)):
        try:
            return folder, read_mark(folder)
        except (StateError, FileError) as error:
            problem = problem or error
    if problem is not None:
        raise problem
    return None


def current_save(path: Path) -> str:
    """Name of the save that holds; "" if that is not known."""
    try:
        return str(files.read_json(path / "current.json", limit=1 << 16)["save"])
    except (FileError, FormatError, KeyError, TypeError):
        return ""


def changed_options(path: Path) -> dict[str, object]:
    """Training options of the save that holds, where they are not the usual ones."""
    usual = TrainOptions().model_dump(mode="json")
    file = path / "saves" / current_save(path) / OPTIONS
    values = files.read_json(file, limit=1 << 20) if file.exists() else {}
    return {k: v for k, v in values.items() if usual.get(k) != v}


def _last_rows(path: Path, length: int) -> tuple[dict[str, float], dict[str, float]]:
    """Mean losses of the last iterations and the last likeness, from the end of a history."""
    try:
        with path.open("rb") as file:
            start = max(0, length - _TAIL_BYTES)
            file.seek(start)
            lines = file.read(length - start).splitlines()[1 if start else 0 :]
        rows = [json.loads(line) for line in lines]
        recent = [row for row in rows if "name" not in row][-RECENT:]
        names = [name for name in recent[0] if name != "i"] if recent else []
        means = {name: _mean([float(row[name]) for row in recent]) for name in names}
        measures = {row["name"]: float(row["value"]) for row in rows if "name" in row}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}, {}  # the list shows none; `train` tells of the damage
    return means, {name: value for name, value in measures.items() if is_likeness(name)}


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def numbered(folder: Path) -> list[Path]:
    """Folders in `folder` whose name is a number, the lowest first."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and path.name.isdecimal())


def _if_there(path: Path) -> Path | None:
    return path if path.exists() else None


def size_of(path: Path) -> int:
    """Bytes a file or folder takes; what is shared between its files is counted once."""
    inside = path.rglob("*") if path.is_dir() else [path]
    stats = {(s.st_dev, s.st_ino): s.st_size for s in (p.lstat() for p in inside if p.is_file())}
    return sum(stats.values())
