"""Additive white Gaussian noise, the noise that the literature on denoising trains and scores on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from resharp.data.degradation import check_pair, in_levels
from resharp.data.distributions import between
from resharp.errors import ConfigError


@dataclass(frozen=True)
class NoiseConfig:
    """How noisy the pictures are."""

    # Standard deviation, uniform between two values, in levels of 255.
    sigma: tuple[float, ...] = (0.0, 50.0)

    def __post_init__(self) -> None:
        if wrong := check_pair("sigma", self.sigma, 0.0, 255.0):
            raise ConfigError(wrong)


class GaussianNoise:
    """Adds noise of one deviation a picture to pixel values, clamps and rounds to 8 bits."""

    margin_px = 0

    def __init__(self, config: NoiseConfig = NoiseConfig()) -> None:
        self.config = config

    def __call__(self, pictures: Tensor, generator: Generator) -> Tensor:
        """See `resharp.data.degradation.Damage`."""
        limits = (self.config.sigma[0], self.config.sigma[1])
        sigma = (between(limits, len(pictures), generator) / 255).to(pictures)[:, None, None, None]
        noise = torch.randn(pictures.shape, generator=generator, device=generator.device).to(pictures)
        return in_levels(pictures + sigma * noise)
