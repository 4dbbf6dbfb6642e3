"""Who is on the page, and whose files are whose.

A visitor is a browser, known by a cookie that it cannot make up; a tab is a page opened in it, known by Gradio's
session hash. Every file lies in a folder of a tab, or in the inbox of a visitor until a tab takes it. Nobody is given
a file that lies elsewhere; see `resharp.web.gate`.
"""

from __future__ import annotations

import atexit
import hashlib
import hmac
import os
import re
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from resharp.errors import ImageError, ResharpError
from resharp.web.limits import Limits

COOKIE = "resharp_web"
MOST_TABS = 1000
_LONGEST_NAME = 100
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')


class NotYoursError(ResharpError):
    """A session, a tab or a file of somebody else."""


@dataclass
class Tab:
    """One open page.

    folder: its files, under a name that cannot be guessed.
    photo: the photo that was dropped, and its width and height; screen: its copy for the screen.
    batch: the photos dropped on the tab of several.
    shown: the result on the screen, and whether it is of a part; None before.
    stop: set to end the job that runs; None while none runs.
    """

    session: str
    visitor: str
    folder: Path
    photo: Path | None = None
    size: tuple[int, int] = (0, 0)
    screen: Path | None = None
    screen_size: tuple[int, int] = (0, 0)
    batch: tuple[Path, ...] = ()
    shown: tuple[Any, bool] | None = None
    stop: threading.Event | None = None
    seen_at: float = field(default_factory=time.monotonic)
    left_at: float | None = None

    def new_path(self, name: str) -> Path:
        """A file of this name in a new folder of the tab."""
        folder = self.folder / secrets.token_hex(16)
        folder.mkdir()
        return folder / name

    def forget(self) -> None:
        """Remove all files of the tab but those that `photo`, `screen` and `batch` name."""
        kept = {path.parent for path in (self.photo, self.screen, *self.batch) if path is not None}
        for folder in self.folder.iterdir():
            if folder not in kept:
                shutil.rmtree(folder, ignore_errors=True)


class Visitors:
    """Safe to use from several threads. `close` removes every file.

    Args:
        parent: where the folder of all files is made; None is the system's place for temporary files.
    """

    def __init__(self, limits: Limits, parent: Path | None = None) -> None:
        self.limits = limits
        self.root = Path(tempfile.mkdtemp(prefix="resharp-web-", dir=parent)).resolve()  # for its owner alone
        self._secret = secrets.token_bytes(32)
        self._tabs: dict[str, Tab] = {}
        self._lock = threading.RLock()
        atexit.register(self.close)  # also where a second Ctrl-C interrupts the tidying up

    def new_visitor(self) -> str:
        """A token for a cookie."""
        name = secrets.token_hex(16)
        return f"{name}.{self._sign(name)}"

    def visitor(self, token: str | None) -> str | None:
        """Whose token it is, or None if it was not made here."""
        name, _, sign = (token or "").partition(".")
        known = re.fullmatch("[0-9a-f]{32}", name) and hmac.compare_digest(sign.encode(), self._sign(name).encode())
        return name if known else None

    def tab(self, session: str, visitor: str) -> Tab:
        """The tab of a session hash, which belongs to the visitor who comes with it first.

        Raises:
            NotYoursError: it belongs to another, or there are too many.
        """
        with self._lock:
            found = self._tabs.get(session)
            if found is None:
                if len(self._tabs) >= MOST_TABS or not re.fullmatch(r"[\w-]{6,64}", session):
                    raise NotYoursError("too many pages are open; try again later")
                folder = self.root / visitor / secrets.token_hex(16)
                folder.mkdir(parents=True)
                found = self._tabs[session] = Tab(session, visitor, folder)
            if found.visitor != visitor:
                raise NotYoursError("this page belongs to another browser; open it anew")
            found.seen_at, found.left_at = time.monotonic(), None
            return found

    def owns(self, visitor: str, path: str) -> bool:
        """Whether the file at `path` is this visitor's; links are followed before that is asked."""
        try:
            real = Path(path).resolve(strict=True)
        except (OSError, ValueError, RuntimeError):
            return False
        return real.is_file() and real.is_relative_to(self.root / visitor)

    def inbox(self, visitor: str, name: str) -> tuple[str, Path]:
        """An id and a path for an upload.

        Raises:
            NotYoursError: all uploads together are too large already.
        """
        if stored_bytes(self.root) > self.limits.max_stored_bytes:
            raise NotYoursError("too many photos are here already; try again later")
        key = secrets.token_hex(16)
        folder = self.root / visitor / "inbox" / key
        folder.mkdir(parents=True)
        return key, folder / safe_name(name)

    def take(self, tab: Tab, key: str) -> Path:
        """Move an upload from the visitor's inbox into a folder of the tab.

        Raises:
            ImageError: there is none of this id, or it is somebody else's.
        """
        folder = self.root / tab.visitor / "inbox" / key
        if not re.fullmatch("[0-9a-f]{32}", key) or not folder.is_dir():
            raise ImageError("this photo is no longer here; choose it again")
        (source,) = folder.iterdir()
        target = tab.new_path(source.name)
        os.replace(source, target)
        folder.rmdir()
        return target

    def leave(self, session: str) -> None:
        """The page was closed, or its phone sleeps; its files go after the grace."""
        with self._lock:
            if session in self._tabs:
                self._tabs[session].left_at = time.monotonic()

    def sweep(self) -> None:
        """Remove the files of pages that were closed or forgotten, and uploads that nobody took."""
        now = time.monotonic()
        with self._lock:
            gone = [tab for tab in self._tabs.values() if self._is_over(tab, now)]
            for tab in gone:
                del self._tabs[tab.session]
        for tab in gone:
            if tab.stop is not None:
                tab.stop.set()
            shutil.rmtree(tab.folder, ignore_errors=True)
        for folder in self.root.glob("*/inbox/*"):
            if time.time() - _changed(folder) > self.limits.grace_s:
                shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Remove everything."""
        with self._lock:
            tabs, self._tabs = list(self._tabs.values()), {}
        for tab in tabs:
            if tab.stop is not None:
                tab.stop.set()
        shutil.rmtree(self.root, ignore_errors=True)
        atexit.unregister(self.close)

    def sweep_every(self, seconds: float) -> Callable[[], None]:
        """Sweep in the background until the function that is returned is called."""
        over = threading.Event()

        def work() -> None:
            while not over.wait(seconds):
                self.sweep()

        threading.Thread(target=work, daemon=True, name="resharp-web-sweep").start()
        return over.set

    def _is_over(self, tab: Tab, now: float) -> bool:
        left = tab.left_at is not None and now - tab.left_at > self.limits.grace_s
        return left or now - tab.seen_at > self.limits.idle_s

    def _sign(self, name: str) -> str:
        return hmac.new(self._secret, name.encode(), hashlib.sha256).hexdigest()


def safe_name(name: str) -> str:
    """A file name without folders and control characters, and not too long; the suffix stays."""
    base = _UNSAFE.sub("_", name.replace("\\", "/").rsplit("/", 1)[-1]).strip(". ") or "photo"
    stem, dot, suffix = base.rpartition(".")
    if not dot:
        stem, suffix = base, ""
    suffix = suffix.encode()[:10].decode(errors="ignore")
    stem = stem.encode()[:_LONGEST_NAME].decode(errors="ignore") or "photo"
    return f"{stem}{dot}{suffix}"


def stored_bytes(folder: Path) -> int:
    """What the files below a folder take."""
    total = 0
    for parent, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.stat(os.path.join(parent, name)).st_size
            except OSError:  # removed meanwhile
                continue
    return total


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()
