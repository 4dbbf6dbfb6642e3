"""What the initial predictor is trained towards: pixels and, if asked for, frequencies and deep features."""

from __future__ import annotations

import torch
from torch import Tensor

from resharp.diffusion.loss import frequency_loss, prediction_loss
from resharp.metrics.lpips import load_lpips
from resharp.train.config import TrainConfig


class PredictorLoss:
    """The predictor's losses, each by its name and with its weight.

    It is no module: the perceptual network is no part of what is trained, saved or averaged over processes.

    Args:
        config: `prediction_loss`, `frequency_weight`, `perceptual_weight` and `perceptual_trunk`.
        device: where training computes.

    Raises:
        ModelError: the perceptual trunk cannot be read.
    """

    def __init__(self, config: TrainConfig, device: torch.device) -> None:
        self.config = config
        self._lpips = None
        if config.perceptual_trunk is not None and config.perceptual_weight > 0:
            self._lpips = load_lpips(config.perceptual_trunk).to(device)

    def __call__(self, g: Tensor, x: Tensor) -> dict[str, tuple[float, Tensor]]:
        """Weight and value of each term, for predictions and sharp images (B, 3, H, W) in [-1, 1]."""
        config = self.config
        terms = {"prediction": (1.0, prediction_loss(g, x, config.prediction_loss))}
        if config.frequency_weight:
            terms["frequency"] = (config.frequency_weight, frequency_loss(g, x))
        if self._lpips is not None:
            terms["perceptual"] = (config.perceptual_weight, self._lpips((g + 1) / 2, (x + 1) / 2).mean())
        return terms
