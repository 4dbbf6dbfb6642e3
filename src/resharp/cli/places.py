"""Where results may go, found out before any work is done."""

from __future__ import annotations

import os
from pathlib import Path

from resharp.errors import OutputError
from resharp.files import is_there
from resharp.files import make_folder as make_folder


def check_folder(folder: Path) -> None:
    """Nothing is made: the folder, or the nearest one above it that exists, must take new files.

    Raises:
        OutputError: it does not, or something on the way is no folder.
    """
    nearest = folder
    while not os.path.lexists(nearest) and nearest.parent != nearest:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise OutputError(f"{folder}: cannot be a folder, since {nearest} is not one; choose another place")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise OutputError(f"{folder}: no permission to write here; choose another place")


def check_file(path: Path, *, overwrite: bool) -> None:
    """Refuse a file that is there already, unless told to replace it.

    Raises:
        OutputError: it is, or nothing can have its name.
    """
    if is_there(path) and not overwrite:
        raise OutputError(f"{path}: exists already and is kept; add --overwrite to replace it")
