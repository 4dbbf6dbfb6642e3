"""Patches of a picture for figures of whole sets, cut as high-fidelity compression cut them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from resharp.metrics.kinds import SetMetric

BATCH = 16


def patch_places(width: int, height: int, patch_px: int) -> list[tuple[int, int]]:
    """Top and left, in px, of every patch: a grid from the corner, and a second grid shifted by half a patch.

    The scheme of high-fidelity compression (arXiv 2006.09965): `floor(H / p) floor(W / p)` patches of the first grid and
    `(floor(H / p) - 1) (floor(W / p) - 1)` of the second; 14 of 256 px in a photo of 1280x720.
    """
    rows, columns = height // patch_px, width // patch_px
    half = patch_px // 2
    places = [(row * patch_px, column * patch_px) for row in range(rows) for column in range(columns)]
    places += [
        (row * patch_px + half, column * patch_px + half) for row in range(rows - 1) for column in range(columns - 1)
    ]
    return places


@torch.no_grad()
def patch_features(metric: SetMetric, image: Tensor) -> np.ndarray:
    """Features of all patches of (1, 3, H, W) in [0, 1], in the order of `patch_places`: (N, D) float32.

    N is 0, and D too, for an image smaller than a patch.
    """
    side = metric.patch_px
    places = patch_places(image.shape[-1], image.shape[-2], side)
    patches = [image[0, :, top : top + side, left : left + side] for top, left in places]
    found = [
        metric.features(torch.stack(patches[start : start + BATCH])).float().cpu().numpy()
        for start in range(0, len(patches), BATCH)
    ]
    return np.concatenate(found) if found else np.zeros((0, 0), dtype=np.float32)
