"""Write files so that a reader, a crash or a full disk never meets half of one."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from resharp.errors import OutputError


@contextmanager
def atomic_path(path: str | os.PathLike[str], *, token: str = "") -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` if the block ends without an error.

    The temporary name keeps the suffix, so that writers which choose a format by suffix do the same.
    On any error, Ctrl-C included and in the program SIGTERM too, the temporary file is removed and `path` is left
    as it was.

    Args:
        token: begins the temporary name's random part, so that one who kills a process can find what it left.

    Raises:
        OutputError: the folder is missing or cannot be written, or the disk is full.
    """
    path = Path(path)
    # The name is known before the file is made, so that no interruption comes between the making and the removing.
    temporary = path.parent / f".resharp-{token}{secrets.token_hex(4)}{path.suffix}"
    try:
        _make(temporary, path)
        yield temporary
        with open(temporary, "rb+") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(f"{path}: cannot write it ({error.strerror or error})") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _make(temporary: Path, path: Path) -> None:
    """An empty file with the permissions that any new file gets, and not one that is there already."""
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except (OSError, ValueError) as error:  # a name with a zero in it is a ValueError
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{path}: cannot write here ({reason}); choose another place") from error


def is_there(path: str | os.PathLike[str]) -> bool:
    """Whether anything has this name already: a file, a folder, a link that leads nowhere.

    Raises:
        OutputError: nothing can have it, since it is longer than the disk allows, or has a zero in it.
    """
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return False
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{path}: cannot have this name ({reason}); choose another") from error
    return True


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def make_folder(folder: Path) -> None:
    """Make the folder and those above it.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot make this folder ({error.strerror}); choose another") from error


def read_text(path: str | os.PathLike[str], most_bytes: int = 1 << 24, errors: str = "strict") -> str:
    """The text, UTF-8, of an ordinary file of no more than `most_bytes`: a pipe or a device may never end.

    errors: what to do with what is not UTF-8, as in `bytes.decode`.

    Raises:
        OSError: it cannot be read, is larger, or is no ordinary file; FileNotFoundError if there is none.
        UnicodeDecodeError: it is not UTF-8.
    """
    found = os.stat(path)
    if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
        raise OSError(errno.EINVAL, "it is not an ordinary file", str(path))
    with open(path, "rb") as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise OSError(errno.EFBIG, f"it is larger than {most_bytes >> 20} MB", str(path))
    return data.decode("utf-8", errors)
