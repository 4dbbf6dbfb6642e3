"""Protections that hold for any model: what a result may not do to a photo.

All work is done in strips of rows, of which the processor's cache holds some, so that nothing else is as large as the
photo and its result: what is known of 4x4 px takes some 3 bytes a pixel, 5 while it is worked on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from resharp.assessment.arrays import as_array, as_planes, as_two_pictures, cell_means
from resharp.assessment.flat import (
    CELL_PX,
    Cells,
    allowed_shares,
    flatness,
    limited_change,
    low_frequencies,
    products,
    roughness,
)
from resharp.assessment.report import InputReport

STRIP_PX = 512  # the most rows of a strip
ROWS_PX = 4 * CELL_PX  # a strip is a multiple of so many
STRIP_PIXELS = 1 << 16  # where a photo is wide: a few arrays of so many pixels stay in a processor's cache
# Changing a photo that may be sharp: the root mean square kept below this leaves 40 dB after rounding to 8 bits.
UNSURE_CHANGE = 0.0095
# A gray photo's channels differ by no more than this (a level of 255, and JPEG's rounding).
GRAY_WITHIN = 2 / 255
NOT_SURE = "motion blur is not sure: only a small change was made"


@dataclass(frozen=True)
class Guarded:
    """A result made safe.

    image: (1, 3, H, W) float32 in [0, 1].
    kept_share: how much of the model's change is left, as a ratio of root mean squares; 1 if it changed nothing.
    notes: what was held back, in plain words; empty where all of the change stays.
    """

    image: np.ndarray
    kept_share: float
    notes: tuple[str, ...]


def guard(blurry: Any, restored: Any, report: InputReport, *, out: np.ndarray | None = None) -> Guarded:
    """Take back what a result should not have done. Deterministic; the same for every model.

    1. Without motion blur the photo is returned as it was; where that is not sure, the change is scaled down to
       a root mean square of 0.0095, which leaves 40 dB.
    2. A gray photo stays gray.
    3. In areas that are flat in the photo, colour at low frequency moves by at most half a level of 255, and grain, in
       brightness or colour, does not rise above the photo's own by more than `flat.GRAIN_SLACK`.

    Args:
        blurry, restored: (1, 3, H, W) in [0, 1] or samples, arrays or tensors; neither is written to, unless it is
            `out`.
        report: `assess_input(blurry)`.
        out: float32, where the image is put; may be `restored` itself. None makes a new one.

    Raises:
        ValueError: the shapes differ or are not (1, 3, H, W).
    """
    blurry, restored = as_two_pictures(blurry, restored)
    if report.motion_blur == "none":
        photo = np.array(as_array(blurry))
        same = np.array_equal(photo, as_array(restored))
        return Guarded(photo, float(same), () if same else ("no motion blur found: the photo is unchanged",))
    passes = _Passes(blurry, restored)
    image = np.empty(blurry.shape, dtype=np.float32) if out is None else out
    cells, asked = passes.cells(report.noise_sigma)
    kept = passes.limit(cells, passes.allowed(cells), image)
    notes = ["flat areas kept their colour and grain"] if kept < 0.8 * asked else []
    if report.motion_blur == "unsure":
        size = (kept / blurry.size) ** 0.5
        if size > UNSURE_CHANGE:
            passes.shrink(image, UNSURE_CHANGE / size)
            kept *= (UNSURE_CHANGE / size) ** 2
            notes.append(NOT_SURE)
    return Guarded(image, min(1.0, (kept / asked) ** 0.5) if asked else 1.0, tuple(notes))


class _Passes:
    """Passes over a photo and a result in strips of rows; what one strip gives does not depend on others."""

    def __init__(self, blurry: np.ndarray, restored: np.ndarray) -> None:
        self.blurry, self.restored = blurry, restored
        self.strips = _strips(blurry.shape)
        self.is_gray = all(_is_gray(self._photo(rows)) for rows in self.strips)

    def cells(self, noise_sigma: float) -> tuple[Cells, float]:
        """Means over cells, and the energy of the change that the model made."""
        mean, rough, change = (self._empty_cells(channels) for channels in (3, 1, 3))

        def look(rows: slice) -> float:
            photo, own = self._photo(rows), slice(rows.start // CELL_PX, -(-rows.stop // CELL_PX))
            asked = _change(photo, as_array(self.restored[..., rows, :]))
            energy = _energy(asked)
            mean[..., own, :] = cell_means(photo, CELL_PX)
            rough[..., own, :] = roughness(photo, mean[..., own, :])
            change[..., own, :] = cell_means(self._toned(asked), CELL_PX)
            return energy

        asked = sum(map(look, self.strips))
        flat = flatness(mean, rough, noise_sigma)
        return Cells(flat, low_frequencies(mean), low_frequencies(change)), asked

    def allowed(self, cells: Cells) -> np.ndarray:
        """See `allowed_shares`."""
        found = self._empty_cells(4)
        for rows in self.strips:
            own = slice(rows.start // CELL_PX, -(-rows.stop // CELL_PX))
            found[..., own, :] = products(*self._photo_and_change(rows), cells, rows.start)
        return allowed_shares(found)

    def limit(self, cells: Cells, allowed: np.ndarray, image: np.ndarray) -> float:
        """Put what the limits leave of the result into `image`, and return the energy of that change."""

        def put(rows: slice) -> float:
            photo, change = self._photo_and_change(rows)
            change = limited_change(change, cells, allowed, rows.start)
            change += photo
            np.clip(change, 0, 1, out=image[..., rows, :])
            return _energy(image[..., rows, :] - photo)

        return sum(map(put, self.strips))

    def shrink(self, image: np.ndarray, share: float) -> None:
        """Leave only this share of the change in `image`."""
        for rows in self.strips:
            part = image[..., rows, :]
            part += (1 - np.float32(share)) * (self._photo(rows) - part)

    def _empty_cells(self, channels: int) -> np.ndarray:
        height, width = (-(-side // CELL_PX) for side in self.blurry.shape[-2:])
        return np.empty((1, channels, height, width), dtype=np.float32)

    def _photo(self, rows: slice) -> np.ndarray:
        return as_planes(self.blurry[..., rows, :])

    def _photo_and_change(self, rows: slice) -> tuple[np.ndarray, np.ndarray]:
        photo = self._photo(rows)
        return photo, self._toned(_change(photo, as_array(self.restored[..., rows, :])))

    def _toned(self, change: np.ndarray) -> np.ndarray:
        """Without colours, of a gray photo."""
        return np.repeat(change.mean(axis=1, keepdims=True), 3, axis=1) if self.is_gray else change


def _change(photo: np.ndarray, result: np.ndarray) -> np.ndarray:
    """From a photo's rows to a result's, (1, 3, H, W); none where the result, or the photo, is no number."""
    change = np.clip(result, 0, 1)
    change -= photo
    if np.isnan(change.min()):
        np.copyto(change, 0, where=np.isnan(change))
    return change


def _energy(change: np.ndarray) -> float:
    return float(np.square(change).sum())


def _strips(shape: tuple[int, ...]) -> list[slice]:
    """Rows of a picture in turn, a multiple of 4 but for the last."""
    height, width = shape[-2:]
    step = max(ROWS_PX, min(STRIP_PX, STRIP_PIXELS // width // ROWS_PX * ROWS_PX))
    return [slice(top, min(height, top + step)) for top in range(0, height, step)]


def _is_gray(rows: np.ndarray) -> bool:
    return bool((rows.max(axis=1) - rows.min(axis=1) <= GRAY_WITHIN).all())
