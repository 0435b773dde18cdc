"""Binary WebSockets for the canvases: small JSON questions in, bytes out, everything bounded.

A question is one JSON object with a number `id`; its answer is that number as four bytes, little
end first, and what was asked for; or a JSON text {"id": ..., "error": ...}. A message that is no
question ends the connection with one line in the log. Knows no picture and no page.
"""

import asyncio
import json
import logging
import struct
from collections.abc import Awaitable, Callable, Mapping
from typing import Any  # JSON values

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from understudy.errors import UnderstudyError
from understudy.studio.desk import Desk, Opened

log = logging.getLogger("understudy.studio")

LARGEST_MESSAGE = 64 << 10
"""Bytes of a question at most; the server cuts a connection that sends more."""

MOST_AT_ONCE = 4
_POLICY_VIOLATION, _TOO_BIG = 1008, 1009

Answerer = Callable[[Opened, dict[str, Any]], Awaitable[bytes]]
"""Answers a question about a workspace; an `UnderstudyError` is told to who asked."""

SOCKETS: dict[str, Answerer] = {}
"""What can be asked, by the last part of its address: /socket/NAME/WORKSPACE."""


class Malformed(Exception):
    """A message that no canvas of ours sends."""


def add_sockets(app: FastAPI, desk: Desk) -> None:
    """Serve what stands in `SOCKETS`."""
    import understudy.studio.labels
    import understudy.studio.pictures  # noqa: F401 - they enter themselves

    @app.websocket("/socket/{name}/{key}")
    async def socket(connection: WebSocket, name: str, key: str) -> None:
        answerer = SOCKETS.get(name)
        try:
            opened = desk.find(key)
        except UnderstudyError:
            answerer = None
        if answerer is None:
            log.warning("refused socket %r of %r: no such", name[:40], key[:40])
            await connection.close(_POLICY_VIOLATION)
            return
        await connection.accept()
        await _converse(connection, lambda asked: answerer(opened, asked), name)


async def _converse(
    connection: WebSocket, answer: Callable[[dict[str, Any]], Awaitable[bytes]], name: str
) -> None:
    slots, sending = asyncio.Semaphore(MOST_AT_ONCE), asyncio.Lock()
    tasks: set[asyncio.Task[None]] = set()
    try:
        while True:
            message = await connection.receive()
            if message["type"] == "websocket.disconnect":
                if message.get("code") == _TOO_BIG:
                    log.warning(
                        "refused message on %s: larger than %d bytes", name, LARGEST_MESSAGE
                    )
                return
            asked = _question(message)
            await slots.acquire()
            task = asyncio.create_task(_answer(connection, answer, asked, sending))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            task.add_done_callback(lambda _: slots.release())
    except Malformed as error:
        log.warning("refused message on %s: %s", name, error)
        await connection.close(_POLICY_VIOLATION)
    except WebSocketDisconnect:
        return
    finally:
        for task in tasks:
            task.cancel()


def _question(message: Mapping[str, Any]) -> dict[str, Any]:
    """The question a message holds.

    Raises:
        Malformed: it holds none.
    """
    text = message.get("text")
    if text is None:
        raise Malformed("bytes instead of a question")
    if len(text) > LARGEST_MESSAGE:
        raise Malformed(f"larger than {LARGEST_MESSAGE} bytes")
    try:
        asked = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Malformed("no JSON") from error
    number = asked.get("id") if isinstance(asked, dict) else None
    if type(number) is not int or not 0 <= number < 1 << 32:
        raise Malformed("a question without a number")
    return dict(asked)


async def _answer(
    connection: WebSocket,
    answer: Callable[[dict[str, Any]], Awaitable[bytes]],
    asked: dict[str, Any],
    sending: asyncio.Lock,
) -> None:
    number = asked["id"]
    try:
        found = await answer(asked)
    except UnderstudyError as error:
        async with sending:
            await connection.send_text(json.dumps({"id": number, "error": str(error)}))
        return
    async with sending:
        await connection.send_bytes(struct.pack("<I", number) + found)
