"""Pictures in a folder and the folders below it, by name."""

from __future__ import annotations

import os
from pathlib import Path

from resharp.data.layout_files import name_below
from resharp.errors import DataError
from resharp.images.formats import FORMAT_BY_SUFFIX, RESULT_MARK


def pictures_below(folder: str | os.PathLike[str]) -> dict[str, Path]:
    """The pictures in a folder and the folders in it, by path from there without suffix and without `.deblurred`.

    Hidden files and folders are skipped.

    Raises:
        DataError: no such folder, one that cannot be listed, no pictures, or two that go by one name.
    """
    root = Path(folder)
    if not root.is_dir():
        problem = "is a file; give a folder of pictures" if root.exists() else "no such folder; check the name"
        raise DataError(f"{root}: {problem}")

    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename}: cannot list this folder ({error.strerror})") from error

    found: dict[str, Path] = {}
    seen: set[str] = set()
    for parent, folders, files in os.walk(root, onerror=refuse, followlinks=True):
        seen.add(os.path.realpath(parent))
        # A link to a folder above would go round in circles.
        inside = (name for name in sorted(folders) if not name.startswith("."))
        folders[:] = [name for name in inside if os.path.realpath(os.path.join(parent, name)) not in seen]
        for file in sorted(files):
            path = Path(parent, file)
            if file.startswith(".") or path.suffix.lower() not in FORMAT_BY_SUFFIX:
                continue
            name = name_below(root, path)[: -len(path.suffix)].removesuffix(RESULT_MARK)
            if name in found:
                raise DataError(f"{path}: goes by the same name as {found[name].name}; give a folder with one of them")
            found[name] = path
    if not found:
        raise DataError(f"{root}: no photos in this folder")
    return found
