"""Faces as DFL keeps them: an aligned picture with its metadata inside.

Files in, `FaceSample` out, and back. Every variant DFL ever wrote is read; what is written, DFL can
read. The picture is decoded only when asked for, and a rewrite of metadata keeps its bytes. Knows
nothing of folders of faces. Source: reference "dfl-formats" sections 1 to 4 and 12.
"""

import io
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any  # metadata is of any type until it is checked

import cv2
import numpy as np

from understudy import files, safe_pickle
from understudy.errors import FormatError, OptionError, from_os_error
from understudy.facesets.dfl import containers
from understudy.facesets.dfl.metadata import (
    SIDECAR_KEY,
    Metadata,
    bad_face,
    encode_mask,
    from_sample,
    read_metadata,
    stored_mask,
    to_sample,
)
from understudy.types import FaceSample, Image, Mask

DEFAULT_QUALITY = 90
SIDECAR_SUFFIX = ".mask.png"
MAX_FACE_BYTES = 1 << 28

_DFL_MASK_LIMIT = 50_000


def read_face(path: Path | str) -> FaceSample:
    """The face in a JPEG or PNG file; its picture is read from the file anew whenever asked for.

    Raises:
        FileError: the file can't be read.
        FormatError: it is no face: no picture, no metadata, or metadata that makes no sense.
    """
    path = Path(path)
    return parse_face(
        read_file_header(path).payload,
        source=path,
        name=path.name,
        encoded=partial(files.read_bytes, path, limit=MAX_FACE_BYTES),
        sidecar=sidecar_path(path),
    )


def parse_face(
    payload: bytes | None,
    *,
    source: Path | str,
    name: str,
    encoded: Callable[[], bytes],
    sidecar: Path | None = None,
) -> FaceSample:
    """The face that `payload` describes; `encoded` gives the bytes of its picture file.

    Raises:
        FormatError: the metadata is missing or makes no sense; the error names `source`.
    """
    meta = _with_sidecar(read_metadata(payload, source, compact=True), sidecar, source)
    load = partial(_decode_image, encoded, source)
    return to_sample(meta, source=source, load=load, name=name, encoded=encoded)


def write_face(
    path: Path | str, sample: FaceSample, *, quality: int = DEFAULT_QUALITY, durable: bool = True
) -> None:
    """Put `sample` into a `.jpg`, or losslessly into a `.png`, whole or not at all.

    A face that was encoded before keeps its pixels byte for byte. A mask too large for a JPEG's
    metadata goes to `<stem>.mask.png` beside it, where `read_face` finds it; the face itself keeps
    a lossy copy for DFL. `durable` waits for the disk.

    Raises:
        FormatError: the metadata does not fit even without the mask; nothing was touched.
        OptionError: another ending than .jpg, .jpeg or .png.
        StorageError: the file can't be written.
    """
    path = Path(path)
    as_png = path.suffix.lower() == ".png"
    if not as_png and path.suffix.lower() not in (".jpg", ".jpeg"):
        raise OptionError(
            path,
            expected="a face file ending in .jpg or .png",
            found=repr(path.suffix),
            remedy="Choose one of these endings.",
        )
    before = None if sample.encoded is None else sample.encoded()
    picture = _encoded_picture(sample, before, path, quality=quality, as_png=as_png)
    _put(path, sample, picture, stored=_stored(before, path), durable=durable)


def replace_metadata(
    path: Path | str, sample: FaceSample, *, stored: Metadata, durable: bool = True
) -> None:
    """Give the picture at `path` the metadata of `sample`; its pixels keep their bytes.

    `stored` is the dict the sample came from: what did not change keeps its form.

    Raises:
        FileError: the file can't be read.
        FormatError: it is no picture, or the metadata do not fit; nothing was touched.
        StorageError: the file can't be written.
    """
    path = Path(path)
    _put(path, sample, files.read_bytes(path, limit=MAX_FACE_BYTES), stored=stored, durable=durable)


def full_metadata(path: Path | str) -> Metadata:
    """All that the face at `path` holds, points as arrays; a mask beside it is taken in.

    Raises:
        FileError: the file can't be read.
        FormatError: it is no face.
    """
    path = Path(path)
    meta = read_metadata(read_file_header(path).payload, path, compact=True)
    return _with_sidecar(meta, sidecar_path(path), path)


def picture_shape(sample: FaceSample) -> tuple[int, int]:
    """(height, width) of a face's picture, decoded only if there is no file to ask.

    Raises:
        FileError: the file can't be read.
        FormatError: it is no JPEG or PNG.
    """
    if sample.encoded is None:
        height, width = sample.image.shape[:2]
        return height, width
    name = sample.name or "face"
    return containers.read_header(io.BytesIO(sample.encoded()), name).shape_hw


def read_file_header(path: Path) -> containers.Header:
    """What stands before the pixels of a picture file.

    Raises:
        FileError: the file can't be read.
        FormatError: it is no JPEG or PNG.
    """
    try:
        with path.open("rb") as stream:
            return containers.read_header(stream, path)
    except OSError as error:
        raise from_os_error(error, path, doing="read") from error


