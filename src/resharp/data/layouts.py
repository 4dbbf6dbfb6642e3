"""Data sets recognised by their folder trees: the field's official ones, folders of pairs, sharp photographs.

To teach resharp another tree, write a function like those in `_PAIRED` and add it there, before those that
would take it for something more general.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import get_args

from resharp.data.layout_files import (
    ALL,
    SPLITS,
    Choices,
    Contents,
    GoproBlur,
    Layout,
    Problem,
    RedsBlur,
    describe_folder,
    folders_in,
    in_order,
    name_below,
)
from resharp.data.layout_pairs import BLURRY_MARK, SHARP_NAMES, looks_blurry, pairs
from resharp.data.layout_realblur import realblur
from resharp.data.layout_sets import gopro, hide, reds
from resharp.data.listing import Entry, Listing
from resharp.errors import ConfigError, DataError, ImageError
from resharp.images.reading import find_photos

# Tried in turn.
_PAIRED = (realblur, gopro, hide, reds, pairs)

UNDERSTOOD = (
    "resharp knows GOPRO_Large, HIDE, RealBlur-J and -R, REDS, folders of pairs (blur/ and sharp/, input/ and "
    "target/, NAME_blur and NAME_sharp) and folders of sharp photographs"
)


def find_listing(
    path: str | os.PathLike[str],
    split: str = "train",
    *,
    gopro_blur: GoproBlur = "blur",
    reds_blur: RedsBlur = "blur",
    strict: bool = True,
) -> Listing:
    """The photographs of one split of the data set at `path`. No photograph is opened.

    Args:
        path: the folder of the data set.
        split: "train", "val" or "test", where the data set has it; "all" or "train" where it has no splits, and
            then all of it is returned.
        gopro_blur: for GOPRO_Large, whether the blurry photographs are those made with gamma 2.2 or without.
        reds_blur: for REDS, which blurry frames are used where both kinds are there.
        strict: raise for a photograph whose partner is missing; else it is left out.

    Raises:
        DataError: no such folder, a tree that is not understood or lacks a part, no such split, no photograph, or
            a photograph without partner.
        ConfigError: a word for an argument that has no meaning.
    """
    root = Path(path)
    layout = recognise(root, gopro_blur=gopro_blur, reds_blur=reds_blur)
    if split not in (*SPLITS, ALL):
        raise ConfigError(f"split is {split!r}; allowed: {', '.join((*SPLITS, ALL))}")
    name = ALL if split == "train" and ALL in layout.splits else split
    if name not in layout.splits:
        there = ", ".join(layout.splits) if ALL not in layout.splits else "all (it is not divided into splits)"
        absent = f"; {layout.absent[name]}" if name in layout.absent else ""
        raise DataError(f"{root}: this {layout.name} data set has no split {split!r}; there is: {there}{absent}")
    entries, unpaired = layout.splits[name]()
    if unpaired and strict:
        count = f"{len(unpaired):,} such file{'s' * (len(unpaired) > 1)} in {name}"
        raise DataError(f"{unpaired[0]} ({count}; resharp data check {root} names them)")
    if not entries:
        reason = f" ({unpaired[0]})" if unpaired else ""
        raise DataError(f"{root}: {layout.name}, and no photograph in {name}{reason}; unpack the data set again")
    return Listing(layout.name, root, name, entries)


def available_splits(
    path: str | os.PathLike[str], *, gopro_blur: GoproBlur = "blur", reds_blur: RedsBlur = "blur"
) -> tuple[str, ...]:
    """The splits of the data set at `path`, train first; ("all",) where it has none.

    Raises:
        DataError, ConfigError: as for `find_listing`, as far as the folders show it.
    """
    splits = recognise(Path(path), gopro_blur=gopro_blur, reds_blur=reds_blur).splits
    return tuple(name for name in (*SPLITS, ALL) if name in splits)


def recognise(root: Path, *, gopro_blur: GoproBlur = "blur", reds_blur: RedsBlur = "blur") -> Layout:
    """The layout of the data set at `root`.

    Raises:
        DataError, ConfigError: as for `find_listing`.
    """
    for name, value, kinds in (("gopro_blur", gopro_blur, GoproBlur), ("reds_blur", reds_blur, RedsBlur)):
        if value not in get_args(kinds):
            raise ConfigError(f"{name} is {value!r}; allowed: {', '.join(get_args(kinds))}")
    if not root.is_dir():
        problem = "is a file, not a folder" if root.is_file() else "no such folder; check the name"
        raise DataError(f"{root}: {problem}. {UNDERSTOOD}")
    choices = Choices(gopro_blur, reds_blur)
    layout = _paired(root, choices)
    if gopro_blur == "blur_gamma" and (layout is None or layout.name not in ("GOPRO_Large", "folders of pairs")):
        found = layout.name if layout else describe_folder(root)
        raise DataError(f"{root}: no folders blur_gamma, which only GOPRO_Large has; found {found}")
    return layout or _sharp_photographs(root)


def _paired(root: Path, choices: Choices) -> Layout | None:
    layouts = (recogniser(root, choices) for recogniser in _PAIRED)
    return next((layout for layout in layouts if layout is not None), None)


def _sharp_photographs(root: Path) -> Layout:
    """Any folder of photographs, at any depth.

    Its folders train, val and test are its splits if two of them are there, or nothing else is beside one of
    them; photographs outside of them are in no split then.

    Blurry photographs must not be taken for sharp ones, so a tree that looks as if it had some is refused.

    Raises:
        DataError: it does, or it has no photograph.
    """
    _refuse_blurry(root)
    try:
        photos = find_photos([root])
    except ImageError as error:
        found = f"found {describe_folder(root)}"
        raise DataError(f"{str(error).partition(';')[0]}; {found}. {UNDERSTOOD}") from error
    below = {name_below(root, path): path for path in photos}
    parents = {os.path.dirname(name) for name in below}
    blurry = [f"{parent}/ seems to hold" for parent in sorted(parents) if _holds_blurry(parent, parents)]
    blurry += [f"{name} seems to be one of" for name in below if os.path.splitext(name)[0].endswith(BLURRY_MARK)]
    if blurry:
        raise DataError(f"{root}: {blurry[0]} blurry photographs, {_advice(root)}")
    tops = {name.partition("/")[0] for name in folders_in(root)}
    splits = [name for name in SPLITS if name in tops]
    if len(splits) < 2 and tops - set(splits):
        splits = []
    parts = {name: [key for key in below if key.startswith(f"{name}/")] for name in splits} or {ALL: list(below)}
    readers = {name: partial(_read_sharp, {key: below[key] for key in keys}) for name, keys in parts.items()}
    return Layout("sharp photographs", readers)


def _read_sharp(photos: dict[str, Path]) -> Contents:
    # A link that leads nowhere looks like a photograph until it is opened.
    there = {key: path for key, path in photos.items() if os.path.exists(path)}
    gone = [Problem(path, "a link that leads nowhere") for key, path in photos.items() if key not in there]
    return Contents(in_order([Entry(key, path) for key, path in there.items()]), tuple(gone))


def _refuse_blurry(root: Path) -> None:
    """Raise DataError if the folder given is itself the blurry half of a data set."""
    given = Path(os.path.abspath(root))
    beside: set[str] = set()
    with suppress(DataError):  # the folder above may be none of ours
        beside = {name.lower() for name in folders_in(given.parent)}
    partners = {"input": {*SHARP_NAMES}, "train": {"gt"}, "test": {"gt"}}  # the latter two are those of HIDE
    half = beside & partners.get(given.name.lower(), set())
    if looks_blurry(given.name) or half:
        raise DataError(f"{root}: seems to hold blurry photographs; give the folder above it, which has the sharp ones")


def _holds_blurry(name: str, folders: set[str]) -> bool:
    above, _, last = name.rpartition("/")
    partners = {f"{above}/{partner}" if above else partner for partner in SHARP_NAMES}
    parts = name.split("/")
    return any(looks_blurry(part) for part in parts) or (last.lower() == "input" and bool(partners & folders))


def _advice(root: Path) -> str:
    """What to give instead of a folder that has a data set further below."""
    inside = [path for path in folders_in(root).values() if _is_paired(path)]
    if inside:
        return f"and it is no data set itself; give {' or '.join(map(str, inside[:4]))}"
    return f"and no layout fits; found {describe_folder(root)}. {UNDERSTOOD}"


def _is_paired(folder: Path) -> bool:
    try:
        return _paired(folder, Choices()) is not None
    except DataError:  # it has the marks of one of the data sets
        return True
