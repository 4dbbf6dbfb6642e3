"""A measured blur gap as a table and as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from resharp.analysis.blur_gap import QUANTILES, UNITS, Row

# What tells of the blur itself; the rest is about the camera, the files and the scene.
BLUR_ROWS = (
    *("major_px", "minor_px", "straightness", "unexplained", "psnr_db"),
    *(name for name in UNITS if name.startswith("ratio_db")),
)
_DECIMALS = {"px": 1, "dB": 1, "share": 3, "value": 4, "power": 2}


def blur_distance(rows: Sequence[Row]) -> float | None:
    """The mean distance over BLUR_ROWS; None where one of them could not be measured."""
    distances = [row.distance for row in rows if row.name in BLUR_ROWS]
    known = [distance for distance in distances if distance is not None]
    return sum(known) / len(known) if len(known) == len(BLUR_ROWS) else None


def gap_rows(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Plain values: name, unit, quantiles of both by their percentage, and distance."""

    def spread(values: Sequence[float]) -> dict[str, float]:
        return {f"{100 * q:g}": value for q, value in zip(QUANTILES, values, strict=True)} if values else {}

    return [
        {
            **{"name": row.name, "unit": UNITS[row.name], "distance": row.distance},
            **{"real": spread(row.real), "synthetic": spread(row.synthetic)},
        }
        for row in rows
    ]


def gap_table(rows: Sequence[Row]) -> str:
    """Markdown, a line for each quantity: quantiles of real and synthetic pairs, and the distance."""
    percent = " / ".join(f"{100 * q:g}" for q in QUANTILES)
    lines = [f"| quantity | real: {percent} % | synthetic: {percent} % | distance |", "|---|---|---|---|"]
    for row in rows:
        digits = _DECIMALS[UNITS[row.name]]
        sides = (" / ".join(f"{v:.{digits}f}" for v in side) or "-" for side in (row.real, row.synthetic))
        distance = "-" if row.distance is None else f"{row.distance:.2f}"
        lines.append(f"| {' | '.join((row.name, *sides, distance))} |")
    return "\n".join(lines) + "\n"
