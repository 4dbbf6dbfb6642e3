"""Byte ranges of shards, on disk or at a URL."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import IO, Protocol
from urllib.parse import urlsplit, urlunsplit
from urllib.request import url2pathname

from resharp.data.remote import NotThereError, Opened, is_url, open_at, retrying, shown
from resharp.errors import DataError
from resharp.files import atomic_path

CHUNK = 1 << 20
# Skipping so much costs about as much as connecting again.
SKIP = 1 << 20


class ShardBytes(Protocol):
    """The bytes of one shard."""

    def read(self, start: int, end: int) -> bytes:
        """Bytes [start, end).

        Raises:
            DataError: the shard is missing, unreadable, or of another length than its index says.
        """

    def close(self) -> None:
        """Let go of the file or connection; the next read opens it again."""


class LocalShard:
    """A shard on disk: any range is a seek and a read. See `ShardBytes`."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._file: IO[bytes] | None = None

    def read(self, start: int, end: int) -> bytes:
        """As in `ShardBytes`."""
        try:
            if self._file is None:
                self._file = open(self.path, "rb")  # noqa: SIM115 - stays open from one read to the next
            self._file.seek(start)
            data = self._file.read(end - start)
        except OSError as error:
            raise DataError(f"{self.path}: cannot read it ({error.strerror or error}); copy it here again") from error
        if len(data) < end - start:
            raise DataError(f"{self.path}: cut short; copy it here again")
        return data

    def close(self) -> None:
        """As in `ShardBytes`."""
        if self._file is not None:
            self._file.close()
            self._file = None


class StreamedShard:
    """A shard at a URL: ranges that follow one another come from one connection. See `ShardBytes`.

    A connection that breaks is opened again where it broke, a few times.

    Args:
        url: where it is.
        size: its length in bytes according to the index.
    """

    def __init__(self, url: str, size: int) -> None:
        self.url, self.size = url, size
        self._opened: Opened | None = None

    def read(self, start: int, end: int) -> bytes:
        """As in `ShardBytes`."""
        data = bytearray()
        while len(data) < end - start:
            data += retrying(self.url, functools.partial(self._read_some, start + len(data), end))
        return bytes(data)

    def close(self) -> None:
        """As in `ShardBytes`."""
        if self._opened is not None:
            self._opened.stream.close()
            self._opened = None

    def _read_some(self, start: int, end: int) -> bytes:
        try:
            opened = self._connection(start)
            while opened.at < start:
                opened.read(min(start - opened.at, CHUNK))
            return opened.read(min(end - start, CHUNK))
        except BaseException:
            self.close()
            raise

    def _connection(self, start: int) -> Opened:
        opened = self._opened
        if opened is not None and opened.at <= start and (start - opened.at <= SKIP or not opened.seeks):
            return opened
        self.close()
        self._opened = opened = open_at(self.url, start)
        if opened.size not in (None, self.size):
            sizes = f"is {opened.size} bytes long, but index.json says {self.size}"
            raise DataError(f"{shown(self.url)}: {sizes}; upload the shard again")
        return opened


def download(url: str, size: int, sha256: str, target: Path) -> None:
    """Fetch a whole shard into `target`, which appears when it is complete and its checksum is right.

    Raises:
        DataError: it cannot be fetched, or is not the file that `sha256` belongs to.
        OutputError: `target` cannot be written.
    """
    shard, digest = StreamedShard(url, size), hashlib.sha256()
    with atomic_path(target) as temporary:
        try:
            with open(temporary, "wb") as file:
                for start in range(0, size, CHUNK):
                    data = shard.read(start, min(start + CHUNK, size))
                    digest.update(data)
                    file.write(data)
        finally:
            shard.close()
        if digest.hexdigest() != sha256:
            raise DataError(f"{shown(url)}: its SHA-256 is not the one in index.json; upload the shard again")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file on disk, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while data := file.read(CHUNK):
            digest.update(data)
    return digest.hexdigest()


def read_whole(place: str, limit: int) -> bytes:
    """All bytes of a small file at a path or URL.

    Raises:
        NotThereError: there is no such file.
        DataError: it cannot be read, or is longer than `limit` bytes.
    """
    if is_url(place):
        data = retrying(place, lambda: _read_url(place, limit + 1))
    else:
        try:
            with open(place, "rb") as file:
                data = file.read(limit + 1)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotThereError(f"{place}: no such file") from error
        except OSError as error:
            raise DataError(f"{place}: cannot read it ({error.strerror or error})") from error
    if len(data) > limit:
        raise DataError(f"{shown(place)}: longer than {limit} bytes, the limit")
    return data


def _read_url(url: str, limit: int) -> bytes:
    opened = open_at(url, 0)
    with opened.stream as stream:
        data = stream.read(limit)
    if opened.size is not None and len(data) < min(opened.size, limit):
        raise OSError("it ended early")
    return data


def below(folder: str, name: str) -> str:
    """The file `name` in a folder that is a path or a URL; a URL's query is kept, since it may be the key."""
    if not is_url(folder):
        return str(Path(folder) / name)
    parts = urlsplit(folder)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{name}"))


def parent(place: str) -> str:
    """The folder of a file that is at a path or a URL."""
    if not is_url(place):
        return str(Path(place).parent)
    parts = urlsplit(place)
    return urlunsplit(parts._replace(path=parts.path.rpartition("/")[0]))


def without_file_scheme(place: str) -> str:
    """`place`, but as a path where it is a file:// URL."""
    return url2pathname(urlsplit(place).path) if place.lower().startswith("file://") else place
