"""Each sampler on a Gaussian, where the best denoiser and the distribution it must reach are known."""

from __future__ import annotations

import pytest
import torch

from resharp.diffusion.sampler_names import SAMPLERS
from resharp.diffusion.samplers import make_scheduler, sample
from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ConfigError

MEAN, DEVIATION = 0.4, 0.25


def best_denoiser(x_t: torch.Tensor, alpha_bar: torch.Tensor) -> torch.Tensor:
    """E[x0 | x_t] for x0 ~ N(MEAN, DEVIATION^2), by Bayes' rule."""
    alpha_bar = alpha_bar.view(-1, 1, 1, 1).to(x_t)
    variance = alpha_bar * DEVIATION**2 + 1 - alpha_bar
    return MEAN + alpha_bar.sqrt() * DEVIATION**2 / variance * (x_t - alpha_bar.sqrt() * MEAN)


def draw(sampler: str, steps: int, seed: int = 0, **options) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(2, 3, 64, 64, generator=generator)
    grid = NoiseSchedule().grid(steps, **options)
    return sample(best_denoiser, noise, grid, sampler, [generator])


@pytest.mark.parametrize(("sampler", "steps"), [("ddpm", 1000), ("ddim", 200), ("dpm++", 40), ("unipc", 40)])
def test_reaches_the_known_gaussian(sampler, steps):
    x0 = draw(sampler, steps)
    # 24,576 draws: the mean is known to 0.0016, the deviation to 0.5 %. Ancestral steps lose a little
    # variance at any finite number.
    assert x0.mean().item() == pytest.approx(MEAN, abs=0.006)
    assert x0.std().item() == pytest.approx(DEVIATION, rel=0.05)


@pytest.mark.parametrize("sampler", ["ddim", "dpm++", "unipc"])
def test_deterministic_samplers_reach_the_flow_map(sampler):
    """The probability flow of a Gaussian is affine: x_T = z goes to MEAN + DEVIATION z."""
    noise = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(5))
    x0 = sample(best_denoiser, noise, NoiseSchedule().grid(500), sampler)
    assert torch.allclose(x0, MEAN + DEVIATION * noise, atol=0.02)


def test_higher_order_needs_fewer_steps_than_ddim():
    noise = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(5))
    grid, exact = NoiseSchedule().grid(20), MEAN + DEVIATION * noise
    error = {name: (sample(best_denoiser, noise, grid, name) - exact).abs().mean() for name in ("ddim", "dpm++")}
    assert error["dpm++"] < error["ddim"]


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_few_steps_end_at_the_denoisers_answer(sampler, steps):
    """A denoiser that is certain, E[x0 | x_t] = 0.3, must be believed whatever the number of steps."""
    noise = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    grid = NoiseSchedule().grid(steps)
    x0 = sample(lambda x_t, _: torch.full_like(x_t, 0.3), noise, grid, sampler, [torch.Generator().manual_seed(1)])
    assert torch.allclose(x0, torch.tensor(0.3), atol=1e-4)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_network_sees_exactly_the_grid_from_noisy_to_clean(sampler):
    seen = []

    def watch(x_t, alpha_bar):
        seen.append(alpha_bar[0].item())
        return best_denoiser(x_t, alpha_bar)

    grid = NoiseSchedule().grid(10)
    sample(watch, torch.randn(1, 3, 4, 4), grid, sampler, [torch.Generator().manual_seed(0)])
    assert seen == grid.flip(0).tolist()
    scheduler = make_scheduler(sampler, grid)
    assert torch.allclose(scheduler.alphas_cumprod.double(), grid, rtol=1e-4)


def test_final_variance_grid_samples_too():
    x0 = draw("ddpm", 100, final_variance=0.1)
    assert x0.mean().item() == pytest.approx(MEAN, abs=0.01)
    assert x0.std().item() == pytest.approx(DEVIATION, rel=0.1)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_same_seed_same_bytes(sampler):
    assert torch.equal(draw(sampler, 5, seed=3), draw(sampler, 5, seed=3))
    assert not torch.equal(draw(sampler, 5, seed=3), draw(sampler, 5, seed=4))


def test_steps_are_reported():
    calls = []
    grid = NoiseSchedule().grid(4)
    sample(
        best_denoiser, torch.zeros(1, 3, 4, 4), grid, "ddim", on_step=lambda done, total: calls.append((done, total))
    )
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_unknown_sampler_names_the_known_ones():
    with pytest.raises(ConfigError, match="dpm\\+\\+, ddim, ddpm, unipc"):
        make_scheduler("euler", NoiseSchedule().grid(3))
