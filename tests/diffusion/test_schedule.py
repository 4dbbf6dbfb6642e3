"""The noise schedule against its closed form and the published numbers."""

from __future__ import annotations

import math

import pytest
import torch

from resharp.diffusion.samplers import sample
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


@pytest.mark.parametrize("steps", [1, 3, 8])
@pytest.mark.parametrize(("start", "end"), [(None, None), (0.2, None), (0.05, 0.99)])
def test_logsnr_spacing_is_even_in_the_log_signal_to_noise_ratio(steps, start, end):
    schedule = NoiseSchedule()
    first, last = start or schedule.alpha_bars()[-1].item(), end or schedule.alpha_bars()[1].item()
    grid = schedule.grid(steps, spacing="logsnr", start=start, end=end)
    low, high = (math.log(level / (1 - level)) for level in (first, last))
    # From the noisiest on; the least noisy level itself is where time's grid has t = 0.
    expected = [1 / (1 + math.exp(-(low + (high - low) * i / steps))) for i in range(steps)]
    assert grid.dtype == torch.float64
    assert grid.flip(0).tolist() == pytest.approx(expected, rel=1e-12)
    assert grid[-1].item() == first


def test_time_spacing_is_the_default_to_the_last_bit():
    alpha_bars = NoiseSchedule().alpha_bars()
    for steps in (1, 3, 7, 50):
        expected = alpha_bars[[round(2000 * i / steps) for i in range(1, steps + 1)]]
        assert torch.equal(NoiseSchedule().grid(steps), expected)
        assert torch.equal(NoiseSchedule().grid(steps, spacing="time"), expected)


def test_logsnr_spacing_reaches_the_flow_map_in_fewer_steps():
    """A small residual, N(0, 0.1^2), is what the spacing is for: most of time's levels are far above it."""
    deviation, noise = 0.1, torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(5))

    def best(x_t: torch.Tensor, alpha_bar: torch.Tensor) -> torch.Tensor:
        alpha_bar = alpha_bar.view(-1, 1, 1, 1).to(x_t)
        return alpha_bar.sqrt() * deviation**2 / (alpha_bar * deviation**2 + 1 - alpha_bar) * x_t

    error = {}
    for spacing, start in (("time", None), ("logsnr", 0.5)):
        first = noise if start is None else noise * math.sqrt(1 - start)
        x0 = sample(best, first, NoiseSchedule().grid(4, spacing=spacing, start=start), "dpm++")
        error[spacing] = abs(x0.std().item() - deviation)
    assert error["logsnr"] < 0.5 * error["time"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"spacing": "cosine"}, "allowed: time, logsnr"),
        ({"start": 0.5}, "need spacing 'logsnr'"),
        ({"spacing": "logsnr", "final_variance": 0.1}, "a schedule of its own"),
        ({"spacing": "logsnr", "start": 0.5, "end": 0.4}, "they must rise"),
        ({"spacing": "logsnr", "start": 1e-9}, "within the 4.3"),
        ({"spacing": "logsnr", "end": 1.0}, "they must rise"),
    ],
)
def test_impossible_spacings_are_refused(options, words):
    with pytest.raises(ConfigError, match=words):
        NoiseSchedule().grid(5, **options)
