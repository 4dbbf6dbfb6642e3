"""A perception-distortion curve as a figure: one panel for each set of pairs, readable in print and in gray."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from resharp.analysis.pd_curve import Point, draws
from resharp.analysis.pd_table import NAME, panels
from resharp.diffusion.presets import Preset
from resharp.errors import ConfigError
from resharp.files import atomic_path

PANEL_INCHES = (4.4, 3.6)
DPI = 300
MARKERS = "o^DvP*X<>"  # squares are the predictor


def check_matplotlib() -> None:
    """Raise ConfigError, with the remedy, where there is no matplotlib."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ConfigError("the figure needs matplotlib; install it with: pip install 'resharp[plot]'") from error


def draw_curve(folder: Path, points: Sequence[Point], names: Mapping[str, Preset]) -> list[Path]:
    """Write pd_curve.png and pd_curve.pdf; the horizontal axis is PSNR, the vertical one LPIPS, or SSIM without it.

    A solid line goes over the fidelities, from one sample to the mean side; a dashed one over the numbers of
    samples. Each number of steps has its marker and shade. Bars are
    standard errors over photos of the gain over the blurry one, since photos differ more than restorations do.

    Args:
        names: points to be marked.

    Returns:
        The files.

    Raises:
        ConfigError: matplotlib is missing.
        OutputError: a file cannot be written.
    """
    check_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    sets = panels(points)
    perception = "lpips" if all("lpips" in point.scores for point in points) else "ssim"
    figure = Figure(figsize=(PANEL_INCHES[0] * len(sets), PANEL_INCHES[1] + 0.9), layout="constrained")
    FigureCanvasAgg(figure)  # draws without a screen
    axes = figure.subplots(1, len(sets), squeeze=False)[0]
    styles = _styles(points)
    for ax, (title, listed) in zip(axes, sets.items(), strict=True):
        _panel(ax, listed, perception, styles, names)
        ax.set_title(f"{title.replace('-', ' ')}, {listed[0].images} photos", fontsize=9)
    handles: dict[str, Any] = {}
    for ax in axes:
        found, labels = ax.get_legend_handles_labels()
        handles |= dict(zip(labels, found, strict=True))
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=3, fontsize=7, frameon=False)
    written = []
    # Without a date, the same points give the same bytes.
    for path, metadata in ((folder / f"{NAME}.png", None), (folder / f"{NAME}.pdf", {"CreationDate": None})):
        with atomic_path(path) as temporary:
            figure.savefig(temporary, dpi=DPI, metadata=metadata)
        written.append(path)
    return written


def _styles(points: Sequence[Point]) -> dict[Preset, tuple[Any, str]]:
    """Shade and marker of each way to draw samples; the same in all panels."""
    from matplotlib import colormaps

    ways = list(dict.fromkeys(draws(point.settings) for point in points if point.settings.output == "diffusion"))
    shades = colormaps["viridis"]
    # The bright end of the scale is not seen on paper.
    return {way: (shades(0.85 * i / max(1, len(ways) - 1)), MARKERS[i % len(MARKERS)]) for i, way in enumerate(ways)}


def _panel(
    ax: Any,
    points: Sequence[Point],
    perception: str,
    styles: Mapping[Preset, tuple[Any, str]],
    names: Mapping[str, Preset],
) -> None:
    for point in points:
        if point.settings.output == "input":
            style = {"color": "black", "marker": "x", "linestyle": "none", "zorder": 4}
            _plot(ax, [point], perception, label="blurry input", **style)
        elif point.settings.output == "predictor":
            style = {"color": "black", "marker": "s", "linestyle": "none", "zorder": 4}
            style["markerfacecolor"] = "black" if point.settings.ensemble == 1 else "white"
            _plot(ax, [point], perception, label=str(point.settings), **style)
    for way, (shade, marker) in styles.items():
        mine = [point for point in points if point.settings.output == "diffusion" and draws(point.settings) == way]
        means = sorted((p for p in mine if p.settings.fidelity is None), key=lambda p: p.settings.samples)
        label = str(way).replace("diffusion, ", "").removesuffix(", 1 sample").replace(", 1 sample,", ",")
        style = {"color": shade, "marker": marker}
        _plot(ax, means, perception, linestyle="--", label=f"{label}: more samples", **style)
        for count in sorted({p.settings.samples for p in mine if p.settings.fidelity is not None}):
            mixes = [p for p in mine if p.settings.fidelity is not None and p.settings.samples == count]
            mixes.sort(key=lambda p: p.settings.fidelity)
            several = "" if count == 1 else f", {count} samples"
            _plot(ax, mixes, perception, linestyle="-", label=f"{label}{several}: fidelity 0 to 1", **style)
    _mark_names(ax, points, perception, names)
    ax.set_xlabel("PSNR in dB: less distortion →", fontsize=8)
    ax.set_ylabel("LPIPS: more realistic ↓" if perception == "lpips" else "SSIM: more alike ↑", fontsize=8)
    ax.tick_params(labelsize=7)
    ax.grid(visible=True, linewidth=0.3, alpha=0.5)


def _plot(ax: Any, points: Sequence[Point], perception: str, **style: Any) -> None:
    if not points:
        return
    x, y = ([point.scores[metric].mean for point in points] for metric in ("psnr", perception))
    errors = [[_finite(point.scores[metric].gain_error) for point in points] for metric in ("psnr", perception)]
    ax.errorbar(x, y, xerr=errors[0], yerr=errors[1], markersize=4, linewidth=1, elinewidth=0.4, **style)


def _mark_names(ax: Any, points: Sequence[Point], perception: str, names: Mapping[str, Preset]) -> None:
    marked = 0
    for point in points:
        mine = [name for name, preset in names.items() if preset == point.settings]
        if mine:
            place = (point.scores["psnr"].mean, point.scores[perception].mean)
            ax.plot(*place, "o", markersize=11, markerfacecolor="none", markeredgecolor="black", markeredgewidth=1)
            # High PSNR with high LPIPS is where no curve goes: room for words, one above the other.
            above = {"xytext": (4, 40 + 11 * marked), "textcoords": "offset points", "ha": "right"}
            line = {"arrowstyle": "-", "linewidth": 0.5, "shrinkB": 6}
            ax.annotate(", ".join(mine), place, fontsize=7, arrowprops=line, **above)
            marked += 1


def _finite(value: float) -> float:
    return value if math.isfinite(value) else 0.0