def sidecar_path(path: Path) -> Path:
    """Where the mask of the face at `path` lies if it is too large for the file itself."""
    return path.with_name(path.stem + SIDECAR_SUFFIX)


def _put(
    path: Path, sample: FaceSample, picture: bytes, *, stored: Metadata, durable: bool
) -> None:
    """Write `picture` with the metadata of `sample` in it, and the mask beside it if it must."""
    as_png = containers.is_png(picture)
    mask = stored_mask(sample, stored, path)
    if mask is None and sample.mask is not None:
        mask = encode_mask(sample.mask)
    payload = safe_pickle.dumps(from_sample(sample, mask=mask, stored=stored))
    beside = None
    if not as_png and len(payload) > containers.JPEG_PAYLOAD_LIMIT and sample.mask is not None:
        beside = encode_mask(sample.mask).tobytes()
        payload = _payload_with_sidecar(sample, sample.mask, stored)
    embed = containers.png_with_payload if as_png else containers.jpeg_with_payload
    data = embed(picture, payload, path)
    leaves_sidecar = beside is None and _has_sidecar(path)
    if beside is not None:
        files.write_bytes(sidecar_path(path), beside, durable=durable)
    files.write_bytes(path, data, durable=durable)
    if leaves_sidecar:
        files.remove_files([sidecar_path(path)])


def _stored(before: bytes | None, path: Path) -> Metadata:
    """The dict in the file a face came from."""
    if before is None:
        return {}
    try:
        return read_metadata(containers.read_header(io.BytesIO(before), path).payload, path)
    except FormatError:  # a picture that was no face yet
        return {}


def _has_sidecar(path: Path) -> bool:
    """Whether a mask lies beside the face that is at `path` now, and is its own."""
    if not sidecar_path(path).is_file() or not path.is_file():
        return False
    try:
        return SIDECAR_KEY in read_metadata(read_file_header(path).payload, path)
    except FormatError:  # what is no face has no mask
        return False


def _with_sidecar(meta: Metadata, sidecar: Path | None, source: Path | str) -> Metadata:
    """The metadata with their exact mask, wherever it lies.

    A sidecar holds it as long as the copy in the file is the one made with it: DFL may have put a
    newer one there.
    """
    made_with = meta.pop(SIDECAR_KEY, None)
    if isinstance(made_with, int) and made_with == _fingerprint(meta.get("xseg_mask")):
        meta["xseg_mask"] = np.frombuffer(_read_sidecar(sidecar, source), np.uint8)
    return meta


def _payload_with_sidecar(sample: FaceSample, mask: Mask, stored: Metadata) -> bytes:
    """Metadata with the best lossy copy of the mask that fits, or with none."""
    for quality in (100, 90, 75, 50, 25):
        copy = encode_mask(mask, jpeg_quality=quality)
        meta = from_sample(sample, mask=copy, stored=stored) | {SIDECAR_KEY: _fingerprint(copy)}
        payload = safe_pickle.dumps(meta)
        if len(copy) <= _DFL_MASK_LIMIT and len(payload) <= containers.JPEG_PAYLOAD_LIMIT:
            return payload
    meta = from_sample(sample, mask=None, stored=stored)
    return safe_pickle.dumps(meta | {SIDECAR_KEY: _fingerprint(None)})


def _fingerprint(mask: Any) -> int:
    data = mask.tobytes() if isinstance(mask, np.ndarray) else mask
    return zlib.crc32(data) if isinstance(data, bytes) else 0


def _read_sidecar(sidecar: Path | None, source: Path | str) -> bytes:
    if sidecar is None or not sidecar.is_file():
        expected = "the file with its mask" if sidecar is None else f"its mask in {sidecar.name}"
        raise FormatError(
            source,
            expected=expected,
            found="none",
            remedy="Put it back beside the face; the two belong together.",
        )
    return files.read_bytes(sidecar, limit=MAX_FACE_BYTES)


def _decode_image(encoded: Callable[[], bytes], source: Path | str) -> Image:
    data = encoded()
    containers.check_whole(data, source)
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if picture is None:
        raise bad_face(source, "a picture that can be decoded", "a damaged one")
    image = np.ascontiguousarray(picture[..., ::-1], np.float32)
    image /= np.float32(255)
    return image


def _encoded_picture(
    sample: FaceSample, before: bytes | None, path: Path, *, quality: int, as_png: bool
) -> bytes:
    """File bytes of the picture: the ones there are, if they are of the kind wanted."""
    if before is not None and (containers.is_png(before) if as_png else containers.is_jpeg(before)):
        return before
    levels = np.rint(np.clip(sample.image, 0.0, 1.0) * 255).astype(np.uint8)
    parameters = [] if as_png else [cv2.IMWRITE_JPEG_QUALITY, quality]
    parameters += [] if as_png else [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111]
    done, buffer = cv2.imencode(".png" if as_png else ".jpg", levels[..., ::-1], parameters)
    if not done:
        raise bad_face(path, "a picture that can be encoded", f"one of shape {levels.shape}")
    return np.asarray(buffer).tobytes()
