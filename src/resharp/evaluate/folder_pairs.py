"""Restored pictures of any method beside the sharp photos of the same names."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from resharp.data.layout_files import name_below
from resharp.errors import DataError
from resharp.images.formats import FORMAT_BY_SUFFIX, RESULT_MARK
from resharp.images.headers import upright_size


class PicturePair(NamedTuple):
    """A restored picture and its sharp photo."""

    name: str
    restored: Path
    sharp: Path


@dataclass(frozen=True)
class FolderPairs:
    """Pairs in the order of their names, and how many sharp photos there are in all."""

    pairs: tuple[PicturePair, ...]
    total: int


def match_folders(
    restored: str | os.PathLike[str], sharp: str | os.PathLike[str], *, subset: bool = False
) -> FolderPairs:
    """The pairs of two folders, by path below each of them without suffix; `.deblurred` counts as a suffix.

    Args:
        subset: leave out sharp photos that were not restored.

    Raises:
        DataError: a folder that is missing or has no pictures, or a picture without partner.
    """
    ours, targets = pictures_below(restored), pictures_below(sharp)
    alone = sorted(ours.keys() - targets.keys())
    if alone:
        raise DataError(
            f"{ours[alone[0]]}: has no sharp partner in {sharp} ({_others(len(alone), ours)}); paths below the two "
            "folders must be equal apart from the suffix; for a data set with a tree of its own give --data"
        )
    missing = sorted(targets.keys() - ours.keys())
    if missing and not subset:
        raise DataError(
            f"{targets[missing[0]]}: has no restored partner in {restored} ({_others(len(missing), targets)}); "
            "restore the rest, or score what is there with --subset"
        )
    return FolderPairs(tuple(PicturePair(name, ours[name], targets[name]) for name in sorted(ours)), len(targets))


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
        raise DataError(f"{root}: no pictures in this folder")
    return found


def sizes_of(pairs: Sequence[PicturePair]) -> dict[str, tuple[int, int]]:
    """Width and height in px of each pair, by name, from the files' headers.

    Raises:
        DataError: partners of unequal size.
        ImageError: a file whose header cannot be read.
    """
    sizes: dict[str, tuple[int, int]] = {}
    unequal: list[tuple[PicturePair, tuple[int, int], tuple[int, int]]] = []
    for pair in pairs:
        width, height = sizes[pair.name] = upright_size(pair.sharp)
        actual = upright_size(pair.restored)
        if actual != (width, height):
            unequal.append((pair, actual, (width, height)))
    if unequal:
        pair, (a, b), (c, d) = unequal[0]
        raise DataError(
            f"{pair.restored}: is {a}x{b}, but {pair.sharp} is {c}x{d} ({_others(len(unequal), sizes)}); "
            "restore it at its full size"
        )
    return sizes


def _others(count: int, of: Mapping[str, object]) -> str:
    return f"{count:,} such picture{'s' * (count > 1)} of {len(of):,}"
