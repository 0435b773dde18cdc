"""The model folder: everything training needs to go on, saved as one set or not at all.

A `TrainState` in, a new numbered folder under `saves/` out; one pointer file is flipped when all of
it is on disk, so a kill at any moment leaves the old save or the new one. Loading checks hashes and
falls back, loudly, to the save before. Knows no faces and no loop.

    model/<name>/config.json         what fixes the weights; written once
                 current.json        which save holds
                 saves/000012/       state.safetensors, options.json, save.json (hashes, iteration)
                 history.jsonl       losses of every iteration; a save notes its length
                 dfl_options.json    what DFL called the options, of a model that came from there
                 previews/           pictures
                 backups/01 .. 24    whole model folders, 01 the newest
"""

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from understudy import files
from understudy.errors import (
    FileError,
    FormatError,
    StateError,
    StorageError,
    UnderstudyError,
    from_os_error,
)
from understudy.models import build
from understudy.models.config import ModelConfig
from understudy.models.model import Model
from understudy.training.plan.options import TrainOptions
from understudy.training.plan.phases import Plan
from understudy.training.state import history as history_file
from understudy.training.state import tensor_file
from understudy.training.state.backups import make_backup, remove, set_aside
from understudy.training.state.history import History
from understudy.training.state.save_mark import (
    OPTIONS,
    SAVE,
    TENSORS,
    FileMark,
    SaveMark,
    check_file,
    read_mark,
)
from understudy.training.state.train_state import TrainState, loss_names

FORMAT = 1
SAVES_KEPT = 2
DFL_OPTIONS = "dfl_options.json"
_NUMBER = re.compile(r"^\d{6,}$")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class SaveFacts:
    """What a save says of itself: how far it is, its options, the hash of its tensors."""

    iteration: int
    seconds: float
    options: TrainOptions
    sha256: str
    plan: Plan | None = None


class LoadedModel(NamedTuple):
    """A model to merge by, and which save it came from."""

    model: Model
    iteration: int
    sha256: str


