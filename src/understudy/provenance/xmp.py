"""The plain words beside the signed manifest: an XMP packet that says how a file came about.

A packet and a finished PNG, JPEG, TIFF, MP4, QuickTime or AVI file in; the same file with the
packet in it out. Picture and sound data stay as they are. To be done before signing. Knows nothing
of C2PA.
Source: XMP Specification Part 3 (storage in files); IPTC Photo Metadata, DigitalSourceType; for the
second object GB 45438-2025 and the practice guide of TC260 on implicit labels in files.
"""

import json
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import escape

from understudy.errors import from_os_error
from understudy.files import read_bytes, write_bytes
from understudy.provenance.container import Container, container_of

_HEAD = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
_TAIL = '\n<?xpacket end="r"?>'
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_XMP = "http://ns.adobe.com/xap/1.0/"
_TC260 = "http://www.tc260.org.cn/ns/AIGC/1.0/"
_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_JPEG_MARK = b"http://ns.adobe.com/xap/1.0/\0"
_PNG_KEYWORD = b"XML:com.adobe.xmp"
_TIFF_TAG, _TIFF_BYTES = 700, 1
_SMALL = ("PNG", "JPEG", "TIFF")


def xmp_packet(*, source_type: str, tool: str, aigc: Mapping[str, str] | None = None) -> bytes:
    """The packet: the IPTC source type as a URL, the tool, and China's object if there is one."""
    parts = [
        f"<Iptc4xmpExt:DigitalSourceType>{escape(source_type)}</Iptc4xmpExt:DigitalSourceType>",
        f"<xmp:CreatorTool>{escape(tool)}</xmp:CreatorTool>",
    ]
    if aigc is not None:
        parts.append(f"<TC260:AIGC>{escape(aigc_text(aigc))}</TC260:AIGC>")
    body = "\n   ".join(parts)
    text = (
        f'{_HEAD}<x:xmpmeta xmlns:x="adobe:ns:meta/">\n <rdf:RDF xmlns:rdf="{_RDF}">\n'
        f'  <rdf:Description rdf:about="" xmlns:Iptc4xmpExt="{_IPTC}" xmlns:xmp="{_XMP}" '
        f'xmlns:TC260="{_TC260}">\n   {body}\n  </rdf:Description>\n </rdf:RDF>\n'
        f"</x:xmpmeta>{_TAIL}"
    )
    return text.encode()


def aigc_text(aigc: Mapping[str, str]) -> str:
    """China's object as one line of JSON, as it also stands in a container's own tags."""
    return json.dumps(dict(aigc), ensure_ascii=False, separators=(",", ":"))


def aigc_object(*, producer: str, content_id: str) -> dict[str, str]:
    """The implicit label of GB 45438-2025: made with AI (1), by whom, as which piece of work."""
    return {
        "Label": "1",
        "ContentProducer": producer,
        "ProduceID": content_id,
        "ReservedCode1": "",
        "ContentPropagator": "",
        "PropagateID": "",
        "ReservedCode2": "",
    }


def add_xmp(path: Path, packet: bytes) -> bool:
    """Put the packet into the file, in place; whether the file's kind can hold it.

    Pictures are rewritten whole; to films it is only appended.

    Raises:
        FileError: it can't be read or written.
        FormatError: it is no media file.
    """
    container = container_of(path)
    if container.name in _SMALL:
        write_bytes(path, with_xmp(read_bytes(path), packet, container))
        return True
    if container.is_bmff and container.embeds:
        size = len(packet) + 8 + len(_UUID)
        _append(path, struct.pack(">I4s", size, b"uuid") + _UUID + packet)
        return True
    if container.name == "AVI" and container.embeds:
        _append_to_avi(path, packet)
        return True
    return False


def with_xmp(data: bytes, packet: bytes, container: Container) -> bytes:
    """An encoded picture with the packet in it."""
    if container.name == "PNG":
        return _in_png(data, packet)
    if container.name == "JPEG":
        return _in_jpeg(data, packet)
    return _in_tiff(data, packet)


def _in_png(data: bytes, packet: bytes) -> bytes:
    after_header = 8 + 25  # the signature and IHDR
    body = b"iTXt" + _PNG_KEYWORD + b"\0\0\0\0\0" + packet
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return data[:after_header] + chunk + data[after_header:]


def _in_jpeg(data: bytes, packet: bytes) -> bytes:
    at = 2
    while data[at : at + 2] == b"\xff\xe0":  # JFIF stays first
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    body = _JPEG_MARK + packet
    return data[:at] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[at:]


def _in_tiff(data: bytes, packet: bytes) -> bytes:
    """The first directory anew at the end of the file, with one entry more."""
    order = "<" if data[:2] == b"II" else ">"
    (start,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, start)
    first, last = start + 2, start + 2 + 12 * count
    entries = [data[at : at + 12] for at in range(first, last, 12)]
    padded = data + b"\0" * (len(data) % 2)
    place = len(padded)
    entry = struct.pack(order + "HHII", _TIFF_TAG, _TIFF_BYTES, len(packet), place)
    entries = [each for each in entries if _tag(order, each) != _TIFF_TAG] + [entry]
    entries.sort(key=lambda each: _tag(order, each))
    padded += packet + b"\0" * (len(packet) % 2)
    directory = struct.pack(order + "H", len(entries)) + b"".join(entries) + data[last : last + 4]
    return padded[:4] + struct.pack(order + "I", len(padded)) + padded[8:] + directory


def _tag(order: str, entry: bytes) -> int:
    return int(struct.unpack_from(order + "H", entry)[0])


def _append(path: Path, data: bytes) -> None:
    try:
        with path.open("ab") as file:
            file.write(data)
    except OSError as error:
        raise from_os_error(error, path, doing="write") from error


def _append_to_avi(path: Path, packet: bytes) -> None:
    chunk = b"_PMX" + struct.pack("<I", len(packet)) + packet + b"\0" * (len(packet) % 2)
    try:
        with path.open("r+b") as file:
            end = file.seek(0, 2)
            file.write(b"\0" * (end % 2) + chunk)
            size = end + end % 2 + len(chunk) - 8
            file.seek(4)
            file.write(struct.pack("<I", size))
    except OSError as error:
        raise from_os_error(error, path, doing="write") from error


def find_xmp(path: Path) -> str:
    """The first packet in a file as text; empty if there is none.

    Raises:
        FileError: it can't be read.
    """
    try:
        with path.open("rb") as file:
            kept, found = b"", b""
            while chunk := file.read(_CHUNK):
                window = kept + chunk
                at = window.find(_BEGIN)
                if at >= 0:
                    found = window[at:] + file.read(_LIMIT)
                    break
                kept = window[-len(_BEGIN) :]
    except OSError as error:
        raise from_os_error(error, path, doing="read") from error
    end = found.find(_END)
    return found[: end + len(_END)].decode(errors="replace") if end >= 0 else ""


_CHUNK, _LIMIT = 4 << 20, 1 << 20
_BEGIN, _END = b"<x:xmpmeta", b"</x:xmpmeta>"
