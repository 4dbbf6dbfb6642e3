"""Samplers: from noise to an image along a grid of alpha_bars, with diffusers' schedulers doing the steps.

Every scheduler gets the same betas, those of the grid itself, so that all of them walk exactly the same noise
levels, and `prediction_type="sample"`, so that x0 is clamped in one place, by the caller. Integer timesteps
exist only in here: they index the grid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from resharp.diffusion.sampler_names import SAMPLERS
from resharp.errors import ConfigError

Denoise = Callable[[Tensor, Tensor], Tensor]


def make_scheduler(sampler: str, alpha_bars: Tensor) -> Any:
    """A diffusers scheduler whose training steps are the grid itself.

    Args:
        sampler: "ddpm" (ancestral, arXiv 2006.11239), "ddim" (eta 0, arXiv 2010.02502), "dpm++"
            (DPM-Solver++ 2M, arXiv 2211.01095) or "unipc" (arXiv 2302.04867).
        alpha_bars: (N,) float64, decreasing with the index.
    """
    from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler, UniPCMultistepScheduler

    earlier = torch.cat([torch.ones(1, dtype=alpha_bars.dtype), alpha_bars[:-1]])
    betas = (1 - alpha_bars / earlier).tolist()
    common = {
        "num_train_timesteps": len(alpha_bars),
        "trained_betas": betas,
        "prediction_type": "sample",
        "timestep_spacing": "trailing",
    }
    if sampler == "ddpm":
        return DDPMScheduler(**common, clip_sample=False, variance_type="fixed_small")
    if sampler == "ddim":
        return DDIMScheduler(**common, clip_sample=False, set_alpha_to_one=True)
    if sampler == "dpm++":
        return DPMSolverMultistepScheduler(
            **common, algorithm_type="dpmsolver++", solver_order=2, final_sigmas_type="zero", lower_order_final=True
        )
    if sampler == "unipc":
        return UniPCMultistepScheduler(**common, predict_x0=True, final_sigmas_type="zero", lower_order_final=True)
    raise ConfigError(f"unknown sampler {sampler!r}; allowed: {', '.join(SAMPLERS)}")


@torch.no_grad()
def sample(
    denoise: Denoise,
    x_T: Tensor,  # noqa: N803 - the field's name for the starting noise
    alpha_bars: Tensor,
    sampler: str = "dpm++",
    generators: Sequence[torch.Generator] = (),
    on_step: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Walk from noise to x0.

    Args:
        denoise: (x_t (B, C, H, W), alpha_bar (B,) float64) -> x0_hat, already clamped.
        x_T: standard normal noise, (B, C, H, W).
        alpha_bars: the grid, from `NoiseSchedule.grid`.
        sampler: one of `SAMPLERS`.
        generators: for the noise that "ddpm" adds at every step. Of several each is for as many of the B, in order;
            none takes torch's own.
        on_step: called with (steps done, steps in all).

    Returns:
        x0, (B, C, H, W).

    Example:
        A denoiser that knows the answer is led to it, whatever the noise.

        >>> from resharp.diffusion.schedule import NoiseSchedule
        >>> x0 = torch.linspace(-1, 1, 12).view(1, 3, 2, 2)
        >>> noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(0))
        >>> found = sample(lambda x_t, alpha_bar: x0, noise, NoiseSchedule().grid(5), "ddim")
        >>> torch.allclose(found, x0, atol=1e-6)
        True
    """
    scheduler = make_scheduler(sampler, alpha_bars)
    steps = len(alpha_bars)
    scheduler.set_timesteps(steps)
    x_t = x_T
    for done, t in enumerate(scheduler.timesteps, start=1):
        alpha_bar = alpha_bars[int(t)].expand(len(x_t))
        x0_hat = denoise(x_t, alpha_bar)
        # Schedulers add noise in "ddpm" only, and only that one takes a generator in every release.
        if sampler == "ddpm" and generators:
            x_t = _ancestral(scheduler, x0_hat, t, x_t, generators)
        else:
            x_t = scheduler.step(x0_hat, t, x_t).prev_sample
        if on_step is not None:
            on_step(done, steps)
    return x_t


def _ancestral(scheduler: Any, x0_hat: Tensor, t: Any, x_t: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """x_{t-1}, its noise drawn part by part as if each generator's were alone; this scheduler remembers no steps."""
    parts = (each.chunk(len(generators)) for each in (x0_hat, x_t))
    return torch.cat(
        [
            scheduler.step(x0, t, x, generator=generator).prev_sample
            for x0, x, generator in zip(*parts, generators, strict=True)
        ]
    )
