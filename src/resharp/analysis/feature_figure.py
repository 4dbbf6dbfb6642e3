"""Guidance features as a figure, readable in print and in gray, and as a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from resharp.analysis.feature_maps import ScaleMaps, inside
from resharp.analysis.figures import LETTERS_PT, TEXT_INCHES, check_matplotlib, new_figure, save_figure

ACROSS = 6  # channels side by side, right of the two columns of y_k, R(h_k) and their edges
TITLE_INCHES, HEADING_INCHES, GAP_INCHES = 0.15, 0.25, 0.06
# Lightness rises evenly over both, so that they print in gray.
CHANNEL_COLOURS, EDGE_COLOURS = "cividis", "gray_r"
SHOWN = (1.0, 99.0)  # percentiles of a channel that get the darkest and the lightest shade


def draw_features(path: Path, scales: Sequence[ScaleMaps]) -> None:
    """Write a .png or .pdf: for each scale y_k, R(h_k) and the edges of both on the left, channels on the right.

    The figure is 6.875 inches wide, with letters of 7 points. Each channel has its own range of shades, from its
    1st to its 99th percentile; above it stand its number and its correlation with the edges of y_k.

    Raises:
        ConfigError: matplotlib is missing, or another suffix.
        OutputError: the file cannot be written.
    """
    check_matplotlib()
    count = len(scales[0].channels)
    across = max(1, min(ACROSS, math.ceil(count / 2)))
    rows = max(2, math.ceil(count / across))
    height, width = scales[0].y_k.shape
    panel = (TEXT_INCHES - 0.3) / (2 + across) * height / width
    tall = len(scales) * (HEADING_INCHES + rows * (panel + TITLE_INCHES + GAP_INCHES))
    figure = new_figure(tall)
    parts = np.atleast_1d(figure.subfigures(len(scales), 1))
    for part, scale in zip(parts, scales, strict=True):
        _scale(part, scale, rows, across)
    save_figure(figure, path)


def _scale(part: Any, scale: ScaleMaps, rows: int, across: int) -> None:
    height, width = scale.y_k.shape
    words = f"k = {scale.k}: 1/{2**scale.k} of the size, {width}x{height} px; r: of a channel with the edges of "
    part.suptitle(rf"{words}$\phi_{scale.k}(y)$", fontsize=LETTERS_PT + 1)
    axes = part.subplots(rows, 2 + across)
    for ax in axes.flat:
        ax.set_axis_off()
    tones = {"cmap": "gray", "vmin": 0, "vmax": 1}
    _show(axes[0, 0], scale.y_k, rf"$\phi_{scale.k}(y)$", tones)
    _show(axes[1, 0], scale.y_edges, rf"$|\nabla \phi_{scale.k}(y)|$", _ink(scale.y_edges))
    if scale.regression is not None and scale.regression_edges is not None:
        _show(axes[0, 1], scale.regression, rf"$R(h_{scale.k})$", tones)
        _show(axes[1, 1], scale.regression_edges, rf"$|\nabla R(h_{scale.k})|$", _ink(scale.regression_edges))
    else:
        axes[0, 1].text(0.5, 0.5, "no R", fontsize=LETTERS_PT, ha="center", va="center")
    for i, channel in enumerate(scale.channels):
        low, high = np.percentile(inside(channel.values), SHOWN)
        shades = {"cmap": CHANNEL_COLOURS, "vmin": low, "vmax": max(high, low + 1e-9)}
        r = "" if channel.edges_of_y is None else f": r = {channel.edges_of_y:.2f}"
        _show(axes[i // across, 2 + i % across], channel.values, f"{channel.number}{r}", shades)


def _ink(edges: np.ndarray) -> dict[str, Any]:
    return {"cmap": EDGE_COLOURS, "vmin": 0, "vmax": max(float(np.percentile(inside(edges), SHOWN[1])), 1e-9)}


def _show(ax: Any, image: np.ndarray, title: str, shades: dict[str, Any]) -> None:
    ax.imshow(image, **shades)
    ax.set_title(title, fontsize=LETTERS_PT, pad=2)


def scale_values(scales: Sequence[ScaleMaps]) -> list[dict[str, Any]]:
    """Plain values, ready for JSON."""
    return [
        {
            "k": scale.k,
            "width_px": scale.y_k.shape[1],
            "height_px": scale.y_k.shape[0],
            "copy_of_y": {"edges_of_y": scale.copy[0], "edges_of_regression": scale.copy[1]},
            "channels": [
                {
                    "channel": channel.number,
                    "deviation": channel.deviation,
                    "edges_of_y": channel.edges_of_y,
                    "edges_of_regression": channel.edges_of_regression,
                }
                for channel in scale.channels
            ],
        }
        for scale in scales
    ]


def features_table(scales: Sequence[ScaleMaps]) -> str:
    """Markdown, a line for each scale and channel, and for a copy of phi_k(y)."""
    lines = ["| k | channel | deviation | r with edges of phi_k(y) | r with edges of R(h_k) |", "|---|---|---|---|---|"]
    for scale in scales:
        lines.append(f"| {scale.k} | phi_{scale.k}(y) | - | {_both(*scale.copy)} |")
        for channel in scale.channels:
            r = _both(channel.edges_of_y, channel.edges_of_regression)
            lines.append(f"| {scale.k} | {channel.number} | {channel.deviation:.4g} | {r} |")
    return "\n".join(lines) + "\n"


def _both(of_y: float | None, of_regression: float | None) -> str:
    return " | ".join("-" if r is None else f"{r:.3f}" for r in (of_y, of_regression))
