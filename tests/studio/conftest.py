"""A studio that runs, and a browser that watches what it says and asks for."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from made_faceset import make_workspace
from short_clips import short_clip
from studio_server import Studio, free_port, start, stop

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_PATIENCE_MS = 120_000


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    folder = tmp_path_factory.mktemp("studio")
    projects = folder / "projects"
    projects.mkdir()
    port = free_port()
    made = make_workspace(folder / "made").root
    child = start(folder, projects=projects, port=port, workspace=made)
    yield Studio(f"http://127.0.0.1:{port}", port, projects, folder / "log.txt", made)
    stop(child)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs chromium")
        pytest.skip("needs Debian's chromium")
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture
def console() -> list[str]:
    """What the browser complained about; a test that expects something takes it out."""
    return []


@pytest.fixture
def page(browser: Browser, studio: Studio, console: list[str]) -> Iterator[Page]:
    """A tab whose console must stay free of errors, and which must ask no other host."""
    context = browser.new_context(base_url=studio.address, viewport={"width": 1280, "height": 720})
    context.set_default_timeout(_PATIENCE_MS)
    expect.set_options(timeout=_PATIENCE_MS)
    foreign: list[str] = []

    def see(route: Route) -> None:
        if re.match(rf"(https?|wss?)://127\.0\.0\.1:{studio.port}/", route.request.url):
            route.continue_()
        else:
            foreign.append(route.request.url)
            route.abort()

    context.route("**/*", see)
    tab = context.new_page()
    tab.on("console", lambda m: console.append(m.text) if m.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: console.append(str(error)))
    yield tab
    context.close()
    assert not foreign, foreign
    assert not console, console


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Clips of 6 and 5 frames."""
    folder = tmp_path_factory.mktemp("clips")
    return short_clip("src", 6, folder / "the face.mp4"), short_clip("dst", 5, folder / "plate.mp4")


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """A workspace with a few made faces on both sides."""
    return make_workspace(tmp_path / "faces").root
