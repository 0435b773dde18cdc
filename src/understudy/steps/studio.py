"""The whole product in a browser, on this machine or a remote one."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

from understudy.errors import OptionError
from understudy.job import Job
from understudy.options import option
from understudy.steps.perform import LooseOptions
from understudy.types import Report
from understudy.workspace import Workspace


class StudioOptions(LooseOptions):
    """Options of `studio`."""

    workspace: Path | None = option(
        None, "Workspace to open; without it those that were open last."
    )
    port: int = option(8765, "Port to listen on.", ge=1, le=65535)
    host: str = option(
        "127.0.0.1",
        "Address to listen on; any but this machine's own asks every browser for a token.",
    )
    projects: Path | None = option(
        None, "Folder new workspaces are made in; without it the one the first workspace lies in."
    )
    native: bool = option(False, "Show it in a window of its own; needs the package pywebview.")
    largest_upload_gb: float = option(
        200.0, "Largest clip a browser may send, in gigabytes.", gt=0, le=10_000
    )


def studio(options: StudioOptions, job: Job) -> Report:
    """Runs until it is stopped; jobs it has started go on without it.

    Raises:
        WorkspaceError: the folder is no workspace.
        OptionError: the port is taken, the address is not this machine's, or there is no window.
    """
    if sys.platform == "win32":
        raise OptionError(
            "studio",
            expected="Linux or macOS, whose pipes and locks outlive the studio",
            found="Windows",
            remedy="Run it in WSL, or use the commands.",
        )
    if options.workspace is not None:
        Workspace.open(options.workspace).check_is_one()
    _check_is_free(options.host, options.port)
    # A program of its own: the steps know nothing of pages.
    command = [sys.executable, "-m", "understudy.studio", options.model_dump_json()]
    server = subprocess.Popen(command)  # noqa: S603 - our own program
    try:
        code = _wait(server, job)
    finally:
        if server.poll() is None:
            server.send_signal(signal.SIGTERM)
            server.wait()
    if code:
        raise RuntimeError(f"the studio's server ended with {code}; what it said stands above")
    return Report("studio", done=1, details={"summary": "studio closed"})


def _wait(server: "subprocess.Popen[bytes]", job: Job) -> int:
    while True:
        job.check()
        try:
            return server.wait(0.2)
        except subprocess.TimeoutExpired:
            continue


def _check_is_free(host: str, port: int) -> None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise OptionError(
            f"{host}:{port}",
            expected="an address of this machine with a free port",
            found=error.strerror or str(error),
            remedy="Choose another --port, or open the studio that runs there.",
        ) from error
