"""The packet stands in each kind of file, which stays readable, and signing covers it."""

import json
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from understudy.media.encode import encode_video
from understudy.provenance.mark import COMPOSITE, MarkDetails, sign
from understudy.provenance.verify import verify
from understudy.provenance.xmp import add_xmp, aigc_object, aigc_text, find_xmp, xmp_packet

PACKET = xmp_packet(
    source_type=COMPOSITE,
    tool="Understudy <&> test",
    aigc=aigc_object(producer="某公司 & Co", content_id="0123"),
)
PICTURES = (".png", ".jpg", ".tif")
FILMS = (".mp4", ".mov", ".avi")


def made(path: Path) -> Path:
    picture = np.random.default_rng(1).integers(0, 255, (40, 64, 3), dtype=np.uint8)
    if path.suffix in PICTURES:
        path.write_bytes(cv2.imencode(path.suffix, picture)[1].tobytes())
    else:
        encode_video([picture] * 4, path, timing=Fraction(25))
    return path


def content(path: Path) -> Any:
    """Pixels of a picture, packets of a film."""
    if path.suffix in PICTURES:
        return cv2.imread(str(path), cv2.IMREAD_UNCHANGED).tobytes()
    with av.open(str(path)) as container:
        return [(bytes(packet), packet.pts) for packet in container.demux()]


@pytest.mark.parametrize("ending", PICTURES + FILMS)
def test_in_each_kind_of_file(ending: str, tmp_path: Path) -> None:
    path = made(tmp_path / f"x{ending}")
    before = content(path)
    assert find_xmp(path) == ""
    assert add_xmp(path, PACKET)
    assert content(path) == before
    found = find_xmp(path)
    assert "compositeWithTrainedAlgorithmicMedia" in found
    assert "Understudy &lt;&amp;&gt; test" in found
    sign(path, details=MarkDetails(consent="consent: not recorded"))
    assert content(path) == before
    assert "compositeWithTrainedAlgorithmicMedia" in find_xmp(path)
    assert verify(path).integrity == "intact"
    data = path.read_bytes()
    at = data.index(b"compositeWithTrained")
    path.write_bytes(data[:at] + b"X" + data[at + 1 :])
    assert verify(path).integrity == "altered", "the packet is signed, too"


@pytest.mark.parametrize("ending", [".mkv"])
def test_where_there_is_no_place_nothing_is_written(ending: str, tmp_path: Path) -> None:
    path = made(tmp_path / f"x{ending}")
    before = path.read_bytes()
    assert not add_xmp(path, PACKET)
    assert path.read_bytes() == before


def test_big_endian_tiff_and_second_packet(tmp_path: Path) -> None:
    path = made(tmp_path / "x.tif")
    add_xmp(path, xmp_packet(source_type="first", tool="x"))
    add_xmp(path, PACKET)
    decoded = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert decoded.shape == (40, 64, 3)


def test_chinas_object_is_the_standards() -> None:
    value = json.loads(aigc_text(aigc_object(producer="某公司", content_id="7")))
    assert list(value) == [
        *("Label", "ContentProducer", "ProduceID", "ReservedCode1"),
        *("ContentPropagator", "PropagateID", "ReservedCode2"),
    ]
    assert (value["Label"], value["ContentProducer"], value["ProduceID"]) == ("1", "某公司", "7")
    assert "http://www.tc260.org.cn/ns/AIGC/1.0/" in PACKET.decode()


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
@pytest.mark.parametrize("ending", PICTURES + FILMS)
def test_another_program_finds_it(ending: str, tmp_path: Path) -> None:
    path = made(tmp_path / f"x{ending}")
    add_xmp(path, PACKET)
    told = subprocess.run(
        ["exiftool", "-j", "-XMP:all", str(path)], check=True, capture_output=True, text=True
    ).stdout
    facts = {key.lower(): value for key, value in json.loads(told)[0].items()}
    assert facts["digitalsourcetype"].endswith("compositeWithTrainedAlgorithmicMedia")
    aigc = facts["aigc"]  # shown as text, or taken apart
    assert (aigc if isinstance(aigc, dict) else json.loads(aigc))[
        "ContentProducer"
    ] == "某公司 & Co"
