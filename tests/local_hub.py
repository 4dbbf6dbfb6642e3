"""The part of the Hugging Face Hub's protocol that uploading and downloading a model needs, on this machine.

Files are kept in memory. Run a client with `HF_ENDPOINT` set to the address.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class LocalHub(BaseHTTPRequestHandler):
    """repositories: "owner/name" to {file name: bytes}; asked: "METHOD path" of each request."""

    repositories: dict[str, dict[str, bytes]]
    private: dict[str, bool]
    asked: list[str]

    def log_message(self, *_: object) -> None:
        """Nothing: tests are quiet."""

    def _answer(self, content: object, status: int = 200, **headers: str) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _refuse(self, status: int, code: str) -> None:
        self._answer({"error": code}, status, X_Error_Code=code, X_Error_Message=code)

    def do_POST(self) -> None:
        """Make a repository, say how files are to be sent, take a commit."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.asked.append(f"POST {self.path}")
        if self.headers.get("Authorization") != "Bearer hf_test":
            return self._refuse(401, "Unauthorized")
        if self.path == "/api/validate-yaml":
            return self._answer({"errors": [], "warnings": []})
        if self.path == "/api/repos/create":
            wanted = json.loads(body)
            name = "/".join(filter(None, (wanted.get("organization"), wanted["name"])))
            self.repositories.setdefault(name, {})
            self.private[name] = bool(wanted.get("private")) or wanted.get("visibility") == "private"
            return self._answer({"url": f"http://{self.headers['Host']}/{name}"})
        found = re.fullmatch(r"/api/models/([^/]+/[^/]+)/(preupload|commit)/main", self.path.split("?")[0])
        if found is None or found[1] not in self.repositories:
            return self._refuse(404, "RepoNotFound")
        if found[2] == "preupload":
            files = [{"path": each["path"], "uploadMode": "regular"} for each in json.loads(body)["files"]]
            return self._answer({"files": [{**each, "shouldIgnore": False} for each in files]})
        for line in body.splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                value = entry["value"]
                self.repositories[found[1]][value["path"]] = base64.b64decode(value["content"])
        address = f"http://{self.headers['Host']}/{found[1]}/commit/{'a' * 40}"
        return self._answer({"commitUrl": address, "commitOid": "a" * 40, "success": True})

    def do_GET(self) -> None:
        """What is in a repository, and its files."""
        self.asked.append(f"{self.command} {self.path}")
        found = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/main)?", self.path.split("?")[0])
        if found is not None and found[1] in self.repositories:
            names = [{"rfilename": name} for name in self.repositories[found[1]]]
            return self._answer({"id": found[1], "sha": "a" * 40, "siblings": names, "private": False, "tags": []})
        found = re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/(?:main|a{40})", self.path.split("?")[0])
        if found is not None and found[1] in self.repositories:
            files = self.repositories[found[1]].items()
            hashed = [(name, data, hashlib.sha1(data).hexdigest()) for name, data in files]
            return self._answer([{"type": "file", "path": n, "size": len(d), "oid": h} for n, d, h in hashed])
        found = re.fullmatch(r"/([^/]+/[^/]+)/resolve/(?:main|a{40})/(.+)", self.path.split("?")[0])
        if found is None or found[2] not in self.repositories.get(found[1], {}):
            return self._refuse(404, "EntryNotFound" if found else "RepoNotFound")
        data = self.repositories[found[1]][found[2]]
        return self._answer(data, ETag=f'"{hashlib.sha1(data).hexdigest()}"', X_Repo_Commit="a" * 40)

    do_HEAD = do_GET  # noqa: N815 - http.server's name


@contextmanager
def local_hub() -> Iterator[tuple[str, type[LocalHub]]]:
    """A Hub with nothing in it: its address, and what it holds."""

    class Hub(LocalHub):
        repositories: dict[str, dict[str, bytes]] = {}
        private: dict[str, bool] = {}
        asked: list[str] = []

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", Hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
