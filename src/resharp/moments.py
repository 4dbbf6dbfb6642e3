"""What several samples of one picture come to: mean, spread, and a mix with the predictor."""

from __future__ import annotations

import torch
from torch import Tensor


class Moments:
    """Running mean and spread of samples, and the first one: K samples need the memory of four."""

    def __init__(self) -> None:
        self.count = 0
        self.first = self.mean = self._scatter = torch.zeros(())

    def add(self, sample: Tensor) -> None:
        """Welford's update with (B, C, H, W)."""
        self.count += 1
        if self.count == 1:
            self.first = self.mean = sample
            return
        offset = sample - self.mean
        self.mean = self.mean + offset / self.count
        self._scatter = self._scatter + offset * (sample - self.mean)

    def spread(self) -> Tensor | None:
        """The sample deviation averaged over the channels, (B, 1, H, W); None with fewer than two."""
        if self.count < 2:
            return None
        return (self._scatter / (self.count - 1)).sqrt().mean(dim=1, keepdim=True)

    def result(self, fidelity: float | None, g: Tensor | None) -> Tensor:
        """The mean of the samples, or with a fidelity the `mix` of g, or of their mean without g, and the first."""
        return self.mean if fidelity is None else mix(self.mean if g is None else g, self.first, fidelity)


def mix(mean: Tensor, sample: Tensor, fidelity: float) -> Tensor:
    """fidelity * mean + (1 - fidelity) * sample; the ends are exact.

    With the posterior mean and the estimator of least squared error among those that are distributed as sharp
    images are, this line has the least squared error for its Wasserstein-2 distance from the sharp images
    (arXiv 2107.02555). A posterior sample is so distributed, but its error is in general not the least; and
    networks give neither end exactly. See docs/quality.md.
    """
    return fidelity * mean + (1 - fidelity) * sample
