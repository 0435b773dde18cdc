"""What a face file, a pak, saved metadata or a folder of faces holds, told whole or in short.

A path in, JSON values out; or these as lines for a person. Pictures are checked for their end but
not decoded. Reads only.
"""

import io
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any  # JSON values

import numpy as np

from understudy import files
from understudy.errors import FormatError, UnderstudyError
from understudy.faces.pose import direction_words, head_pose
from understudy.facesets.dfl import containers, face_file, pack
from understudy.facesets.dfl.meta import META_NAME, read_meta
from understudy.facesets.dfl.metadata import SIDECAR_KEY, Metadata, read_metadata, to_sample
from understudy.facesets.faceset import LooseFace, list_loose
from understudy.facesets.moves.packing import FACE_NUMBERS
from understudy.types import FaceSample, Image

_LISTED = 12


def inspect(
    path: Path, *, progress: Callable[[int, int], None] = lambda _done, _all: None
) -> dict[str, Any]:
    """All that `path` holds, as JSON values; `kind` says what it is.

    Raises:
        FileError: it can't be read.
        FormatError: it is none of these, or damaged.
    """
    if path.is_dir():
        return _folder(path, progress)
    if path.suffix == ".pak":
        return _pak(path)
    if path.name == META_NAME or path.suffix == ".dat":
        return _saved(path)
    return _face(path)


def tell(facts: dict[str, Any]) -> list[str]:
    """The facts in short, as lines."""
    kinds = {"face": _tell_face, "pak": _tell_many, "meta": _tell_many, "folder": _tell_many}
    return kinds[facts["kind"]](facts)


def _face(path: Path) -> dict[str, Any]:
    data = files.read_bytes(path, limit=face_file.MAX_FACE_BYTES)
    containers.check_whole(data, path)
    header = containers.read_header(io.BytesIO(data), path)
    facts: dict[str, Any] = {
        "kind": "face",
        "path": str(path),
        "bytes": len(data),
        "format": "jpeg" if containers.is_jpeg(data) else "png",
        "shape_hw": list(header.shape_hw),
        "metadata": None,
    }
    if header.payload:
        meta = read_metadata(header.payload, path)
        face = face_file.read_face(path)
        beside = face_file.sidecar_path(path)
        facts |= {
            "payload_bytes": len(header.payload),
            "pickle_protocol": header.payload[1],
            "metadata": _plain(meta),
            "meaning": _meaning(face, header.shape_hw),
            "mask_beside": beside.name if SIDECAR_KEY in meta and beside.is_file() else None,
        }
    return facts


def _meaning(face: FaceSample, shape_hw: tuple[int, int]) -> dict[str, Any]:
    """What an artist wants to know of a face."""
    pitch, yaw, roll = (
        float(np.degrees(angle)) for angle in head_pose(face.landmarks, shape_hw[1])
    )
    polygons = [{"include": include, "points": len(points)} for include, points in face.polygons]
    mask = face.mask
    return {
        "face_type": face.face_type.value,
        "source_name": face.source_name,
        "source_box": None if face.source_box is None else list(face.source_box),
        "pose_deg": {"pitch": pitch, "yaw": yaw, "roll": roll},
        "brow_expand": face.brow_expand,
        "polygons": polygons,
        "mask": None
        if mask is None
        else {"shape_hw": list(mask.shape), "covers": float(mask.mean(dtype=np.float64))},
        "unknown_keys": sorted(face.extra),
    }


def _pak(path: Path) -> dict[str, Any]:
    index, entries = pack.read_index(path), pack.read_entries(path)
    faces = [
        {"name": face.name, "offset": face.offset, "bytes": face.size, "index": _plain(entry)}
        for face, entry in zip(index, entries, strict=True)
    ]
    return _counted(
        "pak",
        path,
        faces,
        types=Counter(_type_name(entry.get("face_type")) for entry in entries),
        sizes=Counter(_size(entry.get("shape")) for entry in entries),
        persons=Counter(_text(entry.get("person_name")) for entry in entries),
        sources={_text(entry.get("source_filename")) for entry in entries},
        masks=sum(entry.get("xseg_mask_compressed") is not None for entry in entries),
        polygons=sum(_has_polygons(entry) for entry in entries),
    )


