"""A studio to test: started as a child, and what a user does on every page of it."""

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page, expect

from understudy.steps.studio import StudioOptions


@dataclass
class Studio:
    """A running studio: where it is, what it may make workspaces in, what it logged."""

    address: str
    port: int
    projects: Path
    log_path: Path
    workspace: Path

    def log(self) -> list[str]:
        return self.log_path.read_text(encoding="utf-8").splitlines()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(
    folder: Path, *, projects: Path, port: int, workspace: Path | None = None
) -> "subprocess.Popen[bytes]":
    """A studio as a child; its keys and memory lie in `folder`."""
    options = StudioOptions(
        workspace=workspace, port=port, projects=projects, largest_upload_gb=0.05
    )
    environment = os.environ | {"UNDERSTUDY_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"}
    with (folder / "log.txt").open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "understudy.studio", options.model_dump_json()],
            stdout=log,
            stderr=log,
            env=environment,
        )
    for _ in range(2400):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return child
        assert child.poll() is None, (folder / "log.txt").read_text()
        time.sleep(0.05)
    raise AssertionError("the studio does not answer")


def stop(child: "subprocess.Popen[bytes]") -> None:
    child.send_signal(signal.SIGTERM)
    child.wait(60)


def open_workspace(page: Page, root: Path) -> None:
    """Open a workspace as a user does; the page shows Home on it then."""
    page.goto("/")
    page.get_by_label("Whole path on the machine").fill(str(root))
    page.get_by_role("button", name="Open", exact=True).click()
    expect(page.get_by_role("heading", name=root.name, exact=True)).to_be_visible()
