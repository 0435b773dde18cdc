"""The server: one application with all pages, files, uploads and sockets behind one guard."""

import asyncio
import contextlib
import logging
import os
import secrets
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from nicegui import ui
from starlette.responses import FileResponse, Response
from starlette.types import ASGIApp

from understudy.errors import FileError, UnderstudyError
from understudy.files import make_dir
from understudy.steps.studio import StudioOptions
from understudy.studio.desk import Desk
from understudy.studio.frame import CANVAS, STATIC, framed
from understudy.studio.guard import Door, Guard, is_local
from understudy.studio.pages import PAGES, welcome
from understudy.studio.paths import file_within
from understudy.studio.socket import LARGEST_MESSAGE, add_sockets
from understudy.studio.texts import say
from understudy.studio.uploads import receive_clip
from understudy.studio.visit import Page, Visit
from understudy.user_folder import data_dir

log = logging.getLogger("understudy.studio")

_FOREVER = {"cache-control": "public, max-age=31536000, immutable"}
_SHOWN = frozenset({".jpg", ".jpeg", ".png", ".json", ".txt", ".mp4", ".webm"})


def serve(options: StudioOptions) -> None:
    """Serve until a signal ends it.

    Raises:
        UnderstudyError: a workspace can't be opened.
    """
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    log.setLevel(logging.INFO)
    first = options.workspace
    desk = Desk((options.projects or (first.resolve().parent if first else Path())).resolve())
    desk.largest_upload = int(options.largest_upload_gb * 1e9)
    if first is not None:
        desk.open(first)
    else:
        desk.open_remembered()
    token = "" if is_local(options.host) else _token()
    app = make_app(desk, Door.of(options.host, token))
    address = f"http://{options.host}:{options.port}/" + (f"?token={token}" if token else "")
    sys.stderr.write(say("server.address", address=address) + "\n")
    sys.stderr.flush()
    config = uvicorn.Config(
        app,
        host=options.host,
        port=options.port,
        log_level="warning",
        ws_max_size=LARGEST_MESSAGE,
        timeout_graceful_shutdown=2,
        server_header=False,
    )
    server = uvicorn.Server(config)
    if options.native:
        _show_window(server, address)
    else:
        server.run()


def make_app(desk: Desk, door: Door) -> ASGIApp:
    """The whole application around a desk."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        queue = asyncio.create_task(desk.run())
        yield
        queue.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await queue

    app = FastAPI(lifespan=lifespan, openapi_url=None)
    _add_files(app, desk)
    _add_uploads(app, desk)
    add_sockets(app, desk)
    for page in PAGES:
        _add_page(page, desk)
    ui.run_with(
        app,
        title="Understudy",
        dark=True,
        tailwind=False,
        reconnect_timeout=30.0,
        show_welcome_message=False,
        favicon=STATIC / "icon.svg",
    )
    return Guard(app, door)


def _add_page(page: Page, desk: Desk) -> None:
    async def show(w: str = "") -> None:
        try:
            opened = desk.find(w) if w else next(iter(desk.opened), None)
        except FileError:
            opened = None
        visit = Visit(desk, opened)
        with framed(page, PAGES, visit):
            if opened is None and page.needs_workspace:
                welcome.build(visit)
                return
            made = page.build(visit)
            if made is not None:
                await made

    title = f"{say(f'pages.{page.name}.title')} · Understudy"
    ui.page(page.path, title=title, response_timeout=20.0)(show)


def _add_files(app: FastAPI, desk: Desk) -> None:
    @app.get("/static/{stamp}/{name}")
    async def static(stamp: str, name: str) -> Response:
        for folder in (STATIC, CANVAS):
            path = file_within(folder, name)
            if path.is_file():
                return FileResponse(path, headers=_FOREVER)
        raise FileError(name[:80], expected="a file of ours", found="none", remedy="Reload.")

    @app.get("/files/{key}/{name:path}")
    async def file(key: str, name: str) -> Response:
        path = file_within(desk.find(key).root, name)
        if path.suffix.lower() not in _SHOWN or not path.is_file():
            raise FileError(name[:80], expected="a picture or report", found="none", remedy="")
        return FileResponse(path, headers={"cache-control": "no-cache"})

    @app.exception_handler(UnderstudyError)
    async def refuse(_: Request, error: Exception) -> Response:
        return JSONResponse({"error": str(error)}, status_code=_status(error))


def _status(error: Exception) -> int:
    return 404 if isinstance(error, FileError) else 400


def _add_uploads(app: FastAPI, desk: Desk) -> None:
    @app.put("/upload/{key}/{side}")
    async def upload(key: str, side: str, name: str, request: Request) -> Response:
        opened = desk.find(key)
        if side not in ("src", "dst"):
            raise FileError(side[:20], expected="src or dst", found="another", remedy="")
        text = request.headers.get("content-length", "0")
        path = await receive_clip(
            opened.workspace.side("src" if side == "src" else "dst"),
            name,
            request.stream(),
            size=int(text) if text.isdecimal() else 0,
            largest=desk.largest_upload,
        )
        desk.jobs.add("frames", {"side": side, "workspace": opened.root}, workspace=opened.root)
        return JSONResponse({"name": path.name})


def _token() -> str:
    """The token of this installation; the same after a restart, so that open tabs go on."""
    path = make_dir(data_dir() / "studio") / "token"
    if not path.exists():
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(24))
    return path.read_text(encoding="ascii").strip()


def _show_window(server: uvicorn.Server, address: str) -> None:
    import threading

    try:
        import webview
    except ImportError as error:
        raise FileError(
            "--native",
            expected="the package pywebview",
            found="none",
            remedy="Install it (pip install pywebview), or open the address in a browser.",
        ) from error
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    webview.create_window("Understudy", address, width=1440, height=900)
    webview.start()
    server.should_exit = True
    thread.join()
