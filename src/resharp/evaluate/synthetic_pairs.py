"""In-domain protocol: sharp photos that training has not seen, blurred by training's own synthesiser."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from resharp.data.blur_config import BlurConfig
from resharp.data.draws import derived_seed
from resharp.data.synthetic import BlurSynthesiser
from resharp.errors import ConfigError, DataError
from resharp.evaluate.centre import centre_crop
from resharp.evaluate.pairs import photos_by_stem
from resharp.images.formats import READABLE_FORMATS
from resharp.images.reading import read_photo
from resharp.images.tensors import photo_to_tensor

SIDE_PX = 256
# What the metrics and the networks need.
MIN_SIDE_PX = 32


@dataclass(frozen=True)
class InDomainPair:
    """The middle of a sharp photo, blurred; the same settings, seed and file name make the same pair.

    Photos that nothing moves are not drawn (`still_share` is taken as 0): a blurry picture equal to the sharp one
    has the greatest PSNR there is, and one such picture would outweigh what happens to all others.
    """

    name: str
    sharp_path: Path
    blur: BlurConfig
    side_px: int
    seed: int

    def load(self) -> tuple[Tensor, Tensor]:
        """Blurry and sharp, each (1, 3, H, W) float32 in [0, 1]; H and W are at most `side_px`.

        Sharp has the clipped highlights that the synthesiser gave it.

        Raises:
            ImageError: the photo cannot be read.
            DataError: it is too small.
        """
        synthesiser = BlurSynthesiser(replace(self.blur, still_share=0.0))
        photo = photo_to_tensor(read_photo(self.sharp_path))
        _check_side(self.sharp_path, min(photo.shape[-2:]), synthesiser.margin_px)
        wanted = self.side_px + 2 * synthesiser.margin_px
        # Seeded by name and not by place in the list: a subset of the photos keeps its blur.
        name = self.name.encode("utf-8", "surrogateescape")
        generator = torch.Generator().manual_seed(derived_seed(self.seed, *name))
        blurry, sharp = synthesiser(centre_crop(photo, wanted, wanted), generator)
        return blurry.contiguous(), sharp.contiguous()


def in_domain_pairs(
    path: str | os.PathLike[str], blur: BlurConfig, *, side_px: int = SIDE_PX, seed: int = 0
) -> list[InDomainPair]:
    """One pair for each sharp photo in the folder `path`, sorted by name.

    Args:
        blur: the blur of training.
        side_px: side of the square in the middle that is kept, at least 32; less where a photo has no more.
        seed: not negative; decides the blur together with each file's name.

    Raises:
        ConfigError: a side or seed that is not allowed.
        DataError: no such folder, no photos in it, or one too small for 32 px and the blur's margins.
        ImageError: a photo whose header cannot be read.
    """
    if side_px < MIN_SIDE_PX:
        raise ConfigError(f"side_px is {side_px}; allowed: {MIN_SIDE_PX} or more")
    if seed < 0:
        raise ConfigError(f"seed {seed}: must not be negative")
    photos = photos_by_stem(Path(path))
    if not photos:
        raise DataError(f"{path}: no photos in this folder")
    margin_px = BlurSynthesiser(blur).margin_px
    for photo in photos.values():
        _check_side(photo, _shorter_side(photo), margin_px)
    return [InDomainPair(name, photos[name], blur, side_px, seed) for name in sorted(photos)]


def _check_side(path: Path, shorter_px: int, margin_px: int) -> None:
    needed = MIN_SIDE_PX + 2 * margin_px
    if shorter_px < needed:
        raise DataError(f"{path}: {shorter_px} px on its shorter side; this blur needs {needed}, remove the photo")


def _shorter_side(path: Path) -> int:
    """From the header where possible."""
    try:
        with Image.open(path, formats=READABLE_FORMATS) as image:
            return min(image.size)
    except Exception:  # whatever is wrong, reading the photo says it in one line
        return min(read_photo(path).size)
