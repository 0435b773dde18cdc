"""Pictures survive the disk, and what is no picture is told in one line."""

import os
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from understudy.errors import FileError, FormatError, OptionError, StorageError
from understudy.media.images import (
    decode_pixels,
    encode_picture,
    list_images,
    list_unique_images,
    read_image,
    read_pixels,
    to_image,
    to_pixels,
    write_image,
    write_mask,
)
from understudy.media.picture_size import picture_size

sizes = st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3))
pictures = st.one_of(hnp.arrays(np.uint8, sizes), hnp.arrays(np.uint16, sizes))


@given(pictures, st.sampled_from([".png", ".tif"]))
@settings(max_examples=40, deadline=None)
def test_lossless_formats_give_back_every_pixel(picture: np.ndarray, suffix: str) -> None:
    back = decode_pixels(encode_picture(picture, suffix), "picture")
    assert back.dtype == picture.dtype
    np.testing.assert_array_equal(back, picture)


@given(pictures)
@settings(max_examples=40, deadline=None)
def test_pixels_to_image_and_back_is_exact(picture: np.ndarray) -> None:
    image = to_image(picture)
    assert image.dtype == np.float32
    np.testing.assert_array_equal(
        to_pixels(image, bit_depth=8 if picture.dtype == np.uint8 else 16), picture
    )


def test_to_pixels_rounds_and_clips() -> None:
    image = np.array([[[-0.5, 1.5, 0.4 / 255]], [[0.6 / 255, 1.0, 127.5 / 255]]], np.float32)
    np.testing.assert_array_equal(to_pixels(image), [[[0, 255, 0]], [[1, 255, 128]]])


def test_channels_are_red_green_blue(tmp_path: Path) -> None:
    for suffix in (".png", ".tif", ".jpg"):
        path = tmp_path / f"red{suffix}"
        write_image(path, np.full((16, 16, 3), (250, 40, 10), np.uint8))
        stored = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
        assert np.abs(stored[8, 8].astype(int) - (10, 40, 250)).max() <= 3
        assert np.abs(read_pixels(path)[8, 8].astype(int) - (250, 40, 10)).max() <= 3


@pytest.mark.parametrize("shape", [(12, 9), (12, 9, 4)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_grey_and_alpha_become_three_channels(shape: tuple[int, ...], kind: type) -> None:
    picture = np.random.default_rng(1).integers(0, np.iinfo(kind).max, shape).astype(kind)
    back = decode_pixels(cv2.imencode(".png", picture)[1].tobytes(), "picture")
    assert back.shape == (12, 9, 3)
    assert back.dtype == kind
    if len(shape) == 2:
        np.testing.assert_array_equal(back, np.repeat(picture[..., None], 3, 2))
    else:
        np.testing.assert_array_equal(back, picture[..., 2::-1])


def test_depth_can_be_changed_on_writing(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    picture = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    write_image(path, picture, bit_depth=16)
    np.testing.assert_array_equal(read_pixels(path), picture.astype(np.uint16) * 257)
    write_image(path, read_pixels(path), bit_depth=8)
    np.testing.assert_array_equal(read_pixels(path), picture)
    image = to_image(picture)
    write_image(path, image, bit_depth=16)
    np.testing.assert_array_equal(read_image(path), image)


def test_mask_is_a_grey_picture(tmp_path: Path) -> None:
    mask = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    path = tmp_path / "mask.png"
    write_mask(path, mask)
    stored = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    assert stored.shape == (8, 8)
    np.testing.assert_array_equal(stored, np.round(mask * 255).astype(np.uint8))


def test_orientation_tags_are_left_alone(tmp_path: Path) -> None:
    """DFL's landmarks count in stored pixels; a picture turned on reading would lose them."""
    jpeg = encode_picture(np.zeros((8, 20, 3), np.uint8), ".jpg")
    tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    exif = b"Exif\0\0" + tiff
    turned = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]
    assert cv2.imdecode(np.frombuffer(turned, np.uint8), cv2.IMREAD_COLOR).shape == (20, 8, 3)
    assert decode_pixels(turned, "turned").shape == (8, 20, 3)


@pytest.mark.parametrize("name", ["a b.png", "éà.jpg", "王小明 表情.png", "50%d.tif", "q'\"$.png"])
def test_any_name_can_be_read_and_written(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "脸 ü folder"
    folder.mkdir()
    write_image(folder / name, np.full((4, 4, 3), 128, np.uint8))
    assert read_pixels(folder / name).shape == (4, 4, 3)
    assert [path.name for path in list_images(folder)] == [name]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp", ".webp"])
def test_cut_off_pictures_are_refused(suffix: str) -> None:
    picture = cv2.GaussianBlur(
        np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8), (0, 0), 2
    )
    data = cv2.imencode(suffix, picture)[1].tobytes()
    assert picture_size(data) == (60, 80)
    assert decode_pixels(data, "whole").shape == (60, 80, 3)
    for keep in (0, 1, 10, 25, len(data) // 2, len(data) - 30):
        with pytest.raises(FormatError, match=r"^cut: expected a whole"):
            decode_pixels(data[:keep], "cut")


@given(
    st.binary(max_size=200), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0"])
)
@settings(max_examples=60, deadline=None)
def test_garbage_is_refused(data: bytes, head: bytes) -> None:
    with pytest.raises(FormatError):
        decode_pixels(head + data, "garbage")


def test_absurd_sizes_are_refused_before_decoding() -> None:
    data = bytearray(encode_picture(np.zeros((4, 4, 3), np.uint8), ".png"))
    struct.pack_into(">II", data, 16, 60_000, 60_000)
    with pytest.raises(FormatError, match="60000x60000"):
        decode_pixels(bytes(data), "bomb.png")


def test_missing_and_wrong_things_are_told(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="nothing"):
        read_pixels(tmp_path / "none.png")
    with pytest.raises(FileError, match="folder"):
        read_pixels(tmp_path)
    with pytest.raises(FileError, match="nothing"):
        list_images(tmp_path / "none")
    with pytest.raises(OptionError, match="png"):
        write_image(tmp_path / "x.xyz", np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(OptionError, match="16 bits"):
        write_image(tmp_path / "x.jpg", np.zeros((2, 2, 3), np.uint16))
    with pytest.raises(OptionError, match="70000x1"):
        write_image(tmp_path / "x.jpg", np.zeros((1, 70_000, 3), np.uint8))
    assert not list(tmp_path.iterdir())
    with pytest.raises(FileError, match="nothing"):
        write_image(tmp_path / "no folder" / "x.png", np.zeros((2, 2, 3), np.uint8))


def test_listing_follows_the_old_order(tmp_path: Path) -> None:
    names = [
        "2.png",
        "10.png",
        "10.jpg",
        "B.JPEG",
        "a.TIF",
        "clip.mp4",
        "note.txt",
        ".x.partial.png",
    ]
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    listed = [path.name for path in list_images(tmp_path)]
    assert listed == ["10.jpg", "10.png", "2.png", "B.JPEG", "a.TIF"]
    unique = list_unique_images(tmp_path)
    assert [path.name for path in unique.paths] == ["10.jpg", "2.png", "B.JPEG", "a.TIF"]
    assert [path.name for path in unique.shadowed] == ["10.png"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_folder_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="permission"):
        write_image(tmp_path / "x.png", np.zeros((2, 2, 3), np.uint8))


def test_real_pictures_open(shared: Path) -> None:
    for path in list_images(shared / "media"):
        pixels = read_pixels(path)
        assert picture_size(path.read_bytes()) == pixels.shape[:2]
