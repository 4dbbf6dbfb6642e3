"""The noise schedule: which alpha_bar belongs to which t, and which alpha_bars a sampler visits."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from resharp.errors import ConfigError

MAX_STEPS = 10_000


@dataclass(frozen=True)
class NoiseSchedule:
    """Linear beta over T steps (our choice, after arXiv 2104.07636: the papers do not give the map).

    alpha_bar_t is the product of 1 - beta_s for s <= t; alpha_bar_0 = 1.
    """

    beta_first: float = 1e-6
    beta_last: float = 1e-2
    train_steps: int = 2000

    def __post_init__(self) -> None:
        if not 0 < self.beta_first <= self.beta_last < 1:
            raise ConfigError(
                f"beta_first {self.beta_first} and beta_last {self.beta_last}: 0 < beta_first <= beta_last < 1"
            )
        if not 1 <= self.train_steps <= MAX_STEPS:
            raise ConfigError(f"train_steps is {self.train_steps}; allowed: 1 to {MAX_STEPS}")

    def alpha_bars(self) -> Tensor:
        """(T + 1,) float64, decreasing from alpha_bar_0 = 1."""
        betas = torch.linspace(self.beta_first, self.beta_last, self.train_steps, dtype=torch.float64)
        return torch.cat([torch.ones(1, dtype=torch.float64), torch.cumprod(1 - betas, dim=0)])

    def draw(self, batch: int, generator: torch.Generator) -> Tensor:
        """Continuous noise levels for training: t ~ Unif{1..T}, alpha_bar ~ Unif(alpha_bar_t, alpha_bar_{t-1}).

        Returns:
            (batch,) float32 on the generator's device.
        """
        device = generator.device
        alpha_bars = self.alpha_bars().to(device if device.type != "mps" else "cpu")
        t = torch.randint(1, self.train_steps + 1, (batch,), generator=generator, device=device)
        share = torch.rand(batch, generator=generator, device=device).to(alpha_bars)
        t = t.to(alpha_bars.device)
        low, high = alpha_bars[t], alpha_bars[t - 1]
        return (low + share * (high - low)).float().to(device)

    def grid(self, steps: int, final_variance: float | None = None) -> Tensor:
        """The decreasing alpha_bars that a sampler of `steps` steps visits, from the noisiest on.

        Args:
            steps: 1 to 10,000.
            final_variance: None visits evenly spaced t of the training schedule, T first ("trailing" spacing:
                arXiv 2305.08891). A number in (0, 1) is the last beta of a linear schedule of its own over
                these steps, from beta_first: arXiv 2112.02475 varies it from 0.01 to 0.5 to walk the
                perception-distortion curve.

        Returns:
            (steps,) float64, strictly decreasing from index 0 (least noise) on, alpha_bar_0 = 1 left out.

        Raises:
            ConfigError: steps or final_variance outside their range.
        """
        if not 1 <= steps <= MAX_STEPS:
            raise ConfigError(f"steps is {steps}; allowed: 1 to {MAX_STEPS}")
        if final_variance is not None:
            if not self.beta_first < final_variance < 1:
                raise ConfigError(f"final_variance is {final_variance}; allowed: {self.beta_first} to 1, both excluded")
            if steps == 1:
                return torch.tensor([1 - final_variance], dtype=torch.float64)
            betas = torch.linspace(self.beta_first, final_variance, steps, dtype=torch.float64)
            return torch.cumprod(1 - betas, dim=0)
        if steps > self.train_steps:
            raise ConfigError(f"steps is {steps}; this model's noise schedule has {self.train_steps}")
        t = torch.arange(1, steps + 1, dtype=torch.float64) * (self.train_steps / steps)
        return self.alpha_bars()[t.round().long()]
