"""A figure of how seconds and memory grow with megapixels, samples and images, beside lines of slope 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from resharp.analysis.figures import LETTERS_PT, new_figure, save_figure

_QUANTITIES = (("seconds", "seconds", 1.0), ("peak_memory_bytes", "peak GB", 1e-9))


def draw_growth(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw it, both axes logarithmic.

    Args:
        rows: as of `resharp.bench.growth.row_of`.
        path: a .png or .pdf file.

    Raises:
        ConfigError: another suffix.
        OutputError: the file cannot be written.
    """
    axes_of = list(dict.fromkeys(row["axis"] for row in rows))
    figure = new_figure(3.6)
    grid = figure.subplots(len(_QUANTITIES), len(axes_of), squeeze=False)
    for column, axis in enumerate(axes_of):
        chosen = [row for row in rows if row["axis"] == axis]
        values = [row["value"] for row in chosen]
        for line, (name, label, unit) in enumerate(_QUANTITIES):
            panel = grid[line][column]
            measured = [row[name] * unit for row in chosen]
            panel.loglog(values, measured, "o-", markersize=3, linewidth=1, label="measured")
            # Through the last point, where what does not grow weighs least.
            slope = [measured[-1] * value / values[-1] for value in values]
            panel.loglog(values, slope, "--", color="0.6", linewidth=0.8, label="slope 1")
            panel.tick_params(labelsize=LETTERS_PT)
            if line == len(_QUANTITIES) - 1:
                panel.set_xlabel(axis, fontsize=LETTERS_PT)
            if column == 0:
                panel.set_ylabel(label, fontsize=LETTERS_PT)
    grid[0][0].legend(fontsize=LETTERS_PT, frameon=False)
    save_figure(figure, path)
