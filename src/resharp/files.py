"""Write files so that a reader, a crash or a full disk never meets half of one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from resharp.errors import OutputError


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` if the block ends without an error.

    The temporary name keeps the suffix, so that writers which choose a format by suffix do the same.
    On any error, Ctrl-C included, the temporary file is removed and `path` is left as it was.

    Raises:
        OutputError: the folder is missing or cannot be written, or the disk is full.
    """
    path = Path(path)
    try:
        handle, name = tempfile.mkstemp(prefix=".resharp-", suffix=path.suffix, dir=path.parent)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"{path}: cannot write here ({reason}); choose another place") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb+") as written:
            os.fsync(written.fileno())
        # mkstemp makes files private to their owner; give the result what any new file would get.
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(f"{path}: cannot write it ({error.strerror or error})") from error
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def _umask() -> int:
    """The process's umask; it can be read only by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