def _saved(path: Path) -> dict[str, Any]:
    saved = read_meta(path)
    faces = [
        {"name": name, "shape_hw": list(face.shape_hw), "metadata": _plain(face.meta)}
        for name, face in saved.items()
    ]
    metas = [face.meta for face in saved.values()]
    return _counted(
        "meta",
        path,
        faces,
        types=Counter(_text(meta.get("face_type", "full_face")) or "unknown" for meta in metas),
        sizes=Counter(f"{face.shape_hw[1]}x{face.shape_hw[0]}" for face in saved.values()),
        persons=Counter(name.rpartition("/")[0] for name in saved),
        sources={_text(meta.get("source_filename")) for meta in metas},
        masks=sum("xseg_mask" in meta for meta in metas),
        polygons=sum(_has_polygons(meta) for meta in metas),
    )


def _folder(path: Path, progress: Callable[[int, int], None]) -> dict[str, Any]:
    loose = list_loose(path)
    faces: list[dict[str, Any]] = []
    skipped: list[dict[str, str]] = []
    for place, entry in enumerate(loose):
        progress(place, len(loose))
        try:
            faces.append(_brief(entry))
        except UnderstudyError as error:
            skipped.append({"name": entry.name, "found": error.found, "reason": str(error)})
    facts = _counted(
        "folder",
        path,
        faces,
        types=Counter(face["face_type"] for face in faces),
        sizes=Counter("{1}x{0}".format(*face["shape_hw"]) for face in faces),
        persons=Counter(face["name"].rpartition("/")[0] for face in faces),
        sources={face["source_name"] for face in faces},
        masks=sum(face["mask"] for face in faces),
        polygons=sum(face["polygons"] > 0 for face in faces),
    )
    holds = {"pak": (path / pack.PAK_NAME).is_file(), "meta": (path / META_NAME).is_file()}
    return facts | {"skipped": skipped, "holds": holds}


def _brief(entry: LooseFace) -> dict[str, Any]:
    header = face_file.read_file_header(entry.path)
    meta = read_metadata(header.payload, entry.path, compact=True)
    mask = "xseg_mask" in meta or SIDECAR_KEY in meta
    unmasked = {key: meta[key] for key in meta if key != "xseg_mask"}
    face = to_sample(unmasked, source=entry.path, load=_no_picture)
    return {
        "name": entry.name,
        "shape_hw": list(header.shape_hw),
        "face_type": face.face_type.value,
        "source_name": face.source_name,
        "mask": mask,
        "polygons": len(face.polygons),
    }


def _no_picture() -> Image:
    raise FormatError("inspect", expected="no look at pixels", found="one", remedy="Report this.")


def _counted(
    kind: str,
    path: Path,
    faces: list[dict[str, Any]],
    *,
    types: Counter[str],
    sizes: Counter[str],
    persons: Counter[str],
    sources: Iterable[Any],
    masks: int,
    polygons: int,
) -> dict[str, Any]:
    named = {person: count for person, count in sorted(persons.items()) if person}
    return {
        "kind": kind,
        "path": str(path),
        "bytes": path.stat().st_size if path.is_file() else None,
        "count": len(faces),
        "face_types": dict(types.most_common()),
        "sizes": dict(sizes.most_common()),
        "persons": named,
        "source_frames": len({source for source in sources if source}),
        "with_mask": masks,
        "with_polygons": polygons,
        "faces": faces,
    }


_TYPE_NAMES = {number: kind.value for kind, number in FACE_NUMBERS.items()}


def _type_name(number: Any) -> str:
    known = isinstance(number, (int, type(None)))
    return _TYPE_NAMES.get(2 if number is None else number, "unknown") if known else "unknown"


def _size(shape: Any) -> str:
    sides = shape[:2] if isinstance(shape, (tuple, list)) else ()
    plain = len(sides) == 2 and all(isinstance(side, int) and 0 < side < 1 << 16 for side in sides)
    return f"{sides[1]}x{sides[0]}" if plain else "unknown"


def _has_polygons(meta: Metadata) -> bool:
    outlines = meta.get("seg_ie_polys")
    listed = outlines.get("polys") if isinstance(outlines, dict) else outlines
    return isinstance(listed, (list, tuple)) and bool(listed)


