"""Scores of restored images beside those of the blurry ones they came from, and the gain between them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

HIGHER_IS_BETTER = {"psnr": True, "ssim": True, "lpips": False}
_DRAWS_AT_ONCE = 1 << 20


@dataclass(frozen=True, eq=False)  # comparing arrays gives arrays, not an answer
class PairedScores:
    """One metric on one set of images.

    metric: a key of `HIGHER_IS_BETTER`.
    blurry: (N,) the score of each blurry image.
    restored: (N, S) the score of each restored image, one column per seed.

    Raises:
        ValueError: an unknown metric, other shapes, no images, no seeds, or values that are not finite.
    """

    metric: str
    blurry: np.ndarray
    restored: np.ndarray

    def __post_init__(self) -> None:
        if self.metric not in HIGHER_IS_BETTER:
            raise ValueError(f"metric {self.metric!r}: known are {', '.join(HIGHER_IS_BETTER)}")
        object.__setattr__(self, "blurry", np.asarray(self.blurry, dtype=np.float64))
        object.__setattr__(self, "restored", np.asarray(self.restored, dtype=np.float64))
        if self.restored.ndim != 2 or self.restored.size == 0 or self.blurry.shape != self.restored.shape[:1]:
            raise ValueError(f"expected (N,) and (N, S), got {self.blurry.shape} and {self.restored.shape}")
        if not (np.isfinite(self.blurry).all() and np.isfinite(self.restored).all()):
            raise ValueError(f"{self.metric}: scores that are not finite numbers")

    @property
    def images(self) -> int:
        return self.restored.shape[0]

    @property
    def seeds(self) -> int:
        return self.restored.shape[1]

    @property
    def per_image(self) -> np.ndarray:
        """(N,) the restored score of each image, averaged over seeds."""
        return self.restored.mean(axis=1)

    @property
    def gains(self) -> np.ndarray:
        """(N,) restored minus blurry, or blurry minus restored where lower is better: positive is better."""
        return gains(self.metric, self.blurry, self.per_image)


def gains(metric: str, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """How much better `after` is than `before` by this metric, image by image; negative is worse."""
    return after - before if HIGHER_IS_BETTER[metric] else before - after


def standard_error(values: np.ndarray) -> float:
    """Of the mean of (N,) values: their sample deviation (divisor N - 1) over sqrt(N); NaN for one value.

    It takes the values as independent. Images of one scene are not, so it is then too small.
    """
    if len(values) < 2:
        return math.nan
    return float(np.std(values, ddof=1) / math.sqrt(len(values)))


def bootstrap_interval(values: np.ndarray, seed: int = 0, resamples: int = 10_000) -> tuple[float, float]:
    """The 2.5 and 97.5 percentiles of the means of resampled values (N,), drawn with replacement."""
    rng = np.random.default_rng(seed)
    count = len(values)
    # In parts, since all draws at once would take resamples * count numbers of memory.
    at_once = max(1, _DRAWS_AT_ONCE // count)
    parts = [min(at_once, resamples - start) for start in range(0, resamples, at_once)]
    means = np.concatenate([values[rng.integers(count, size=(part, count))].mean(axis=1) for part in parts])
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
