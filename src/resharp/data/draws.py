"""Random generators that follow from where in a run they are used: what resume, workers and processes agree on.

Nothing in training draws from a generator that remembers earlier draws. So there is no random state to save, and
it does not matter which process does a part of the work, or whether the run was interrupted before.
"""

from __future__ import annotations

import hashlib

import torch

# What the draws of one part of a step are for; each has a generator of its own.
ORDER, CROP, TURN, BLUR, NOISE, DROPOUT = range(6)


def derived_seed(*numbers: int) -> int:
    """A seed in [0, 2^63) from whole numbers; neighbouring numbers give unrelated seeds."""
    digest = hashlib.blake2b(repr(numbers).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def part_generator(
    seed: int, step: int, part: int, purpose: int, device: torch.device | None = None
) -> torch.Generator:
    """The generator of one part of one step, for one purpose, on `device` (None: the CPU)."""
    return torch.Generator(device or "cpu").manual_seed(derived_seed(seed, step, part, purpose))
