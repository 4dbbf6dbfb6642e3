"""How fast a machine multiplies matrices: what a training step is held against."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from accelerate import Accelerator

# Large enough for the full rate of a core or of a GPU; the best of them counts.
SIDES = {"cpu": (512, 1024, 2048), "cuda": (2048, 4096, 8192), "mps": (1024, 2048, 4096)}
ROUNDS = 3
ROUND_S = 0.2


def synchronise(device: torch.device) -> None:
    """Wait until `device` has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def product_flops(side: int) -> int:
    """Floating-point operations of a product of two square matrices, an addition for each multiplication."""
    return 2 * side**3


def matrix_rate(
    accelerator: Accelerator,
    dtype: torch.dtype,
    *,
    sides: Sequence[int] | None = None,
    rounds: int = ROUNDS,
    round_s: float = ROUND_S,
) -> float:
    """The best rate of square matrix products, in FLOP/s, summed over all processes, which work at the same time.

    Every process must call this. A round is one size for about `round_s` seconds, begun together; the rates of one
    round are summed, and the best round counts: what else the machine does only ever lowers a rate.

    Args:
        accelerator: of this process; it has the device.
        dtype: of the matrices.
        sides: of the matrices; None takes those of `SIDES` for the device.
        rounds: of each size.
    """
    device = accelerator.device
    best = 0.0
    for side in sides or SIDES[device.type]:
        generator = torch.Generator().manual_seed(side)
        a, b = (torch.randn(side, side, generator=generator).to(device, dtype) for _ in range(2))
        result = torch.empty_like(a)
        _timed(a, b, result, 1)
        count = max(1, round(round_s / max(_timed(a, b, result, 1), 1e-9)))
        for _ in range(rounds):
            accelerator.wait_for_everyone()
            rate = count * product_flops(side) / _timed(a, b, result, count)
            # In units of 10^9, where float32 has digits enough.
            summed = accelerator.reduce(torch.tensor(rate / 1e9, device=device), reduction="sum")
            best = max(best, float(summed) * 1e9)
    return best


def _timed(a: torch.Tensor, b: torch.Tensor, result: torch.Tensor, count: int) -> float:
    """Seconds for `count` products."""
    synchronise(a.device)
    start = time.perf_counter()
    for _ in range(count):
        torch.mm(a, b, out=result)
    synchronise(a.device)
    return time.perf_counter() - start
