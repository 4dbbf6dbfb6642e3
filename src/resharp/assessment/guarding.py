"""Protections that hold for any model: what a result may not do to a photo.

All work is done in strips of rows, so that nothing else is as large as the photo and its result.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from resharp.assessment.arrays import as_array, as_two_pictures
from resharp.assessment.flat import CELL_PX, flat_weights, limited_change
from resharp.assessment.report import InputReport

STRIP_PX = 512
# Wider photos get lower strips, so that the work on one takes no more than some 0.5 GB.
WIDEST_PX = 6000
HALO_PX = 64  # how far beyond a strip its statistics look; more than flat.py's reach
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
    is_gray = _is_gray(blurry)
    image = np.empty(blurry.shape, dtype=np.float32) if out is None else out
    asked = kept = 0.0
    # Rows that the next strip looks back at, as they were: `out` may be overwriting them.
    behind = as_array(restored[..., :0, :])
    for top, bottom, above, below in _strips(blurry.shape):
        photo = as_array(blurry[..., above:below, :])
        result = np.concatenate([behind, as_array(restored[..., top:below, :])], axis=-2)
        behind = np.array(as_array(restored[..., max(0, bottom - HALO_PX) : bottom, :]))
        change = np.nan_to_num(np.clip(result, 0, 1) - photo)
        own = slice(top - above, bottom - above)
        asked += _energy(change[..., own, :])
        if is_gray:
            change = np.repeat(change.mean(axis=1, keepdims=True), 3, axis=1)
        change = limited_change(photo, change, flat_weights(photo, report.noise_sigma))[..., own, :]
        image[..., top:bottom, :] = np.clip(photo[..., own, :] + change, 0, 1)
        kept += _energy(image[..., top:bottom, :] - photo[..., own, :])
    notes = ["flat areas kept their colour and grain"] if kept < 0.8 * asked else []
    if report.motion_blur == "unsure":
        size = (kept / blurry.size) ** 0.5
        if size > UNSURE_CHANGE:
            share = np.float32(UNSURE_CHANGE / size)
            for top, bottom, _, _ in _strips(blurry.shape):
                photo, rows = as_array(blurry[..., top:bottom, :]), image[..., top:bottom, :]
                rows += (1 - share) * (photo - rows)
            kept *= (UNSURE_CHANGE / size) ** 2
            notes.append(NOT_SURE)
    return Guarded(image, min(1.0, (kept / asked) ** 0.5) if asked else 1.0, tuple(notes))


def _energy(change: np.ndarray) -> float:
    return float(np.square(change).sum(dtype=np.float64))


def _strips(shape: tuple[int, ...]) -> Iterator[tuple[int, int, int, int]]:
    """Rows [top, bottom) and, around them, what their statistics see; beginnings are multiples of 4."""
    height, width = shape[-2:]
    lower = max(HALO_PX, STRIP_PX * WIDEST_PX // width // CELL_PX * CELL_PX)
    step = STRIP_PX if width <= WIDEST_PX else lower
    for top in range(0, height, step):
        bottom = min(height, top + step)
        yield top, bottom, max(0, top - HALO_PX), min(height, bottom + HALO_PX)


def _is_gray(image: np.ndarray) -> bool:
    rows = (as_array(image[..., top:bottom, :]) for top, bottom, _, _ in _strips(image.shape))
    return all(bool((row.max(axis=1) - row.min(axis=1) <= GRAY_WITHIN).all()) for row in rows)