def _plain(value: Any) -> Any:
    """A value of metadata as JSON has it; bytes and endless integers by their size."""
    if isinstance(value, dict):
        return {_clean(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.size > 64:
        return {"encoded_bytes": value.size}
    if isinstance(value, (np.ndarray, np.generic)):
        return _plain(value.tolist())
    if isinstance(value, int) and value.bit_length() > 64:
        return {"integer_bits": value.bit_length()}
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return {"encoded_bytes": len(value)} if isinstance(value, bytes) else value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _clean(value: Any) -> str:
    """Text from a file as a terminal may show it."""
    text = value if isinstance(value, str) else repr(value)[:60]
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


def _tell_face(facts: dict[str, Any]) -> list[str]:
    height, width = facts["shape_hw"]
    lines = [f"  picture    {width}x{height}, {facts['format'].upper()}, {facts['bytes']:,} bytes"]
    if facts["metadata"] is None:
        return [*lines, "  metadata   none: this is a picture, but no face of a faceset"]
    face = facts["meaning"]
    pose = face["pose_deg"]
    lines += [
        f"  face type  {face['face_type']}",
        f"  frame      {_clean(face['source_name'] or 'unknown')}{_tell_box(face['source_box'])}",
        f"  looks      {', '.join(direction_words(*np.radians([pose['pitch'], pose['yaw']])))}",
        f"  polygons   {_tell_polygons(face['polygons'])}",
        f"  mask       {_tell_mask(face['mask'], facts['mask_beside'])}",
        f"  metadata   {facts['payload_bytes']:,} bytes, protocol {facts['pickle_protocol']}",
    ]
    if face["brow_expand"] != 1.0:
        lines.append(f"  brows      expanded by {face['brow_expand']:g}")
    if face["unknown_keys"]:
        also = ", ".join(_clean(key) for key in face["unknown_keys"])
        lines.append(f"  also holds {also} (kept as they are)")
    return lines


def _tell_box(box: list[int] | None) -> str:
    if box is None:
        return ""
    left, top, right, bottom = box
    return f", there {right - left}x{bottom - top} at {left},{top}"


def _tell_polygons(polygons: list[dict[str, Any]]) -> str:
    if not polygons:
        return "none"
    included = sum(polygon["include"] for polygon in polygons)
    points = sum(polygon["points"] for polygon in polygons)
    return f"{included} include, {len(polygons) - included} cut away, {points} points"


def _tell_mask(mask: dict[str, Any] | None, beside: str | None) -> str:
    if mask is None:
        return "none"
    height, width = mask["shape_hw"]
    where = f", in {beside}" if beside else ""
    return f"{width}x{height}, covers {mask['covers']:.0%}{where}"


def _tell_many(facts: dict[str, Any]) -> list[str]:
    what = {"pak": "packed faceset", "meta": "saved metadata", "folder": "folder"}[facts["kind"]]
    size = f", {facts['bytes']:,} bytes" if facts["bytes"] else ""
    lines = [
        f"  {what:<10} {facts['count']:,} faces from {facts['source_frames']:,} frames{size}",
        f"  face types {_tell_counts(facts['face_types'])}",
        f"  sizes      {_tell_counts(facts['sizes'])}",
        f"  persons    {_tell_counts(facts['persons'])}",
        f"  masks      {facts['with_mask']:,} applied, {facts['with_polygons']:,} with polygons",
    ]
    for name, there in facts.get("holds", {}).items():
        if there:
            note = "takes precedence over the files" if name == "pak" else "saved metadata"
            lines.append(f"  also holds {pack.PAK_NAME if name == 'pak' else META_NAME} ({note})")
    skipped = facts.get("skipped", [])
    lines += [
        f"  no face    {_clean(entry['name'])}: {entry['found']}" for entry in skipped[:_LISTED]
    ]
    if len(skipped) > _LISTED:
        lines.append(f"  no face    and {len(skipped) - _LISTED:,} more")
    return lines


def _tell_counts(counts: dict[str, int]) -> str:
    shown = [f"{_clean(name)} {count:,}" for name, count in list(counts.items())[:_LISTED]]
    more = f" and {len(counts) - _LISTED:,} more" if len(counts) > _LISTED else ""
    return ", ".join(shown) + more if shown else "none"
