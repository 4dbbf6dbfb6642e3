"""The photographs below a folder, by name, and the pairs among them. No file is opened."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from resharp.data.listing import Entry
from resharp.errors import DataError
from resharp.images.formats import FORMAT_BY_SUFFIX, RESULT_MARK

SPLITS = ("train", "val", "test")
ALL = "all"

GoproBlur = Literal["blur", "blur_gamma"]
RedsBlur = Literal["blur", "blur_jpeg"]


class Choices(NamedTuple):
    """Which blurry photographs to take where a data set has several kinds of the same scenes."""

    gopro_blur: GoproBlur = "blur"
    reds_blur: RedsBlur = "blur"


class Problem(NamedTuple):
    """A file and what is wrong with it."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class Contents(NamedTuple):
    """The photographs of one split, in the order of their names, and the files whose partner is missing."""

    entries: tuple[Entry, ...]
    unpaired: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Layout:
    """A kind of folder tree that was recognised.

    Args:
        name: for people.
        splits: what reads the contents of each split; may raise DataError. The only key is "all" where the data
            set has no splits.
        official: how many photographs or pairs the authors count in a split, where they do.
        absent: for a split that the data set has and this copy lacks, what is missing.
    """

    name: str
    splits: Mapping[str, Callable[[], Contents]]
    official: Mapping[str, int] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)


def photos_below(folder: Path) -> dict[str, Path]:
    """The photographs below `folder` by their path from there, with forward slashes and without suffix.

    Hidden files and folders, and earlier results of resharp, are skipped. Links to folders are followed.

    Raises:
        DataError: a folder that cannot be listed, a link that leads nowhere, or two photographs that differ by
            suffix alone.
    """
    found: dict[str, str] = {}
    for key, path in _walk(os.fspath(folder), "", (os.path.realpath(folder),)):
        if key in found:
            raise DataError(f"{path}: same name as {os.path.basename(found[key])}; keep one of the two")
        found[key] = path
    return {key: Path(path) for key, path in found.items()}


def photos_in(folder: Path) -> dict[str, Path]:
    """As `photos_below`, without the subfolders."""
    found: dict[str, Path] = {}
    for entry in _listed(os.fspath(folder)):
        stem = _photo_stem(entry)
        if stem in found:
            raise DataError(f"{entry.path}: same name as {found[stem].name}; keep one of the two")
        if stem is not None:
            found[stem] = Path(entry.path)
    return found


def folders_in(folder: Path) -> dict[str, Path]:
    """The subfolders, links to folders included, by name and in its order; hidden ones are skipped.

    Raises:
        DataError: the folder cannot be listed.
    """
    return {entry.name: Path(entry.path) for entry in _listed(os.fspath(folder)) if entry.is_dir()}


def pair(root: Path, sharp: Mapping[str, Path], blurry: Mapping[str, Path]) -> Contents:
    """Join photographs of equal keys; `root` is the folder that entries' names start from."""
    entries = [Entry(name_below(root, sharp[key]), sharp[key], blurry[key]) for key in sharp.keys() & blurry.keys()]
    alone = [Problem(sharp[key], "has no blurry partner") for key in sharp.keys() - blurry.keys()]
    alone += [Problem(blurry[key], "has no sharp partner") for key in blurry.keys() - sharp.keys()]
    alone.sort(key=lambda problem: os.fspath(problem.path))
    return Contents(in_order(entries), tuple(alone))


def in_order(entries: list[Entry]) -> tuple[Entry, ...]:
    """Sorted by name."""
    return tuple(sorted(entries, key=lambda entry: entry.name))


def name_below(root: Path, path: Path) -> str:
    """The path from `root` on, with forward slashes on every system."""
    # Path.relative_to takes a second for a hundred thousand files.
    name = os.fspath(path)[len(os.path.join(root, "")) :] if root.parts else os.fspath(path)
    return name.replace(os.sep, "/")


def describe_folder(folder: Path, at_most: int = 6) -> str:
    """What lies directly in a folder, in a few words for an error message."""
    entries = _listed(os.fspath(folder))
    names = [f"{entry.name}/" for entry in entries if entry.is_dir()]
    files = len(entries) - len(names)
    shown = names[:at_most] + ([f"{len(names) - at_most} more folders"] if len(names) > at_most else [])
    shown += [f"{files} file{'s' * (files > 1)}"] if files else []
    return ", ".join(shown) or "nothing"


def _walk(folder: str, above: str, ancestors: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for entry in _listed(folder):
        if entry.is_dir():
            real = os.path.realpath(entry.path)
            if real not in ancestors:  # a link to a folder above would go round in circles
                yield from _walk(entry.path, f"{above}{entry.name}/", (*ancestors, real))
            continue
        stem = _photo_stem(entry)
        if stem is not None:
            yield above + stem, entry.path


def _listed(folder: str) -> list[os.DirEntry[str]]:
    """What is in the folder and not hidden, in the order of names."""
    try:
        with os.scandir(folder or ".") as entries:
            visible = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise DataError(f"{folder}: cannot list this folder ({error.strerror})") from error
    return sorted(visible, key=lambda entry: entry.name)


def _photo_stem(entry: os.DirEntry[str]) -> str | None:
    """The name without suffix; None for what is no photograph."""
    stem, suffix = os.path.splitext(entry.name)
    if suffix.lower() not in FORMAT_BY_SUFFIX or stem.endswith(RESULT_MARK):
        return None
    if not entry.is_file():
        if not entry.is_symlink() or entry.is_dir():
            return None
        raise DataError(f"{entry.path}: a link that leads nowhere; restore what it points to, or remove it")
    return stem
