"""What the first process of a run says to the others, and what they say to it: lines of JSON.

Beside the network that adds up gradients there is one connection from each process to the first,
which tells at once when a process is gone, whatever its device waits for. Words go out in the order
they are said; whoever hears them need not be waited for. Knows no training.
"""

import hmac
import json
import os
import queue
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any  # JSON values

from understudy.errors import StateError

BEAT_SECONDS = 5.0
SILENCE_SECONDS = 120.0
"""A process that gives no sign for so long is lost."""

GRACE_SECONDS = 30.0
"""A process whose device waits for one that is gone is ended from outside after this long."""

_END = {"do": "end"}
_LINE_MAX = 1 << 24

Word = Mapping[str, Any]
Hear = Callable[[Word], None]


class Over(Exception):
    """The first process has said that it is over."""


class _Line:
    """One connection: lines out, lines in, a sign of life in between."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(SILENCE_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connection
        self._writing = threading.Lock()
        self._file = connection.makefile("rb")
        self._closed = threading.Event()

    def send(self, word: Word | None) -> None:
        """Send a word, or a sign of life; a lost connection is told by whoever reads."""
        data = b"\n" if word is None else json.dumps(word).encode() + b"\n"
        with self._writing:
            try:
                self._socket.sendall(data)
            except OSError:
                self._closed.set()

    def read(self) -> Word | None:
        """The next word; None at the end.

        Raises:
            OSError: the connection is lost, or silent for too long.
            ValueError: what came is no word.
        """
        while data := self._file.readline(_LINE_MAX):
            if data.strip():
                word = json.loads(data)
                if not isinstance(word, dict):
                    raise ValueError(f"no word: {data[:40]!r}")
                return word
        return None

    def beat(self) -> None:
        """Give signs of life until closed."""
        while not self._closed.wait(BEAT_SECONDS):
            self.send(None)

    def close(self) -> None:
        """Close the connection; whoever reads from it comes to an end."""
        self._closed.set()
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the other end was faster
        self._file.close()
        self._socket.close()


def _start(work: Callable[[], None]) -> None:
    threading.Thread(target=work, daemon=True, name="wire").start()


@dataclass(slots=True)
class _Other:
    """Another process as the first one knows it."""

    rank: int
    line: _Line
    ready: int = 0
    lost: str = ""
    is_bug: bool = False
    failed: bool = field(default=False)


class FirstEnd:
    """The first process's end of all connections."""

    def __init__(self, size: int, *, everywhere: bool) -> None:
        self.size = size
        self.token = secrets.token_hex(16)
        self._server = _server(everywhere=everywhere)
        self.port = int(self._server.getsockname()[1])
        self._others: dict[int, _Other] = {}
        self._changed = threading.Condition()
        self._asked_ready = 0
        self._ending = False
        self.on_word: Hear = lambda word: None
        """Called, by another thread, with what a process says that is not about itself."""
        self.on_stuck: Callable[[StateError], None] = lambda error: None
        """Called, by another thread, before this process is ended, as it waits for a lost one."""
        self.how_ended: Callable[[int], str] = lambda rank: ""
        """What is known of the end of a process, to be told after "it ended"."""

    @property
    def is_gathered(self) -> bool:
        """Whether all have come."""
        return len(self._others) == self.size - 1

    def gather(self, *, seconds: float, check: Callable[[], None]) -> None:
        """Wait until all have come.

        Raises:
            StateError: one did not in time.
        """
        until = time.monotonic() + seconds
        self._server.settimeout(0.2)
        while not self.is_gathered:
            check()
            if time.monotonic() > until:
                raise self._error(min(self._absent()), f"no word from it for {seconds:.0f} seconds")
            try:
                connection, _ = self._server.accept()
            except TimeoutError:
                continue
            self._let_in(connection)
        self._server.close()

    def say(self, word: Word) -> None:
        """Send a word to all.

        Raises:
            StateError: one of them is lost.
        """
        self.check()
        for other in self._others.values():
            other.line.send(word)

    def check(self) -> None:
        """Nothing, if all are there.

        Raises:
            StateError: one is lost, by what it met or from outside.
            RuntimeError: one met a fault of the program.
        """
        for other in self._others.values():
            if other.lost:
                error = self._error(other.rank, other.lost)
                raise RuntimeError(str(error)) if other.is_bug else error

    def wait_ready(self, check: Callable[[], None]) -> None:
        """Wait until all have said that they are ready, once more than the last time.

        Raises:
            StateError: one is lost.
        """
        self._asked_ready += 1
        while any(other.ready < self._asked_ready for other in self._others.values()):
            self.check()
            check()
            with self._changed:
                self._changed.wait(0.2)

    def explain(self, seconds: float = 5.0) -> None:
        """Nothing, unless one is lost or will soon be known to be.

        Raises:
            StateError: one is.
        """
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.check()
            with self._changed:
                self._changed.wait(0.1)

    def end(self) -> None:
        """Tell all that it is over, and leave."""
        self._ending = True
        self._server.close()
        for other in self._others.values():
            other.line.send(_END)
            other.line.close()

    def _absent(self) -> set[int]:
        return set(range(1, self.size)) - set(self._others)

    def _let_in(self, connection: socket.socket) -> None:
        line = _Line(connection)
        connection.settimeout(10.0)
        try:
            word = line.read()
        except (OSError, ValueError):
            word = None
        rank, token = (word or {}).get("rank"), str((word or {}).get("token"))
        known = hmac.compare_digest(token.encode(), self.token.encode())
        if not known or not isinstance(rank, int) or rank not in self._absent():
            line.close()  # a stranger at an open port
            return
        connection.settimeout(SILENCE_SECONDS)
        other = self._others[rank] = _Other(rank, line)
        _start(lambda: self._listen(other))
        _start(line.beat)

    def _listen(self, other: _Other) -> None:
        reason = ""
        try:
            while (word := other.line.read()) is not None:
                self._take(other, word)
        except TimeoutError:
            reason = f"no sign of it for {SILENCE_SECONDS:.0f} seconds"
        except (OSError, ValueError):
            pass  # lost, as at its end
        if self._ending:
            return
        reason = reason or f"it ended{self.how_ended(other.rank)}"
        with self._changed:
            other.lost = other.lost or reason
            self._changed.notify_all()
        time.sleep(GRACE_SECONDS)
        if not self._ending:
            self.on_stuck(self._error(other.rank, other.lost))
            os._exit(StateError.exit_code)

    def _take(self, other: _Other, word: Word) -> None:
        kind = word.get("say")
        if kind == "ready":
            other.ready += 1
        elif kind == "failed":
            other.lost, other.is_bug = str(word["reason"]), bool(word["is_bug"])
        else:
            self.on_word(word)
        with self._changed:
            self._changed.notify_all()

    def _error(self, rank: int, found: str) -> StateError:
        return StateError(
            f"process {rank + 1} of {self.size}",
            expected="to train to the end",
            found=found,
            remedy="The last save is kept: start again to go on.",
        )


