"""Development protocols: which pairs a model is scored on while it is being made.

`paired_folder` is real motion; `out_of_domain_pairs` is sharp photos blurred otherwise than in training. Both
give pairs with a `name` and a `load()`, which is all that scoring asks for.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from resharp.errors import ConfigError, DataError
from resharp.evaluate.degrade import BlurPipeline
from resharp.evaluate.night import NightPipeline
from resharp.evaluate.pairs import FilePair, Pair, paired_folder, photos_by_stem
from resharp.evaluate.shake import ShakePipeline
from resharp.images.reading import read_photo
from resharp.images.tensors import photo_to_tensor

__all__ = ["OUT_OF_DOMAIN", "SCORED", "FilePair", "Pair", "SyntheticPair", "out_of_domain_pairs", "paired_folder"]

# Sharp photo (1, 3, H, W) and generator to blurry and sharp, which need not be the photo itself.
Pipeline = Callable[[Tensor, np.random.Generator], tuple[Tensor, Tensor]]

# Made for the 24 Kodak photos, but any folder of sharp photos will do.
OUT_OF_DOMAIN = {
    "kodak-motion": BlurPipeline(("line", "walk"), noise_sigma=(1 / 255, 2 / 255), jpeg_quality=(90, 90)),
    "kodak-mixed": BlurPipeline(
        ("line", "walk", "disk", "gaussian-mix"), noise_sigma=(1 / 255, 2 / 255), jpeg_quality=(85, 95)
    ),
}
# What a finished model is scored on; the first is that of the gate.
SCORED: dict[str, Pipeline] = {
    "kernels": OUT_OF_DOMAIN["kodak-motion"],
    "shake": ShakePipeline(),
    "night": NightPipeline(),
}


@dataclass(frozen=True)
class SyntheticPair:
    """A sharp photo and the blurry one made from it; the same seed and file name make the same blur."""

    name: str
    sharp_path: Path
    seed: int
    pipeline: Pipeline

    def load(self) -> tuple[Tensor, Tensor]:
        """Blurry and sharp, each (1, 3, H, W) float32 in [0, 1]; raises ImageError or DataError."""
        sharp = photo_to_tensor(read_photo(self.sharp_path))
        # Seeded by name and not by place in the list: a subset of the photos keeps its blur.
        rng = np.random.default_rng([self.seed, *self.name.encode()])
        try:
            return self.pipeline(sharp, rng)
        except ValueError as error:
            raise DataError(f"{self.sharp_path}: {error}") from error


def out_of_domain_pairs(
    path: str | os.PathLike[str], seed: int = 0, pipeline: str | Pipeline = "kodak-motion"
) -> list[SyntheticPair]:
    """The sharp photos in the folder `path`, sorted by name, each to be blurred once.

    Args:
        seed: not negative; decides kernels, noise and quality together with each file's name.
        pipeline: a name in `OUT_OF_DOMAIN`, or one's own.

    Raises:
        ConfigError: no pipeline of that name, or a negative seed.
        DataError: no such folder, or no photos in it.
    """
    if isinstance(pipeline, str):
        if pipeline not in OUT_OF_DOMAIN:
            raise ConfigError(f"no blur pipeline {pipeline!r}; known: {', '.join(OUT_OF_DOMAIN)}")
        pipeline = OUT_OF_DOMAIN[pipeline]
    if seed < 0:
        raise ConfigError(f"seed {seed}: must not be negative")
    photos = photos_by_stem(Path(path))
    if not photos:
        raise DataError(f"{path}: no photos in this folder")
    return [SyntheticPair(name, photos[name], seed, pipeline) for name in sorted(photos)]
