"""A perception-distortion curve as a figure: one panel for each set of pairs, readable in print and in gray."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from resharp.analysis.pd_curve import Point, draws
from resharp.analysis.pd_points import marks
from resharp.analysis.pd_table import NAME, panels
from resharp.diffusion.presets import Preset
from resharp.errors import ConfigError
from resharp.files import atomic_path

PANEL_INCHES = (4.4, 3.6)
DPI = 300
SPREAD_OUT = 2.5  # LPIPS that differ by more are drawn on a logarithmic axis
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
    samples. Each number of steps has its marker; so it has its shade where there is one final variance, else each
    final variance has its shade, and a dotted line over the numbers of steps. Bars are standard errors over photos of
    the gain over the blurry one, since photos differ more than restorations do. Presets and the best points are named.

    Args:
        names: the model's presets.

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
    styles = Styles.of(points)
    entries = styles.legend(points)
    # A line of the legend for three entries.
    height = PANEL_INCHES[1] + 0.3 + 0.15 * math.ceil(len(entries) / 3)
    figure = Figure(figsize=(PANEL_INCHES[0] * len(sets), height), layout="constrained")
    FigureCanvasAgg(figure)  # draws without a screen
    axes = figure.subplots(1, len(sets), squeeze=False)[0]
    for ax, (title, listed) in zip(axes, sets.items(), strict=True):
        _panel(ax, listed, perception, styles)
        _mark(ax, listed, perception, marks(listed, names, ("psnr", perception)))
        ax.set_title(f"{title.replace('-', ' ')}, {listed[0].images} photos", fontsize=9)
    columns = min(3, 2 * len(sets))
    figure.legend(handles=entries, loc="outside lower center", ncols=columns, fontsize=7, frameon=False)
    written = []
    # Without a date, the same points give the same bytes.
    for path, metadata in ((folder / f"{NAME}.png", None), (folder / f"{NAME}.pdf", {"CreationDate": None})):
        with atomic_path(path) as temporary:
            figure.savefig(temporary, dpi=DPI, metadata=metadata)
        written.append(path)
    return written


@dataclass(frozen=True)
class Styles:
    """Shade and marker of each way to draw samples, the same in all panels.

    markers: by the way without its final variance.
    shades: by final variance or, where there is one for all, by the way without it.
    """

    markers: Mapping[Preset, str]
    shades: Mapping[Preset | float | None, Any]
    several: bool

    @classmethod
    def of(cls, points: Sequence[Point]) -> Styles:
        """Those that the points need."""
        from matplotlib import colormaps

        ways = [draws(point.settings) for point in points if point.settings.output == "diffusion"]
        plain = list(dict.fromkeys(_plain(way) for way in ways))
        variances = sorted({way.final_variance for way in ways}, key=lambda each: -1 if each is None else each)
        several = len(variances) > 1
        shaded: Sequence[Any] = variances if several else plain
        # The bright end of the scale is not seen on paper.
        scale = [colormaps["viridis"](0.85 * i / max(1, len(shaded) - 1)) for i in range(len(shaded))]
        markers = {way: MARKERS[i % len(MARKERS)] for i, way in enumerate(plain)}
        return cls(markers, dict(zip(shaded, scale, strict=True)), several)

    def __call__(self, way: Preset) -> dict[str, Any]:
        """What matplotlib is to be told."""
        shade = self.shades[way.final_variance if self.several else _plain(way)]
        return {"color": shade, "marker": self.markers[_plain(way)]}

    def legend(self, points: Sequence[Point]) -> list[Any]:
        """What marker, shade and line mean, as far as they occur."""
        from matplotlib.lines import Line2D

        def entry(label: str, **style: Any) -> Any:
            return Line2D([], [], label=label, markersize=4, linewidth=1, **{"linestyle": "none", **style})

        kinds = {point.settings.output for point in points}
        found = [entry("blurry input", color="black", marker="x")] if "input" in kinds else []
        for each in dict.fromkeys(point.settings for point in points if point.settings.output == "predictor"):
            found.append(entry(str(each), color="black", marker="s", **_face(each)))
        for way, marker in self.markers.items():
            found.append(entry(_words(way), color="black" if self.several else self.shades[way], marker=marker))
        if self.several:
            for variance, shade in self.shades.items():
                words = "the model's grid" if variance is None else f"final variance {variance:g}"
                found.append(entry(words, color=shade, linestyle="-"))
            found.append(entry("more steps", color="black", linestyle=":"))
        if any(point.settings.samples > 1 and point.settings.fidelity is None for point in points):
            found.append(entry("more samples", color="black", linestyle="--"))
        if any(point.settings.fidelity is not None for point in points):
            found.append(entry("fidelity 0 to 1", color="black", linestyle="-"))
        return found


def _plain(way: Preset) -> Preset:
    return replace(way, final_variance=None)


def _words(way: Preset) -> str:
    return str(way).replace("diffusion, ", "").removesuffix(", 1 sample").replace(", 1 sample,", ",")


def _face(settings: Preset) -> dict[str, Any]:
    return {"markerfacecolor": "black" if settings.ensemble == 1 else "white"}


def _panel(ax: Any, points: Sequence[Point], perception: str, styles: Styles) -> None:
    for point in points:
        style = {"color": "black", "linestyle": "none", "zorder": 4}
        if point.settings.output == "input":
            _plot(ax, [point], perception, marker="x", **style)
        elif point.settings.output == "predictor":
            _plot(ax, [point], perception, marker="s", **style, **_face(point.settings))
    drawn = [point for point in points if point.settings.output == "diffusion"]
    for way in dict.fromkeys(draws(point.settings) for point in drawn):
        mine = [point for point in drawn if draws(point.settings) == way]
        means = sorted((p for p in mine if p.settings.fidelity is None), key=lambda p: p.settings.samples)
        _plot(ax, means, perception, linestyle="--", **styles(way))
        for count in sorted({p.settings.samples for p in mine if p.settings.fidelity is not None}):
            mixes = [p for p in mine if p.settings.fidelity is not None and p.settings.samples == count]
            mixes.sort(key=lambda p: p.settings.fidelity)
            _plot(ax, mixes, perception, linestyle="-", **styles(way))
    if styles.several:
        _over_steps(ax, drawn, perception, styles)
    ax.set_xlabel("PSNR in dB: less distortion →", fontsize=8)
    ax.set_ylabel("LPIPS: more realistic ↓" if perception == "lpips" else "SSIM: more alike ↑", fontsize=8)
    values = [point.scores[perception].mean for point in points]
    if perception == "lpips" and max(values) > SPREAD_OUT * min(values) > 0:
        _logarithmic(ax)
    ax.tick_params(labelsize=7)
    ax.grid(visible=True, linewidth=0.3, alpha=0.5)


def _logarithmic(ax: Any) -> None:
    """Else a few bad points would press the good ones together."""
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.yaxis.set_minor_locator(NullLocator())


def _over_steps(ax: Any, drawn: Sequence[Point], perception: str, styles: Styles) -> None:
    """A dotted line for each final variance, over the numbers of steps of one sample."""
    single = [point for point in drawn if point.settings.samples == 1 and point.settings.fidelity is None]
    lines: dict[Preset, list[Point]] = {}
    for point in sorted(single, key=lambda point: point.settings.steps):
        lines.setdefault(replace(point.settings, steps=1), []).append(point)
    for way, line in lines.items():
        x, y = ([point.scores[metric].mean for point in line] for metric in ("psnr", perception))
        ax.plot(x, y, linestyle=":", linewidth=0.8, color=styles.shades[way.final_variance], zorder=1)


def _plot(ax: Any, points: Sequence[Point], perception: str, **style: Any) -> None:
    if not points:
        return
    x, y = ([point.scores[metric].mean for point in points] for metric in ("psnr", perception))
    errors = [[_finite(point.scores[metric].gain_error) for point in points] for metric in ("psnr", perception)]
    ax.errorbar(x, y, xerr=errors[0], yerr=errors[1], markersize=4, linewidth=1, elinewidth=0.4, **style)


def _mark(ax: Any, points: Sequence[Point], perception: str, called: Mapping[Preset, Sequence[str]]) -> None:
    named = sorted((each for each in points if each.settings in called), key=lambda each: -each.scores["psnr"].mean)
    for number, point in enumerate(named):
        place = (point.scores["psnr"].mean, point.scores[perception].mean)
        ax.plot(*place, "o", markersize=11, markerfacecolor="none", markeredgecolor="black", markeredgewidth=1)
        # High PSNR with high LPIPS is where no curve goes: room for words, one below the other.
        corner = {
            "xytext": (0.98 - 0.04 * number, 0.97 - 0.055 * number),
            "textcoords": "axes fraction",
            "ha": "right",
            "va": "top",
        }
        line = {"arrowstyle": "-", "linewidth": 0.5, "shrinkB": 6, "relpos": (1, 0.5)}
        ax.annotate(", ".join(called[point.settings]), place, fontsize=7, arrowprops=line, **corner)


def _finite(value: float) -> float:
    return value if math.isfinite(value) else 0.0
