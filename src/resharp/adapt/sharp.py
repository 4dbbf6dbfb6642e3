"""Sharp pictures to blur as one's own photos are blurred: a folder of them, or one's restored photos made smaller."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from resharp.adapt.photos import UserPhoto
from resharp.data.draws import ORDER, derived_seed
from resharp.data.folders import FolderSource
from resharp.data.listing import Entry, Kind, Listing
from resharp.data.source import Batching, Drawn, Sample, Source
from resharp.errors import DataError
from resharp.evaluate.pairs import photos_by_stem

LEAST_PICTURES, LEAST_HELD_OUT, MOST_HELD_OUT = 8, 4, 24
CACHE_GB = 1.0
# Half the size halves what blur the model left and what it made up.
SHRINK = 2


@dataclass(frozen=True, eq=False)
class SharpPictures:
    """source: to train on. held_out: (name, (1, 3, H, W) in [0, 1]), to judge by. origin: what they are, in words."""

    source: Source
    held_out: tuple[tuple[str, Tensor], ...]
    origin: str


class PicturesInMemory:
    """Sharp pictures held in memory; see `resharp.data.source.Source`."""

    kind: Kind = "sharp"

    def __init__(self, samples: Sequence[Sample], origin: str) -> None:
        self.samples, self.origin, self.left_out = list(samples), origin, []

    def __len__(self) -> int:
        return len(self.samples)

    def fingerprint(self) -> str:
        """Of the names; the pictures follow from the photos and the model."""
        return f"{derived_seed(*(ord(letter) for sample in self.samples for letter in sample.name)):016x}"

    def describe(self) -> str:
        """One line for people."""
        return f"{len(self)} {self.origin}"

    def draw(self, batching: Batching, step: int, part: int) -> Drawn:
        """As in `Source`: each epoch goes once through all pictures, in an order of its own."""
        first = step * batching.batch_size + part * batching.part_size
        chosen = []
        for i in range(first, first + batching.part_size):
            epoch, position = divmod(i, len(self))
            generator = torch.Generator().manual_seed(derived_seed(batching.seed, epoch, ORDER))
            chosen.append(self.samples[int(torch.randperm(len(self), generator=generator)[position])])
        return Drawn(chosen, [])


def sharp_folder(folder: str | os.PathLike[str], min_side_px: int) -> SharpPictures:
    """The photos directly inside a folder; a quarter of them, evenly spaced and at most 24, is held out.

    Raises:
        DataError: no such folder, or fewer than `LEAST_PICTURES` photos of `min_side_px` a side in it.
    """
    folder = Path(folder)
    photos = photos_by_stem(folder)
    if not photos:
        raise DataError(f"{folder}: no photos in this folder; give sharp ones with --sharp")
    entries = tuple(Entry(path.name, path) for path in photos.values())
    source = FolderSource([Listing("folder", folder, "all", entries)], min_side_px=min_side_px, cache_gb=CACHE_GB)
    if len(source) < LEAST_PICTURES:
        raise DataError(
            f"{folder}: {len(source)} usable sharp photos of {min_side_px} px a side; "
            f"at least {LEAST_PICTURES} are needed"
        )
    count = max(LEAST_HELD_OUT, min(MOST_HELD_OUT, len(source) // 4))
    held = tuple((Path(sample.name).name, _unit(sample.sharp)) for sample in source.hold_out(count))
    return SharpPictures(source, held, f"sharp photos of {folder}")


def shrunk_photos(
    fit: Sequence[UserPhoto],
    fit_restored: Sequence[Tensor],
    held_out: Sequence[UserPhoto],
    held_out_restored: Sequence[Tensor],
    min_side_px: int,
) -> SharpPictures:
    """One's own photos, restored and made half as large: what is used where no sharp photos are given.

    After arXiv 2210.08036 and 2407.09059, which take the sharpest patches of the blurry pictures themselves for
    sharp; photos with one shaken exposure have none. Held-out pictures come from held-out photos.

    Raises:
        DataError: the photos are too small.
    """
    sides = []
    for photos, pictures in ((fit, fit_restored), (held_out, held_out_restored)):
        small = [(photo.name, _halved(picture)) for photo, picture in zip(photos, pictures, strict=True)]
        sides.append([(name, image) for name, image in small if min(image.shape[-2:]) >= min_side_px])
    if len(sides[0]) < LEAST_HELD_OUT or len(sides[1]) < LEAST_HELD_OUT:
        raise DataError(
            f"without --sharp the photos at half their size serve as sharp ones, and fewer than {LEAST_HELD_OUT} of "
            f"those to fit or to judge have {min_side_px} px a side then; give sharp photos with --sharp FOLDER"
        )
    origin = "restored photos at half their size"
    samples = [Sample(name, image[0].mul(255).round().byte()) for name, image in sides[0]]
    return SharpPictures(PicturesInMemory(samples, origin), tuple(sides[1]), origin)


def _halved(image: Tensor) -> Tensor:
    size = (image.shape[-2] // SHRINK, image.shape[-1] // SHRINK)
    return F.interpolate(image, size=size, mode="bicubic", antialias=True).clamp(0, 1)


def _unit(image: Tensor) -> Tensor:
    return image[None].float() / 255
