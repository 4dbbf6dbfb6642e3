"""The noise schedule against its closed form and the published numbers."""

from __future__ import annotations

import pytest
import torch

from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ConfigError


def test_alpha_bars_follow_the_linear_betas():
    alpha_bars = NoiseSchedule().alpha_bars()
    assert alpha_bars[0] == 1
    assert alpha_bars[1].item() == pytest.approx(1 - 1e-6, abs=1e-12)
    assert (1 - alpha_bars[2000] / alpha_bars[1999]).item() == pytest.approx(1e-2, rel=1e-9)
    # log alpha_bar_T = sum log(1 - beta) ~ -T (beta_1 + beta_T) / 2 to second order.
    assert alpha_bars[-1].log().item() == pytest.approx(-10.03, abs=0.02)


def test_training_levels_are_continuous_and_fill_the_schedule():
    schedule = NoiseSchedule()
    drawn = schedule.draw(20_000, torch.Generator().manual_seed(0))
    assert drawn.unique().numel() > 10_000
    # t is uniform: the median level is that of the middle t.
    middle = schedule.alpha_bars()[1000].item()
    assert drawn.median().item() == pytest.approx(middle, abs=0.02)
    assert drawn.min() >= schedule.alpha_bars()[-1].float()
    assert drawn.max() <= 1


@pytest.mark.parametrize("steps", [1, 2, 7, 50, 2000])
def test_grid_starts_at_full_noise_and_decreases(steps):
    grid = NoiseSchedule().grid(steps)
    assert len(grid) == steps
    assert grid[-1] == NoiseSchedule().alpha_bars()[-1]
    assert (grid.diff() < 0).all()


def test_final_variance_is_the_last_beta():
    grid = NoiseSchedule().grid(10, final_variance=0.5)
    betas = 1 - grid / torch.cat([torch.ones(1, dtype=grid.dtype), grid[:-1]])
    assert betas[0].item() == pytest.approx(1e-6, rel=1e-6)
    assert betas[-1].item() == pytest.approx(0.5)
    assert torch.allclose(betas.diff(), betas.diff()[0])


@pytest.mark.parametrize("steps", [0, -1, 10_001])
def test_steps_outside_the_range_are_refused(steps):
    with pytest.raises(ConfigError, match="1 to 10000"):
        NoiseSchedule().grid(steps)


def test_impossible_schedules_are_refused():
    with pytest.raises(ConfigError):
        NoiseSchedule(beta_first=0.5, beta_last=0.1)
    with pytest.raises(ConfigError):
        NoiseSchedule().grid(5, final_variance=1.5)
    with pytest.raises(ConfigError, match="2000"):
        NoiseSchedule().grid(2001)
