"""Samplers and noise without torch, against torch and diffusers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from resharp.diffusion.sampler_names import SAMPLERS
from resharp.diffusion.samplers import make_scheduler
from resharp.diffusion.samplers import sample as sample_with_diffusers
from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ConfigError
from resharp.runtime.noise import Noise
from resharp.runtime.samplers import sample

GRIDS = {
    "one": {"steps": 1},
    "two": {"steps": 2},
    "eight": {"steps": 8},
    "twenty": {"steps": 20},
    "own": {"steps": 10, "final_variance": 0.3},
    "logsnr": {"steps": 6, "spacing": "logsnr", "start": 0.5},
}


@pytest.mark.parametrize("seed", [0, 7, 2**48 * 1000 - 1])
@pytest.mark.parametrize("shape", [(1, 3, 16, 32), (2, 3, 17, 19), (16,), (1, 3, 700, 600)])
def test_noise_is_that_of_torch(seed, shape):
    generator, ours = torch.Generator().manual_seed(seed), Noise(seed)
    for _ in range(2):  # the second continues the stream
        theirs = torch.randn(shape, generator=generator).numpy()
        drawn = ours.draw(shape)
        assert drawn.dtype == np.float32
        assert np.abs(drawn - theirs).max() < 5e-6


def test_fewer_than_sixteen_numbers_are_refused():
    with pytest.raises(ValueError, match="at least 16"):
        Noise(0).draw((3, 5))


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_steps_are_those_of_diffusers(sampler, grid):
    exact = torch.from_numpy(NoiseSchedule().grid_levels(**GRIDS[grid]))
    # diffusers keeps levels in float32, which moves those of least noise by up to a tenth.
    levels = make_scheduler(sampler, exact).alphas_cumprod.double().numpy()
    generator, noise = torch.Generator().manual_seed(3), Noise(3)
    x_T = torch.randn(2, 3, 8, 8, generator=generator)  # noqa: N806
    noise.draw((2, 3, 8, 8))
    steps = []

    def denoise(x_t, alpha_bar):
        """Anything but linear, and different at every level."""
        level = float(torch.as_tensor(alpha_bar).flatten()[0])
        array = np.asarray(x_t)
        return np.float32(1) * np.tanh(array * (1 + level) + 0.3 * np.roll(array, 1, axis=3))

    theirs = sample_with_diffusers(lambda x, a: torch.from_numpy(denoise(x, a)), x_T, exact, sampler, [generator])
    ours = sample(denoise, x_T.numpy(), levels, sampler, noise.draw, lambda done, n: steps.append((done, n)))
    assert ours.dtype == np.float32
    assert np.abs(ours - theirs.numpy()).max() < 1e-4
    count = len(levels)
    assert steps == [(i + 1, count) for i in range(count)]


def test_a_sampler_of_another_name_is_refused():
    with pytest.raises(ConfigError, match="'euler'; allowed: dpm"):
        sample(lambda x, a: x, np.zeros((1, 3, 8, 8), np.float32), np.array([0.5]), "euler")
