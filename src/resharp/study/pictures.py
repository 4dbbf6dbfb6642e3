"""Pictures of the same photographs by several methods, found in folders and checked before any rater sees one."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from resharp.errors import DataError
from resharp.images.formats import FORMAT_BY_SUFFIX, RESULT_MARK
from resharp.images.headers import decoded_size

BLURRY_FOLDER, SHARP_FOLDER = "blurry", "sharp"


@dataclass(frozen=True)
class StudyPhoto:
    """One photograph under all methods.

    name: the files' name without suffix, and without `.deblurred`.
    size: width and height in pixels, the same for all its files.
    by_method: the picture that each method made.
    blurry: the input, which raters may look at, or None.
    sharp: the right answer of attention checks, or None.
    """

    name: str
    size: tuple[int, int]
    by_method: dict[str, Path]
    blurry: Path | None = None
    sharp: Path | None = None

    @property
    def files(self) -> list[Path]:
        """All of them, in a fixed order."""
        extra = [path for path in (self.blurry, self.sharp) if path is not None]
        return [*self.by_method.values(), *extra]


@dataclass(frozen=True)
class Unit:
    """One question: which of two methods has the better picture of this photograph. Methods are in order."""

    photo: StudyPhoto
    methods: tuple[str, str]


@dataclass(frozen=True)
class Pictures:
    """What a study asks about.

    methods: two or more, sorted.
    photos: sorted by name; each has a picture by every method.
    digest: SHA-256 of methods, names and files: a results file belongs to one.
    """

    methods: tuple[str, ...]
    photos: tuple[StudyPhoto, ...]
    digest: str

    @property
    def units(self) -> list[Unit]:
        """Every photograph with every two methods; the order is that of `methods` and `photos`."""
        return [Unit(photo, pair) for photo in self.photos for pair in combinations(self.methods, 2)]


def method_folders(path: Path) -> tuple[dict[str, Path], Path | None, Path | None]:
    """The methods of a folder with one subfolder for each, and its `blurry` and `sharp` where there are such.

    Raises:
        DataError: no such folder, or it cannot be listed.
    """
    try:
        inside = sorted(each for each in path.iterdir() if each.is_dir() and not each.name.startswith("."))
    except OSError as error:
        raise DataError(f"{path}: cannot list this folder ({error.strerror})") from error
    named = {each.name: each for each in inside}
    blurry, sharp = named.pop(BLURRY_FOLDER, None), named.pop(SHARP_FOLDER, None)
    return named, blurry, sharp


def find_pictures(methods: Mapping[str, Path], blurry: Path | None = None, sharp: Path | None = None) -> Pictures:
    """The study of these folders. Every file is decoded once, so that no rater meets a damaged one.

    Files belong together by name without suffix; `NAME.deblurred.png` counts as NAME. The folders of the methods
    must hold the same names; `blurry` and `sharp` may hold more.

    Raises:
        DataError: fewer than two methods, an empty folder, a picture without its partners, or of another size.
        ImageError: a file that cannot be read.
    """
    if len(methods) < 2:
        names = ", ".join(methods) or "none"
        raise DataError(f"a study compares two methods or more, found {names}; give a folder for each")
    found = {method: _photos_in(methods[method]) for method in sorted(methods)}
    for method, files in found.items():
        for other, others in found.items():
            for name in sorted(files.keys() - others.keys()):
                raise DataError(f"{files[name]}: has no partner in {methods[other]} ({other}); add it, or remove this")
        if not files:
            raise DataError(f"{methods[method]}: no photos in this folder")
    first = next(iter(found.values()))
    extra = [(folder, _photos_in(folder) if folder else {}) for folder in (blurry, sharp)]
    photos = []
    for name in sorted(first):
        for folder, files in extra:
            if folder and name not in files:
                raise DataError(f"{first[name]}: has no partner in {folder}; add it, or leave that folder out")
        partners = [files.get(name) for _, files in extra]
        by_method = {method: files[name] for method, files in found.items()}
        photos.append(_checked(StudyPhoto(name, (0, 0), by_method, *partners)))
    return Pictures(tuple(found), tuple(photos), _digest(photos))


def _photos_in(folder: Path) -> dict[str, Path]:
    try:
        files = sorted(each for each in folder.iterdir() if each.suffix.lower() in FORMAT_BY_SUFFIX)
    except OSError as error:
        raise DataError(f"{folder}: cannot list this folder ({error.strerror})") from error
    found: dict[str, Path] = {}
    for file in files:
        name = file.stem.removesuffix(RESULT_MARK)
        if file.name.startswith("."):
            continue
        if name in found:
            raise DataError(f"{file}: same name as {found[name].name}; keep one of the two")
        found[name] = file
    return found


def _checked(photo: StudyPhoto) -> StudyPhoto:
    """The photo with its size, which all its files must have."""
    first, *others = photo.files
    size = decoded_size(first)
    for other in others:
        found = decoded_size(other)
        if found != size:
            is_, but = "x".join(map(str, found)), "x".join(map(str, size))
            raise DataError(f"{other}: is {is_}, but {first} is {but}; pictures of one photo must be of one size")
    return StudyPhoto(photo.name, size, photo.by_method, photo.blurry, photo.sharp)


def _digest(photos: list[StudyPhoto]) -> str:
    total = hashlib.sha256()
    for photo in photos:
        roles = [*photo.by_method, *(["*blurry"] if photo.blurry else []), *(["*sharp"] if photo.sharp else [])]
        for role, path in zip(roles, photo.files, strict=True):
            content = hashlib.sha256(_bytes_of(path)).hexdigest()
            total.update(f"{photo.name}\0{role}\0{content}\n".encode("utf-8", "surrogateescape"))
    return total.hexdigest()


def _bytes_of(path: str | os.PathLike[str]) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
