"""Photos where they are: on this machine's disks, or in an object store that fsspec knows, such as s3://bucket/photos."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from resharp.data.remote import is_url, open_at, retrying, shown
from resharp.errors import DataError, ImageError, OutputError
from resharp.files import atomic_path, make_folder

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

# Here a new object appears when its upload ends, and not before. Elsewhere a temporary name and a move do that.
_PUTS_WHOLE = frozenset(("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "memory"))
TEMPORARY = ".resharp-"


def plain(place: str) -> str:
    """`place`, with file:// taken off and a path made absolute, since a worker may run in another folder."""
    if place.startswith("file://"):
        place = unquote(urlsplit(place).path)
    return place if is_url(place) else os.path.abspath(place)


def name_of(place: str) -> str:
    """The file's name, without what is above it."""
    return PurePosixPath(urlsplit(place).path).name if is_url(place) else os.path.basename(place)


def join(folder: str, *names: str) -> str:
    """A place below another."""
    return "/".join((folder.rstrip("/"), *names)) if is_url(folder) else os.path.join(folder, *names)


def parent(place: str) -> str:
    """The folder a file is in."""
    return place.rpartition("/")[0] if is_url(place) else os.path.dirname(place)


def files_at(url: str) -> list[tuple[str, str]]:
    """All files at a URL, which may be one itself, as (URL, path below the one given), sorted; hidden ones are skipped.

    Raises:
        ImageError: nothing is there, or it cannot be listed.
    """
    if urlsplit(url).scheme in ("http", "https"):
        return [(url, name_of(url))]  # the web has no folders
    with _told(url, ImageError, "cannot list it"):
        system, path = _system(url)
        if system.isfile(path):
            return [(url, name_of(url))]
        root = path.rstrip("/") + "/"
        found = [each for each in sorted(system.find(path)) if each.startswith(root)]
        below = [each[len(root) :] for each in found]
        return [(join(url, name), name) for name in below if not any(part.startswith(".") for part in name.split("/"))]


def exists(place: str) -> bool:
    """Whether something is there.

    Raises:
        DataError: the store does not say.
    """
    if not is_url(place):
        return os.path.lexists(place)
    if urlsplit(place).scheme in ("http", "https"):
        return False
    with _told(place, DataError, "cannot look there"):
        system, path = _system(place)
        return bool(system.exists(path))


def fetch(place: str, into: Path) -> Path:
    """The file as one on this disk: itself, or a copy in the folder `into`, under its own name.

    Raises:
        DataError: it cannot be read, after six tries.
    """
    if not is_url(place):
        return Path(place)

    def read() -> bytes:
        opened = open_at(place, 0)
        with opened.stream as stream:
            data = stream.read()
        if opened.size is not None and len(data) != opened.size:
            raise OSError("it ended early")
        return data

    into.mkdir(parents=True, exist_ok=True)
    copy = into / name_of(place)
    copy.write_bytes(retrying(place, read))
    return copy


def opened(url: str) -> IO[bytes]:
    """The file at a URL, to be read from anywhere in it. Raises the errors of the file system."""
    system, path = _system(url)
    return system.open(path, "rb")


def publish(made: Path, place: str, token: str) -> None:
    """Put a finished file in its place, whole or not at all, whoever else does the same.

    Args:
        token: of the run; temporary names hold it, for `sweep`.

    Raises:
        OutputError: it cannot be written.
    """
    if not is_url(place):
        make_folder(Path(place).parent)
        with atomic_path(place, token=token) as temporary:
            shutil.copyfile(made, temporary)
        return
    with _told(place, OutputError, "cannot write it"):
        system, path = _system(place)
        if urlsplit(place).scheme in _PUTS_WHOLE:
            system.put_file(str(made), path)
            return
        above = path.rpartition("/")[0]
        half = f"{above}/{TEMPORARY}{token}{secrets.token_hex(4)}"
        system.makedirs(above, exist_ok=True)
        try:
            system.put_file(str(made), half)
            system.mv(half, path)
        except BaseException:
            with suppress(Exception):
                system.rm(half)
            raise


def sweep(folders: set[str], token: str) -> None:
    """Remove the temporary files that killed workers of this run left in local folders."""
    for folder in folders:
        if not is_url(folder):
            for left in Path(folder).glob(f"{TEMPORARY}{token}*"):
                left.unlink(missing_ok=True)


def _system(url: str) -> tuple[AbstractFileSystem, str]:
    # torch and huggingface_hub both need fsspec, so it is there; s3:// and the like need a library of their own.
    import fsspec.core

    system, path = fsspec.core.url_to_fs(url)
    return system, path


@contextmanager
def _told(place: str, kind: type[Exception], what: str) -> Iterator[None]:
    """Errors of file systems, which are those of their own libraries, as one line."""
    try:
        yield
    except (DataError, ImageError, OutputError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise kind(f"{shown(place)}: {what} ({reason})") from error
