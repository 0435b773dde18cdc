"""What a face's metadata mean: DFL's dict in, typed fields out, and back.

A dict as the file holds it becomes a `FaceSample`, checked value by value; a sample becomes the
dict that DFL reads, in the types it needs. What a rewrite does not change keeps the form it was
stored in (order of polygons, the bytes of a mask), and keys we don't know stay. Knows no files and
no pictures. Source: reference "dfl-formats" sections 1 to 4 and 12.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any  # metadata are of any type until they are checked

import cv2
import numpy as np

from understudy import safe_pickle
from understudy.errors import FormatError
from understudy.facesets.dfl import containers
from understudy.types import FaceSample, FaceType, Image, Landmarks, Mask, Polygon

Metadata = dict[str, Any]
"""Metadata as a file holds them."""

SIDECAR_KEY = "understudy_mask"
"""Checksum of the copy in the file of a mask that lies beside it; DFL passes over this key."""

_LARGEST = 1e15  # no coordinate is larger, and integers up to it are exact
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
        SIDECAR_KEY,
    }
)


def read_metadata(payload: bytes | None, source: Path | str, *, compact: bool = False) -> Metadata:
    """The dict in a face's payload, without the keys that have no value.

    `compact` reads landmarks as arrays, three times as fast; keys we don't know keep their form.

    Raises:
        FormatError: there is none, or it is not a dict of names.
    """
    meta = safe_pickle.loads(payload, source=source, compact=compact) if payload else {}
    checked = checked_metadata(meta, source)
    return read_metadata(payload, source) if compact and checked.keys() - _KNOWN_KEYS else checked


def checked_metadata(meta: Any, source: Path | str) -> Metadata:
    """`meta` as a dict of names, without the keys that have no value.

    Raises:
        FormatError: it is none, or empty.
    """
    if not isinstance(meta, dict) or not meta or not all(isinstance(key, str) for key in meta):
        raise bad_face(source, "a face with its metadata", "a picture without any")
    return {key: value for key, value in meta.items() if value is not None}


def to_sample(
    meta: Metadata,
    *,
    source: Path | str,
    load: Callable[[], Image],
    name: str | None = None,
    encoded: Callable[[], bytes] | None = None,
) -> FaceSample:
    """The face that `meta` describes; `load` and `encoded` give its picture.

    Raises:
        FormatError: the metadata make no sense; the error names `source`.
    """
    box, points = meta.get("source_rect"), meta.get("source_landmarks")
    matrix, mask = meta.get("image_to_face_mat"), meta.get("xseg_mask")
    return FaceSample(
        load=load,
        landmarks=_landmarks(meta.get("landmarks"), source),
        face_type=_face_type(meta.get("face_type", FaceType.FULL.value), source),
        source_name=_text(meta.get("source_filename"), source),
        source_box=None if box is None else _box(box, source),
        source_landmarks=None if points is None else _landmarks(points, source),
        frame_to_face=None if matrix is None else _numbers(matrix, (2, 3), source, "a matrix"),
        brow_expand=float(_numbers(meta.get("eyebrows_expand_mod", 1.0), (), source, "a factor")),
        polygons=_polygons(meta.get("seg_ie_polys", ()), source),
        mask=None if mask is None else decode_mask(mask, source),
        extra={key: value for key, value in meta.items() if key not in _KNOWN_KEYS},
        encoded=encoded,
        name=name,
    )


def from_sample(
    sample: FaceSample, *, mask: np.ndarray | None, stored: Mapping[str, Any]
) -> Metadata:
    """The dict DFL expects, in the types it needs; `mask` is the sample's, encoded.

    A value that `stored`, the dict the sample came from, holds already keeps its form and place.
    """
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
    meta |= _kept_forms(sample, stored)
    meta |= {key: value for key, value in sample.extra.items() if key not in _KNOWN_KEYS}
    places = {key: None for key in stored if key in meta}
    return {key: value for key, value in (places | meta).items() if value is not None}


def scaled(sample: FaceSample, *, across: float, down: float) -> FaceSample:
    """The face after its picture was resized by these factors.

    Points are multiplied and nothing else, as alignment to another size does. The mask has a size
    of its own and stays.
    """
    factors = np.array([across, down])
    matrix = sample.frame_to_face
    return replace(
        sample,
        landmarks=sample.landmarks * factors,
        polygons=tuple(
            Polygon(include, (points * factors).astype(np.float32))
            for include, points in sample.polygons
        ),
        frame_to_face=None if matrix is None else matrix * factors[:, None],
    )


def decode_mask(value: Any, source: Path | str) -> Mask:
    """The mask in PNG or JPEG bytes.

    Raises:
        FormatError: they are neither, or of absurd size.
    """
    if isinstance(value, bytes):
        data = value
    elif isinstance(value, np.ndarray) and value.dtype == np.uint8:
        data = value.tobytes()
    else:
        raise bad_face(source, "a mask as PNG or JPEG bytes", type(value).__name__)
    containers.read_header(io.BytesIO(data), f"{source} (mask)")
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise bad_face(source, "a mask as PNG or JPEG bytes", "bytes that are neither")
    return np.asarray(picture, np.float32) / np.float32(255)


def encode_mask(mask: Mask, *, jpeg_quality: int | None = None) -> np.ndarray:
    """The mask as PNG bytes, or as JPEG ones of a quality."""
    levels = np.rint(np.clip(mask, 0.0, 1.0) * 255).astype(np.uint8)
    parameters = [] if jpeg_quality is None else [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality]
    buffer = cv2.imencode(".png" if jpeg_quality is None else ".jpg", levels, parameters)[1]
    return np.asarray(buffer, np.uint8).reshape(-1)


def stored_mask(sample: FaceSample, stored: Mapping[str, Any], source: Path | str) -> Any:
    """The bytes `stored` holds of the very mask that `sample` has, or None."""
    value = stored.get("xseg_mask")
    if value is None or sample.mask is None or SIDECAR_KEY in stored:
        return None
    try:
        same = np.array_equal(decode_mask(value, source), sample.mask)
    except FormatError:  # what was stored is damaged and goes
        return None
    # DFL's decoder takes arrays only.
    data = np.frombuffer(value, np.uint8) if isinstance(value, bytes) else value
    return data if same else None


def bad_face(source: Path | str, expected: str, found: str) -> FormatError:
    """The error for a face file that makes no sense."""
    return FormatError(
        source,
        expected=expected,
        found=found,
        remedy="Extract this face again or remove the file.",
    )


def _kept_forms(sample: FaceSample, stored: Mapping[str, Any]) -> Metadata:
    """Values of `stored` that say what the sample says, in forms that DFL reads too."""
    kept: Metadata = {}
    outlines = stored.get("seg_ie_polys")
    if outlines is not None and _same_polygons(outlines, sample.polygons):
        kept["seg_ie_polys"] = outlines
    box = stored.get("source_rect")
    # DFL's sorters need an array here.
    if isinstance(box, np.ndarray) and box.dtype.kind == "i" and sample.source_box is not None:
        if box.tolist() == list(sample.source_box):
            kept["source_rect"] = box
    if isinstance(brow := stored.get("eyebrows_expand_mod"), float) and brow == sample.brow_expand:
        kept["eyebrows_expand_mod"] = brow
    return kept


def _same_polygons(stored: Any, polygons: Sequence[tuple[bool, np.ndarray]]) -> bool:
    try:
        before = _polygons(stored, "")
    except FormatError:  # what was stored is damaged and goes
        return False
    return len(before) == len(polygons) and all(
        old.include == include and np.array_equal(old.points, points)
        for old, (include, points) in zip(before, polygons, strict=True)
    )


def _numbers(value: Any, shape: tuple[int, ...], source: Path | str, what: str) -> Any:
    """`value` as finite float64 of exactly `shape`; -1 stands for any length."""
    try:
        with np.errstate(invalid="ignore"):  # what is no number is refused below
            array = np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise bad_face(source, f"{what} of numbers", f"something else ({error})") from error
    fits = array.ndim == len(shape) and all(
        want in (-1, got) for want, got in zip(shape, array.shape, strict=True)
    )
    if not fits or not (np.abs(array) <= _LARGEST).all():  # also what is no number
        found = f"one of shape {array.shape}" if not fits else "endless or undefined numbers"
        raise bad_face(source, f"{what} of {shape} finite numbers", found)
    return array


def _landmarks(value: Any, source: Path | str) -> Landmarks:
    if value is None:
        raise bad_face(source, "68 landmarks", "none")
    points: Landmarks = _numbers(value, (68, 2), source, "landmarks")
    return points


def _box(value: Any, source: Path | str) -> tuple[int, int, int, int]:
    left, top, right, bottom = (int(side) for side in _numbers(value, (4,), source, "a box"))
    return left, top, right, bottom


def _face_type(value: Any, source: Path | str) -> FaceType:
    names = [kind.value for kind in FaceType]
    if not isinstance(value, str) or value.lower() not in names:
        raise bad_face(source, f"a face type out of {', '.join(names)}", _shown(value))
    return FaceType(value.lower())


def _text(value: Any, source: Path | str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise bad_face(source, "a file name as text", type(value).__name__)
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
            raise bad_face(source, "polygons with a type and points", _shown(entry))
    polygons = []
    for kind, points in pairs:
        if not isinstance(kind, (int, float, np.number)) or kind not in (0, 1):
            raise bad_face(source, "polygons of type 0 or 1", f"type {_shown(kind)}")
        if points is not None and not _is_empty(points):
            outline = _numbers(points, (-1, 2), source, "a polygon")
            polygons.append(Polygon(bool(kind), outline.astype(np.float32)))
    return tuple(sorted(polygons, key=lambda polygon: not polygon.include))


def _is_empty(points: Any) -> bool:
    if isinstance(points, np.ndarray):
        return not points.size
    return isinstance(points, (list, tuple)) and not points


def _shown(value: Any) -> str:
    """A value in an error, if it is short, or else its type."""
    short = isinstance(value, (str, float)) or (isinstance(value, int) and abs(value) < 1 << 60)
    return repr(value[:40] if isinstance(value, str) else value) if short else type(value).__name__


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
