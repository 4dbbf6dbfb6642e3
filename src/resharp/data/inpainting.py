"""Holes: parts of a picture that are missing, marked by a colour that pictures do not have."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from resharp.data.degradation import check_pair
from resharp.data.distributions import between
from resharp.errors import ConfigError
from resharp.task import HOLE_COLOR


@dataclass(frozen=True)
class InpaintingConfig:
    """What holes look like: strokes of a round brush; those of length 0 are discs."""

    # Strokes a picture; the number, lengths and widths are uniform between two values.
    strokes: tuple[float, ...] = (1.0, 6.0)
    length_px: tuple[float, ...] = (0.0, 96.0)
    width_px: tuple[float, ...] = (3.0, 16.0)

    def __post_init__(self) -> None:
        limits = (("strokes", 1.0, 100.0), ("length_px", 0.0, 10_000.0), ("width_px", 1.0, 1000.0))
        for name, lowest, highest in limits:
            if wrong := check_pair(name, getattr(self, name), lowest, highest):
                raise ConfigError(wrong)


class Holes:
    """Paints strokes in the colour that marks a hole; see `resharp.task.holes`."""

    margin_px = 0

    def __init__(self, config: InpaintingConfig = InpaintingConfig()) -> None:
        self.config = config

    def __call__(self, pictures: Tensor, generator: Generator) -> Tensor:
        """See `resharp.data.degradation.Damage`."""
        mask = self.masks(len(pictures), (pictures.shape[-2], pictures.shape[-1]), generator).to(pictures.device)
        color = torch.tensor(HOLE_COLOR, dtype=pictures.dtype, device=pictures.device)[:, None, None]
        return torch.where(mask, color, pictures)

    def masks(self, count: int, size: tuple[int, int], generator: Generator) -> Tensor:
        """Where the holes are, (count, 1, H, W) bool on the generator's device; every mask has one pixel at least."""
        config, device = self.config, generator.device
        most = round(config.strokes[1])
        numbers = between((config.strokes[0], config.strokes[1]), count, generator).round()
        draw = torch.rand(5, count, most, generator=generator, device=device)
        middle = draw[:2] * torch.tensor(size, device=device)[:, None, None]  # (2, count, most): row and column
        angle = draw[2] * math.pi
        half = (config.length_px[0] + (config.length_px[1] - config.length_px[0]) * draw[3]) / 2
        radius = (config.width_px[0] + (config.width_px[1] - config.width_px[0]) * draw[4]) / 2
        rows = torch.arange(size[0], device=device)[:, None] + 0.5
        columns = torch.arange(size[1], device=device)[None, :] + 0.5
        mask = torch.zeros(count, 1, *size, dtype=torch.bool, device=device)
        for i in range(most):
            down, across = (part[:, i, None, None] for part in middle)
            along, beside = angle[:, i, None, None].cos(), angle[:, i, None, None].sin()
            here = (rows - down) * along + (columns - across) * beside  # position along the stroke
            over = (here.abs() - half[:, i, None, None]).clamp(min=0)
            off = (columns - across) * along - (rows - down) * beside
            stroke = (over.square() + off.square()).sqrt() <= radius[:, i, None, None].clamp(min=0.71)
            mask[:, 0] |= stroke & (i < numbers)[:, None, None]
        return mask
