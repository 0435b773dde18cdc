"""Pictures on disk: reading, writing, listing.

Files in, RGB arrays out, and back. `read_image` gives the Image every room works on; `read_pixels`
keeps the file's own 8 or 16 bits for callers that must not convert a whole plate. Colour profiles
and EXIF orientation are not applied: landmarks of a DFL user's facesets count in stored pixels.
Knows nothing of faces or clips.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float32, UInt8, UInt16

from understudy.errors import FormatError, OptionError, from_os_error
from understudy.files import read_bytes, write_bytes
from understudy.media.decoded import EXR, decode_picture
from understudy.media.picture_size import picture_size
from understudy.types import Image, Mask

Pixels = UInt8[np.ndarray, "h w 3"] | UInt16[np.ndarray, "h w 3"]
"""RGB in the stored number of bits, display-encoded."""

IMAGE_SUFFIXES = ("jpg", "jpeg", "png", "tif", "tiff")
"""Endings of the files that count as pictures in a folder by DFL's rule; all can be written."""

LISTED_SUFFIXES = (*IMAGE_SUFFIXES, "exr")
"""Those, and one DFL does not know."""

MAX_PIXELS = 400_000_000
MAX_BYTES = 4 << 30

_READ = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION

# Level 1, default strategy, row filter "up": on 1080p film frames with grain 8 % smaller than the
# codec's own default for 8 % more time to write and none to read; level 3 costs three times the
# time for another 5 %. Rows of film differ least from the row above.
_PNG = (
    *(cv2.IMWRITE_PNG_COMPRESSION, 1),
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_DEFAULT),
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP),
)

# A broken picture is told once, as our error, not as lines of the codec on the terminal.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def read_pixels(path: Path) -> Pixels:
    """The picture as stored: RGB, uint8 or uint16; grey becomes three channels, alpha is dropped.

    Of OpenEXR, which holds floats, 0..1 in 16 bits: enough to look at; `read_plate` gives all.

    Raises:
        FileError: it can't be read.
        FormatError: it is no picture, is cut off or damaged, or is absurdly large.
    """
    return decode_pixels(read_bytes(path, limit=MAX_BYTES), path)


def read_image(path: Path) -> Image:
    """The picture as an Image.

    Raises:
        FileError: it can't be read.
        FormatError: it is no picture, is cut off or damaged, or is absurdly large.
    """
    return to_image(read_pixels(path))


def decode_pixels(data: bytes, name: str | Path) -> Pixels:
    """Pixels of an encoded picture; `name` is what an error calls it.

    Raises:
        FormatError: it is no picture, is cut off or damaged, or is absurdly large.
    """
    if data.startswith(EXR):
        floats = decode_picture(data, "exr", name)[..., :3].astype(np.float32)
        shown = np.nan_to_num(np.clip(floats, 0, 1))
        return to_pixels(shown if shown.shape[2] == 3 else shown.repeat(3, axis=2), bit_depth=16)
    swapped: Pixels = cv2.cvtColor(decode_stored(data, name, flags=_READ), cv2.COLOR_BGR2RGB)
    return swapped


def decode_stored(data: bytes, name: str | Path, *, flags: int) -> np.ndarray:
    """What OpenCV makes of an encoded picture by these flags: BGR, 8 or 16 bits.

    Raises:
        FormatError: it is no picture, is cut off or damaged, or is absurdly large.
    """
    size = picture_size(data)
    if size is None:
        raise _no_picture(name, f"{len(data)} bytes that are none")
    if not 0 < size[0] * size[1] <= MAX_PIXELS:
        raise FormatError(
            name,
            expected=f"a picture of 1 to {MAX_PIXELS // 10**6} million pixels",
            found=f"one that says it is {size[1]}x{size[0]}",
            remedy="Replace it, or scale it down first.",
        )
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise _no_picture(name, f"a damaged one ({_first_line(error)})") from error
    if pixels is None:
        raise _no_picture(name, "a damaged or cut-off one")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise FormatError(
            name,
            expected="a picture of 8 or 16 bits per channel",
            found=f"one of type {pixels.dtype}",
            remedy="Convert it to 16-bit PNG or TIFF first.",
        )
    return np.asarray(pixels)


def to_image(pixels: Pixels) -> Image:
    """Image of stored pixels: their numbers over the largest they can hold."""
    image: Image = np.divide(pixels, np.float32(np.iinfo(pixels.dtype).max), dtype=np.float32)
    return image


def to_pixels(
    image: Float32[np.ndarray, "h w c"], *, bit_depth: Literal[8, 16] = 8
) -> UInt8[np.ndarray, "h w c"] | UInt16[np.ndarray, "h w c"]:
    """Stored form of an Image, rounded to nearest; what lies outside 0..1 is clipped."""
    kind, largest = (np.uint8, 255) if bit_depth == 8 else (np.uint16, 65535)
    scaled = image * np.float32(largest)
    scaled += np.float32(0.5)
    np.clip(scaled, 0, largest, out=scaled)
    return scaled.astype(kind)


