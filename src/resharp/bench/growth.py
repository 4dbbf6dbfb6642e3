"""How cost grows with the work: which measurements are made, and the exponent that fits them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from resharp.bench.restoring_spec import RestoringSpec

# What grows along each axis; the others stay. The small grid takes a minute on two cores, the full one ten.
AXES = ("megapixels", "samples", "images")
GRIDS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "megapixels": ((0.1, 0.3, 1, 3), (0.1, 0.3, 1, 3, 10, 30, 100)),
    "samples": ((1, 2, 4, 8), (1, 2, 4, 8, 16, 32, 64)),
    "images": ((1, 3, 10, 30), (1, 3, 10, 30, 100, 300, 1000)),
}
# Samples and images are counted on photos of this size.
SIDE_PX = (384, 256)


def specs(
    *, full: bool, threads: int, device: str = "cpu", backend: str = "torch", memory: str | None = None
) -> list[tuple[str, float, Any]]:
    """(axis, value, spec) of every measurement, the cheapest of each axis first."""
    base = RestoringSpec(threads=threads, device=device, backend=backend, memory=memory, repeats=1)
    small = replace(base, width=SIDE_PX[0], height=SIDE_PX[1])
    made = []
    for axis, grids in GRIDS.items():
        for value in grids[full]:
            if axis == "megapixels":
                height = round(math.sqrt(value * 1e6 * 3 / 4))
                spec = replace(base, width=round(height * 4 / 3), height=height)
            elif axis == "samples":
                spec = replace(small, output="diffusion", steps=2, samples=int(value))
            else:
                spec = replace(small, images=int(value))
            made.append((axis, float(value), spec))
    return made


def row_of(axis: str, value: float, measured: Mapping[str, Any]) -> dict[str, Any]:
    """A line of the table."""
    tile = measured["tile"]
    return {
        "axis": axis,
        "value": value,
        "width": measured["width"],
        "height": measured["height"],
        "seconds": measured["seconds"],
        "peak_memory_bytes": measured["peak_memory_bytes"],
        "processor_share": measured["processor_share"],
        "tile": None if tile is None else f"{tile[1]}x{tile[0]}",
    }


def exponent(rows: Sequence[Mapping[str, Any]], quantity: str) -> float | None:
    """The slope of a straight line through log(value), log(quantity), by least squares: 1 is linear.

    None with fewer than two values.
    """
    points = [(math.log(row["value"]), math.log(row[quantity])) for row in rows]
    if len({x for x, _ in points}) < 2:
        return None
    mean_x, mean_y = (sum(part) / len(points) for part in zip(*points, strict=True))
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
