"""Night: a dark picture, and small lights in it that are many times brighter than white.

They are there before the picture moves, so that each leaves a streak of its path, as bright as its time allows.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from resharp.data.distributions import between, log_between

# Colours from sodium lamps to white LEDs, by the share of each primary.
_WARMEST, _COLDEST = (1.0, 0.55, 0.2), (0.85, 0.95, 1.0)
_EDGE_PX = 0.7  # width over which a light's disc fades out


def random_lights(
    numbers: Tensor,
    size: tuple[int, int],
    gain: tuple[float, float],
    radius_px: tuple[float, float],
    generator: Generator,
) -> Tensor:
    """Linear light of small discs on black, (B, 3, height, width), on the generator's device.

    Args:
        numbers: (B,) how many each picture has; they lie anywhere, independently.
        size: (height, width).
        gain: lowest and highest brightness, white being 1; the logarithm is uniform.
        radius_px: lowest and highest radius; small lights are more frequent, as the logarithm is uniform.
    """
    height, width = size
    light = torch.zeros(len(numbers), 3, height, width, device=generator.device)
    warm, cold = (torch.tensor(colour, device=generator.device) for colour in (_WARMEST, _COLDEST))
    for picture, number in enumerate(numbers.tolist()):
        x, y = between((0.0, width), number, generator), between((0.0, height), number, generator)
        brightness, radius = log_between(gain, number, generator), log_between(radius_px, number, generator)
        tint = between((0.0, 1.0), number, generator)
        for i in range(number):
            colour = warm + tint[i] * (cold - warm)
            _add_disc(light[picture], float(x[i]), float(y[i]), float(radius[i]), colour * brightness[i])
    return light


def _add_disc(light: Tensor, x: float, y: float, radius: float, colour: Tensor) -> None:
    """Add a disc about (x, y) to one picture (3, height, width), in place; what lies outside is left out."""
    height, width = light.shape[-2:]
    reach = math.ceil(radius + _EDGE_PX) + 1
    left, right = max(0, int(x) - reach), min(width, int(x) + reach + 1)
    top, bottom = max(0, int(y) - reach), min(height, int(y) + reach + 1)
    columns = torch.arange(left, right, device=light.device) + 0.5 - x
    rows = torch.arange(top, bottom, device=light.device) + 0.5 - y
    distance = torch.hypot(rows[:, None], columns)
    disc = ((radius - distance) / _EDGE_PX + 0.5).clamp(0, 1)
    light[:, top:bottom, left:right] += disc * colour[:, None, None]
