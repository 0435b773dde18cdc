"""Faces as DFL keeps them: an aligned picture with its metadata inside.

Files in, `FaceSample` out, and back. Every variant DFL ever wrote is read; what is written, DFL can
read. The picture is decoded only when asked for, and a rewrite of metadata keeps its bytes. Knows
nothing of folders of faces. Source: reference "dfl-formats" sections 1 to 4 and 12.
"""

import io
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any  # metadata is of any type until it is checked

import cv2
import numpy as np

from understudy import files, safe_pickle
from understudy.errors import FormatError, OptionError, from_os_error
from understudy.facesets import containers
from understudy.types import FaceSample, FaceType, Image, Landmarks, Mask, Polygon

DEFAULT_QUALITY = 90
SIDECAR_SUFFIX = ".mask.png"

_SIDECAR_KEY = "understudy_mask"
_MAX_FACE_BYTES = 1 << 28
_DFL_MASK_LIMIT = 50_000
_KNOWN_KEYS = frozenset(
    {
        "face_type",
        "landmarks",
        "source_filename",
        "source_rect",
        "source_landmarks",
        "image_to_face_mat",
        "eyebrows_expand_mod",
        "seg_ie_polys",
        "xseg_mask",
        _SIDECAR_KEY,
    }
)


def read_face(path: Path | str) -> FaceSample:
    """The face in a JPEG or PNG file; its picture is read from the file anew whenever asked for.

    Raises:
        FileError: the file can't be read.
        FormatError: it is no face: no picture, no metadata, or metadata that makes no sense.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            header = containers.read_header(stream, path)
    except OSError as error:
        raise from_os_error(error, path, doing="read") from error
    return parse_face(
        header.payload,
        source=path,
        name=path.name,
        encoded=partial(files.read_bytes, path, limit=_MAX_FACE_BYTES),
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
    meta = safe_pickle.loads(payload, source=source) if payload else {}
    if not isinstance(meta, dict) or not meta or not all(isinstance(key, str) for key in meta):
        raise _bad(source, "a face with its metadata", "a picture without any")
    meta = {key: value for key, value in meta.items() if value is not None}
    box = meta.get("source_rect")
    points = meta.get("source_landmarks")
    matrix = meta.get("image_to_face_mat")
    mask = meta.get("xseg_mask")
    # A sidecar holds the exact mask as long as the copy in the file is the one made with it: DFL
    # may have put a newer one there.
    made_with = meta.get(_SIDECAR_KEY)
    if isinstance(made_with, int) and made_with == _fingerprint(mask):
        mask = _read_sidecar(sidecar, source)
    return FaceSample(
        load=partial(_decode_image, encoded, source),
        landmarks=_landmarks(meta.get("landmarks"), source),
        face_type=_face_type(meta.get("face_type", FaceType.FULL.value), source),
        source_name=_text(meta.get("source_filename"), source),
        source_box=None if box is None else _box(box, source),
        source_landmarks=None if points is None else _landmarks(points, source),
        frame_to_face=None if matrix is None else _numbers(matrix, (2, 3), source, "a matrix"),
        brow_expand=float(_numbers(meta.get("eyebrows_expand_mod", 1.0), (), source, "a factor")),
        polygons=_polygons(meta.get("seg_ie_polys", ()), source),
        mask=None if mask is None else _decode_mask(mask, source),
        extra={key: value for key, value in meta.items() if key not in _KNOWN_KEYS},
        encoded=encoded,
        name=name,
    )


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
    mask = None if sample.mask is None else _encode_mask(sample.mask)
    payload = safe_pickle.dumps(_metadata(sample, mask))
    in_sidecar = not as_png and mask is not None and len(payload) > containers.JPEG_PAYLOAD_LIMIT
    if in_sidecar and sample.mask is not None:
        payload = _payload_with_sidecar(sample, sample.mask)
    picture = _encoded_picture(sample, path, quality=quality, as_png=as_png)
    embed = containers.png_with_payload if as_png else containers.jpeg_with_payload
    data = embed(picture, payload, path)
    sidecar = sidecar_path(path)
    leaves_sidecar = not in_sidecar and _has_sidecar(path)
    if in_sidecar and mask is not None:
        files.write_bytes(sidecar, mask.tobytes(), durable=durable)
    files.write_bytes(path, data, durable=durable)
    if leaves_sidecar:
        _remove(sidecar)


def sidecar_path(path: Path) -> Path:
    """Where the mask of the face at `path` lies if it is too large for the file itself."""
    return path.with_name(path.stem + SIDECAR_SUFFIX)


def _has_sidecar(path: Path) -> bool:
    """Whether a mask lies beside the face that is at `path` now, and is its own."""
    if not sidecar_path(path).is_file() or not path.is_file():
        return False
    try:
        with path.open("rb") as stream:
            payload = containers.read_header(stream, path).payload
        meta = safe_pickle.loads(payload, source=path) if payload else None
    except FormatError:  # what is no face has no mask
        return False
    except OSError as error:
        raise from_os_error(error, path, doing="read") from error
    return isinstance(meta, dict) and _SIDECAR_KEY in meta


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise from_os_error(error, path, doing="write") from error


def _bad(source: Path | str, expected: str, found: str) -> FormatError:
    return FormatError(
        source,
        expected=expected,
        found=found,
        remedy="Extract this face again or remove the file.",
    )


def _numbers(value: Any, shape: tuple[int, ...], source: Path | str, what: str) -> Any:
    """`value` as finite float64 of exactly `shape`; -1 stands for any length."""
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError) as error:
        raise _bad(source, f"{what} of numbers", f"something else ({error})") from error
    fits = array.ndim == len(shape) and all(
        want in (-1, got) for want, got in zip(shape, array.shape, strict=True)
    )
    if not fits or not np.isfinite(array).all():
        found = f"one of shape {array.shape}" if not fits else "endless or undefined numbers"
        raise _bad(source, f"{what} of {shape} finite numbers", found)
    return array


def _landmarks(value: Any, source: Path | str) -> Landmarks:
    if value is None:
        raise _bad(source, "68 landmarks", "none")
    points: Landmarks = _numbers(value, (68, 2), source, "landmarks")
    return points


def _box(value: Any, source: Path | str) -> tuple[int, int, int, int]:
    left, top, right, bottom = (int(side) for side in _numbers(value, (4,), source, "a box"))
    return left, top, right, bottom


def _face_type(value: Any, source: Path | str) -> FaceType:
    names = [kind.value for kind in FaceType]
    if not isinstance(value, str) or value.lower() not in names:
        raise _bad(source, f"a face type out of {', '.join(names)}", repr(value)[:60])
    return FaceType(value.lower())


def _text(value: Any, source: Path | str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise _bad(source, "a file name as text", type(value).__name__)
    return value


def _polygons(value: Any, source: Path | str) -> tuple[Polygon, ...]:
    """Polygons in the order they are drawn: what includes first, then what cuts away."""
    entries = value.get("polys", ()) if isinstance(value, dict) else value
    pairs: list[tuple[Any, Any]] = []
    for entry in entries if isinstance(entries, (list, tuple)) else ():
        if isinstance(entry, dict):
            pairs.append((entry.get("type"), entry.get("pts")))
        elif isinstance(entry, (list, tuple)) and len(entry) == 2:
            pairs.append((entry[0], entry[1]))
        else:
            raise _bad(source, "polygons with a type and points", repr(entry)[:60])
    polygons = []
    for kind, points in pairs:
        if not isinstance(kind, (int, float, np.number)) or kind not in (0, 1):
            raise _bad(source, "polygons of type 0 or 1", f"type {repr(kind)[:20]}")
        if points is not None and np.size(points):
            outline = _numbers(points, (-1, 2), source, "a polygon")
            polygons.append(Polygon(bool(kind), outline.astype(np.float32)))
    return tuple(sorted(polygons, key=lambda polygon: not polygon.include))


def _decode_mask(value: Any, source: Path | str) -> Mask:
    if isinstance(value, bytes):
        data = value
    elif isinstance(value, np.ndarray) and value.dtype == np.uint8:
        data = value.tobytes()
    else:
        raise _bad(source, "a mask as PNG or JPEG bytes", type(value).__name__)
    containers.read_header(io.BytesIO(data), f"{source} (mask)")
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise _bad(source, "a mask as PNG or JPEG bytes", "bytes that are neither")
    return np.asarray(picture, np.float32) / np.float32(255)


def _encode_mask(mask: Mask, *, jpeg_quality: int | None = None) -> np.ndarray:
    levels = np.rint(np.clip(mask, 0.0, 1.0) * 255).astype(np.uint8)
    parameters = [] if jpeg_quality is None else [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality]
    buffer = cv2.imencode(".png" if jpeg_quality is None else ".jpg", levels, parameters)[1]
    return np.asarray(buffer, np.uint8).reshape(-1)


def _payload_with_sidecar(sample: FaceSample, mask: Mask) -> bytes:
    """Metadata with the best lossy copy of the mask that fits, or with none."""
    for quality in (100, 90, 75, 50, 25):
        copy = _encode_mask(mask, jpeg_quality=quality)
        meta = _metadata(sample, copy) | {_SIDECAR_KEY: _fingerprint(copy)}
        payload = safe_pickle.dumps(meta)
        if len(copy) <= _DFL_MASK_LIMIT and len(payload) <= containers.JPEG_PAYLOAD_LIMIT:
            return payload
    return safe_pickle.dumps(_metadata(sample, None) | {_SIDECAR_KEY: _fingerprint(None)})


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
    return files.read_bytes(sidecar, limit=_MAX_FACE_BYTES)


def _decode_image(encoded: Callable[[], bytes], source: Path | str) -> Image:
    data = encoded()
    containers.read_header(io.BytesIO(data), source)
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if picture is None:
        raise _bad(source, "a picture that can be decoded", "a damaged one")
    return np.asarray(picture[..., ::-1], np.float32) / np.float32(255)


def _encoded_picture(sample: FaceSample, path: Path, *, quality: int, as_png: bool) -> bytes:
    """File bytes of the picture: the ones there are, if they are of the kind wanted."""
    if sample.encoded is not None:
        data = sample.encoded()
        if containers.is_png(data) if as_png else containers.is_jpeg(data):
            return data
    levels = np.rint(np.clip(sample.image, 0.0, 1.0) * 255).astype(np.uint8)
    parameters = [] if as_png else [cv2.IMWRITE_JPEG_QUALITY, quality]
    parameters += [] if as_png else [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111]
    done, buffer = cv2.imencode(".png" if as_png else ".jpg", levels[..., ::-1], parameters)
    if not done:
        raise _bad(path, "a picture that can be encoded", f"one of shape {levels.shape}")
    return np.asarray(buffer).tobytes()


def _metadata(sample: FaceSample, mask: np.ndarray | None) -> dict[str, Any]:
    """The dict DFL expects, in the types it needs."""
    meta: dict[str, Any] = {
        "face_type": FaceType(sample.face_type).value,
        "landmarks": _nested(sample.landmarks),
        "source_filename": sample.source_name,
        "source_rect": None if sample.source_box is None else np.array(sample.source_box, np.int64),
        "source_landmarks": _nested(sample.source_landmarks),
        "image_to_face_mat": None
        if sample.frame_to_face is None
        else np.asarray(sample.frame_to_face, np.float64),
        "seg_ie_polys": _polygon_dict(sample.polygons),
        "xseg_mask": mask,
        "eyebrows_expand_mod": None if sample.brow_expand == 1.0 else float(sample.brow_expand),
    }
    known: Mapping[str, Any] = {key: value for key, value in meta.items() if value is not None}
    return dict(known) | {k: v for k, v in sample.extra.items() if k not in _KNOWN_KEYS}


def _nested(points: Landmarks | None) -> list[list[float]] | None:
    return None if points is None else [[float(x), float(y)] for x, y in points]


def _polygon_dict(polygons: Sequence[tuple[bool, np.ndarray]]) -> dict[str, Any] | None:
    if not polygons:
        return None
    entries = [
        {"type": int(include), "pts": np.asarray(points, np.float32)}
        for include, points in polygons
    ]
    return {"polys": entries}
