"""What is refused: other sites, other names, no token, other files, malformed messages."""

import asyncio
import hashlib
import http.client
import json
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from studio_server import Studio
from understudy.errors import FileError
from understudy.studio.guard import COOKIE, Door, Guard
from understudy.studio.paths import file_within, plain_name, typed_path

TOKEN = "-".join(["a", "token", "of", "this", "test"])


def ask(studio: Studio, path: str, *, method: str = "GET", **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", studio.port, timeout=20)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, headers=named)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def refusals(studio: Studio, before: int) -> list[str]:
    for _ in range(40):
        lines = [line for line in studio.log()[before:] if "refused" in line]
        if lines:
            return lines
        time.sleep(0.05)
    return []


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:8765"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"},
        {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "cors"},
    ],
)
def test_other_sites_are_refused_in_one_line(studio: Studio, headers: dict[str, str]) -> None:
    for path in ("/", "/jobs", "/static/x/theme.css", "/_nicegui_ws/socket.io/?EIO=4"):
        before = len(studio.log())
        assert ask(studio, path, **headers)[0] == 403
        assert len(refusals(studio, before)) == 1
    before = len(studio.log())
    headers = {"Host": f"127.0.0.1:{studio.port}", **headers}
    assert ask(studio, "/upload/x/src?name=a.mp4", method="PUT", **headers)[0] == 403
    assert len(refusals(studio, before)) == 1


def test_the_studio_itself_is_let_in(studio: Studio) -> None:
    host = f"127.0.0.1:{studio.port}"
    for headers in (
        {},
        {"Host": "localhost:9000"},  # through a tunnel
        {"Origin": f"http://{host}", "Host": host},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"},  # a link someone sent
    ):
        status, body = ask(studio, "/", **headers)
        assert status == 200, (headers, body)


def test_a_web_socket_of_another_site_is_refused(studio: Studio) -> None:
    for path in ("/socket/pictures/x", "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"):
        before = len(studio.log())
        with pytest.raises(InvalidStatus) as refused:
            connect(f"ws://127.0.0.1:{studio.port}{path}", origin="http://evil.example").close()
        assert refused.value.response.status_code == 403
        assert len(refusals(studio, before)) == 1


@pytest.fixture
def opened(studio: Studio) -> tuple[Path, str]:
    """The workspace the studio was started with, and its key."""
    root = studio.workspace
    return root, hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:10]


def test_only_files_of_the_workspace_are_served(studio: Studio, opened: tuple[Path, str]) -> None:
    root, key = opened
    face = (root / "data_src" / "aligned" / "00001_0.jpg").read_bytes()
    assert ask(studio, f"/files/{key}/data_src/aligned/00001_0.jpg") == (200, face)
    outside = root.parent / "secret.jpg"
    outside.write_bytes(b"secret")
    link, away = root / "data_src" / "link.jpg", root / "data_src" / "away"
    link.symlink_to(outside)
    away.symlink_to(root.parent)
    for name in (
        "data_src/link.jpg", "data_src/away/secret.jpg", "../secret.jpg", "%2e%2e/secret.jpg",
        "data_src/..%2f..%2fsecret.jpg", f"/{outside}", "data_src/%00.jpg", "..\\secret.jpg",
        "workspace.lock", "studio/studio.lock",
    ):  # fmt: skip
        status, body = ask(studio, f"/files/{key}/{name.replace(chr(92), '%5C')}")
        assert status in (400, 404), name
        assert b"secret" not in body.replace(b"secret.jpg", b""), name
    link.unlink()
    away.unlink()
    assert ask(studio, "/files/0000000000/workspace.json")[0] == 404
    assert ask(studio, "/static/x/..%2fguard.py")[0] == 404


def test_uploads_are_bounded_and_whole(studio: Studio, opened: tuple[Path, str]) -> None:
    root, key = opened
    for path, size in (
        (f"/upload/{key}/src?name=a.exe", 10),
        (f"/upload/{key}/out?name=a.mp4", 10),
        (f"/upload/{key}/src?name=a.mp4", 60_000_000),  # more than this studio takes
        (f"/upload/{key}/src?name=a.mp4", 0),
        ("/upload/0000000000/src?name=a.mp4", 10),
    ):
        connection = http.client.HTTPConnection("127.0.0.1", studio.port, timeout=20)
        connection.putrequest("PUT", path)
        connection.putheader("Content-Length", str(size))
        connection.endheaders()
        assert connection.getresponse().status in (400, 404), path
        connection.close()
    connection = http.client.HTTPConnection("127.0.0.1", studio.port, timeout=20)
    connection.putrequest("PUT", f"/upload/{key}/src?name=..%2F..%2Fx.mp4")
    connection.putheader("Content-Length", "1000")
    connection.endheaders(b"only a part")
    time.sleep(0.2)
    connection.close()  # the browser went away in the middle
    time.sleep(0.2)
    assert sorted(path.name for path in root.glob("*.mp4")) == []
    assert not list(root.glob(".*partial*")) and not list(root.parent.glob("*.mp4"))


