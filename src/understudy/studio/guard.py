"""Who may speak to the studio: one pure ASGI layer around everything it serves.

Every HTTP request and every WebSocket passes here first. A foreign name in Host (a rebound DNS
name), a foreign Origin (another site's page), a request another site's page made, and, where the
studio is open to a network, a missing token are refused with 403 and one line in the log. Knows
nothing of pages.
"""

import ipaddress
import logging
import secrets
import socket
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("understudy.studio")

COOKIE = "understudy_token"
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self'; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    b"content-security-policy": _POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
}


@dataclass(frozen=True, slots=True)
class Door:
    """What is let in: names the studio is called by, and the token it asks for ("" = none)."""

    names: frozenset[str]
    token: str = ""
    any_address: bool = False

    @classmethod
    def of(cls, host: str, token: str) -> "Door":
        """The door of a studio that listens on `host`; open to a network it needs a token."""
        if is_local(host):
            return cls(LOCAL_NAMES)
        names = {host.lower(), socket.gethostname().lower()} | LOCAL_NAMES
        return cls(frozenset(names), token=token, any_address=True)

    def knows(self, authority: str) -> bool:
        """Whether `authority` (host, or host:port) is a name of this studio.

        The port may be any: a tunnel ends where its user wants. An address in figures can't be a
        rebound name, so that every one is taken where the studio listens on a network.
        """
        try:
            name = urlsplit(f"//{authority}").hostname
        except ValueError:
            return False
        if not name:
            return False
        if name.lower() in self.names:
            return True
        return self.any_address and _is_address(name)


class Guard:
    """The layer itself."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app, self._door = app, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the connection on, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = _headers_of(scope)
        reason = self._reason_to_refuse(scope, headers)
        if reason:
            await self._refuse(scope, receive, send, reason)
            return
        if self._door.token and not self._has_cookie(headers):
            if scope["type"] == "http" and self._token_in_url(scope):
                await self._let_in(scope, send)
            else:
                await self._refuse(scope, receive, send, "no token, or a wrong one")
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message.get("headers", ())}
                more = [(k, v) for k, v in _HEADERS.items() if k not in given]
                message = {**message, "headers": [*message.get("headers", ()), *more]}
            await send(message)

        await self._app(scope, receive, send_guarded)

    def _reason_to_refuse(self, scope: Scope, headers: dict[str, str]) -> str:
        host = headers.get("host", "")
        if not self._door.knows(host):
            return f"host {host[:80]!r} is not this studio"
        origin = headers.get("origin")
        if origin is not None and not _is_same_origin(origin, host):
            return f"origin {origin[:80]!r} is another site"
        if origin is None and scope["type"] == "websocket" and "sec-fetch-site" in headers:
            return "a browser's WebSocket without an origin"
        site = headers.get("sec-fetch-site", "none")
        is_visit = scope.get("method") == "GET" and headers.get("sec-fetch-mode") == "navigate"
        if site not in ("none", "same-origin") and not is_visit:
            return "a request made by another site's page"
        return ""

    def _has_cookie(self, headers: dict[str, str]) -> bool:
        try:
            cookies = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            return False
        given = cookies[COOKIE].value if COOKIE in cookies else ""
        return _same(given, self._door.token)

    def _token_in_url(self, scope: Scope) -> bool:
        query = dict(parse_qsl(scope.get("query_string", b"").decode("latin-1")))
        return _same(query.get("token", ""), self._door.token)

    async def _let_in(self, scope: Scope, send: Send) -> None:
        """Answer that puts the token into a cookie and takes it out of the address."""
        query = parse_qsl(scope["query_string"].decode("latin-1"))
        rest = urlencode([(name, value) for name, value in query if name != "token"])
        # A path that begins with two slashes would lead to another host.
        path = "/" + scope.get("raw_path", b"/").split(b"?")[0].decode("latin-1").lstrip("/\\")
        cookie = f"{COOKIE}={self._door.token}; HttpOnly; SameSite=Strict; Path=/; Max-Age=31536000"
        headers = [
            (b"location", (path + (f"?{rest}" if rest else "")).encode("latin-1")),
            (b"set-cookie", cookie.encode("latin-1")),
            (b"cache-control", b"no-store"),
            (b"content-length", b"0"),
            *_HEADERS.items(),
        ]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, reason: str) -> None:
        client = (scope.get("client") or ("?",))[0]
        log.warning("refused %s %r: %s", client, scope.get("path", "")[:120], reason)
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})  # before accept: 403
            return
        body = b"refused\n"
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
            *_HEADERS.items(),
        ]
        await send({"type": "http.response.start", "status": 403, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def is_local(host: str) -> bool:
    """Whether a studio that listens there is reached from this machine only."""
    return host.lower() in LOCAL_NAMES or (_is_address(host) and _is_loopback(host))


def _is_loopback(host: str) -> bool:
    return ipaddress.ip_address(host).is_loopback


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_same_origin(origin: str, host: str) -> bool:
    """Whether an Origin is this very host; behind TLS its scheme is https."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()


def _same(given: str, token: str) -> bool:
    return secrets.compare_digest(given.encode(), token.encode())


def _headers_of(scope: Scope) -> dict[str, str]:
    """Headers by their names; of one that comes twice, both, so that it matches nothing."""
    found: dict[str, str] = {}
    for raw_name, raw in scope.get("headers", ()):
        name, value = raw_name.decode("latin-1").lower(), raw.decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found
