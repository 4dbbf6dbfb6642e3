"""RealBlur-J and RealBlur-R: one folder a scene, and the authors' lists that say which pairs are in which split."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path, PurePosixPath

from resharp.data.layout_files import Choices, Contents, Layout, Problem, folders_in, in_order
from resharp.data.listing import Entry
from resharp.errors import DataError

REALBLUR_COUNTS = {"train": 3758, "test": 980}
_VARIANTS = ("J", "R")


def realblur(root: Path, choices: Choices) -> Layout | None:
    """RealBlur: `RealBlur-{J,R}_*/sceneNNN/{blur,gt}/{blur,gt}_N.png`, and lists beside these folders.

    The lists are called `RealBlur_{J,R}_{train,test}_list.txt`; each line has the paths of a sharp and of its
    blurry photograph, from the lists' folder on. Given is the folder of the lists or, where J and R are both in
    it, one of the two beside them. The authors' repository names lists and folders; the form of the lines and the
    counts, 3,758 pairs to train and 980 to test for J and for R, are what several public readers agree on.
    For RealBlur-Tele no such lists are known to us; a folder of its scenes is read as sequences of pairs.

    Raises:
        DataError: both J and R in one folder, a list without its photographs or photographs without their lists.
    """
    given = Path(os.path.abspath(root))
    variant = next((name for name in _VARIANTS if _is_variant(given.name, name)), None)
    if variant is not None:
        return _layout(root, given.parent, variant)
    inside = {name: folder for name in _VARIANTS for folder in folders_in(root) if _is_variant(folder, name)}
    if len(inside) > 1:
        choice = " or ".join(str(root / folder) for folder in inside.values())
        raise DataError(f"{root}: holds RealBlur-J and RealBlur-R; name one of them: {choice}")
    if inside:
        return _layout(root, root, next(iter(inside)))
    for name in _VARIANTS:
        for split in REALBLUR_COUNTS:
            if (root / list_name(name, split)).is_file():
                folder = f"RealBlur-{name}_*/"
                raise DataError(
                    f"{root}: has {list_name(name, split)} but no folder {folder}; unpack it beside the list"
                )
    return None


def list_name(variant: str, split: str) -> str:
    """The name that the authors gave the list."""
    return f"RealBlur_{variant}_{split}_list.txt"


def _is_variant(folder_name: str, variant: str) -> bool:
    return folder_name.startswith(f"RealBlur-{variant}") and "Tele" not in folder_name


def _layout(root: Path, home: Path, variant: str) -> Layout:
    """`home` is the folder of the lists: `root`, or the one above it."""
    lists = {split: home / list_name(variant, split) for split in REALBLUR_COUNTS}
    there = {split: path for split, path in lists.items() if path.is_file()}
    if not there:
        names = " and ".join(path.name for path in lists.values())
        raise DataError(f"{root}: RealBlur-{variant} needs the authors' lists {names} in {home}; put them there")
    splits = {split: partial(_read_list, root, home, path) for split, path in there.items()}
    absent = {split: f"the authors' list {path} is missing" for split, path in lists.items() if split not in there}
    return Layout(f"RealBlur-{variant}", splits, REALBLUR_COUNTS, absent)


def _read_list(root: Path, home: Path, path: Path) -> Contents:
    """The pairs that the list names; those that are not on disk are the unpaired ones."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error}); get a fresh copy of this list") from error
    prefix = "" if root == home else f"{os.path.basename(os.path.abspath(root))}/"
    entries: dict[str, Entry] = {}
    missing: list[Problem] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        sharp, blurry = _two_paths(line, f"{path}: line {number}")
        if not sharp.startswith(prefix):
            raise DataError(f"{path}: line {number} names {sharp}, which is not in {root}; give {home} instead")
        name = sharp.removeprefix(prefix)
        if name in entries:
            raise DataError(f"{path}: line {number} names {sharp} for the second time; get a fresh copy of this list")
        entry = entries[name] = Entry(name, home / sharp, home / blurry)
        missing += [
            Problem(file, f"is in {path.name} but not on disk")
            for file in (entry.sharp, entry.blurry)
            if file is not None and not os.path.isfile(file)
        ]
    absent = {problem.path for problem in missing}
    there = [entry for entry in entries.values() if entry.sharp not in absent and entry.blurry not in absent]
    return Contents(in_order(there), tuple(sorted(missing)))


def _two_paths(line: str, where: str) -> tuple[str, str]:
    """A line's sharp and blurry path, both below the list's folder."""
    words = line.split()
    if len(words) < 2:
        raise DataError(f"{where} should have the paths of a sharp and a blurry photograph; get a fresh copy")
    for word in words[:2]:
        if PurePosixPath(word).is_absolute() or ".." in PurePosixPath(word).parts:
            raise DataError(f"{where} names {word}, which is not a path below the list's folder; correct it")
    return words[0], words[1]
