"""Photographs made up in memory, to measure training without a data set."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from resharp.data.draws import derived_seed
from resharp.data.listing import Kind
from resharp.data.source import Batching, Drawn, Sample

RECTANGLES = 80


class MadePhotographs:
    """Sharp photographs of gradients, rectangles and grain; a `resharp.data.source.Source`.

    They are held in memory as a data set is that fits there, so nothing is read or decoded to draw one.

    Args:
        count: how many.
        side_px: of each.
        seed: decides their content.
    """

    kind: Kind = "sharp"

    def __init__(self, count: int = 16, side_px: int = 512, seed: int = 0) -> None:
        self.side_px, self.seed = side_px, seed
        self.left_out: list[str] = []
        self.samples = [Sample(f"made-{i}", made_photograph(side_px, derived_seed(seed, i))) for i in range(count)]

    def __len__(self) -> int:
        return len(self.samples)

    def fingerprint(self) -> str:
        """What decides the content."""
        return f"made-{len(self)}-{self.side_px}-{self.seed}"

    def describe(self) -> str:
        """One line for people."""
        return f"{len(self)} made-up photographs of {self.side_px} px, in memory"

    def draw(self, batching: Batching, step: int, part: int) -> Drawn:
        """One after the other, round and round."""
        first = step * batching.batch_size + part * batching.part_size
        return Drawn([self.samples[i % len(self)] for i in range(first, first + batching.part_size)], [])


def write_photograph(path: Path, width: int, height: int) -> None:
    """A made-up photograph as an 8-bit PNG."""
    photo = made_photograph(max(width, height), 0)[:, :height, :width]  # (3, height, width)
    Image.fromarray(photo.permute(1, 2, 0).contiguous().numpy()).save(path)


def made_photograph(side_px: int, seed: int) -> Tensor:
    """(3, side_px, side_px) uint8: a gradient, rectangles on it, grain on all of it."""
    generator = torch.Generator().manual_seed(seed)
    ramp = torch.linspace(0, 1, side_px)
    corners = torch.rand(3, 3, generator=generator)
    photo = (corners[:, :1, None] + corners[:, 1:2, None] * ramp[:, None] + corners[:, 2:, None] * ramp) / 3
    for _ in range(RECTANGLES):
        top, left, height, width = (torch.rand(4, generator=generator) * side_px).int().tolist()
        colour = torch.rand(3, 1, 1, generator=generator)
        photo[:, top : top + height // 3 + 1, left : left + width // 3 + 1] = colour
    photo = photo + 0.02 * torch.randn(photo.shape, generator=generator)
    return photo.clamp(0, 1).mul(255).round().byte()
