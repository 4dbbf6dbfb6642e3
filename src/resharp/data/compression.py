"""JPEG compression as the damage to restore."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Generator, Tensor

from resharp.data.degradation import check_pair
from resharp.data.distributions import between, chance
from resharp.data.jpeg import jpeg
from resharp.errors import ConfigError


@dataclass(frozen=True)
class CompressionConfig:
    """How pictures are compressed."""

    # libjpeg's quality, uniform between two values.
    quality: tuple[float, ...] = (10.0, 60.0)
    # Share of the pictures with chroma at half resolution (4:2:0), as most programs and cameras store it.
    subsample_share: float = 0.75

    def __post_init__(self) -> None:
        if wrong := check_pair("quality", self.quality, 1.0, 100.0):
            raise ConfigError(wrong)
        if not 0 <= self.subsample_share <= 1:
            raise ConfigError(f"subsample_share is {self.subsample_share}; allowed: 0 to 1")


class Compression:
    """JPEG of one quality a picture, with the grid of blocks where a file has it: from the first pixel on."""

    margin_px = 0

    def __init__(self, config: CompressionConfig = CompressionConfig()) -> None:
        self.config = config

    def __call__(self, pictures: Tensor, generator: Generator) -> Tensor:
        """See `resharp.data.degradation.Damage`."""
        config, count = self.config, len(pictures)
        quality = between((config.quality[0], config.quality[1]), count, generator)
        subsampled = chance(config.subsample_share, count, generator)
        result = pictures.clone()
        for subsample in (False, True):
            index = (subsampled == subsample).nonzero()[:, 0]
            if len(index):
                here = index.to(pictures.device)
                result[here] = jpeg(pictures[here], quality[index], subsample)
        return result
