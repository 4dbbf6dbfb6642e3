"""What a metric is to those who print tables: one figure per image, one per folder, or missing here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor


@dataclass(frozen=True)
class PairMetric:
    """One figure per image.

    name: column key, as chosen on the command line.
    title: as printed.
    protocol: one line: what is computed, by which library and version, with which weights.
    measure: (restored, sharp), each (1, 3, H, W) in [0, 1] -> the figure; both are rounded to 8 bits inside. PSNR
        of equal images is `inf`. Raises ValueError for other shapes, images smaller than `min_side_px`, and images
        the metric is not defined for.
    needs_sharp: False where `measure` looks at the restored image alone.
    """

    name: str
    title: str
    protocol: str
    higher_is_better: bool
    decimals: int
    min_side_px: int
    measure: Callable[[Tensor, Tensor], float]
    needs_sharp: bool = True


@dataclass(frozen=True)
class SetMetric:
    """One figure per folder, of patches.

    name, title, protocol: as in `PairMetric`.
    features: (N, 3, patch_px, patch_px) in [0, 1] -> (N, D) float32; patches are rounded to 8 bits inside.
    distance: (N, D), (M, D) -> the figure, as printed; raises DataError for fewer than `min_patches` of either.
    """

    name: str
    title: str
    protocol: str
    higher_is_better: bool
    decimals: int
    patch_px: int
    features: Callable[[Tensor], Tensor]
    distance: Callable[[np.ndarray, np.ndarray], float]
    min_patches: int


@dataclass(frozen=True)
class Absent:
    """A figure that cannot be computed here.

    why: what is missing, for a reader of the table.
    remedy: the exact command that fetches it.
    """

    name: str
    title: str
    why: str
    remedy: str
