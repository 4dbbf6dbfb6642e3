"""Edge maps as structure: where brightness changes, whatever its level."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# Sobel's kernel for the slope along a row, in pixel values a pixel.
_SLOPE = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))


def edges(gray: Tensor) -> Tensor:
    """Magnitude of the slope by Sobel's kernels, in pixel values a pixel; borders are repeated.

    A ramp that rises by s from pixel to pixel gives s; a step between -1 and 1 gives 1 on both its sides.

    Args:
        gray: (B, 1, H, W).

    Returns:
        (B, 1, H, W), at least 0.
    """
    across = torch.tensor(_SLOPE, dtype=gray.dtype, device=gray.device)[None, None] / 8
    padded = F.pad(gray, (1, 1, 1, 1), mode="replicate")
    slopes = F.conv2d(padded, torch.cat((across, across.mT)))
    # The root has no slope at 0, and gradients go through it where the picture itself is optimised.
    return (slopes.square().sum(dim=1, keepdim=True) + 1e-12).sqrt()
