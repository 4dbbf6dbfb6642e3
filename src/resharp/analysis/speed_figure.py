"""Seconds of methods side by side, as a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from resharp.analysis.figures import LETTERS_PT, SUFFIXES, new_figure, save_figure

OURS, OTHERS = "#1b4f8f", "#b0b0b0"
OURS_BEGIN = "resharp"


def draw_speeds(rows: Sequence[Mapping[str, Any]], stem: Path) -> list[Path]:
    """Horizontal bars on a logarithmic axis, a panel for each size, the fastest on top; STEM.png and .pdf.

    Args:
        rows: with size, method, seconds (None where not measured) and why.
    """
    sizes = list(dict.fromkeys(row["size"] for row in rows))
    most = max(sum(row["size"] == size for row in rows) for size in sizes)
    figure = new_figure(0.5 + 0.22 * most)
    panels = figure.subplots(1, len(sizes), squeeze=False)[0]
    for panel, size in zip(panels, sizes, strict=True):
        _panel(panel, size, [row for row in rows if row["size"] == size])
    paths = [stem.with_suffix(suffix) for suffix in SUFFIXES]
    for path in paths:
        save_figure(figure, path)
    return paths


def _panel(panel: Any, size: str, rows: Sequence[Mapping[str, Any]]) -> None:
    known = sorted((row for row in rows if row["seconds"]), key=lambda row: row["seconds"])
    unknown = [row for row in rows if not row["seconds"]]
    names = [row["method"] for row in (*known, *unknown)]
    seconds = [row["seconds"] for row in known]
    least = min(seconds, default=1.0) / 3
    colours = [OURS if row["method"].startswith(OURS_BEGIN) else OTHERS for row in known]
    panel.barh(range(len(known)), [value - least for value in seconds], left=least, color=colours, height=0.7)
    for place, value in enumerate(seconds):
        panel.text(value * 1.08, place, f"{value:.3g} s", va="center", fontsize=LETTERS_PT)
    for place, row in enumerate(unknown, len(known)):
        # A time of nothing but the program's start leaves 0, which has no place on a logarithmic axis.
        reason = "0 s" if row["seconds"] == 0 else row["why"]
        reason = reason if len(reason) < 30 else "not measured"
        panel.text(least * 1.08, place, reason, va="center", fontsize=LETTERS_PT, style="italic")
    panel.set_xscale("log")
    panel.set_xlim(least, 4 * max(seconds, default=3 * least))
    panel.set_yticks(range(len(names)), names, fontsize=LETTERS_PT)
    panel.invert_yaxis()
    panel.set_title(size, fontsize=LETTERS_PT + 1)
    panel.set_xlabel("seconds a picture, logarithmic", fontsize=LETTERS_PT)
    panel.tick_params(axis="x", labelsize=LETTERS_PT)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
