"""Costs as a figure: one line for each size, readable in print and in gray."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from resharp.analysis.cost import Row
from resharp.analysis.cost_count import PARTS, Size
from resharp.analysis.cost_table import NAME
from resharp.errors import ConfigError
from resharp.files import atomic_path

DPI = 300
PANEL_INCHES, LINE_INCHES = 4.2, 0.34
MARKERS = {"guidance": "^", "predictor": "s", "step": "o", "image": "D"}
SHADES = {"guidance": "tab:green", "predictor": "tab:orange", "step": "tab:blue", "image": "black"}


def check_matplotlib() -> None:
    """Raise ConfigError, with the remedy, where there is no matplotlib."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ConfigError("the figure needs matplotlib; install it with: pip install 'resharp[plot]'") from error


def draw_costs(folder: Path, rows: Sequence[Row]) -> list[Path]:
    """Write cost.png and cost.pdf: GMAC on the left and, where something was timed, seconds on the right.

    Both axes are logarithmic. Small pictures have filled markers, larger ones open ones.

    Returns:
        The files.

    Raises:
        ConfigError: matplotlib is missing.
        OutputError: a file cannot be written.
    """
    check_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(row.subject.name for row in rows))
    sizes = sorted({row.size for row in rows}, key=lambda size: size.width * size.height)
    panels = ["GMAC"] + (["seconds"] if any(row.timing for row in rows) else [])
    height = 1.6 + LINE_INCHES * len(names) * len(sizes)
    figure = Figure(figsize=(PANEL_INCHES * len(panels), height), layout="constrained")
    FigureCanvasAgg(figure)  # draws without a screen
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for ax, unit in zip(axes, panels, strict=True):
        _panel(ax, rows, names, sizes, unit)
    handles, labels = axes[0].get_legend_handles_labels()
    first: dict[str, Any] = {}
    for label, handle in zip(labels, handles, strict=True):
        first.setdefault(label, handle)
    figure.legend(first.values(), first, loc="outside lower center", ncols=4, fontsize=7, frameon=False)
    written = []
    # Without a date, the same rows give the same bytes.
    for path, metadata in ((folder / f"{NAME}.png", None), (folder / f"{NAME}.pdf", {"CreationDate": None})):
        with atomic_path(path) as temporary:
            figure.savefig(temporary, dpi=DPI, metadata=metadata)
        written.append(path)
    return written


def _panel(ax: Any, rows: Sequence[Row], names: Sequence[str], sizes: Sequence[Size], unit: str) -> None:
    lines = [(name, size) for name in names for size in sizes]
    for row in rows:
        values = _values(row, unit)
        height = lines.index((row.subject.name, row.size))
        ax.axhline(height, color="0.85", linewidth=0.5, zorder=0)
        for part, value in values.items():
            filled = SHADES[part] if row.size == sizes[0] else "white"
            style = {"color": SHADES[part], "markerfacecolor": filled, "markersize": 5, "linestyle": "none"}
            ax.plot(value, height, marker=MARKERS[part], label=part, **style)
        if not values:
            place = {"xycoords": ("axes fraction", "data"), "va": "center", "fontsize": 6, "color": "0.35"}
            ax.annotate("not run", (0.02, height), **place)
    ax.set_yticks(range(len(lines)), [f"{name}, {size}" for name, size in lines], fontsize=7)
    ax.set_ylim(len(lines) - 0.5, -0.5)
    ax.set_xscale("log")
    ax.set_xlabel(unit, fontsize=8)
    ax.tick_params(axis="x", labelsize=7)
    ax.grid(visible=True, axis="x", linewidth=0.3, alpha=0.5)


def _values(row: Row, unit: str) -> dict[str, float]:
    """By part, and of the whole picture; zero has no place on a logarithmic axis."""
    if unit == "GMAC":
        found = {part: row.count.macs[part] / 1e9 for part in PARTS if part in row.count.macs}
        found["image"] = row.image_macs / 1e9
    elif row.timing is None:
        return {}
    else:
        found = {part: row.timing.seconds[part] for part in PARTS if part in row.timing.seconds}
        found["image"] = row.image_s or 0.0
    return {part: value for part, value in found.items() if value > 0}
