"""Camera paths against closed forms and against statistics of recorded hand shake."""

from __future__ import annotations

import math

import pytest
import torch

from resharp.data.blur_config import BlurConfig
from resharp.data.trajectories import Paths, extent, length, random_paths, reach, resized

# Of 100 recorded hand-shake paths of 1001 points: percentiles 25, 50 and 75, and the spectrum's slope.
RECORDED_LENGTH_OVER_CHORD = (1.076, 1.225, 1.524)
RECORDED_LENGTH_OVER_EXTENT = (1.064, 1.150, 1.325)
RECORDED_SPEED_VARIATION = (0.291, 0.356, 0.452)
RECORDED_REACH_OVER_EXTENT = (0.601, 0.667, 0.772)
RECORDED_SPECTRUM_SLOPE = -2.15


def shaken_points(count: int = 3000, seed: int = 0) -> torch.Tensor:
    """Hand-shake paths of the default configuration on 1001 times: (B, 1001, 2)."""
    generator, config = torch.Generator().manual_seed(seed), BlurConfig()
    wobble = config.shake_wobble * (config.wobble_spread * torch.randn(count, generator=generator)).exp()
    return random_paths(2, wobble, generator).at(torch.linspace(0, 1, 1001))


def quartiles(values: torch.Tensor) -> torch.Tensor:
    return torch.quantile(values, torch.tensor([0.25, 0.5, 0.75]))


def test_shape_is_that_of_recorded_hand_shake():
    points = shaken_points()
    travelled = length(points)
    chord = (points[:, -1] - points[:, 0]).norm(dim=1)
    speed = (points[:, 1:] - points[:, :-1]).norm(dim=2)
    torch.testing.assert_close(
        quartiles(travelled / chord), torch.tensor(RECORDED_LENGTH_OVER_CHORD), rtol=0.08, atol=0
    )
    torch.testing.assert_close(
        quartiles(travelled / extent(points)), torch.tensor(RECORDED_LENGTH_OVER_EXTENT), rtol=0.05, atol=0
    )
    torch.testing.assert_close(
        quartiles(speed.std(dim=1) / speed.mean(dim=1)), torch.tensor(RECORDED_SPEED_VARIATION), rtol=0.15, atol=0
    )
    torch.testing.assert_close(
        quartiles(reach(points) / extent(points)), torch.tensor(RECORDED_REACH_OVER_EXTENT), rtol=0.05, atol=0
    )


def test_speed_spectrum_falls_as_recorded():
    velocity = torch.view_as_complex(shaken_points().diff(dim=1).contiguous())
    velocity = (velocity - velocity.mean(dim=1, keepdim=True)) * torch.hann_window(1000, periodic=False)
    power = torch.fft.fft(velocity).abs().square().mean(dim=0)[1:7].log()
    cycles = torch.arange(1.0, 7.0).log()
    slope = ((cycles - cycles.mean()) * (power - power.mean())).sum() / (cycles - cycles.mean()).square().sum()
    assert slope.item() == pytest.approx(RECORDED_SPECTRUM_SLOPE, abs=0.2)


def test_position_is_the_integral_of_the_speed():
    generator = torch.Generator().manual_seed(1)
    paths = random_paths(2, torch.full((4,), 0.9), generator)
    times = torch.linspace(0, 1, 4001)
    k = torch.arange(1, paths.waves.shape[-1] + 1) * math.pi
    speed = paths.drift[:, None] + torch.einsum("bdk,nk->bnd", paths.waves, torch.cos(times[:, None] * k))
    middle = (speed[:, 1:] + speed[:, :-1]) / 2
    integral = torch.cat((torch.zeros(4, 1, 2), middle.cumsum(dim=1) / 4000), dim=1)
    torch.testing.assert_close(paths.at(times), integral - integral[:, 2000:2001], atol=1e-4, rtol=0)


def test_no_wobble_is_a_straight_line_at_constant_speed():
    paths = random_paths(2, torch.zeros(5), torch.Generator().manual_seed(2))
    steps = paths.points().diff(dim=1)
    torch.testing.assert_close(steps, steps[:, :1].expand_as(steps), atol=1e-6, rtol=1e-4)


def test_middle_of_the_exposure_is_the_origin():
    paths = random_paths(3, torch.ones(6), torch.Generator().manual_seed(3))
    assert torch.equal(paths.at(torch.tensor([0.5])), torch.zeros(6, 1, 3))


def test_resized_gives_the_wanted_extent_or_the_reach():
    paths = random_paths(2, torch.ones(50), torch.Generator().manual_seed(4))
    free = resized(paths, torch.full((50,), 20.0), math.inf)
    torch.testing.assert_close(extent(free.points()), torch.full((50,), 20.0))
    held = resized(paths, torch.full((50,), 20.0), 12.0).points()
    assert reach(held).max() <= 12.0 + 1e-4
    assert (extent(held) < 19.9).any()
    assert (extent(held) > 19.9).any()
    assert torch.equal(resized(paths, torch.zeros(50), 12.0).points(), torch.zeros(50, 65, 2))


def test_subset_and_same_seed():
    first = random_paths(2, torch.ones(4), torch.Generator().manual_seed(5))
    second = random_paths(2, torch.ones(4), torch.Generator().manual_seed(5))
    chosen = first[torch.tensor([2])]
    assert isinstance(chosen, Paths)
    torch.testing.assert_close(chosen.points()[0], second.points()[2])
