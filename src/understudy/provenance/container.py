"""Which container a file is, told by its first bytes, and whether a manifest can live inside it.

A path in, a `Container` out. The ending of the name is not believed. Knows nothing of manifests.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from understudy.errors import FileError, FormatError, from_os_error

_HEAD_BYTES = 4096
_TS_PACKET = 188


@dataclass(frozen=True, slots=True)
class Container:
    """A kind of file: its name for people, its media type, whether we put a manifest into it.

    `may_hold` says whether others do, `is_bmff` whether it is made of ISO/IEC 14496-12's boxes.
    `detached_type` is the media type under which a sidecar is made and checked, where the file has
    to count as plain bytes.
    """

    name: str
    media_type: str
    embeds: bool
    may_hold: bool = False
    is_bmff: bool = False
    detached_type: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "may_hold", self.may_hold or self.embeds)
        object.__setattr__(self, "detached_type", self.detached_type or self.media_type)


_MP4 = Container("MP4", "video/mp4", embeds=True, is_bmff=True)
_MOV = Container("QuickTime", "video/quicktime", embeds=True, is_bmff=True)
_EBML = Container("Matroska", "video/x-matroska", embeds=False)
_TS = Container("MPEG-TS", "video/mp2t", embeds=False)
_RIFF = {
    b"WEBP": Container("WebP", "image/webp", embeds=True),
    # Files past 1 GB are split into segments, which an embedded manifest does not survive; see
    # `container_of` for the others.
    b"AVI ": Container("AVI", "video/x-msvideo", embeds=False, may_hold=True),
}
_STARTS: tuple[tuple[bytes, Container], ...] = (
    (b"\x89PNG\r\n\x1a\n", Container("PNG", "image/png", embeds=True)),
    (b"\xff\xd8\xff", Container("JPEG", "image/jpeg", embeds=True)),
    (b"II*\x00", Container("TIFF", "image/tiff", embeds=True)),
    (b"MM\x00*", Container("TIFF", "image/tiff", embeds=True)),
    (b"GIF8", Container("GIF", "image/gif", embeds=True)),
    (b"\x1a\x45\xdf\xa3", _EBML),
    (b"\x76\x2f\x31\x01", Container("OpenEXR", "image/x-exr", embeds=False)),
    (b"SDPX", Container("DPX", "image/x-dpx", embeds=False)),
    (b"XPDS", Container("DPX", "image/x-dpx", embeds=False)),
    (b"\x00\x00\x01\xba", Container("MPEG", "video/mpeg", embeds=False)),
    (b"\x00\x00\x01\xb3", Container("MPEG", "video/mpeg", embeds=False)),
    (b"\x06\x0e\x2b\x34", Container("MXF", "application/mxf", embeds=False)),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", Container("ASF", "video/x-ms-asf", embeds=False)),
    (b"FLV\x01", Container("FLV", "video/x-flv", embeds=False)),
    (b"OggS", Container("Ogg", "video/ogg", embeds=False)),
    (b"BM", Container("BMP", "image/bmp", embeds=False)),
    (b"#?RADIANCE", Container("Radiance HDR", "image/vnd.radiance", embeds=False)),
)
_FRAME_LIST = Container("list of frames", "text/plain", embeds=False)
_FRAME_LINE = re.compile(rb"[0-9a-f]{64}  \S")
_QUICKTIME_BOXES = (b"moov", b"mdat", b"wide", b"free", b"skip")


def container_of(path: Path) -> Container:
    """The container `path` is.

    Raises:
        FileError: it can't be read.
        FormatError: it is empty or neither a picture nor a video.
    """
    head = _head(path)
    found = _known(head)
    if found is None:
        raise FormatError(
            path,
            expected="a picture or a video",
            found="an empty file" if not head else f"neither (it begins with {head[:8]!r})",
            remedy="Name the delivered file itself.",
        )
    if found is not _RIFF[b"AVI "]:
        return found
    if _is_one_segment(path, head):
        return replace(found, embeds=True)
    # The library sees the first segment only: bound to that, a sidecar would never fit the film.
    return replace(found, detached_type="application/octet-stream")


def _is_one_segment(path: Path, head: bytes) -> bool:
    return int.from_bytes(head[4:8], "little") + 8 >= path.stat().st_size


def _head(path: Path) -> bytes:
    if path.exists() and not path.is_file():
        found = "a folder" if path.is_dir() else "a device"
        raise FileError(path, expected="a file", found=found, remedy="Name a file.")
    try:
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES)
    except OSError as error:
        raise from_os_error(error, path, doing="read") from error


def _known(head: bytes) -> Container | None:
    for start, container in _STARTS:
        if head.startswith(start):
            return container
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _MOV if head[8:12] == b"qt  " else _MP4
    if _FRAME_LINE.match(head):
        return _FRAME_LIST
    if head[4:8] in _QUICKTIME_BOXES:
        return _MOV
    if len(head) > 2 * _TS_PACKET and head[0] == head[_TS_PACKET] == head[2 * _TS_PACKET] == 0x47:
        return _TS
    return None


def sidecar_path(path: Path) -> Path:
    """Where the manifest of a file that can't hold one lies: its whole name plus `.c2pa`."""
    return path.with_name(path.name + ".c2pa")
