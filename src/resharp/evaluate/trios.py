"""Restored, sharp and blurry photos that belong together, by name, from folders of any method."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from resharp.errors import DataError
from resharp.evaluate.pairs import BLURRY_MARK, SHARP_MARK, photos_by_stem
from resharp.images.formats import RESULT_MARK
from resharp.images.headers import upright_size
from resharp.images.reading import read_photo
from resharp.images.tensors import photo_to_tensor


@dataclass(frozen=True)
class Trio:
    """One photo restored, sharp and, where it is known, blurry."""

    name: str
    restored: Path
    sharp: Path
    blurry: Path | None

    def load(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """Restored, sharp and blurry, (1, 3, H, W) float32 in [0, 1]; raises ImageError."""
        restored, sharp = (photo_to_tensor(read_photo(path)) for path in (self.restored, self.sharp))
        return restored, sharp, None if self.blurry is None else photo_to_tensor(read_photo(self.blurry))


def find_trios(
    restored: str | os.PathLike[str], sharp: str | os.PathLike[str], blurry: str | os.PathLike[str] | None
) -> list[Trio]:
    """The photos of the folders, sorted by name; subfolders are not searched.

    Names are compared without suffix, without `.deblurred`, and without `_blur` or `_sharp` at their end. A folder
    of pairs NAME_blur and NAME_sharp may be given as the sharp and as the blurry one.

    Raises:
        DataError: a missing folder, no photos, a photo without its partner, or partners of unequal size.
        ImageError: a file whose header cannot be read.
    """
    ours, targets = _by_key(Path(restored), ""), _by_key(Path(sharp), BLURRY_MARK)
    inputs = None if blurry is None else _by_key(Path(blurry), SHARP_MARK)
    if not ours:
        raise DataError(f"{restored}: no photos in this folder")
    _check_partners(ours, targets, f"sharp partner in {sharp}")
    _check_partners(targets, ours, f"restored partner in {restored}")
    if inputs is not None:
        _check_partners(ours, inputs, f"blurry partner in {blurry}")
    trios = [Trio(name, ours[name], targets[name], inputs and inputs[name]) for name in sorted(ours)]  # type: ignore[arg-type]
    for trio in trios:
        size = upright_size(trio.restored)
        for path in (trio.sharp, trio.blurry):
            if path is not None and upright_size(path) != size:
                (a, b), (c, d) = size, upright_size(path)
                raise DataError(f"{trio.restored}: is {a}x{b}, but {path} is {c}x{d}; they must be of one size")
    return trios


def key_of(stem: str) -> str:
    """What photos of one scene share of their names."""
    stem = stem.removesuffix(RESULT_MARK)
    return stem.removesuffix(BLURRY_MARK).removesuffix(SHARP_MARK)


def _by_key(folder: Path, other_mark: str) -> dict[str, Path]:
    """Photos by key; of pairs, not those of the other side."""
    stems = photos_by_stem(folder)
    partner = {BLURRY_MARK: SHARP_MARK, SHARP_MARK: BLURRY_MARK}.get(other_mark, "")
    found: dict[str, Path] = {}
    for stem, path in stems.items():
        if other_mark and stem.endswith(other_mark) and stem.removesuffix(other_mark) + partner in stems:
            continue
        key = key_of(stem)
        if key in found:
            raise DataError(f"{path}: goes by the same name as {found[key].name}; keep one of the two")
        found[key] = path
    return found


def _check_partners(photos: Mapping[str, Path], others: Mapping[str, Path], what: str) -> None:
    for name in sorted(photos):
        if name not in others:
            raise DataError(f"{photos[name]}: has no {what}; names must be equal, apart from the suffix")
