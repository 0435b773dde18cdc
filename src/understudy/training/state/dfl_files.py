"""The files of a DFL model: which there are, what they hold, how they are written.

A folder and a name in, arrays and plain values out, and back. Pickles are read by the allow-list
reader and written by our own emitter; nothing here knows torch or what an array means.
Source: reference "DFL formats", section 7.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any  # values of a pickle are of any type until they are checked

import numpy as np

from understudy import files, safe_pickle
from understudy.errors import FileError, FormatError, OptionError, from_os_error

MASKS = "XSeg"
KINDS = ("SAEHD", "AMP", "Quick96", MASKS)
"""Kinds of models with files of their own. That of masks has no name but its kind."""

Arrays = dict[str, np.ndarray]

_DATA_MAX = 4 << 30  # a data.dat holds preview samples: tens of MB
_WEIGHTS_MAX = 1 << 38


@dataclass(frozen=True, slots=True)
class DflModel:
    """One model among the files of a folder."""

    folder: Path
    name: str
    kind: str

    def path(self, file: str) -> Path:
        """The file of this model that DFL calls `file`."""
        return self.folder / f"{self._beginning}_{file}"

    def weights(self, network: str) -> str:
        """What DFL calls the file of a network's weights."""
        return "256.npy" if self.kind == MASKS else f"{network}.npy"

    @property
    def optimizer(self) -> str:
        """What DFL calls the file of the main optimizer's state."""
        return "256_opt.npy" if self.kind == MASKS else "src_dst_opt.npy"

    @property
    def _beginning(self) -> str:
        return MASKS if self.kind == MASKS else f"{self.name}_{self.kind}"

    @property
    def files(self) -> list[Path]:
        """All files of the model itself, without backups and previews."""
        found = self.folder.glob(f"{_literal(self._beginning)}_*")
        return sorted(p for p in found if p.is_file() and p.suffix in (".npy", ".dat", ".txt"))


@dataclass(frozen=True, slots=True)
class DflData:
    """Content of a data.dat: what the importer needs of it."""

    iteration: int
    options: Mapping[str, Any]
    losses: Sequence[tuple[float, ...]]


def find_models(folder: Path) -> list[DflModel]:
    """The models whose files lie in `folder`, the newest first."""
    found = []
    masks = DflModel(folder, MASKS, MASKS)
    # of a mask model the weights alone do, to paint with
    if masks.path(masks.weights(MASKS)).is_file():
        found.append((masks.path(masks.weights(MASKS)).stat().st_mtime, masks))
    for kind in KINDS:
        ending = f"_{kind}_data.dat"
        for path in folder.glob(f"*{ending}"):
            found.append((path.stat().st_mtime, DflModel(folder, path.name[: -len(ending)], kind)))
    return [model for _, model in sorted(found, key=lambda one: (-one[0], one[1].name))]


def read_data(path: Path) -> DflData:
    """What a data.dat says of its model.

    Raises:
        FileError: it can't be read.
        FormatError: it is no such file.
    """
    value = safe_pickle.loads(files.read_bytes(path, limit=_DATA_MAX), source=path, limit=_DATA_MAX)
    try:
        options = value.get("options") or {}
        losses = [tuple(float(loss) for loss in row) for row in value.get("loss_history") or []]
        if not isinstance(options, dict):
            raise TypeError("options that are no dict")
        if any(not row for row in losses):
            raise ValueError("iterations without a loss")
        return DflData(int(value["iter"]), options, losses)
    except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
        raise FormatError(
            path,
            expected="iterations, options and losses of a model",
            found=f"something else ({error!r})",
            remedy="Take it from one of the model's autobackups.",
        ) from error


def known_data(model: DflModel, tell: Callable[[str], None]) -> DflData:
    """What is known of a model beside its weights; little of a mask model without a data.dat.

    Raises:
        FileError: there is no such model.
        FormatError: its data.dat is damaged.
    """
    path = model.path("data.dat")
    if path.exists():
        return read_data(path)
    if model.kind == MASKS and model.path(model.weights(MASKS)).exists():
        tell(f"{path.name} is not there: taken for a model of whole faces, of unknown age")
        return DflData(0, {}, ())
    raise FileError(
        path,
        expected=f"the {model.kind} model {model.name!r}",
        found="nothing",
        remedy="Check the folder, and the name: it is what stands before the kind.",
    )


