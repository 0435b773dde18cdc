"""A write leaves the old file or the new one."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from understudy.errors import FileError, FormatError
from understudy.files import (
    make_dir,
    read_bytes,
    read_json,
    remove_files,
    remove_leftovers,
    replacing,
    sha256_file,
    temporary_path,
    write_bytes,
    write_json,
)

WRITE_FOREVER = """
import sys
from pathlib import Path
from understudy.files import write_bytes
path = Path(sys.argv[1])
print("go", flush=True)
for i in range(10**9):
    write_bytes(path, bytes([i % 251]) * 200_000, durable=False)
"""

FILL_UP = """
import resource, signal, sys
from pathlib import Path
from understudy.errors import StorageError
from understudy.files import write_bytes
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_bytes(Path(sys.argv[1]), bytes(5000))
except StorageError as error:
    print("told:", error)
"""


def test_killed_writer_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "state.bin"
    write_bytes(path, b"\xff" * 200_000)
    with subprocess.Popen(
        [sys.executable, "-c", WRITE_FOREVER, str(path)], stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(0.3)
        writer.send_signal(signal.SIGKILL)
    content = path.read_bytes()
    assert len(content) == 200_000
    assert len(set(content)) == 1


def test_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="resource limits are POSIX")
def test_no_room_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "big.bin"
    path.write_bytes(b"old")
    out = subprocess.run(
        [sys.executable, "-c", FILL_UP, str(path)], capture_output=True, text=True, check=True
    )
    assert "told:" in out.stdout
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_errors_name_the_path(tmp_path: Path) -> None:
    missing = tmp_path / "nö such 文件"
    with pytest.raises(FileError, match="nö such 文件"):
        read_bytes(missing)
    with pytest.raises(FileError):
        read_bytes(tmp_path)
    (tmp_path / "file").write_bytes(b"12345")
    with pytest.raises(FormatError, match="at most 3 bytes"):
        read_bytes(tmp_path / "file", limit=3)
    with pytest.raises(FileError):
        make_dir(tmp_path / "file" / "sub")
    with pytest.raises(FileError):
        write_bytes(tmp_path / "file" / "x", b"")


def test_json_round_trip_and_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"name": "Zoë", "n": [1, 2.5, None]})
    assert read_json(path) == {"name": "Zoë", "n": [1, 2.5, None]}
    path.write_text("[" * 100_000)
    with pytest.raises(FormatError):
        read_json(path)


def test_the_longest_names_can_be_written(tmp_path: Path) -> None:
    for name in ("王" * 83 + ".txt", "\N{GRINNING FACE}" * 62 + ".txt"):
        write_bytes(tmp_path / name, b"whole")
        assert (tmp_path / name).read_bytes() == b"whole"


def test_json_keeps_names_that_are_no_utf8(tmp_path: Path) -> None:
    name = b"caf\xe9.mp4".decode("utf-8", "surrogateescape")
    write_json(tmp_path / "a.json", {"source": name, "other": "文"})
    assert read_json(tmp_path / "a.json") == {"source": name, "other": "文"}
    assert "文" in (tmp_path / "a.json").read_bytes().decode("utf-8")


def test_a_file_system_that_cant_wait_for_folders_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait = os.fsync

    def wait_for_files_only(handle: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{handle}"):  # noqa: PTH112 - a link, not a path
            raise OSError(errno.EINVAL, "Invalid argument")
        wait(handle)

    monkeypatch.setattr(os, "fsync", wait_for_files_only)
    write_bytes(tmp_path / "a", b"1")
    assert (tmp_path / "a").read_bytes() == b"1"
    monkeypatch.setattr(os, "fsync", lambda handle: os.read(-1, 1))  # a disk that fails
    with pytest.raises(FileError):
        write_bytes(tmp_path / "a", b"2")


def test_only_what_killed_writes_left_is_removed(tmp_path: Path) -> None:
    names = ("résult.mp4", "result2.mp4", "x" * 120 + ".png", ".hidden", "a.partial.png")
    kept = [tmp_path / name for name in names]
    left = [temporary_path(path) for path in kept[:3]] + [temporary_path(temporary_path(kept[0]))]
    for path in (*kept, *left):
        path.write_bytes(b"x")
    remove_leftovers(tmp_path, stem="résult")
    assert [path.exists() for path in left] == [False, True, True, False]
    remove_leftovers(tmp_path)
    assert [path for path in left if path.exists()] == []
    assert all(path.exists() for path in kept)
    remove_leftovers(tmp_path / "no folder")


def test_what_cant_be_read_or_removed_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="nowhere"):
        sha256_file(tmp_path / "nowhere")
    remove_files([tmp_path / "nowhere"])
    with pytest.raises(FileError, match=tmp_path.name):
        remove_files([tmp_path])
