"""Small data sets to pack into shards, and a web server that serves them, well or badly."""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from PIL import Image

from resharp.data.listing import Entry, Listing


def picture(seed: int, width: int = 40, height: int = 28) -> Image.Image:
    """Noise: no two seeds alike, and hardly compressible."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def make_listing(root: Path, count: int, *, pairs: bool = True, suffix: str = ".png", **size: int) -> Listing:
    """Photographs on disk: sharp/000.png ..., and blurry/000.png ... if they are pairs."""
    entries = []
    for i in range(count):
        paths = [root / folder / f"{i:03d}{suffix}" for folder in ("sharp", "blurry")[: 1 + pairs]]
        for k, path in enumerate(paths):
            path.parent.mkdir(parents=True, exist_ok=True)
            picture(2 * i + k, **size).save(path)
        entries.append(Entry(f"sharp/{i:03d}{suffix}", *paths))
    return Listing("pairs of folders", root, "all", tuple(entries))


class Server:
    """What a test may change about the server, and what it has been asked for.

    folder: what is served.
    ranges: whether range requests are understood.
    fail: takes a path and the number of earlier requests for it; returns None, a status to answer with, or a
        negative number: hang up after so many bytes.
    requests: path and first byte of each request.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.ranges = folder, True
        self.fail = lambda path, earlier: None
        self.requests: list[tuple[str, int]] = []
        self.url = ""


@contextmanager
def serving(folder: Path):
    """Serve a folder on this machine, in a thread; yields the `Server`."""
    server = Server(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0].lstrip("/")
            earlier = sum(path == asked for asked, _ in server.requests)
            start = int(re.fullmatch(r"bytes=(\d+)-", self.headers["Range"])[1]) if server.ranges else 0
            server.requests.append((path, start))
            failure = server.fail(path, earlier)
            if (server.folder / path).is_file() and (failure is None or failure < 0):
                self._send((server.folder / path).read_bytes(), start, failure)
            else:
                self.send_error(failure or 404)

        def _send(self, data: bytes, start: int, failure: int | None) -> None:
            self.send_response(206 if server.ranges else 200)
            if server.ranges:
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            try:
                self.wfile.write(data[start:] if failure is None else data[start : start - failure])
            except OSError:  # the reader has hung up
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        listener.daemon_threads = True
        thread = threading.Thread(target=listener.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        server.url = f"http://127.0.0.1:{listener.server_port}"
        try:
            yield server
        finally:
            listener.shutdown()
            thread.join(5)
