"""Pairs in any folder: two subfolders of blurry and sharp photographs, or two endings of file names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from resharp.data.layout_files import ALL, SPLITS, Choices, Contents, Layout, folders_in, pair, photos_below, photos_in
from resharp.errors import DataError

BLURRY_NAMES, SHARP_NAMES = ("blurry", "blur", "input"), ("sharp", "target", "gt")
BLURRY_MARK, SHARP_MARK = "_blur", "_sharp"
_BLURRY_FOLDER = re.compile(r"blur|blurry|blur_gamma|(train|val|test)_blur(_\w+)?|test-(close-ups|long-shot)")

Reader = Callable[[], Contents]


class Parts(NamedTuple):
    """The folders of blurry and of sharp photographs that belong together; None where one is missing."""

    blurry: Path | None
    sharp: Path | None


def pairs(root: Path, choices: Choices) -> Layout | None:
    """Folders of pairs, below train, val and test where there are such folders.

    - `blur/NAME` and `sharp/NAME`, at any depth below these. Blurry folders are called blurry, blur or input,
      sharp ones sharp, target or gt, in capitals or not; suffixes may differ. Names may begin with the name of
      the folder, as in `blur/blur_1.png` and `gt/gt_1.png`.
    - `SEQUENCE/blur/NAME` and `SEQUENCE/sharp/NAME`.
    - `NAME_blur.png` and `NAME_sharp.png` in one folder, and other photographs in it are left alone.

    Raises:
        DataError: two folders of blurry, or of sharp, photographs.
    """
    below = folders_in(root)
    found = {name: _reader(root, below[name], choices) for name in SPLITS if name in below}
    splits = {name: reader for name, reader in found.items() if reader is not None}
    if not splits:
        reader = _reader(root, root, choices)
        if reader is None:
            return None
        splits = _splits_inside(root, choices) or {ALL: reader}
    return Layout("folders of pairs", splits)


def looks_blurry(name: str) -> bool:
    """Whether a folder of this name, in one of the known data sets, holds blurry photographs."""
    return _BLURRY_FOLDER.fullmatch(name.lower()) is not None


def sequences_in(folder: Path, blurry_names: tuple[str, ...], sharp_names: tuple[str, ...]) -> dict[str, Parts]:
    """The subfolders that have a folder of blurry or of sharp photographs, by name."""
    found = {name: parts_of(path, blurry_names, sharp_names) for name, path in folders_in(folder).items()}
    return {name: parts for name, parts in found.items() if any(parts)}


def parts_of(folder: Path, blurry_names: tuple[str, ...], sharp_names: tuple[str, ...]) -> Parts:
    """The subfolders with one of the names, in capitals or not.

    Raises:
        DataError: several of them hold blurry, or sharp, photographs.
    """
    found = []
    for names in (blurry_names, sharp_names):
        fitting = [path for name, path in folders_in(folder).items() if name.lower() in names]
        if len(fitting) > 1:
            both = " and ".join(f"{path.name}/" for path in fitting)
            raise DataError(f"{folder}: has {both}, and only one of them can be used; move the others away")
        found.append(fitting[0] if fitting else None)
    return Parts(*found)


def read_parts(
    root: Path, folder: Path, found: Mapping[str, Parts], wanted: tuple[tuple[str, ...], tuple[str, ...]]
) -> Contents:
    """The pairs of one or more sequences.

    Args:
        root: entries' names start there.
        folder: named in errors.
        found: by sequence; the empty name where there is only one.
        wanted: the names that folders of blurry, and of sharp, photographs may have; for errors.

    Raises:
        DataError: no sequence has blurry, or none has sharp photographs.
    """
    for side, names, other in zip(("blurry", "sharp"), wanted, ("sharp", "blurry"), strict=True):
        if all(getattr(parts, side) is None for parts in found.values()):
            there = next(path for parts in found.values() for path in parts if path is not None)
            text = f"{folder}: has {other} photographs ({there.relative_to(folder)}) but no {side} ones beside them"
            remedy = (
                f"; for training on sharp photographs alone give {there}" if side == "blurry" and "" in found else ""
            )
            raise DataError(f"{text}: expected a folder named {' or '.join(names)}{remedy}")
    blurry: dict[str, Path] = {}
    sharp: dict[str, Path] = {}
    for name, parts in found.items():
        in_blurry, in_sharp = ({} if part is None else photos_below(part) for part in parts)
        if not in_blurry.keys() & in_sharp.keys():
            in_blurry, in_sharp = _unmarked(in_blurry, parts.blurry), _unmarked(in_sharp, parts.sharp)
        blurry |= {f"{name}/{key}": path for key, path in in_blurry.items()}
        sharp |= {f"{name}/{key}": path for key, path in in_sharp.items()}
    return pair(root, sharp, blurry)


def _reader(root: Path, folder: Path, choices: Choices) -> Reader | None:
    """What reads the pairs below the folder; None if it has none."""
    names = _names(choices)
    own = parts_of(folder, *names)
    if any(own):
        return partial(read_parts, root, folder, {"": own}, names)
    sequences = sequences_in(folder, *names)
    # Folders called sharp, target or input are found among ordinary photographs too.
    if any(all(parts) or (parts.blurry and looks_blurry(parts.blurry.name)) for parts in sequences.values()):
        return partial(read_parts, root, folder, sequences, names)
    if any(stem.endswith(BLURRY_MARK) for stem in photos_in(folder)):
        return partial(_marked, root, folder)
    return None


def _splits_inside(root: Path, choices: Choices) -> dict[str, Reader]:
    """Readers of blur/train and sharp/train, and so on: splits below the folders of blurry and sharp ones."""
    names = _names(choices)
    own = parts_of(root, *names)
    if own.blurry is None or own.sharp is None:
        return {}
    blurry, sharp = folders_in(own.blurry), folders_in(own.sharp)
    found = {name: Parts(blurry.get(name), sharp.get(name)) for name in SPLITS}
    return {name: partial(read_parts, root, root, {"": parts}, names) for name, parts in found.items() if any(parts)}


def _names(choices: Choices) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return (BLURRY_NAMES if choices.gopro_blur == "blur" else (choices.gopro_blur,)), SHARP_NAMES


def _unmarked(photos: dict[str, Path], folder: Path | None) -> dict[str, Path]:
    """The same photographs, without their folder's name at the beginning of theirs, if all of them have it."""
    mark = f"{folder.name}_" if folder is not None else ""
    parts = {key: key.rpartition("/") for key in photos}
    if not all(name.startswith(mark) for _, _, name in parts.values()):
        return photos
    return {above + slash + name.removeprefix(mark): photos[key] for key, (above, slash, name) in parts.items()}


def _marked(root: Path, folder: Path) -> Contents:
    photos = photos_in(folder)
    sharp, blurry = (
        {stem.removesuffix(mark): path for stem, path in photos.items() if stem.endswith(mark)}
        for mark in (SHARP_MARK, BLURRY_MARK)
    )
    if not sharp:
        raise DataError(f"{folder}: has photographs named NAME{BLURRY_MARK} but none named NAME{SHARP_MARK}")
    return pair(root, sharp, blurry)