def write_image(
    path: Path,
    picture: Pixels | Image,
    *,
    bit_depth: Literal[8, 16] | None = None,
    jpeg_quality: int = 95,
    durable: bool = False,
) -> None:
    """Put the picture at `path`, whole or not at all, in the format of the path's ending.

    `bit_depth` None keeps what the array has (an Image: 8). `durable` waits for the disk; frames
    can be made again, so it is off.

    Raises:
        StorageError: the disk is full or the folder can't be written.
        OptionError: the ending is unknown, or its format can't hold the size or the 16 bits.
    """
    data = encode_picture(picture, path.suffix, bit_depth=bit_depth, jpeg_quality=jpeg_quality)
    write_bytes(path, data, durable=durable)


def write_mask(
    path: Path, mask: Mask, *, bit_depth: Literal[8, 16] = 8, durable: bool = False
) -> None:
    """Put the mask at `path` as a grey picture (PNG or TIFF), whole or not at all.

    Raises:
        StorageError: the disk is full or the folder can't be written.
        OptionError: the ending is unknown.
    """
    ending = _checked_ending(path.suffix)
    pixels = to_pixels(mask[..., None], bit_depth=bit_depth)
    settings = _PNG if ending == "png" else ()
    write_bytes(path, _encoded(pixels, ending, settings), durable=durable)


def encode_picture(
    picture: Pixels | Image,
    suffix: str,
    *,
    bit_depth: Literal[8, 16] | None = None,
    jpeg_quality: int = 95,
) -> bytes:
    """Encoded bytes of a picture; `suffix` (".png", ".jpg", ".tif") names the format.

    Raises:
        OptionError: the format is unknown, or can't hold the size or the 16 bits.
    """
    ending = _checked_ending(suffix)
    pixels = _at_depth(picture, bit_depth)
    settings: tuple[int, ...] = ()
    if ending == "png":
        settings = _PNG
    elif ending in ("jpg", "jpeg"):
        if pixels.dtype != np.uint8:
            raise OptionError(
                "picture format",
                expected="a format that holds 16 bits: png, tif",
                found=repr(suffix),
                remedy="Write PNG, or ask for 8 bits.",
            )
        settings = (cv2.IMWRITE_JPEG_QUALITY, jpeg_quality)
    return _encoded(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), ending, settings)


@dataclass(frozen=True, slots=True)
class ImageList:
    """Pictures of a folder in DFL's order, and those left out because their stem came before."""

    paths: tuple[Path, ...]
    shadowed: tuple[Path, ...]


def list_images(folder: Path) -> list[Path]:
    """Pictures directly in the folder, sorted by full path as plain text (10.png before 2.png).

    Raises:
        FileError: the folder can't be read.
    """
    try:
        found = [path for path in _files(folder) if path.name.lower().endswith(LISTED_SUFFIXES)]
    except OSError as error:
        raise from_os_error(error, folder, doing="read") from error
    return sorted(found, key=str)


def list_unique_images(folder: Path) -> ImageList:
    """As `list_images`, each stem once: faces are named after it, so `a.png` hides `a.tif`.

    Raises:
        FileError: the folder can't be read.
    """
    first: dict[str, Path] = {}
    shadowed = []
    for path in list_images(folder):
        if first.setdefault(path.stem, path) is not path:
            shadowed.append(path)
    return ImageList(tuple(first.values()), tuple(shadowed))


def _files(folder: Path) -> Iterator[Path]:
    # Our own half-written files are hidden and of the same endings; no one lists them.
    return (p for p in folder.iterdir() if not p.name.startswith(".") and p.is_file())


def _checked_ending(suffix: str) -> str:
    ending = suffix.lower().removeprefix(".")
    if ending not in IMAGE_SUFFIXES:
        raise OptionError(
            "picture format",
            expected=", ".join(IMAGE_SUFFIXES),
            found=repr(suffix),
            remedy="Choose one of these endings.",
        )
    return ending


def _encoded(pixels: np.ndarray, ending: str, settings: tuple[int, ...]) -> bytes:
    done, data = cv2.imencode(f".{ending}", pixels, settings)
    if not done:
        raise OptionError(
            "picture format",
            expected=f"a picture that {ending} can hold",
            found=f"one of {pixels.shape[1]}x{pixels.shape[0]}",
            remedy="Write PNG, which holds larger ones.",
        )
    return np.asarray(data).tobytes()


def _at_depth(picture: Pixels | Image, bit_depth: Literal[8, 16] | None) -> Pixels:
    if picture.dtype == np.float32:
        return to_pixels(picture, bit_depth=bit_depth or 8)
    if bit_depth == 8 and picture.dtype == np.uint16:
        return ((picture.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    if bit_depth == 16 and picture.dtype == np.uint8:
        return picture.astype(np.uint16) * 257
    return picture


def _no_picture(name: str | Path, found: str) -> FormatError:
    return FormatError(
        name,
        expected="a whole PNG, JPEG, TIFF, BMP or WebP picture",
        found=found,
        remedy="Replace it or take it out of the folder.",
    )


def _first_line(error: cv2.error) -> str:
    return str(error).strip().splitlines()[0][-120:]
