"""What the initial predictor is trained towards: pixels and, if asked for, frequencies and deep features."""

from __future__ import annotations

import torch
from torch import Tensor

from resharp.diffusion.loss import frequency_loss, prediction_loss
from resharp.train.config import TrainConfig
from resharp.train.perceptual import PerceptualLoss


class PredictorLoss:
    """The predictor's losses, each by its name and with its weight.

    Args:
        config: `prediction_loss`, `frequency_weight`, `perceptual_weight` and `perceptual_trunk`.
        device: where training computes.

    Raises:
        ModelError: the perceptual trunk cannot be read.
    """

    def __init__(self, config: TrainConfig, device: torch.device) -> None:
        self.config = config
        self._perceptual = PerceptualLoss(config, device) if config.perceptual_weight > 0 else None

    def __call__(self, g: Tensor, x: Tensor) -> dict[str, tuple[float, Tensor]]:
        """Weight and value of each term, for predictions and sharp images (B, 3, H, W) in [-1, 1]."""
        config = self.config
        terms = {"prediction": (1.0, prediction_loss(g, x, config.prediction_loss))}
        if config.frequency_weight:
            terms["frequency"] = (config.frequency_weight, frequency_loss(g, x))
        if self._perceptual is not None:
            terms["perceptual"] = (config.perceptual_weight, self._perceptual(g, x))
        return terms
