"""Weights made by integer arithmetic: the same on every machine and version, so that figures made once stay true."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def made(shape: tuple[int, ...], seed: int) -> Tensor:
    """Float32 numbers that look uniform on [-1, 1)."""
    count = torch.Size(shape).numel()
    x = (torch.arange(count, dtype=torch.int64) + 1) * 2_654_435_761 + seed * 40_503_001
    for _ in range(2):
        x = (x ^ (x >> 15)) % (1 << 31) * 69_069 + 12_345
    return ((x >> 8) % (1 << 24)).double().div(1 << 23).sub(1).float().reshape(shape)


def made_state(shapes: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict with the names and shapes of another, whose activations neither vanish nor explode."""
    state = {}
    for seed, (name, value) in enumerate(sorted(shapes.items())):
        if not value.is_floating_point():
            continue
        numbers = made(tuple(value.shape), seed)
        if name.endswith("running_var"):
            numbers = 1 + 0.5 * numbers
        elif value.ndim == 4:
            numbers = numbers * (6 / value[0].numel()) ** 0.5
        elif name.endswith("weight"):
            numbers = 1 + 0.3 * numbers
        else:
            numbers = 0.2 * numbers
        state[name] = numbers
    return state


def made_image(height: int, width: int, seed: int = 0, batch: int = 1) -> Tensor:
    """(batch, 3, H, W) of 8-bit values in [0, 1]: a smooth pattern with grain."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    waves = [torch.sin((x * (2 + c) + y * (3 - c) + 10 * seed) / 29.0) for c in range(3)]
    smooth = torch.stack(waves)[None].expand(batch, -1, -1, -1)
    grain = made((batch, 3, height, width), 1000 + seed)
    return (0.5 + 0.3 * smooth + 0.15 * grain).mul(255).round().clamp(0, 255).div(255)
