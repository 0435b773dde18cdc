"""Fetching, checking and caching of the face models."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from understudy import weights
from understudy.errors import FormatError, OptionError, WeightsError
from understudy.tflite import read_weights

ENTRY = weights.WEIGHTS["mediapipe"]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache on a machine that reaches no registry."""
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path / "老 cache é"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    return weights.weights_dir("mediapipe")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return weights._download("mediapipe", ENTRY, tmp_path_factory.mktemp("wheel"))


def test_weights_of_the_users_cache_are_ready() -> None:
    folder = weights.get("mediapipe")
    status = weights.status("mediapipe")
    assert status.state == "ready" and status.folder == folder
    assert status.licence == "Apache-2.0" and status.size == 3401566
    arrays = weights.load("mediapipe", "detector_full_range")
    assert sum(a.size for a in arrays.values()) == 508308
    sparse = arrays["conv_20.weight"]
    assert 0.6 < np.mean(sparse == 0) < 0.8 and np.abs(sparse).max() < 10


def test_two_processes_convert_a_placed_wheel_at_once(cache: Path, wheel: Path) -> None:
    cache.mkdir(parents=True)
    (cache / wheel.name).write_bytes(wheel.read_bytes())
    code = "from understudy import weights; weights.get('mediapipe')"
    both = [
        subprocess.Popen([sys.executable, "-c", code], env=dict(os.environ), stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    for process in both:
        complaint = process.communicate(timeout=60)[1]
        assert process.returncode == 0, complaint
    assert weights.status("mediapipe").state == "ready"
    left = {p.name for p in cache.iterdir()}
    assert left == {wheel.name, *(f"{part}.safetensors" for part in ENTRY.parts)}


def test_placed_model_files_are_converted_and_told(cache: Path, wheel: Path) -> None:
    cache.mkdir(parents=True)
    with zipfile.ZipFile(wheel) as archive:
        for part in ENTRY.parts.values():
            (cache / part.file_name).write_bytes(archive.read(part.member))
    told: list[str] = []
    weights.get("mediapipe", tell=told.append)
    assert len(told) == 1 and str(cache) in told[0]
    weights.get("mediapipe", tell=told.append)
    assert len(told) == 1  # the second time there is nothing to do


def test_a_damaged_cache_is_noticed_and_mended(cache: Path, wheel: Path) -> None:
    cache.mkdir(parents=True)
    (cache / wheel.name).write_bytes(wheel.read_bytes())
    weights.get("mediapipe")
    path = cache / "mesh_attention.safetensors"
    good = path.read_bytes()
    for bad in (good[:-1] + bytes([good[-1] ^ 1]), good[:1000], b""):
        path.write_bytes(bad)
        assert weights.status("mediapipe").state == "damaged"
        weights.get("mediapipe")
        assert path.read_bytes() == good


def test_without_network_the_error_says_what_to_do(cache: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        weights.load("mediapipe", "mesh_attention", tell=lambda _: None)
    message = str(caught.value)
    assert "mediapipe==0.10.14" in message and str(cache) in message and "pip download" in message
    assert "\n" not in message
    assert weights.status("mediapipe").state == "absent"
    assert not list(cache.iterdir())


def test_a_wrong_file_in_the_folder_is_named(cache: Path) -> None:
    cache.mkdir(parents=True)
    fake = cache / "mediapipe-0.10.14-any.whl"
    fake.write_bytes(b"no archive")
    with pytest.raises(WeightsError, match=r"mediapipe-0\.10\.14-any\.whl"):
        weights.get("mediapipe", tell=lambda _: None)
    with zipfile.ZipFile(fake, "w") as archive:
        for part in ENTRY.parts.values():
            archive.writestr(part.member, bytes(part.size))
    with pytest.raises(WeightsError, match="sha256"):
        weights.get("mediapipe", tell=lambda _: None)
    data = bytearray(fake.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # says that its first file is encrypted
    fake.write_bytes(data)
    with pytest.raises(WeightsError, match="encrypted"):
        weights.get("mediapipe", tell=lambda _: None)
    assert weights.status("mediapipe").state == "absent"


def test_unknown_names_are_refused() -> None:
    with pytest.raises(OptionError, match="mediapipe"):
        weights.get("nothing")


@pytest.mark.parametrize("data", [b"", b"TFL3", b"\0" * 64])
def test_only_model_files_are_read(data: bytes) -> None:
    with pytest.raises(FormatError, match="some file"):
        read_weights(data, "some file")


def test_importing_loads_no_torch() -> None:
    code = "import sys, understudy.weights; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