class ModelFolder:
    """One model on disk. Made by `open_model` and `create_model`."""

    def __init__(self, path: Path, config: ModelConfig) -> None:
        self.path, self.config = path, config
        self.previews_dir = path / "previews"
        self.backups_dir = path / "backups"
        self.saves_dir = path / "saves"
        self._history_path = path / "history.jsonl"
        self._said: set[str] = set()
        self._history_end = (0, 0, 0)  # bytes, iterations, measures that are on disk

    def numbers(self) -> list[int]:
        """Numbers of the saves there are, ascending."""
        if not self.saves_dir.is_dir():
            return []
        return sorted(int(p.name) for p in self.saves_dir.iterdir() if _NUMBER.match(p.name))

    @property
    def has_save(self) -> bool:
        """Whether training was ever saved here."""
        return bool(self.numbers()) or (self.path / "current.json").exists()

    def newest(self, say: Say) -> SaveFacts | None:
        """Facts of the save that would be loaded, without reading its tensors; None if none is."""
        for number in self._candidates(say):
            folder = self.saves_dir / f"{number:06d}"
            try:
                mark = read_mark(folder)
                check_file(folder / OPTIONS, mark.files[OPTIONS])
                values = _known_options(folder / OPTIONS, say)
            except (StateError, FileError, FormatError) as error:
                self._say(say, _damaged(folder, error))
                continue
            options = TrainOptions.model_validate(values)
            digest = mark.files[TENSORS].sha256
            return SaveFacts(mark.iteration, mark.seconds, options, digest, mark.plan)
        return None

    def sweep(self) -> None:
        """Removes what a killed save left behind; only for whoever holds the model for writing."""
        for folder in (self.saves_dir, self.backups_dir, self.path):
            if folder.is_dir():
                for left in folder.glob(f".*{files.TEMPORARY_SUFFIX}*"):
                    remove(left)

    def save(self, state: TrainState) -> Path:
        """Folder of the new save; the one before it is kept, older ones go.

        Raises:
            StorageError: the disk is full or can't be written; the old save holds.
        """
        number = max(self.numbers(), default=0) + 1
        files.make_dir(self.saves_dir)
        target = self.saves_dir / f"{number:06d}"
        partial = self.saves_dir / f".{number:06d}.{secrets.token_hex(4)}{files.TEMPORARY_SUFFIX}"
        try:
            partial.mkdir()
            marks = self._write_files(partial, state)
            end = self._append_history(state.history)
            mark = SaveMark(
                format=FORMAT,
                iteration=state.iteration,
                seconds=state.seconds,
                attempt=state.attempt,
                optimizer_iteration=state.optimizer_iteration,
                history_bytes=end[0],
                history_measures=end[2],
                files=marks,
                plan=state.plan,
            )
            files.write_json(partial / SAVE, mark.model_dump(mode="json"))
            files.fsync(partial)
            partial.rename(target)
            files.fsync(self.saves_dir)
        except OSError as error:
            raise from_os_error(error, target, doing="write") from error
        except StorageError as error:
            raise error.about(target) from error
        finally:
            remove(partial)
        try:
            files.write_json(self.path / "current.json", {"save": target.name})
        except StorageError:
            remove(target)
            raise
        self._history_end = end
        for old in self.numbers()[:-SAVES_KEPT]:
            remove(self.saves_dir / f"{old:06d}")
        return target

    def load(self, say: Say, *, mend: bool = True, passing: int = 0) -> TrainState:
        """State of the newest save that is whole; `say` hears of any that is not.

        Where there are others, the newest `passing` saves are passed over. `mend` sets damaged
        files aside under another name, for whoever goes on writing here.

        Raises:
            StateError: no save is whole, or it does not fit the model's config.
        """
        damaged = []
        numbers = self._candidates(say)
        for number in numbers[min(passing, len(numbers) - 1) :] if numbers else ():
            folder = self.saves_dir / f"{number:06d}"
            try:
                state = self._read(folder, say, mend=mend)
            except (StateError, FileError) as error:
                damaged.append(folder)
                self._say(say, _damaged(folder, error))
                continue
            for broken in damaged if mend else ():
                set_aside(broken)
            return state
        raise StateError(
            self.path,
            expected="a whole save",
            found=f"{len(damaged)} damaged" if damaged else "none",
            remedy="Copy a folder of backups/ over this model, or start a new model.",
        )

    def backup(self) -> Path:
        """Folder 01 of the backups, made of the newest save; older ones move up by one."""
        return make_backup(self.path, self.saves_dir / f"{max(self.numbers()):06d}")

    def _write_files(self, folder: Path, state: TrainState) -> dict[str, FileMark]:
        tensors = {f"model/{k}": v for k, v in state.model.state_dict().items()}
        tensors |= {f"optimizer/{k}": v for k, v in state.optimizer.items()}
        tensors |= {f"adversaries/{k}": v for k, v in state.adversaries.items()}
        digest, length = tensor_file.write(folder / TENSORS, tensors)
        files.write_json(folder / OPTIONS, state.options.model_dump(mode="json"))
        options = folder / OPTIONS
        return {
            TENSORS: FileMark(sha256=digest, bytes=length),
            OPTIONS: FileMark(sha256=files.sha256_file(options), bytes=options.stat().st_size),
        }

    def _append_history(self, history: History) -> tuple[int, int, int]:
        at, iterations, measures = self._history_end
        text = "".join(history.lines(after=iterations, measures_after=measures))
        length = history_file.append(self._history_path, text, at=at)
        return length, len(history), len(history.measures)

    def _candidates(self, say: Say) -> list[int]:
        """Numbers of saves to try: the current one, then the others from the newest."""
        numbers = sorted(self.numbers(), reverse=True)
        try:
            value = files.read_json(self.path / "current.json", limit=1 << 16)
            current = int(value["save"])
        except (FileError, FormatError, KeyError, TypeError, ValueError) as error:
            if numbers:
                why = "gone" if isinstance(error, FileError) else "damaged"
                self._say(say, f"{self.path / 'current.json'} is {why}: taking the newest save")
            return numbers
        if current not in numbers:
            self._say(say, f"save {current:06d} is gone: trying the one before")
        return sorted(numbers, key=lambda number: number != current)

    def _say(self, say: Say, text: str) -> None:
        """Says what was not said before: a folder is looked at more than once."""
        if text not in self._said:
            self._said.add(text)
            say(text)

    def _read(self, folder: Path, say: Say, *, mend: bool) -> TrainState:
        mark = read_mark(folder)
        for name, expected in mark.files.items():
            check_file(folder / name, expected)
        tensors = tensor_file.read(folder / TENSORS)
        model = build(self.config)
        load_weights(model, tensor_file.under("model/", tensors), folder)
        state = TrainState(
            config=self.config,
            model=model,
            options=TrainOptions.model_validate(_known_options(folder / OPTIONS, say)),
            iteration=mark.iteration,
            seconds=mark.seconds,
            attempt=mark.attempt,
            optimizer=tensor_file.under("optimizer/", tensors),
            optimizer_iteration=mark.optimizer_iteration,
            sha256=mark.files[TENSORS].sha256,
            adversaries=tensor_file.under("adversaries/", tensors),
            dfl_options=_dfl_options(self.path),
            plan=mark.plan,
        )
        names = loss_names(self.config)
        try:
            state.history = history_file.read(
                self._history_path, length=mark.history_bytes, names=names
            )
            end = mark.history_bytes
        except FormatError as error:
            say(f"losses of the first {mark.iteration} iterations are no longer known: {error}")
            state.history, end = History.of(names, start=mark.iteration), 0
            if mend:
                set_aside(self._history_path)
        self._history_end = (end, len(state.history), len(state.history.measures))
        return state