def test_malformed_and_oversized_messages_end_the_talk(
    studio: Studio, opened: tuple[Path, str]
) -> None:
    _, key = opened
    address = f"ws://127.0.0.1:{studio.port}/socket/pictures/{key}"
    wrong: list[str | bytes] = [b"\x00\x01", "no json", "[1]", "{}", '{"id": -1}', '{"id": true}']
    wrong += ["[" * 30_000, "x" * 70_000]
    for message in wrong:
        before = len(studio.log())
        with connect(address) as talk:
            talk.send(message)
            with pytest.raises(ConnectionClosed):
                talk.recv(timeout=10)
        assert len(refusals(studio, before)) == 1, message[:20]
    with connect(address) as talk:
        for number, name in enumerate(("../x.jpg", "data_src/none.png", "workspace.json", 5)):
            talk.send(json.dumps({"id": number, "name": name, "height": 64}))
            answer = json.loads(talk.recv(timeout=10))
            assert answer["id"] == number and answer["error"]
        asked = {"id": 77, "name": "data_src/aligned/00001_0.jpg", "height": 64}
        talk.send(json.dumps(asked))
        data = talk.recv(timeout=10)
        assert isinstance(data, bytes)
        assert data[:4] == (77).to_bytes(4, "little") and data[4:7] == b"\xff\xd8\xff"


# ---------------------------------------------------------------------- open to a network


def through(door: Door, **scope: Any) -> tuple[int, dict[str, str]]:
    """Status and headers of one request through the guard."""
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    headers = {"host": "192.168.1.5:8765"} | scope.pop("headers", {})
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    asked = {"type": "http", "method": "GET", "path": "/", "raw_path": b"/", "query_string": b""}
    guarded = Guard(app, door)({**asked, **scope, "headers": raw}, receive, send)
    with ThreadPoolExecutor(1) as apart:  # the browser's driver has a loop in this thread
        apart.submit(asyncio.run, guarded).result()
    told = {name.decode(): value.decode() for name, value in sent[0].get("headers", ())}
    return sent[0].get("status", 403), told


def test_a_network_needs_the_token_once(caplog: pytest.LogCaptureFixture) -> None:
    door = Door.of("192.168.1.5", TOKEN)
    with caplog.at_level(logging.WARNING):
        assert through(door)[0] == 403
        assert through(door, query_string=b"token=wrong")[0] == 403
        assert through(door, headers={"cookie": f"{COOKIE}=wrong"})[0] == 403
    assert len(caplog.records) == 3
    assert TOKEN not in caplog.text
    raw = b"//evil.example/jobs"
    query = f"w=1&token={TOKEN}".encode()
    status, headers = through(door, query_string=query, raw_path=raw)
    assert (status, headers["location"]) == (303, "/evil.example/jobs?w=1")
    cookie = headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
    assert through(door, headers={"cookie": cookie.partition(";")[0]})[0] == 200


def test_a_network_studio_goes_by_its_names_and_addresses() -> None:
    door = Door.of("render-7", TOKEN)
    given = {"cookie": f"{COOKIE}={TOKEN}"}
    for host, status in (("render-7:1", 200), ("10.0.0.7", 200), ("[fe80::1]:8765", 200),
                         ("evil.example", 403), ("render-7.evil.example", 403)):  # fmt: skip
        assert through(door, headers={**given, "host": host})[0] == status, host
    assert Door.of("127.0.0.1", TOKEN).token == "", "this machine alone needs none"
    assert through(Door.of("127.0.0.1", ""), headers={"host": "10.0.0.7"})[0] == 403


# ---------------------------------------------------------------------- names


@pytest.mark.parametrize("name", ["", "..", "a/../../b", "/etc/passwd", "C:/x", "a\\b", "a\x00b"])
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileError):
        file_within(tmp_path, name)


def test_names_of_new_folders_are_plain() -> None:
    assert plain_name("  Shot 12 (b)-v2_final ") == "Shot 12 (b)-v2_final"
    assert plain_name("片段") == "片段"
    for name in ("", ".", "..", ".x", "a/b", "a\\b", "x.", "a\nb", "n" * 81, "-x"):
        with pytest.raises(FileError):
            plain_name(name)


def test_typed_paths_are_whole(tmp_path: Path) -> None:
    assert typed_path(f' "{tmp_path}" ') == tmp_path
    for text in ("", "relative", str(tmp_path / "none"), "a\x00b"):
        with pytest.raises(FileError):
            typed_path(text)