class OtherEnd:
    """A further process's end of its connection to the first one."""

    def __init__(self, address: tuple[str, int], *, token: str, rank: int, size: int) -> None:
        self.rank, self.size = rank, size
        self._line = _Line(socket.create_connection(address, timeout=SILENCE_SECONDS))
        self._heard: queue.SimpleQueue[Word | None] = queue.SimpleQueue()
        self._closed = self._was_told = False
        self.is_over = threading.Event()
        """Set once the first process has ended, or said that it is over."""
        self.on_over: Callable[[], None] = lambda: None
        self._line.send({"rank": rank, "token": token})
        _start(self._listen)
        _start(self._line.beat)

    def hear(self, check: Callable[[], None]) -> Word:
        """The next word; `check` is called before and while there is none.

        Raises:
            Over: there will be none.
            StateError: the first process is lost.
        """
        while True:
            check()
            try:
                word = self._heard.get(timeout=0.2)
            except queue.Empty:
                continue
            if word is None:
                self._raise_over()
            else:
                return word

    def explain(self, seconds: float = 5.0) -> None:
        """Nothing, unless the first process has ended or will soon be known to have.

        Raises:
            Over: it said so.
            StateError: it is lost.
        """
        if self.is_over.wait(seconds):
            self._raise_over()

    def _raise_over(self) -> None:
        if self._was_told:
            raise Over
        raise StateError(
            f"process 1 of {self.size}",
            expected="it to say what is next",
            found="it ended",
            remedy="The last save is kept: start again to go on.",
        )

    def tell(self, kind: str, **values: Any) -> None:
        """Say something to the first process."""
        self._line.send({"say": kind, **values})

    def end(self) -> None:
        """Leave."""
        self._closed = True
        self._line.close()

    def _listen(self) -> None:
        try:
            while (word := self._line.read()) is not None:
                self._was_told = word == _END
                if self._was_told:
                    break
                self._heard.put(word)
        except (OSError, ValueError):
            pass  # lost, as at an end that was not told
        self.is_over.set()
        self._heard.put(None)
        self.on_over()
        time.sleep(GRACE_SECONDS)
        if not self._closed:
            os._exit(StateError.exit_code)


def _server(*, everywhere: bool) -> socket.socket:
    """A listening socket, for this machine alone or for others too."""
    if not everywhere:
        return socket.create_server(("127.0.0.1", 0))
    if socket.has_dualstack_ipv6():
        return socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", 0))
