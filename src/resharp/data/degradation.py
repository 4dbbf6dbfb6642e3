"""What makes pairs from sharp pictures, seen from the training; and pairs of damages that keep things in place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Generator, Tensor


class Degradation(Protocol):
    """Makes (degraded, sharp) pairs; `resharp.data.synthetic.BlurSynthesiser` is the one for motion blur."""

    @property
    def margin_px(self) -> int:
        """How much larger than the wanted crop the input must be on each side."""

    def __call__(self, sharp: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Pictures (B, 3, H + 2 m, W + 2 m) in [0, 1], m = margin_px -> degraded and sharp, both (B, 3, H, W)."""


class Damage(Protocol):
    """Does something to pictures that leaves everything where it is."""

    @property
    def margin_px(self) -> int:
        """How far into the picture its border may show."""

    def __call__(self, pictures: Tensor, generator: Generator) -> Tensor:
        """(B, 3, H, W) in [0, 1] to the same shape and range; the input is not changed."""


class Damaged:
    """Pairs of a picture with damages, done one after the other, and the picture itself."""

    def __init__(self, damages: Sequence[Damage]) -> None:
        self.damages = tuple(damages)

    @property
    def margin_px(self) -> int:
        """See `Degradation`."""
        return max((damage.margin_px for damage in self.damages), default=0)

    @torch.no_grad()
    def __call__(self, sharp: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """See `Degradation`. Raises ValueError where the input is no larger than its margins."""
        m, (height, width) = self.margin_px, sharp.shape[-2:]
        if sharp.ndim != 4 or sharp.shape[1] != 3 or min(height, width) <= 2 * m:
            raise ValueError(f"sharp: expected (B, 3, H + {2 * m}, W + {2 * m}), got {tuple(sharp.shape)}")
        sharp = sharp.float()
        degraded = damaged(sharp, self.damages, generator)
        crop = (..., slice(m, height - m), slice(m, width - m))
        return degraded[crop], sharp[crop]


def damaged(pictures: Tensor, damages: Sequence[Damage], generator: Generator) -> Tensor:
    """Pictures (B, 3, H, W) in [0, 1] after all of these damages, in this order."""
    for damage in damages:
        pictures = damage(pictures, generator)
    return pictures


def in_levels(pictures: Tensor) -> Tensor:
    """Pictures clamped to [0, 1] and rounded to 8 bits, as a file would hold them."""
    return pictures.clamp(0, 1).mul(255).round().div(255)


def check_pair(name: str, pair: tuple[float, ...], lowest: float, highest: float) -> str | None:
    """What is wrong with a lowest and a highest value, in words; None if nothing is."""
    if len(pair) == 2 and lowest <= pair[0] <= pair[1] <= highest:
        return None
    return f"{name} is {list(pair)}; give a lowest and a highest value within {lowest:g} to {highest:g}"
