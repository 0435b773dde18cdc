"""Large files of nothing and claims of gigabytes: an error soon, with little memory taken.

Bounds have a factor of ten to spare; without limits these take gigabytes or minutes.
"""

import json
import pickle
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy.errors import FormatError
from understudy.facesets.dfl import read_face, write_face
from understudy.facesets.dfl.containers import jpeg_with_payload

HUNDRED_MB = 100 << 20


def _jpeg() -> bytes:
    return bytes(cv2.imencode(".jpg", np.zeros((16, 16, 3), np.uint8))[1])


def _png() -> bytes:
    return bytes(cv2.imencode(".png", np.zeros((16, 16, 3), np.uint8))[1])


def _sparse(path: Path, start: bytes, *, end: bytes = b"", size: int = HUNDRED_MB) -> Path:
    """A file of zeros with something at its ends, which takes no disk."""
    with path.open("wb") as stream:
        stream.write(start)
        stream.truncate(size - len(end))
        stream.seek(0, 2)
        stream.write(end)
    return path


def _filled(path: Path, start: bytes, piece: bytes) -> Path:
    path.write_bytes(start + piece * ((4 << 20) // len(piece)))
    return path


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


MARKS = b"\x80\x04" + b"(" * 65_000
FACES: dict[str, Callable[[Path], Path]] = {
    "zeros": lambda path: _sparse(path, b""),
    "zeros after the start of a picture": lambda path: _sparse(path, b"\xff\xd8\xff\xe0\0\x10"),
    "fill bytes": lambda path: _filled(path, b"\xff\xd8", b"\xff"),
    "lone markers": lambda path: _filled(path, b"\xff\xd8", b"\xff\x01"),
    "empty segments": lambda path: _filled(path, b"\xff\xd8", b"\xff\xe1\0\x02"),
    "full segments": lambda path: _filled(path, b"\xff\xd8", b"\xff\xe1\xff\xff" + bytes(65533)),
    "a png chunk of 2 GB": lambda path: _sparse(
        path, _png()[:8] + struct.pack(">I4s", 0x7FFFFFFF, b"fcWp")
    ),
    "a png chunk past the end": lambda path: _sparse(
        path, _png()[:33] + struct.pack(">I4s", 0xFFFFFFFF, b"IDAT"), size=1000
    ),
    "empty png chunks": lambda path: _filled(
        path, _png()[:33], struct.pack(">I4sI", 0, b"noNe", zlib.crc32(b"noNe"))
    ),
    "a payload of marks": lambda path: _written(path, jpeg_with_payload(_jpeg(), MARKS, path)),
}
PAKS: dict[str, Callable[[Path], Path]] = {
    "zeros": lambda path: _sparse(path, b""),
    "an index of zeros": lambda path: _sparse(path, struct.pack("<QQ", 1, HUNDRED_MB - 16)),
    "an index past the end": lambda path: _sparse(path, struct.pack("<QQ", 1, 1 << 62)),
    "an index of lists": lambda path: _filled(
        path, struct.pack("<QQ", 1, 4 << 20) + b"\x80\x04(", b"]"
    ),
    "an index of nothing": lambda path: _filled(
        path, struct.pack("<QQ", 1, 4 << 20) + b"\x80\x04(", b"N"
    ),
    "a table past the end": lambda path: _sparse(
        path, _index([{"filename": f"{i}.jpg"} for i in range(1000)]), size=20_000
    ),
    "a face of the whole file": lambda path: _sparse(
        path, _index([{"filename": "a.jpg"}]) + struct.pack("<QQ", 0, HUNDRED_MB)
    ),
}


def _index(entries: list[dict[str, str]]) -> bytes:
    index = pickle.dumps(entries, 4)
    return struct.pack("<QQ", 1, len(index)) + index


SAVED: dict[str, Callable[[Path], Path]] = {
    "zeros": lambda path: _sparse(path, b""),
    "zeros after the start of a pickle": lambda path: _sparse(path, b"\x80\x04"),
    "numbers without end": lambda path: _filled(path, b"\x80\x04(", b"K\x01"),
}
READ = """
import json, resource, sys, time
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
from understudy.errors import FormatError
from understudy.facesets.dfl import read_face
from understudy.facesets.survey.inspect import inspect
from understudy.facesets.dfl.meta import read_meta
from understudy.facesets.dfl.pack import read_index
readers = {"jpg": read_face, "pak": lambda path: [face.read() for face in read_index(path)],
           "dat": read_meta, "png": inspect}
from pathlib import Path
def peak_mb():
    status = Path("/proc/self/status")
    if status.exists():  # what rusage tells begins with the peak of the process that started us
        lines = status.read_text().splitlines()
        return int(next(l for l in lines if l.startswith("VmHWM")).split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
for path in map(Path, sys.argv[1:]):
    begin = time.process_time()
    try:
        readers[path.suffix[1:]](path)
        said = "read"
    except FormatError as error:
        said = str(error)
    peak = peak_mb()
    print(json.dumps([str(path), said, time.process_time() - begin, peak]))
"""


def test_files_of_nothing_are_refused_soon_and_with_little_memory(tmp_path: Path) -> None:
    paths = []
    for cases, name in ((FACES, "bad.jpg"), (PAKS, "faceset.pak"), (SAVED, "meta.dat")):
        for place, make in enumerate(cases.values()):
            (tmp_path / f"{name}{place}").mkdir()
            paths.append(make(tmp_path / f"{name}{place}" / name))
    paths.append(_huge_picture(tmp_path / "huge.png"))
    command = [sys.executable, "-c", READ, *map(str, paths)]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    rows = [json.loads(line) for line in run.stdout.splitlines()]
    assert [row[0] for row in rows] == [str(path) for path in paths]
    for path, said, seconds, peak in rows:
        assert said.startswith(path) and ": expected " in said, (path, said)
        assert seconds < 20 and peak < 800, (path, seconds, peak)
    assert "60000x60000 pixels" in rows[-1][1]


def _huge_picture(path: Path) -> Path:
    """A picture of gigabytes in a small file."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    png = _png()
    return _written(path, png[:12] + header + struct.pack(">I", zlib.crc32(header)) + png[33:])


def test_a_face_cut_anywhere_is_an_error_or_still_all_there(shared: Path, tmp_path: Path) -> None:
    whole = (shared / "golden/files/special/progressive_0.jpg").read_bytes()
    path = tmp_path / "cut.jpg"
    pixels = whole.index(b"\xff\xda")
    for end in [*range(0, len(whole), 97), pixels - 1, pixels + 1, len(whole) - 1]:
        path.write_bytes(whole[:end])
        with pytest.raises(FormatError, match=r"cut\.jpg"):
            _ = read_face(path).image
        if end > pixels + 2:
            face = read_face(path)  # its metadata are whole
            with pytest.raises(FormatError, match="without an end"):
                write_face(tmp_path / "copy.jpg", face)
            assert not (tmp_path / "copy.jpg").exists()
