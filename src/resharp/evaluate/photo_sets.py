"""The field's test sets and folders of pairs, as lists of named blurry and sharp photos."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from resharp.data.layout_files import ALL, SPLITS, GoproBlur, RedsBlur, name_below
from resharp.data.layout_realblur import REALBLUR_COUNTS
from resharp.data.layout_sets import GOPRO_COUNTS, HIDE_COUNTS, REDS_COUNTS
from resharp.data.layouts import available_splits, find_listing
from resharp.data.listing import Entry
from resharp.errors import ConfigError, DataError
from resharp.evaluate.folder_pictures import pictures_below
from resharp.images.headers import upright_size

# How the layout that each kind stands for calls itself.
_LAYOUTS = {
    "gopro": "GOPRO_Large",
    "hide": "HIDE",
    "realblur-j": "RealBlur-J",
    "realblur-r": "RealBlur-R",
    "reds": "REDS",
    "pairs": "",
}
KINDS = tuple(_LAYOUTS)
# How many photos the authors count in test.
OFFICIAL = {
    "gopro": GOPRO_COUNTS["test"],
    "hide": HIDE_COUNTS["test"],
    "realblur-j": REALBLUR_COUNTS["test"],
    "realblur-r": REALBLUR_COUNTS["test"],
    "reds": REDS_COUNTS["test"],
}
TITLES = {"gopro": "GoPro", "hide": "HIDE", "realblur-j": "RealBlur-J", "realblur-r": "RealBlur-R", "reds": "REDS"}


class SetPhoto(NamedTuple):
    """A photo of a test set. `names`: how pictures made of it may be called, the first being its name here."""

    name: str
    sharp: Path
    blurry: Path
    names: tuple[str, ...]


@dataclass(frozen=True)
class PhotoSet:
    """A test set, or the beginning of one.

    kind: of `KINDS`.
    layout: as it was recognised, for people.
    total: photos of the split, before any limit.
    official: photos that its authors count; None for pairs.
    """

    kind: str
    root: Path
    layout: str
    split: str
    photos: tuple[SetPhoto, ...]
    total: int
    official: int | None

    @property
    def title(self) -> str:
        """For people."""
        return TITLES.get(self.kind, self.root.name or str(self.root))

    @property
    def complete(self) -> bool:
        """Whether this is the whole official test set, which published figures are of."""
        return self.split in ("test", ALL) and len(self.photos) == self.total == self.official


def open_photo_set(
    named: str,
    split: str | None = None,
    limit: int | None = None,
    *,
    gopro_blur: GoproBlur = "blur",
    reds_blur: RedsBlur = "blur",
) -> PhotoSet:
    """The photos of `KIND:PATH`.

    Args:
        split: None takes test where there is one, else all.
        limit: only so many, the first by name.

    Raises:
        ConfigError: not KIND:PATH, an unknown kind, or a limit below 1.
        DataError: another kind of folder than named, no such split, or photos without partner.
        ImageError: a file whose header cannot be read.
    """
    kind, colon, path = named.partition(":")
    if not colon or not path or kind not in _LAYOUTS:
        raise ConfigError(f"--data {named}: expected KIND:PATH, with KIND one of {', '.join(KINDS)}")
    if limit is not None and limit < 1:
        raise ConfigError(f"--limit is {limit}; allowed: 1 or more")
    if split is None:
        there = available_splits(path, gopro_blur=gopro_blur, reds_blur=reds_blur)
        split = next((name for name in ("test", ALL) if name in there), "test")
    listing = find_listing(path, split, gopro_blur=gopro_blur, reds_blur=reds_blur)
    if listing.kind != "pairs":
        raise DataError(f"{path}: has sharp photos alone; give a set with blurry partners")
    if not listing.layout.startswith(_LAYOUTS[kind]):
        raise DataError(f"{path}: looks like {listing.layout}, not {TITLES[kind]}; give it as pairs:{path}")
    photos = _named(Path(path), listing.entries)
    for photo in photos[:limit]:
        check_size(photo, photo.blurry)
    return PhotoSet(kind, Path(path), listing.layout, listing.split, photos[:limit], len(photos), OFFICIAL.get(kind))


def pictures_of(photo_set: PhotoSet, folder: str | os.PathLike[str]) -> tuple[dict[str, Path], int]:
    """Pictures made of the set's photos elsewhere, by the photos' names; and how many others the folder has.

    A picture may have the photo's name here, or the path of the blurry or the sharp photo below the set's folder,
    in subfolders or joined by `_` or `-`, or the blurry photo's file name where that is unique; each without suffix.

    Raises:
        DataError: no such folder, no pictures in it, or a photo without its picture.
    """
    there = pictures_below(folder)
    found: dict[str, Path] = {}
    missing: list[str] = []
    for photo in photo_set.photos:
        name = next((name for name in photo.names if name in there), None)
        if name is None:
            missing.append(photo.name)
        else:
            found[photo.name] = there[name]
    if missing:
        raise DataError(
            f"{folder}: has no picture {missing[0]} ({len(missing):,} of {len(photo_set.photos):,} are missing); "
            "name pictures as the blurry photos are named"
        )
    twice = [path for path, count in Counter(found.values()).items() if count > 1]
    if twice:
        raise DataError(f"{twice[0]}: stands for two photos; put pictures in subfolders as the photos are")
    return found, len(there) - len(found)


def check_size(photo: SetPhoto, picture: Path) -> None:
    """DataError unless the picture is as large as the sharp photo."""
    (a, b), (c, d) = upright_size(picture), upright_size(photo.sharp)
    if (a, b) != (c, d):
        raise DataError(f"{picture}: is {a}x{b}, but {photo.sharp} is {c}x{d}; they must be of one size")


def _named(root: Path, entries: Sequence[Entry]) -> tuple[SetPhoto, ...]:
    """Photos in the order of their names; a name is what the paths of blurry and sharp have in common."""
    paths = [
        (_below(root, entry.sharp), _below(root, entry.blurry), entry) for entry in entries if entry.blurry is not None
    ]
    names = [_common(sharp, blurry) for sharp, blurry, _ in paths]
    if len(set(names)) < len(names) or "" in names:
        names = [sharp for sharp, _, _ in paths]
    stems = Counter(PurePosixPath(blurry).name for _, blurry, _ in paths)
    photos = []
    for name, (sharp, blurry, entry) in zip(names, paths, strict=True):
        whole = dict.fromkeys((name, blurry, sharp))
        aliases = [text.replace("/", joint) for joint in "/_-" for text in whole]
        stem = PurePosixPath(blurry).name
        aliases += [stem] if stems[stem] == 1 else []
        assert entry.blurry is not None
        photos.append(SetPhoto(name, entry.sharp, entry.blurry, tuple(dict.fromkeys(aliases))))
    return tuple(sorted(photos, key=lambda photo: photo.name))


def _below(root: Path, path: Path) -> str:
    """Path from the root on without suffix, and without a first folder that names the split or the set."""
    home, whole = Path(os.path.abspath(root)), Path(os.path.abspath(path))
    # RealBlur's lists lie beside the folder that is given, and name photos from there on.
    name = name_below(home if whole.is_relative_to(home) else home.parent, whole.with_suffix(""))
    first, slash, rest = name.partition("/")
    return rest if slash and (first in SPLITS or first.startswith("RealBlur-")) else name


def _common(sharp: str, blurry: str) -> str:
    """`SEQUENCE/sharp/1` and `SEQUENCE/blur/1` give `SEQUENCE/1`; `A_sharp` and `A_blur` give `A`."""
    ours, theirs = PurePosixPath(sharp), PurePosixPath(blurry)
    folders = [part for part in ours.parts[:-1] if part in theirs.parts[:-1]]
    a, b = ours.name, theirs.name
    if a != b:
        start = os.path.commonprefix([a, b])
        end = os.path.commonprefix([a[len(start) :][::-1], b[len(start) :][::-1]])[::-1]
        a = (start + end).strip("_-")
    return "/".join([*folders, a])
