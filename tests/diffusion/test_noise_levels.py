"""The levels that "logsnr" trains on against their distribution in closed form."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from resharp.diffusion.loss import denoising_loss
from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ConfigError
from runs import CONFIG, trainer
from tiny import awake


def log_snr(alpha_bar):
    return (alpha_bar.double() / (1 - alpha_bar.double())).log()


def test_three_in_four_levels_are_uniform_in_log_snr_and_one_follows_the_schedule():
    schedule, count = NoiseSchedule(), 40_000
    generator = torch.Generator().manual_seed(0)
    drawn = log_snr(schedule.draw_log_snr(count, generator)).sort().values
    low, high = math.log(1 / 16), math.log(100)
    # The schedule's distribution function: how many of its steps have less signal.
    levels = log_snr(schedule.alpha_bars()[1:]).flip(0)
    by_schedule = torch.searchsorted(levels, drawn) / len(levels)
    expected = 0.75 * ((drawn - low) / (high - low)).clamp(0, 1) + 0.25 * by_schedule
    # Kolmogorov and Smirnov: exceeded by chance once in 10^6; the schedule's steps add their own width.
    limit = math.sqrt(math.log(2e6) / 2 / count) + 1 / len(levels)
    assert float((expected - torch.arange(count) / count).abs().max()) < limit
    # A schedule's own draw is far from it.
    other = log_snr(schedule.draw(count, generator)).sort().values
    by_schedule = torch.searchsorted(levels, other) / len(levels)
    expected = 0.75 * ((other - low) / (high - low)).clamp(0, 1) + 0.25 * by_schedule
    assert float((expected - torch.arange(count) / count).abs().max()) > 10 * limit


@pytest.mark.parametrize("schedule", [NoiseSchedule(1e-2, 1e-2, 20), NoiseSchedule(0.5, 0.5, 1)])
def test_levels_stay_within_a_short_schedule(schedule):
    drawn = schedule.draw_log_snr(2000, torch.Generator().manual_seed(0))
    levels = schedule.alpha_bars().float()
    assert drawn.dtype == torch.float32
    assert float(drawn.min()) >= float(levels[-1]) * (1 - 1e-6)
    assert float(drawn.max()) <= 1
    # What is uniform does not pass the first level.
    assert float((drawn <= levels[1] * (1 + 1e-6)).float().mean()) > 0.7


def test_the_loss_takes_its_levels_from_there():
    x0 = torch.zeros(64, 3, 4, 4)

    def levels(*options):
        seen = []

        def model(x_t, y, alpha_bar, h, g):
            seen.append(alpha_bar)
            return x_t

        generator = torch.Generator().manual_seed(0)
        denoising_loss(model, NoiseSchedule(), x0, x0, {}, None, "x0", generator, *options)
        return seen[0]

    draw = NoiseSchedule()
    assert torch.equal(levels(), draw.draw(64, torch.Generator().manual_seed(0)))
    assert torch.equal(levels("schedule"), levels())
    assert torch.equal(levels("logsnr"), draw.draw_log_snr(64, torch.Generator().manual_seed(0)))
    with pytest.raises(ConfigError, match="unknown noise_levels 'sqrt'; allowed: 'schedule', 'logsnr'"):
        levels("sqrt")


def test_a_run_uses_the_setting(tmp_path):
    config = replace(CONFIG, warm_start_steps=0, ramp_steps=0)
    losses = []
    for levels in ("schedule", "logsnr"):
        run = trainer(replace(config, noise_levels=levels), tmp_path / levels)
        awake(run.engine.model)  # at the start it answers 0 to every noise level
        losses.append(run.engine.step(0, next(run.parts(0, 1))).losses)
    assert float(losses[0]["prediction"]) == float(losses[1]["prediction"])
    assert float(losses[0]["denoising"]) != float(losses[1]["denoising"])