def mask_width(model: DflModel) -> dict[str, int]:
    """Width of a mask net, which its options don't tell; empty for other kinds of models."""
    path = model.path(model.weights(MASKS))
    if model.kind != MASKS or not path.exists():
        return {}
    first = read_arrays(path).get("conv01/conv/weight:0")
    return {} if first is None or first.ndim != 4 else {"base_dims": first.shape[-1]}


def read_arrays(path: Path) -> Arrays:
    """The arrays of a weight or optimizer file under their keys; numbers come as 0-d arrays.

    Raises:
        FileError: it can't be read.
        FormatError: it does not hold arrays.
        UnsafeFileError: it asks for anything but arrays.
    """
    data = files.read_bytes(path, limit=_WEIGHTS_MAX)
    value = safe_pickle.loads(data, source=path, limit=_WEIGHTS_MAX)
    wrong = "no dict" if not isinstance(value, dict) else _first_stranger(value)
    if wrong:
        raise FormatError(
            path,
            expected="arrays by name",
            found=wrong,
            remedy="This is no weight file; take it from one of the model's autobackups.",
        )
    return {key: np.asarray(array) for key, array in value.items()}


def _first_stranger(values: Mapping[Any, Any]) -> str:
    for key, value in values.items():
        if not isinstance(key, str) or not isinstance(value, (np.ndarray, np.number, int, float)):
            return f"{ascii(key)[:60]} with a {type(value).__name__}"
    return ""


Content = Callable[[], Iterable[tuple[str, Any]]]


def write_model(
    model: DflModel, weights: Mapping[str, Content], others: Mapping[str, bytes]
) -> None:
    """Puts all files of `model` into its folder, data.dat last, and overwrites none.

    `weights` holds, by file name, what gives keys and arrays, asked for when its turn comes, so
    that only one network is held twice. A folder that is not there yet appears when all is in it.

    Raises:
        OptionError: DFL could not open a model of this name.
        FileError: one of the files is there already.
        StorageError: the disk is full or can't be written; nothing is left behind.
    """
    if model.kind != MASKS:
        _check_name(model.name)
    names = [*weights, *others]
    for name in names:
        if model.path(name).exists():
            raise FileError(
                model.path(name),
                expected="a free name",
                found="a file",
                remedy="Export under another name or into another folder.",
            )
    folder = model.folder
    # beside a folder that is to appear; inside one that is there, which may be a disk of its own
    place = folder if folder.exists() else files.make_dir(folder.parent)
    partial = place / f".{folder.name[:40]}.{secrets.token_hex(4)}{files.TEMPORARY_SUFFIX}"
    placed: list[Path] = []
    try:
        partial.mkdir()
        inside = DflModel(partial, model.name, model.kind)
        for name, content in weights.items():
            _write(inside.path(name), safe_pickle.dump_dict(content()))
        for name, data in others.items():
            _write(inside.path(name), [data])
        files.fsync(partial)
        if not folder.exists():
            partial.rename(folder)
        for name in names if partial.exists() else ():
            target = model.path(name)
            inside.path(name).rename(target)
            placed.append(target)
        files.fsync(folder)
    except OSError as error:
        for path in placed:
            path.unlink(missing_ok=True)
        raise from_os_error(error, folder, doing="write") from error
    finally:
        _remove(partial)


def _write(path: Path, pieces: Iterable[bytes]) -> None:
    with path.open("wb") as file:
        for piece in pieces:
            file.write(piece)
    files.fsync(path)


def _remove(folder: Path) -> None:
    if folder.is_dir():
        for path in folder.iterdir():
            path.unlink(missing_ok=True)
        folder.rmdir()


def _check_name(name: str) -> None:
    if not name or set(name) & set('_/\\:*?"<>|') or name.strip() != name:
        raise OptionError(
            "name of the model",
            expected="a name DFL can open: no underscore, no slash, no wildcard",
            found=repr(name),
            remedy="Choose another; DFL itself puts spaces for underscores.",
        )


def _literal(name: str) -> str:
    """`name` as a pattern that matches itself alone."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)
