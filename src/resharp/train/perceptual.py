"""LPIPS as a loss."""

from __future__ import annotations

import torch
from torch import Tensor

from resharp.metrics.lpips import load_lpips
from resharp.train.config import TrainConfig


class PerceptualLoss:
    """LPIPS between images in [-1, 1].

    It is no module: its network is no part of what is trained, saved or averaged over processes.

    Args:
        config: `perceptual_trunk`.
        device: where training computes.

    Raises:
        ModelError: the perceptual trunk cannot be read.
    """

    def __init__(self, config: TrainConfig, device: torch.device) -> None:
        assert config.perceptual_trunk is not None  # `TrainConfig` asks for it
        self._lpips = load_lpips(config.perceptual_trunk).to(device)

    def __call__(self, image: Tensor, x: Tensor, shares: Tensor | None = None) -> Tensor:
        """The mean distance of images and sharp images (B, 3, H, W).

        Args:
            shares: (B,), what each distance is multiplied by before the mean; None is 1 each.
        """
        distances = self._lpips((image + 1) / 2, (x + 1) / 2)
        return distances.mean() if shares is None else (distances * shares.to(distances)).mean()
