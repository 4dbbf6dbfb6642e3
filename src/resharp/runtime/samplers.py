"""Samplers in numpy: from noise to an image along a grid of alpha_bars, as `resharp.diffusion.samplers` goes it.

With a = sqrt(alpha_bar), s = sqrt(1 - alpha_bar) and lambda = log(a / s), x_t = a x0 + s eps. Every step goes from
one level to the next one with less noise; the last goes to alpha_bar = 1, where x_t is x0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from resharp.diffusion.sampler_names import SAMPLERS
from resharp.errors import ConfigError

Denoise = Callable[[np.ndarray, float], np.ndarray]
Draw = Callable[[tuple[int, ...]], np.ndarray]
OnStep = Callable[[int, int], None]


@dataclass(frozen=True)
class Level:
    """A noise level: signal a, noise s and half of the log signal-to-noise ratio, lambda."""

    alpha_bar: float

    @property
    def signal(self) -> float:
        return math.sqrt(self.alpha_bar)

    @property
    def noise(self) -> float:
        return math.sqrt(1 - self.alpha_bar)

    @property
    def log_ratio(self) -> float:
        return math.inf if self.alpha_bar == 1 else math.log(self.signal / self.noise)


@dataclass(frozen=True)
class Estimate:
    """What the network took for x0 at a level."""

    x0: np.ndarray
    level: Level


def sample(
    denoise: Denoise,
    x_T: np.ndarray,  # noqa: N803 - the field's name for the starting noise
    levels: np.ndarray,
    sampler: str = "dpm++",
    draw: Draw | None = None,
    on_step: OnStep | None = None,
) -> np.ndarray:
    """Walk from noise to x0.

    Args:
        denoise: (x_t (B, C, H, W), alpha_bar) -> x0_hat, already clamped.
        x_T: standard normal noise, (B, C, H, W) float32.
        levels: the grid, from `NoiseSchedule.grid_levels`: alpha_bars, the noisiest last.
        sampler: "ddpm" (arXiv 2006.11239), "ddim" (eta 0, 2010.02502), "dpm++" (DPM-Solver++ 2M, 2211.01095) or
            "unipc" (2302.04867, B(h) = exp(-h) - 1).
        draw: more noise of a shape, for "ddpm".
        on_step: called with (steps done, steps in all).

    Returns:
        x0, (B, C, H, W) float32.
    """
    if sampler not in SAMPLERS:
        raise ConfigError(f"unknown sampler {sampler!r}; allowed: {', '.join(SAMPLERS)}")
    visited = [Level(float(alpha_bar)) for alpha_bar in levels[::-1]] + [Level(1.0)]
    x_t, estimates = x_T, list[Estimate]()
    left: np.ndarray = x_T  # where the step that led to x_t began
    for done in range(1, len(visited)):
        level, following = visited[done - 1], visited[done]
        estimates = [*estimates[-2:], Estimate(denoise(x_t, level.alpha_bar), level)]
        last = following.alpha_bar == 1
        if sampler == "ddim":
            x_t = _first_order(x_t, estimates[-1], following)
        elif sampler == "ddpm":
            x_t = _ancestral(x_t, estimates[-1], following, draw)
        else:
            if sampler == "unipc" and done > 1:
                x_t = _corrected(left, estimates, level)
            left = x_t
            x_t = _first_order(x_t, estimates[-1], following)
            if len(estimates) > 1 and not last:
                x_t = x_t + _second_order(estimates, following)
        x_t = x_t.astype(np.float32, copy=False)
        if on_step is not None:
            on_step(done, len(visited) - 1)
    return x_t


def _first_order(x: np.ndarray, at: Estimate, to: Level) -> np.ndarray:
    """DDIM, which is DPM-Solver++ of order 1: x0_hat and the eps that it implies, mixed for the new level."""
    share = to.noise / at.level.noise
    return np.float32(share) * x + np.float32(to.signal - share * at.level.signal) * at.x0


def _second_order(estimates: list[Estimate], to: Level) -> np.ndarray:
    """What the multistep solver of order 2 adds: half of the change of x0_hat, extrapolated (2211.01095)."""
    before, now = estimates[-2:]
    h, h_before = to.log_ratio - now.level.log_ratio, now.level.log_ratio - before.level.log_ratio
    factor = -to.signal * math.expm1(-h) * 0.5 * h / h_before
    return np.float32(factor) * (now.x0 - before.x0)


def _corrected(left: np.ndarray, estimates: list[Estimate], at: Level) -> np.ndarray:
    """UniC: the step that led here taken again, now that x0_hat at its end is known (2302.04867, algorithm 1)."""
    start, end = estimates[-2:]
    hh = start.level.log_ratio - at.log_ratio  # -h
    growth = math.expm1(hh)
    change = end.x0 - start.x0
    if len(estimates) == 2:
        difference = 0.5 * change
    else:
        ratio = (estimates[-3].level.log_ratio - start.level.log_ratio) / -hh
        phi_2 = growth / hh - 1
        phi_3 = phi_2 / hh - 0.5
        # Weights that make the step exact for x0_hat linear in lambda: 1 and r to the powers 0 and 1.
        right = (phi_2 / growth, 2 * phi_3 / growth)
        of_past = (right[1] - right[0]) / (ratio - 1)
        past = (estimates[-3].x0 - start.x0) / np.float32(ratio)
        difference = np.float32(of_past) * past + np.float32(right[0] - of_past) * change
    return _first_order(left, start, at) - np.float32(at.signal * growth) * difference


def _ancestral(x: np.ndarray, at: Estimate, to: Level, draw: Draw | None) -> np.ndarray:
    """The posterior q(x_{t-1} | x_t, x0_hat), its mean and, but for the last step, its noise (2006.11239, eq. 7)."""
    alpha_bar = at.level.alpha_bar
    alpha = alpha_bar / to.alpha_bar
    beta = 1 - alpha
    of_x0 = to.signal * beta / (1 - alpha_bar)
    of_x = math.sqrt(alpha) * (1 - to.alpha_bar) / (1 - alpha_bar)
    mean = np.float32(of_x0) * at.x0 + np.float32(of_x) * x
    if to.alpha_bar == 1:
        return mean
    assert draw is not None
    return mean + np.float32(math.sqrt((1 - to.alpha_bar) / (1 - alpha_bar) * beta)) * draw(x.shape)
