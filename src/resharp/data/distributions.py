"""Random numbers for a batch of samples, on the generator's device."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from resharp.data.draws import derived_seed


def chance(share: float, count: int, generator: Generator) -> Tensor:
    """(count,) bool, each true with probability `share`."""
    return torch.rand(count, generator=generator, device=generator.device) < share


def between(limits: tuple[float, float], count: int, generator: Generator) -> Tensor:
    """(count,), uniform between a lowest and a highest value."""
    return limits[0] + (limits[1] - limits[0]) * torch.rand(count, generator=generator, device=generator.device)


def log_between(limits: tuple[float, float], count: int, generator: Generator) -> Tensor:
    """(count,), of which the logarithm is uniform between those of two positive values."""
    return limits[0] * (limits[1] / limits[0]) ** between((0.0, 1.0), count, generator)


def log_normal(median: float, spread: float, count: int, generator: Generator) -> Tensor:
    """(count,), of which the logarithm is normal with deviation `spread`."""
    return median * (spread * torch.randn(count, generator=generator, device=generator.device)).exp()


def forked(generator: Generator, purpose: int) -> Generator:
    """A generator that follows from the state of `generator` and a purpose, and leaves that state as it is.

    So what is drawn for one purpose does not shift what is drawn for others.
    """
    copy = generator.clone_state()
    seed = int(torch.randint(2**62, (), generator=copy, device=generator.device))
    return torch.Generator(generator.device).manual_seed(derived_seed(seed, purpose))
