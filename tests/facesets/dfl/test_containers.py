"""Metadata in JPEG and PNG files: where it goes, and that nothing else moves."""

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.errors import FormatError
from understudy.facesets.dfl.containers import (
    JPEG_PAYLOAD_LIMIT,
    jpeg_with_payload,
    png_with_payload,
    read_header,
)


def _encode(suffix: str, *parameters: int) -> bytes:
    picture = np.random.default_rng(3).integers(0, 255, (40, 56, 3), np.uint8)
    return bytes(cv2.imencode(suffix, picture, parameters)[1])


JPEG = _encode(".jpg")
PROGRESSIVE = _encode(".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
RESTARTS = _encode(".jpg", cv2.IMWRITE_JPEG_RST_INTERVAL, 2)
PNG = _encode(".png")
KINDS = {"jpeg": JPEG, "progressive": PROGRESSIVE, "restarts": RESTARTS}


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def _pixels(jpeg: bytes) -> bytes:
    return jpeg[jpeg.index(b"\xff\xda") :]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20, deadline=None)
@given(payload=st.binary(min_size=1, max_size=JPEG_PAYLOAD_LIMIT))
def test_a_jpeg_keeps_its_pixels_and_gives_the_payload_back(kind: str, payload: bytes) -> None:
    jpeg = KINDS[kind]
    written = jpeg_with_payload(jpeg, payload, "x")
    header = read_header(io.BytesIO(written), "x")
    assert header.payload == payload and header.shape_hw == (40, 56)
    # Whatever the payload's bytes look like, only its segment was added, right after APP0.
    end_of_app0 = 20
    segment = _segment(0xEF, payload)
    assert written == jpeg[:end_of_app0] + segment + jpeg[end_of_app0:]
    assert jpeg_with_payload(written, b"new", "x") == jpeg_with_payload(jpeg, b"new", "x")


def test_the_payload_follows_the_last_application_segment() -> None:
    exif = JPEG[:20] + _segment(0xE1, b"Exif\0\0data") + _segment(0xFE, b"comment") + JPEG[20:]
    written = jpeg_with_payload(exif, b"payload", "x")
    at = written.index(_segment(0xEF, b"payload"))
    assert written[:at].endswith(b"Exif\0\0data")
    bare = jpeg_with_payload(JPEG[:2] + JPEG[20:], b"payload", "x")
    assert bare.startswith(b"\xff\xd8" + _segment(0xEF, b"payload"))


def test_the_last_of_several_payloads_counts_and_all_are_replaced() -> None:
    double = JPEG[:20] + _segment(0xEF, b"first") + _segment(0xEF, b"last") + JPEG[20:]
    assert read_header(io.BytesIO(double), "x").payload == b"last"
    assert jpeg_with_payload(double, b"new", "x") == jpeg_with_payload(JPEG, b"new", "x")


def test_fill_bytes_and_bytes_after_the_end_go() -> None:
    messy = JPEG[:20] + b"\xff\xff" + JPEG[20:] + b"trailing \xff\xd8 bytes"
    assert jpeg_with_payload(messy, b"new", "x") == jpeg_with_payload(JPEG, b"new", "x")


def test_a_payload_too_long_for_a_jpeg_is_refused() -> None:
    with pytest.raises(FormatError, match=r"65533.*65534"):
        jpeg_with_payload(JPEG, bytes(JPEG_PAYLOAD_LIMIT + 1), "face.jpg")


@settings(max_examples=20, deadline=None)
@given(st.binary(min_size=1, max_size=200_000))
def test_a_png_keeps_its_pixels_and_gives_the_payload_back(payload: bytes) -> None:
    written = png_with_payload(PNG, payload, "x")
    header = read_header(io.BytesIO(written), "x")
    assert header.payload == payload and header.shape_hw == (40, 56)
    chunk = struct.pack(">I", len(payload)) + b"fcWp" + payload
    chunk += struct.pack(">I", zlib.crc32(b"fcWp" + payload))
    assert written == PNG[:-12] + chunk + PNG[-12:]
    assert png_with_payload(written, b"new", "x") == png_with_payload(PNG, b"new", "x")
    decoded = cv2.imdecode(np.frombuffer(written, np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(
        decoded, cv2.imdecode(np.frombuffer(PNG, np.uint8), cv2.IMREAD_COLOR)
    )


def test_cut_pictures_are_errors() -> None:
    for data, embed in ((JPEG, jpeg_with_payload), (PNG, png_with_payload)):
        for end in [*range(0, 700, 7), len(data) - 1]:
            with pytest.raises(FormatError, match="face"):
                embed(data[:end], b"payload", "face")
    for end in range(len(JPEG) - len(_pixels(JPEG))):
        with pytest.raises(FormatError):
            read_header(io.BytesIO(JPEG[:end]), "face")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GIF89a",
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8\xff\xe0\x00\x01",
        b"\xff\xd8" + _segment(0xC0, b"\x08\xff\xff\xff\xff\x03") + b"\xff\xda",
        b"\xff\xd8" + _segment(0xC0, b"\x08\0\0\0\0\x03") + b"\xff\xda",
        PNG[:16] + struct.pack(">II", 1 << 30, 1 << 30) + PNG[24:],
        PNG[:40] + b"\xff\xff\xff\xff" + PNG[44:],
    ],
)
def test_what_is_no_picture_of_sane_size_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        read_header(io.BytesIO(data), "x")


def test_golden_segments_are_where_the_predecessor_puts_them(shared: Path) -> None:
    for name in ("aligned/00001_0.jpg", "special/progressive_0.jpg"):
        data = (shared / "golden/files" / name).read_bytes()
        payload = read_header(io.BytesIO(data), name).payload
        assert payload
        assert jpeg_with_payload(data, payload, name) == data
