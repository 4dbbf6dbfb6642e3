"""The way in for photos: one file, one request, no more bytes than allowed, into the visitor's own folder."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import parse_qs

from resharp.errors import ResharpError
from resharp.web.gate import Receive, Scope, Send, refuse
from resharp.web.visitors import Visitors


class Receiving:
    """ASGI application for POST /photo?name=NAME; the body is the file, the answer {"id": ...}.

    Errors are {"error": ...} with "too_large", "busy" or "cut_short", whose words are in `resharp.web.words`.
    """

    def __init__(self, visitors: Visitors) -> None:
        self.visitors = visitors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            await refuse(send, 405, "send a photo")
            return
        most = self.visitors.limits.max_upload_bytes
        headers = {name.lower(): value for name, value in scope["headers"]}
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > most:
            await refuse(send, 413, "too_large")
            return
        name = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("name", ["photo"])[0]
        try:
            key, path = self.visitors.inbox(scope["state"]["visitor"], name)
        except ResharpError:
            await refuse(send, 503, "busy")
            return
        problem = "cut_short"
        try:
            with path.open("xb") as file:
                problem = await _copy(receive, file, most)
        finally:
            if problem:
                path.unlink(missing_ok=True)
                with suppress(OSError):
                    path.parent.rmdir()
        if problem:
            await refuse(send, 413 if problem == "too_large" else 400, problem)
            return
        body = f'{{"id": "{key}"}}'.encode()
        kind = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": kind})
        await send({"type": "http.response.body", "body": body})


async def _copy(receive: Receive, file: object, most: int) -> str:
    """Write the body; "" or the key of what went wrong."""
    total = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return "cut_short"
        piece = message.get("body", b"")
        total += len(piece)
        if total > most:
            return "too_large"
        file.write(piece)  # type: ignore[attr-defined]
        if not message.get("more_body"):
            return ""