def create_model(path: Path, config: ModelConfig) -> ModelFolder:
    """The model folder at `path`, made if it is not there.

    Raises:
        StateError: it holds a model of another config, or one of a newer version.
        StorageError: it can't be written.
    """
    if (path / "config.json").exists():
        folder = open_model(path)
        if folder.config != config:
            raise StateError(
                path,
                expected=f"the config it was made with ({_differences(folder.config, config)})",
                found=_differences(config, folder.config),
                remedy="Leave these as they were, or give the new model another name.",
            )
        return folder
    files.make_dir(path)
    files.write_json(
        path / "config.json", {"format": FORMAT, "config": config.model_dump(mode="json")}
    )
    return ModelFolder(path, config)


def open_model(path: Path) -> ModelFolder:
    """The model folder at `path`.

    Raises:
        FileError: there is none.
        StateError: its config is damaged or of a newer version.
    """
    value = files.read_json(path / "config.json", limit=1 << 20)
    try:
        version = int(value["format"])
        if version > FORMAT:
            raise StateError(
                path,
                expected=f"a model of version {FORMAT} or older",
                found=f"version {version}",
                remedy="Open it with the newer Understudy that made it.",
            )
        return ModelFolder(path, ModelConfig.model_validate(value["config"]))
    except (KeyError, TypeError, ValueError) as error:
        raise StateError(
            path / "config.json",
            expected="the config of a model",
            found=f"something else ({str(error).splitlines()[0]})",
            remedy="Take config.json from one of the model's backups.",
        ) from error


def load_model(path: Path, say: Say, *, averaged: bool = True) -> LoadedModel:
    """Model with the weights to merge by, on the CPU.

    Raises:
        FileError: there is no model.
        StateError: none of its saves is whole.
    """
    state = open_model(path).load(say, mend=False)
    if averaged and state.averaged:
        load_weights(state.model, {**state.model.state_dict(), **state.averaged}, path)
    return LoadedModel(state.model, state.iteration, state.sha256)


def load_weights(model: Model, tensors: Mapping[str, Tensor], where: Path) -> None:
    """Copies weights into the model.

    Raises:
        StateError: a tensor is missing, superfluous or of another shape; nothing is changed then.
    """
    own = model.state_dict()
    for name in [*own, *tensors]:
        have = tuple(tensors[name].shape) if name in tensors else None
        want = tuple(own[name].shape) if name in own else None
        if have != want:
            raise StateError(
                where,
                expected=f"{name} with shape {want}" if want else f"no tensor {name}",
                found="none" if have is None else f"shape {have}",
                remedy="This save belongs to another model.",
            )
    model.load_state_dict(dict(tensors))


def _known_options(path: Path, say: Say) -> dict[str, object]:
    values = files.read_json(path, limit=1 << 20)
    unknown = set(values) - set(TrainOptions.model_fields)
    if unknown:
        say(f"options of another version are left out: {', '.join(sorted(unknown))}")
    return {k: v for k, v in values.items() if k not in unknown}


def _dfl_options(model_dir: Path) -> dict[str, object]:
    path = model_dir / DFL_OPTIONS
    values: dict[str, object] = files.read_json(path, limit=1 << 20) if path.exists() else {}
    return values


def _differences(one: ModelConfig, other: ModelConfig) -> str:
    values, others = one.model_dump(mode="json"), other.model_dump(mode="json")
    return ", ".join(f"{k} {v}" for k, v in values.items() if v != others[k])


def _damaged(folder: Path, error: UnderstudyError) -> str:
    which = Path(error.thing).name
    return f"save {folder.name} is damaged ({which}: {error.found}); trying the one before"
