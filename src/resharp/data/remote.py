"""Files at URLs, opened at any byte, and tried again where a network fails for a moment.

webdataset's own `gopen` hands out pipes from `curl` and the like, which begin at the first byte. A part of a run
needs to begin in the middle of a shard, and to go on at the byte where a connection broke. So http is read with
urllib and range requests, and other schemes with fsspec, which seeks.
"""

from __future__ import annotations

import http.client
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, TypeVar
from urllib.parse import urlsplit, urlunsplit

from resharp.errors import DataError

T = TypeVar("T")

TIMEOUT_S = 30.0
PAUSES_S = (0.0, 1.0, 2.0, 4.0, 8.0)
# Refusals that may pass: the server was slow, or is asked too often.
_PASSING_STATUS = (408, 425, 429)


class NotThereError(DataError):
    """A file that does not exist, as opposed to one that cannot be read just now."""


@dataclass
class Opened:
    """A connection, and where in its file it is.

    size: the file's length in bytes, where the server tells.
    seeks: whether it could have been opened at another byte; if not, it must be read up to there.
    """

    stream: IO[bytes] | http.client.HTTPResponse
    at: int
    size: int | None
    seeks: bool

    def read(self, count: int) -> bytes:
        """Between 1 and `count` bytes; OSError at the end of the file."""
        data = self.stream.read(count)
        if not data:
            raise OSError("it ended early")
        self.at += len(data)
        return data


def is_url(place: str) -> bool:
    """Whether `place` is a URL and not a path."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", place) is not None


def shown(place: str) -> str:
    """`place` for people: a URL without user, password and query, which may hold keys."""
    if not is_url(place):
        return place
    parts = urlsplit(place)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def open_at(url: str, start: int) -> Opened:
    """Connect, and begin at byte `start` if the server can, else at byte 0.

    Raises:
        NotThereError: there is no such file.
        DataError: the server refuses, or no installed library reads URLs of this kind.
        Exception: nearly any, where trying again may help.
    """
    return _open_http(url, start) if urlsplit(url).scheme in ("http", "https") else _open_other(url, start)


def retrying(url: str, action: Callable[[], T]) -> T:
    """What `action` returns, at the latest when it is tried for the sixth time, after 15 s of pauses.

    Raises:
        DataError: as `action` does, at once; or the action failed otherwise each time.
    """
    for pause in (*PAUSES_S, None):
        try:
            return action()
        except DataError:
            raise
        except Exception as error:  # file systems of fsspec raise the errors of their own libraries
            if pause is None:
                reason = " ".join(str(error).split()) or type(error).__name__
                tries = f"tried {len(PAUSES_S) + 1} times"
                raise DataError(f"{shown(url)}: cannot read it ({reason[:160]}; {tries}); check the network") from error
            time.sleep(pause)
    raise AssertionError("the last round returns or raises")


def _open_http(url: str, start: int) -> Opened:
    # A range even from the first byte on: the answer tells whether the server knows ranges.
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        with error:
            if error.code in (404, 410):
                raise NotThereError(f"{shown(url)}: no such file (HTTP {error.code}); check the address") from error
            if error.code < 500 and error.code not in _PASSING_STATUS:
                raise DataError(f"{shown(url)}: refused (HTTP {error.code} {error.reason})") from error
        raise
    length = response.headers.get("Content-Length", "")
    if response.status != 206:
        return Opened(response, 0, int(length) if length.isdigit() else None, seeks=False)
    answer = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    if answer is None or int(answer[1]) != start:
        response.close()
        raise DataError(f"{shown(url)}: the server answers with another range than was asked for")
    return Opened(response, start, int(answer[2]) if answer[2].isdigit() else None, seeks=True)


def _open_other(url: str, start: int) -> Opened:
    # torch and huggingface_hub both need fsspec, so it is there; s3:// and the like need a library of their own.
    import fsspec.core

    try:
        system, path = fsspec.core.url_to_fs(url)
        stream = system.open(path, "rb")
    except (ImportError, ValueError) as error:
        raise DataError(f"{shown(url)}: {' '.join(str(error).split())}") from error
    except FileNotFoundError as error:
        raise NotThereError(f"{shown(url)}: no such file; check the address") from error
    except PermissionError as error:
        raise DataError(f"{shown(url)}: no permission to read it") from error
    stream.seek(start)
    size = getattr(stream, "size", None)
    return Opened(stream, start, size if isinstance(size, int) else None, seeks=True)
