"""In front of Gradio: what may be asked for, and by whom.

Gradio serves any file below its folder to anyone who knows the path, and any session to anyone who knows its hash. Here
a request passes only if its route is one that the page uses, its files and its session are those of the cookie that
comes with it, and its body is small; photos come through `resharp.web.receiving` alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from resharp.errors import ResharpError
from resharp.web.visitors import COOKIE, Visitors

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

LOOPBACK = ("127.0.0.1", "localhost", "::1")
PHOTO = "/photo"  # where uploads go
_API = "/gradio_api/"
_OPEN = re.compile(r"/|/(?:assets|static)/.*|/theme\.css|/favicon\.ico|/manifest\.json|/config/?")
_OWN = re.compile(
    r"/photo|/gradio_api/(?:run/predict|queue/join|queue/data|file=.*|heartbeat/[^/]+|cancel|reset/?|startup-events|info/?)"
)
_LONGEST_BODY = 256 * 1024
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
        "manifest-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


class Gate:
    """ASGI middleware.

    Args:
        hosts: names that the Host header may have; None allows all. With it, a page of another site cannot reach a
            server on this computer under a name of its own.
    """

    def __init__(self, app: Any, visitors: Visitors, hosts: Iterable[str] | None = None) -> None:
        self.app, self.visitors = app, visitors
        self.hosts = None if hosts is None else frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        path, headers = scope["path"], _headers_of(scope)
        visitor = self.visitors.visitor(cookie_of(headers))
        if self.hosts is not None and host_of(headers) not in self.hosts:
            await refuse(send, 421, "this server is not known by that name")
        elif _OPEN.fullmatch(path) and scope["method"] in ("GET", "HEAD"):
            new = self.visitors.new_visitor() if path == "/" and visitor is None else None
            await self.app(scope, receive, _decorated(send, new))
        elif not _OWN.fullmatch(path):
            await refuse(send, 404, "no such page")
        elif visitor is None:
            await refuse(send, 403, "open the page first")
        else:
            scope["state"] = {**scope.get("state", {}), "visitor": visitor}
            await self._own(scope, receive, send, visitor)

    async def _own(self, scope: Scope, receive: Receive, send: Send, visitor: str) -> None:
        """A request that concerns a visitor's own things."""
        path = scope["path"]
        sessions = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("session_hash", [])
        if path.startswith(f"{_API}file="):
            if not self.visitors.owns(visitor, path.removeprefix(f"{_API}file=")):
                await refuse(send, 403, "not a file of yours")
                return
        elif path.startswith(f"{_API}heartbeat/"):
            sessions.append(path.rsplit("/", 1)[1])
        elif scope["method"] == "POST" and path != PHOTO:
            body = await _body(receive)
            if body is None:
                await refuse(send, 413, "too much at once")
                return
            sessions += _sessions_in(body)
            receive = _again(body, receive)
        try:
            for session in sessions:
                self.visitors.tab(session, visitor)
        except ResharpError as error:
            await refuse(send, 403, str(error))
            return
        await self.app(scope, receive, _decorated(send, None, private=True))


def cookie_of(headers: dict[str, str]) -> str | None:
    """The token that a request brings."""
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return None
    return cookies[COOKIE].value if COOKIE in cookies else None


def host_of(headers: dict[str, str]) -> str:
    """The host without its port; [::1] without its brackets."""
    host = headers.get("host", "")
    return host[1:].split("]")[0] if host.startswith("[") else host.rsplit(":", 1)[0].lower()


async def refuse(send: Send, code: int, words: str) -> None:
    """Answer with JSON of one key."""
    body = json.dumps({"error": words}).encode()
    headers = {"content-type": "application/json", "content-length": str(len(body)), "cache-control": "no-store"}
    # What is left of a refused body is not read.
    headers |= {"connection": "close", **_HEADERS}
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": code, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


def _headers_of(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _decorated(send: Send, token: str | None, *, private: bool = False) -> Send:
    """Add our headers, and a new visitor's cookie."""
    extra = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
    if private:
        extra.append((b"cache-control", b"private, no-store"))
    if token is not None:
        extra.append((b"set-cookie", f"{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict".encode()))

    async def sent(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            replaced = {name for name, _ in extra if name != b"set-cookie"}
            kept = [(name, value) for name, value in message.get("headers", []) if name.lower() not in replaced]
            message = {**message, "headers": [*kept, *extra]}
        await send(message)

    return sent


async def _body(receive: Receive) -> bytes | None:
    """All of a body, or None if it is too long."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > _LONGEST_BODY:
            return None
        if message["type"] != "http.request" or not message.get("more_body"):
            return body


def _again(body: bytes, receive: Receive) -> Receive:
    """Give a body that was read once more, then whatever comes."""
    given = False

    async def replay() -> MutableMapping[str, Any]:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _sessions_in(body: bytes) -> list[str]:
    try:
        content = json.loads(body) if body else {}
    except (ValueError, RecursionError):
        return []
    session = content.get("session_hash") if isinstance(content, dict) else None
    return [session] if isinstance(session, str) else []
