"""Verdicts: intact, altered, absent; known, unknown. One byte is enough."""

import datetime
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import c2pa
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from root_of import root_pem
from understudy.errors import FileError, FormatError, ProvenanceError
from understudy.provenance import keys
from understudy.provenance.keys import install_identity, trust_dir
from understudy.provenance.mark import MarkDetails, sign
from understudy.provenance.verify import Integrity, SignerStatus, Verdict, verify

DETAILS = MarkDetails(consent="consent: not recorded")
CREATED = {
    "action": "c2pa.created",
    "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture",
}
NAMES = ["film.mp4", "film.mov", "film.mkv", "frame.png", "frame.jpg", "frame.tif", "frame.webp"]


@pytest.fixture(scope="session")
def signed(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with one signed file of each sort; read only."""
    folder = tmp_path_factory.mktemp("signed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNDERSTUDY_HOME", str(folder / "home"))
        pixels = np.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=np.uint8)
        for name in NAMES:
            path = folder / name
            if name.startswith("film"):
                shutil.copy(clips / name, path)
            else:
                assert cv2.imwrite(str(path), pixels)
            sign(path, details=DETAILS, plate=clips / "plate.mp4")
    return folder


def verdict_on(name: str, data: bytes, sidecar: bytes | None) -> Verdict:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        if sidecar is not None:
            Path(folder, name + ".c2pa").write_bytes(sidecar)
        return verify(path)


def content(signed: Path, name: str) -> tuple[bytes, bytes | None]:
    beside = signed / (name + ".c2pa")
    return (signed / name).read_bytes(), beside.read_bytes() if beside.exists() else None


def flipped(data: bytes, position: int, bit: int) -> bytes:
    changed = bytearray(data)
    changed[position] ^= 1 << bit
    return bytes(changed)


@pytest.mark.parametrize("name", NAMES)
def test_any_flipped_bit_is_altered(signed: Path, name: str) -> None:
    data, sidecar = content(signed, name)
    assert verdict_on(name, data, sidecar).integrity == "intact"

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(st.data())
    def check(draw: st.DataObject) -> None:
        position = draw.draw(st.integers(0, len(data) - 1))
        if _is_framing(name, data, position):
            return
        changed = flipped(data, position, draw.draw(st.integers(0, 7)))
        assert verdict_on(name, changed, sidecar).integrity == "altered"

    check()


def _is_framing(name: str, data: bytes, position: int) -> bool:
    """Bytes C2PA leaves out: the instance number of a JPEG segment."""
    if name.endswith("jpg"):
        return position - data.index(b"JP\x02\x11") in (2, 3)
    return False


@pytest.mark.parametrize("name", NAMES)
def test_any_flipped_bit_in_the_manifest_is_altered(signed: Path, name: str) -> None:
    data, sidecar = content(signed, name)
    body = data if sidecar is None else sidecar
    start = body.index(b"jumb") - 4
    size = int.from_bytes(body[start : start + 4], "big")
    rng = np.random.default_rng(5)
    # The first and last bytes hold box sizes, names and the signature's frame: all of them.
    places = [*range(120), *range(size - 80, size), *rng.integers(0, size, 150).tolist()]
    for place in places:
        changed = flipped(body, start + place, int(rng.integers(8)))
        pair = (changed, None) if sidecar is None else (data, changed)
        verdict = verdict_on(name, *pair)
        assert verdict.integrity == "altered", (place, verdict)
        assert verdict.reasons
        assert verdict.signer == "unknown"


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data + b"\0",
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2],
        lambda data: data + data[-100:],
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_longer_or_shorter_is_altered(
    signed: Path, name: str, change: Callable[[bytes], bytes]
) -> None:
    data, sidecar = content(signed, name)
    assert verdict_on(name, change(data), sidecar).integrity == "altered"


@pytest.mark.parametrize("kind", [b"free", b"skip", b"mfra", b"ftyp", b"mdat", b"uuid"])
@pytest.mark.parametrize("name", ["film.mp4", "film.mov"])
def test_a_box_put_behind_the_film_is_altered(signed: Path, name: str, kind: bytes) -> None:
    data, _ = content(signed, name)
    box = (8 + 40).to_bytes(4, "big") + kind + b"anything" * 5
    assert verdict_on(name, data + box, None).integrity == "altered"


def test_every_byte_of_the_picture_counts(signed: Path) -> None:
    data, _ = content(signed, "film.mp4")
    start = data.index(b"mdat") + 4
    size = int.from_bytes(data[start - 8 : start - 4], "big") - 8
    for position in range(start, start + size, size // 100):
        verdict = verdict_on("film.mp4", flipped(data, position, 0), None)
        assert verdict.integrity is Integrity.ALTERED
        assert "assertion.bmffHash.mismatch" in verdict.reasons


def test_manifest_of_another_file_is_altered(signed: Path, clips: Path) -> None:
    _, sidecar = content(signed, "film.mkv")
    other = (clips / "src.mkv").read_bytes()
    verdict = verdict_on("film.mkv", other, sidecar)
    assert verdict.integrity == "altered"
    assert "assertion.dataHash.mismatch" in verdict.reasons
    assert verdict_on("film.mkv", other, b"").integrity == "altered"
    assert verdict_on("film.mkv", other, b"not a manifest").integrity == "altered"


def test_unsigned_is_absent(clips: Path) -> None:
    for name in ("film.mp4", "film.mov", "film.mkv"):
        verdict = verify(clips / name)
        assert (verdict.integrity, verdict.signer) == ("absent", "unknown")
        assert "no provenance" in verdict.sentence()


def test_sidecar_named_as_other_tools_do(signed: Path, tmp_path: Path) -> None:
    shutil.copy(signed / "film.mkv", tmp_path / "film.mkv")
    shutil.copy(signed / "film.mkv.c2pa", tmp_path / "film.c2pa")
    assert verify(tmp_path / "film.mkv").integrity == "intact"
    # Now it may belong to either file, so it proves nothing about this one.
    (tmp_path / "film.avi").write_bytes(b"RIFF\0\0\0\0AVI ")
    assert verify(tmp_path / "film.avi").integrity == "absent"


def test_gif_is_checked_too(signed: Path, tmp_path: Path) -> None:
    film = tmp_path / "film.gif"
    with av.open(str(film), "w") as container:
        stream = container.add_stream("gif", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "rgb8"
        pixels = np.zeros((24, 32, 3), np.uint8)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    sign(film, details=DETAILS)
    assert verify(film).integrity == "intact"
    data = film.read_bytes()
    padding = data.index(b"\x63pad") + 100
    picture = range(len(data) - 40, len(data))
    for position in [*picture, *range(padding, padding + 900, 30)]:
        assert verdict_on("film.gif", flipped(data, position, 2), None).integrity == "altered"


def test_manifest_on_the_network_is_not_fetched(clips: Path, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    identity = install_identity()
    info = c2pa.C2paSignerInfo(identity.algorithm, identity.chain_pem, identity.key_pem, None)
    definition = {"assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [CREATED]}}]}
    with c2pa.Builder(definition) as builder, c2pa.Signer.from_info(info) as signer:
        builder.set_no_embed()
        builder.set_remote_url("https://manifests.invalid/film.c2pa")
        with (clips / "film.mp4").open("rb") as read, film.open("w+b") as written:
            builder.sign(signer, "video/mp4", read, written)
    verdict = verify(film)
    assert verdict.integrity == "absent"
    assert verdict.reasons == ("understudy.manifest.remote",)
    out = tmp_path / "out.mp4"
    sign(clips / "film.mp4", out, details=DETAILS, plate=film)
    assert verify(out).record["sources"][0]["manifest"] == "remote"


def test_words_of_a_stranger_can_not_steer_the_terminal(clips: Path, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    sign(clips / "film.mp4", film, details=MarkDetails(consent="yes\x1b[2J\nno" + "!" * 5000))
    verdict = verify(film)
    assert verdict.consent.startswith("yes\ufffd[2J\ufffdno!")
    assert len(verdict.consent) < 400


def test_own_key_becomes_known_through_the_trust_list(clips: Path, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    sign(clips / "film.mp4", film, details=DETAILS)
    assert verify(film).signer is SignerStatus.UNKNOWN
    trust_dir().mkdir(parents=True)
    (trust_dir() / "us.pem").write_bytes(root_pem(install_identity()))
    verdict = verify(film)
    assert (verdict.integrity, verdict.signer) == ("intact", "known")
    assert "signer known" in verdict.sentence()
    film.write_bytes(flipped(film.read_bytes(), -900, 3))
    altered = verify(film)
    assert (altered.integrity, altered.signer) == ("altered", "unknown")


def test_expired_certificate_doubts_the_signer_not_the_film(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "_LIFETIME", datetime.timedelta(seconds=5))
    film = tmp_path / "film.mp4"
    identity = install_identity()
    made = time.monotonic()
    sign(clips / "film.mp4", film, details=DETAILS, identity=identity)
    trust_dir().mkdir(parents=True)
    (trust_dir() / "us.pem").write_bytes(root_pem(identity))
    time.sleep(max(0.0, 6.0 - (time.monotonic() - made)))
    verdict = verify(film)
    assert (verdict.integrity, verdict.signer) == ("intact", "unknown")
    assert "signingCredential.expired" in verdict.reasons


def test_trust_in_another_root_is_no_trust_in_this_one(
    signed: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    root = root_pem(install_identity())
    trust_dir().mkdir(parents=True)
    (trust_dir() / "other.crt").write_bytes(root)
    verdict = verify(signed / "film.mp4")
    assert (verdict.integrity, verdict.signer) == ("intact", "unknown")
    assert verdict.reasons == ("signingCredential.untrusted",)


def test_damaged_trust_list_is_an_error(signed: Path) -> None:
    trust_dir().mkdir(parents=True)
    (trust_dir() / "bad.pem").write_text("no certificate")
    with pytest.raises(ProvenanceError, match=r"bad\.pem"):
        verify(signed / "film.mp4")


def test_bad_input_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"gone\.mp4"):
        verify(tmp_path / "gone.mp4")
    with pytest.raises(FileError, match="folder"):
        verify(tmp_path)
    (tmp_path / "film.mkv.c2pa").write_bytes(b"any")
    with pytest.raises(FormatError, match=r"stands beside \(film\.mkv\)"):
        verify(tmp_path / "film.mkv.c2pa")
    for name, data in (
        ("empty.mp4", b""),
        ("text.mp4", b"Call me Ishmael."),
        ("cut.mp4", b"\x00\x00\x00\x1cftypisom\x00\x00\x02\x00isomiso2"),
        ("cut.png", b"\x89PNG\r\n\x1a\n\x00\x00"),
    ):
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(FormatError, match=name):
            verify(path)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.sampled_from(
        [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"\x00\x00\x00\x10ftypisom", b"II*\x00"]
    ),
    st.binary(max_size=400),
)
def test_rubbish_never_crashes(start: bytes, rest: bytes) -> None:
    try:
        verdict = verdict_on("x.bin", start + rest, None)
    except FormatError:
        return
    assert verdict.integrity == "absent"
