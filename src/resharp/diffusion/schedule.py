"""The noise schedule: which alpha_bar belongs to which t, and which alpha_bars a sampler visits.

torch is imported where a tensor is made: samplers without torch take the same grids as arrays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from resharp.errors import ConfigError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

MAX_STEPS = 10_000
SpacingName = Literal["time", "logsnr"]
SPACINGS: tuple[str, ...] = get_args(SpacingName)
# Between these signal-to-noise ratios of an x0 with unit spread a denoiser's answer depends on both what it sees
# and what it knows: below, the noise hides all; above, there is hardly anything left to do.
USEFUL_SNR = (1 / 16, 100.0)


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
        import torch

        return torch.from_numpy(self.levels())

    def levels(self) -> np.ndarray:
        """`alpha_bars` as an array."""
        betas = np.linspace(self.beta_first, self.beta_last, self.train_steps)
        return np.concatenate([[1.0], np.cumprod(1 - betas)])

    def draw(self, batch: int, generator: torch.Generator) -> Tensor:
        """Continuous noise levels for training: t ~ Unif{1..T}, alpha_bar ~ Unif(alpha_bar_t, alpha_bar_{t-1}).

        Returns:
            (batch,) float32 on the generator's device.
        """
        import torch

        device = generator.device
        alpha_bars = self.alpha_bars().to(device if device.type != "mps" else "cpu")
        t = torch.randint(1, self.train_steps + 1, (batch,), generator=generator, device=device)
        share = torch.rand(batch, generator=generator, device=device).to(alpha_bars)
        t = t.to(alpha_bars.device)
        low, high = alpha_bars[t], alpha_bars[t - 1]
        return (low + share * (high - low)).float().to(device)

    def draw_log_snr(self, batch: int, generator: torch.Generator) -> Tensor:
        """Training levels that dwell where there is something to learn.

        Three in four have log(alpha_bar / (1 - alpha_bar)) uniform over `USEFUL_SNR`, as far as the schedule goes
        there. One in four is as from `draw`: samplers begin at the schedule's last level, which the network must
        know too.

        Returns:
            (batch,) float32 on the generator's device.
        """
        import torch

        device = generator.device
        alpha_bars = self.alpha_bars()
        least, most = (float(alpha_bars[i] / (1 - alpha_bars[i])) for i in (-1, 1))
        low, high = (math.log(min(max(snr, least), most)) for snr in USEFUL_SNR)
        choice, share = torch.rand(2, batch, generator=generator, device=device)
        dwelling = torch.sigmoid(low + share * (high - low))
        return torch.where(choice < 0.75, dwelling, self.draw(batch, generator))

    def grid(
        self,
        steps: int,
        final_variance: float | None = None,
        *,
        spacing: str = "time",
        start: float | None = None,
        end: float | None = None,
    ) -> Tensor:
        """`grid_levels` as a tensor."""
        import torch

        return torch.from_numpy(self.grid_levels(steps, final_variance, spacing=spacing, start=start, end=end))

    def grid_levels(
        self,
        steps: int,
        final_variance: float | None = None,
        *,
        spacing: str = "time",
        start: float | None = None,
        end: float | None = None,
    ) -> np.ndarray:
        """The decreasing alpha_bars that a sampler of `steps` steps visits, from the noisiest on.

        Args:
            steps: 1 to 10,000.
            final_variance: None visits levels of the training schedule. A number in (0, 1) is the last beta of a
                linear schedule of its own over these steps, from beta_first: arXiv 2112.02475 varies it from
                0.01 to 0.5 to walk the perception-distortion curve.
            spacing: "time" visits evenly spaced t, T first ("trailing" spacing: arXiv 2305.08891). "logsnr"
                visits evenly spaced log(alpha_bar / (1 - alpha_bar)), from that of `start` on towards that of
                `end`, which is left out as t = 0 is in the other: the last step goes to the clean image.
            start: of "logsnr" only: the alpha_bar of the noisiest level; None takes alpha_bar_T.
            end: of "logsnr" only: the alpha_bar of the least noise; None takes alpha_bar_1.

        Returns:
            (steps,) float64, strictly decreasing from index 0 (least noise) on, alpha_bar_0 = 1 left out.

        Raises:
            ConfigError: a value outside its range, or two that exclude each other.

        Example:
            >>> NoiseSchedule().grid_levels(4).round(4).tolist()
            [0.5353, 0.0818, 0.0036, 0.0]
            >>> NoiseSchedule().grid_levels(2, final_variance=0.5).round(6).tolist()
            [0.999999, 0.5]
        """
        if not 1 <= steps <= MAX_STEPS:
            raise ConfigError(f"steps is {steps}; allowed: 1 to {MAX_STEPS}")
        if spacing not in SPACINGS:
            raise ConfigError(f"unknown spacing {spacing!r}; allowed: {', '.join(SPACINGS)}")
        if spacing == "time" and not (start is None and end is None):
            raise ConfigError("start and end of the noise levels need spacing 'logsnr'")
        if final_variance is not None:
            if spacing != "time":
                raise ConfigError("final_variance is a schedule of its own; leave out spacing 'logsnr'")
            return self._own_grid(steps, final_variance)
        if spacing == "logsnr":
            return self._logsnr_grid(steps, start, end)
        if steps > self.train_steps:
            raise ConfigError(f"steps is {steps}; this model's noise schedule has {self.train_steps}")
        t = np.arange(1, steps + 1) * (self.train_steps / steps)
        return self.levels()[np.rint(t).astype(int)]

    def _own_grid(self, steps: int, final_variance: float) -> np.ndarray:
        if not self.beta_first < final_variance < 1:
            raise ConfigError(f"final_variance is {final_variance}; allowed: {self.beta_first} to 1, both excluded")
        if steps == 1:
            return np.array([1 - final_variance])
        return np.cumprod(1 - np.linspace(self.beta_first, final_variance, steps))

    def _logsnr_grid(self, steps: int, start: float | None, end: float | None) -> np.ndarray:
        trained = self.levels()
        noisiest, cleanest = float(trained[-1]), float(trained[1])
        start, end = noisiest if start is None else start, cleanest if end is None else end
        if not noisiest <= start < end <= cleanest:
            raise ConfigError(
                f"noise levels from start {start:g} to end {end:g}: they must rise, within the {noisiest:g} to "
                f"{cleanest:.7g} of this model's noise schedule"
            )
        low, high = (math.log(level / (1 - level)) for level in (start, end))
        share = np.arange(1, steps + 1) / steps
        levels = 1 / (1 + np.exp(-(high - share * (high - low))))
        levels[-1] = start  # to the last bit
        return levels
