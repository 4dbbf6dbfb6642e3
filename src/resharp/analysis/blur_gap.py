"""How far synthetic blur is from real blur: statistics of pairs of both, and distances between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from resharp.analysis.kernel_estimates import (
    cleaned,
    clear_kernels,
    estimate_kernels,
    kernel_shapes,
    textured,
    unexplained,
)
from resharp.analysis.tile_statistics import (
    BAND_NAMES,
    band_power,
    blockiness,
    conserving_power,
    flat_noise,
    psnr,
    share_dark,
    share_white,
)

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
# Distances are in units of the real distribution's width, which is at least this: finer is not measured.
_LEAST_WIDTH = {"px": 0.25, "dB": 0.5, "share": 0.01, "value": 0.0005, "power": 0.2}

UNITS = {
    "major_px": "px",
    "minor_px": "px",
    "straightness": "share",
    "offset_px": "px",
    "unexplained": "share",
    "psnr_db": "dB",
    **{f"ratio_db {band}": "dB" for band in BAND_NAMES},
    **{f"sharp_db {band}": "dB" for band in BAND_NAMES},
    **{f"blurry_db {band}": "dB" for band in BAND_NAMES},
    "noise blurry": "value",
    "noise sharp": "value",
    "blockiness blurry": "share",
    "blockiness sharp": "share",
    "white blurry": "share",
    "white sharp": "share",
    "dark blurry": "share",
    "dark sharp": "share",
    "conserving power": "power",
}


@dataclass
class Measured:
    """Distributions of everything in `UNITS`, over the tiles of one kind of pairs.

    Kernels are measured on the tiles that tell them, ratios of spectra on tiles with edges in all directions, and
    the conserving power once a group of tiles.
    """

    values: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in UNITS})
    tiles: int = 0
    kernels: int = 0

    def add(self, blurry: Tensor, sharp: Tensor) -> None:
        """Tiles (N, 3, T, T) in [0, 1] of one picture, or of several; T is a multiple of 8, from JPEG's grid on."""
        self.tiles += len(sharp)
        found = _of_tiles(blurry, sharp)
        found |= _of_kernels(blurry, sharp)
        self.kernels += len(found.get("major_px", ()))
        power = conserving_power(blurry, sharp)
        if power is not None:
            self.values["conserving power"].append(power)
        for name, numbers in found.items():
            self.values[name] += numbers.tolist()


@dataclass(frozen=True)
class Row:
    """One quantity: quantiles (see QUANTILES) of real and synthetic pairs, and the distance between the two.

    distance: the Wasserstein-1 distance by the width of the real distribution between its quartiles. Lists are
    empty, and the distance None, where there was nothing to measure.
    """

    name: str
    real: tuple[float, ...]
    synthetic: tuple[float, ...]
    distance: float | None


def compare(real: Measured, synthetic: Measured) -> list[Row]:
    """A row for each quantity."""
    rows = []
    for name, unit in UNITS.items():
        a, b = real.values[name], synthetic.values[name]
        distance = scaled_distance(a, b, _LEAST_WIDTH[unit]) if a and b else None
        rows.append(Row(name, quantiles(a), quantiles(b), distance))
    return rows


def tiles_of(blurry: Tensor, sharp: Tensor, tile_px: int) -> tuple[Tensor, Tensor]:
    """Photos (1, 3, H, W) cut to a grid of tiles, (N, 3, T, T) each; what is over at the right and below is left.

    N is 0 for photos smaller than a tile.
    """
    if min(sharp.shape[-2:]) < tile_px:
        return blurry.new_empty(0, 3, tile_px, tile_px), sharp.new_empty(0, 3, tile_px, tile_px)
    cut = []
    for photo in (blurry, sharp):
        parts = photo[0].unfold(1, tile_px, tile_px).unfold(2, tile_px, tile_px)  # (3, rows, columns, T, T)
        cut.append(parts.permute(1, 2, 0, 3, 4).reshape(-1, 3, tile_px, tile_px))
    return cut[0], cut[1]


def measure(groups: Iterator[tuple[Tensor, Tensor]]) -> Measured:
    """Of groups of tiles, blurry and sharp (N, 3, T, T) each."""
    measured = Measured()
    for blurry, sharp in groups:
        if len(sharp):
            measured.add(blurry, sharp)
    return measured


def quantiles(values: Sequence[float]) -> tuple[float, ...]:
    """At QUANTILES; empty for no values."""
    return tuple(float(q) for q in np.quantile(values, QUANTILES)) if len(values) else ()


def wasserstein(a: Sequence[float], b: Sequence[float]) -> float:
    """The area between the two distribution functions."""
    everything = np.sort(np.concatenate((a, b)))
    shares = [np.searchsorted(np.sort(v), everything[:-1], side="right") / len(v) for v in (a, b)]
    return float((np.abs(shares[0] - shares[1]) * np.diff(everything)).sum())


def scaled_distance(real: Sequence[float], synthetic: Sequence[float], least_width: float) -> float:
    """The Wasserstein-1 distance in units of the real inter-quartile range, or of `least_width` if that is more."""
    low, high = np.quantile(real, (0.25, 0.75))
    return wasserstein(real, synthetic) / max(float(high - low), least_width)


def _of_tiles(blurry: Tensor, sharp: Tensor) -> dict[str, Tensor]:
    powers = [10 * band_power(tiles).clamp(min=1e-9).log10() for tiles in (blurry, sharp)]
    found = {"psnr_db": psnr(blurry, sharp)}
    chosen = textured(sharp)
    for number, band in enumerate(BAND_NAMES):
        # Without detail the ratio is that of two noises.
        found[f"ratio_db {band}"] = (powers[0][:, number] - powers[1][:, number])[chosen]
        found[f"blurry_db {band}"], found[f"sharp_db {band}"] = powers[0][:, number], powers[1][:, number]
    for side, tiles in (("blurry", blurry), ("sharp", sharp)):
        found[f"noise {side}"] = flat_noise(tiles, blurry)
        found[f"blockiness {side}"] = blockiness(tiles)
        found[f"white {side}"], found[f"dark {side}"] = share_white(tiles), share_dark(tiles)
    return found


def _of_kernels(blurry: Tensor, sharp: Tensor) -> dict[str, Tensor]:
    """Of the tiles that tell their kernel; nothing where none does."""
    chosen = textured(sharp)
    if not chosen.any():
        return {}
    blurry, sharp = blurry[chosen], sharp[chosen]
    kernels = estimate_kernels(blurry, sharp)
    clear = clear_kernels(kernels)
    if not clear.any():
        return {}
    kernels = cleaned(kernels[clear])
    return {**kernel_shapes(kernels)._asdict(), "unexplained": unexplained(blurry[clear], sharp[clear], kernels)}
