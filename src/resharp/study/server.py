"""The study's web server: Python's own, one thread for each connection, nothing from elsewhere.

The protocol: GET / is the page, GET /picture/NAME.png a picture under its opaque name, GET /api/state the open question
of the rater whose token is in the cookie, POST /api/join, /api/answer and /api/undo change things, in JSON.
"""

from __future__ import annotations

import json
import os
import re
from functools import cached_property
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from socketserver import TCPServer
from typing import Any

from resharp.errors import ConfigError, ResharpError
from resharp.study.results import Answer
from resharp.study.session import Study

COOKIE = "resharp_study"
_PAGE = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/study.css": ("study.css", "text/css; charset=utf-8"),
    "/study.js": ("study.js", "text/javascript; charset=utf-8"),
    "/view.js": ("view.js", "text/javascript; charset=utf-8"),
}
_PICTURE = re.compile(r"/picture/([0-9a-f]{32})\.png")
_LONGEST_BODY = 4096
_HEADERS = {
    # Nothing from outside, nothing inline, and no other page may frame this one.
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; form-action 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class StudyServer(ThreadingHTTPServer):
    """Serves the study that is put into `study`, until `shutdown`.

    Args:
        host, port: where to listen; port 0 takes a free one, see `server_port`.

    Raises:
        ConfigError: the address cannot be had: in use, not this machine's, or not allowed.
    """

    daemon_threads = True
    # On Windows this would let two servers share a port.
    allow_reuse_address = os.name != "nt"

    study: Study

    def __init__(self, host: str, port: int) -> None:
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConfigError(f"{host}:{port}: cannot listen here ({reason}); choose another --host or --port") from (
                error
            )

    def server_bind(self) -> None:
        """Without asking a name server who this machine is, which can take long and is not needed."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the middle of a picture is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    server: StudyServer

    @cached_property
    def study(self) -> Study:
        return self.server.study

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path in _PAGE:
            name, kind = _PAGE[path]
            self._send(200, kind, files("resharp.study").joinpath("page", name).read_bytes())
        elif path == "/api/state":
            self._json(200, self._state())
        elif match := _PICTURE.fullmatch(path):
            self._picture(match[1])
        elif path == "/favicon.ico":
            self._send(204, "image/x-icon", b"")
        else:
            self._json(404, {"error": "no such page"})

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:
        body = self._body()
        if body is None:
            self.close_connection = True
            self._json(400, {"error": "expected a small JSON object"})
        elif self.path == "/api/join":
            self._join(body)
        elif (rater := self._rater()) is None:
            self._json(403, {"error": "not a rater of this study"})
        elif self.path == "/api/answer":
            self._answer(rater, body)
        elif self.path == "/api/undo":
            self._json(200, self.study.undo(rater))
        else:
            self._json(404, {"error": "no such page"})

    def _join(self, body: dict[str, Any]) -> None:
        """A new rater, or with a token the one whose it is."""
        token = body.get("token")
        if token is None:
            token = self.study.results.join(self._agent())
        rater = self.study.results.rater(token) if isinstance(token, str) else None
        if rater is None:
            self._json(403, {"error": "not a rater of this study"})
            return
        cookie = f"{COOKIE}={token}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Strict"
        state = {**self.study.about(), "token": token, "rater": True, **self.study.state(rater)}
        self._json(200, state, {"Set-Cookie": cookie})

    def _answer(self, rater: int, body: dict[str, Any]) -> None:
        place, choice, milliseconds = body.get("place"), body.get("choice"), body.get("milliseconds")
        if type(place) is not int or not self.study.accepts(choice, milliseconds):
            self._json(400, {"error": "not an answer"})
            return
        answer = Answer(str(choice), int(milliseconds or 0), bool(body.get("zoomed")), self._agent())
        self._json(200, self.study.answer(rater, place, answer))

    def _state(self) -> dict[str, Any]:
        rater = self._rater()
        if rater is None:
            return {**self.study.about(), "rater": False}
        return {**self.study.about(), "token": self._token(), "rater": True, **self.study.state(rater)}

    def _picture(self, name: str) -> None:
        try:
            file = self.study.store.png(name)
        except ResharpError:
            self._json(500, {"error": "this picture cannot be read any more"})
            return
        if file is None:
            self._json(404, {"error": "no such picture"})
            return
        # No ETag and no date: they would only say which file it is. A name never changes its picture.
        self._send(200, "image/png", file, {"Cache-Control": "private, max-age=86400, immutable"})

    def _token(self) -> str | None:
        try:
            cookies = SimpleCookie(self.headers.get("Cookie", ""))
        except CookieError:
            return None
        return cookies[COOKIE].value if COOKIE in cookies else None

    def _rater(self) -> int | None:
        token = self._token()
        return None if token is None else self.study.results.rater(token)

    def _agent(self) -> str:
        return agent_class(self.headers.get("User-Agent", ""))

    def _body(self) -> dict[str, Any] | None:
        # A form of another site cannot send this type without asking first.
        if self.headers.get("Content-Type", "").split(";")[0] != "application/json":
            return None
        try:
            length = int(self.headers.get("Content-Length", ""))
            if not 0 <= length <= _LONGEST_BODY:
                return None
            body = json.loads(self.rfile.read(length))
        except ValueError:
            return None
        return body if isinstance(body, dict) else None

    def _json(self, code: int, content: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        body = json.dumps(content).encode()
        self._send(code, "application/json", body, {"Cache-Control": "no-store", **(headers or {})})

    def _send(self, code: int, kind: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for key, value in {"Cache-Control": "no-cache", **_HEADERS, **(headers or {})}.items():
            self.send_header(key, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def version_string(self) -> str:
        return "resharp-study"

    def log_message(self, format: str, *args: Any) -> None:
        """Addresses of raters are kept nowhere."""


def agent_class(user_agent: str) -> str:
    """ "phone", "tablet" or "desktop", by the browser's name for itself; nothing finer is kept of it."""
    if "iPad" in user_agent or "Tablet" in user_agent or ("Android" in user_agent and "Mobile" not in user_agent):
        return "tablet"
    return "phone" if "Mobi" in user_agent or "iPhone" in user_agent else "desktop"
