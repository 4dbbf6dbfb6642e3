"""Blurry and sharp photos that belong together, found in folders."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple, Protocol

from torch import Tensor

from resharp.errors import DataError
from resharp.images.formats import FORMAT_BY_SUFFIX
from resharp.images.headers import upright_size
from resharp.images.reading import read_photo
from resharp.images.tensors import photo_to_tensor

BLURRY_FOLDER, SHARP_FOLDER = "blurry", "sharp"
BLURRY_MARK, SHARP_MARK = "_blur", "_sharp"


class Pair(Protocol):
    """One entry of a protocol. Photos are loaded when asked for, so that a long list takes no memory."""

    @property
    def name(self) -> str:
        """Unique within its protocol."""

    def load(self) -> tuple[Tensor, Tensor]:
        """Blurry and sharp, each (1, 3, H, W) float32 in [0, 1]; raises ImageError or DataError."""


class FilePair(NamedTuple):
    """A blurry photo and its sharp partner, both files."""

    name: str
    blurry_path: Path
    sharp_path: Path

    def load(self) -> tuple[Tensor, Tensor]:
        """Blurry and sharp, each (1, 3, H, W) float32 in [0, 1]; raises ImageError or DataError."""
        blurry = photo_to_tensor(read_photo(self.blurry_path))
        sharp = photo_to_tensor(read_photo(self.sharp_path))
        _check_sizes(self, _size(blurry), _size(sharp))
        return blurry, sharp


def paired_folder(path: str | os.PathLike[str]) -> list[FilePair]:
    """The pairs in a folder, sorted by name; sizes are compared by the files' headers.

    Either the folder has subfolders `blurry` and `sharp` with files of equal names (suffixes may differ), or
    it holds files `NAME_blur.*` and `NAME_sharp.*`, and other photos in it are left alone. Subfolders of these
    are not searched.

    Raises:
        DataError: no such folder, no pairs in it, a photo without its partner, or partners of unequal size.
        ImageError: a file whose header cannot be read.
    """
    path = Path(path)
    if (path / BLURRY_FOLDER).is_dir() and (path / SHARP_FOLDER).is_dir():
        blurry = photos_by_stem(path / BLURRY_FOLDER)
        sharp = photos_by_stem(path / SHARP_FOLDER)
        layout = f"{BLURRY_FOLDER}/NAME and {SHARP_FOLDER}/NAME"
    else:
        photos = photos_by_stem(path)
        blurry = _marked(photos, BLURRY_MARK)
        sharp = _marked(photos, SHARP_MARK)
        layout = f"NAME{BLURRY_MARK} and NAME{SHARP_MARK}"
    if not blurry and not sharp:
        raise DataError(f"{path}: no pairs in this folder; expected photos named {layout}")
    for name in sorted(blurry.keys() ^ sharp.keys()):
        alone, missing = (blurry[name], "sharp") if name in blurry else (sharp[name], "blurry")
        raise DataError(f"{alone}: has no {missing} partner; expected photos named {layout}")
    pairs = [FilePair(name, blurry[name], sharp[name]) for name in sorted(blurry)]
    for pair in pairs:
        _check_sizes(pair, upright_size(pair.blurry_path), upright_size(pair.sharp_path))
    return pairs


def photos_by_stem(folder: Path) -> dict[str, Path]:
    """The photos directly inside `folder`, by file name without suffix; hidden files are skipped.

    Raises:
        DataError: no such folder, or two photos that differ by suffix alone.
    """
    try:
        files = sorted(file for file in folder.iterdir() if file.suffix.lower() in FORMAT_BY_SUFFIX)
    except OSError as error:
        raise DataError(f"{folder}: cannot list this folder ({error.strerror})") from error
    found: dict[str, Path] = {}
    for file in files:
        if file.name.startswith("."):
            continue
        if file.stem in found:
            raise DataError(f"{file}: same name as {found[file.stem].name}; keep one of the two")
        found[file.stem] = file
    return found


def _marked(photos: dict[str, Path], mark: str) -> dict[str, Path]:
    return {stem.removesuffix(mark): file for stem, file in photos.items() if stem.endswith(mark)}


def _size(image: Tensor) -> tuple[int, int]:
    return image.shape[-1], image.shape[-2]


def _check_sizes(pair: FilePair, blurry: tuple[int, int], sharp: tuple[int, int]) -> None:
    if blurry != sharp:
        (a, b), (c, d) = blurry, sharp
        raise DataError(f"{pair.blurry_path}: is {a}x{b}, but {pair.sharp_path.name} is {c}x{d}; remove the pair")
