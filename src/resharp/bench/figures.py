"""From measured times to the figures that are reported; arithmetic only."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

# Step times in seconds, block by block; the i-th block with data belongs to the i-th with one batch held.
Blocks = list[list[float]]


def block_lengths(steps: int, longest: int = 5) -> list[int]:
    """`steps` divided into blocks of nearly equal length: two at least, so that both kinds come first once."""
    count = min(steps, max(2, -(-steps // longest)))
    return [steps * (i + 1) // count - steps * i // count for i in range(count)]


def slowest(processes: Sequence[Blocks]) -> Blocks:
    """Of each step the time of the process that took longest: the others wait for it."""
    blocks = zip(*processes, strict=True)
    return [[max(times) for times in zip(*block, strict=True)] for block in blocks]


def median_step_s(blocks: Blocks) -> float:
    """The median over all steps."""
    return statistics.median(time for block in blocks for time in block)


def data_ratios(held: Blocks, with_data: Blocks) -> list[float]:
    """Mean step time with data over that with one batch held, for each pair of blocks.

    Means, since workers may deliver in bursts: a median would not see that every third step waits.
    """
    return [statistics.mean(data) / statistics.mean(batch) for batch, data in zip(held, with_data, strict=True)]


def share_of_rate(crops_per_s: float, flops_per_crop: float, matrix_rate: float) -> float:
    """What part of `matrix_rate`, in FLOP/s, the convolutions and products of training come to."""
    return crops_per_s * flops_per_crop / matrix_rate


def speeds(
    crops_a_step: int, held: Blocks, with_data: Blocks, flops_per_crop: int, matrix_rate: float
) -> dict[str, Any]:
    """The figures that follow from times.

    Args:
        crops_a_step: of all processes together.
        held, with_data: step times with one batch held, and with data.
        flops_per_crop: forward and backward.
        matrix_rate: of all processes together, in FLOP/s.
    """
    step_s = median_step_s(held)
    ratios = data_ratios(held, with_data)
    ratio = statistics.median(ratios)
    crops_per_s = crops_a_step / step_s
    return {
        "step_s": step_s,
        "crops_per_s": crops_per_s,
        "data_ratio": ratio,
        "data_ratios": ratios,
        "crops_per_s_with_data": crops_per_s / ratio,
        "flops_per_crop": flops_per_crop,
        "multiply_adds_per_crop": flops_per_crop // 2,
        "matrix_rate_flops": matrix_rate,
        "share_of_matrix_rate": share_of_rate(crops_per_s, flops_per_crop, matrix_rate),
    }


def compared(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows, each with its crops a second over those of one process of the same size; None without that row."""
    single = {row["size"]: row for row in rows if row["processes"] == 1}
    names = {"times_one_process": "crops_per_s", "times_one_process_with_data": "crops_per_s_with_data"}
    result = []
    for row in rows:
        one = single.get(row["size"])
        ratios = {name: None if one is None else row[speed] / one[speed] for name, speed in names.items()}
        result.append({**row, **ratios})
    return result
