"""Whether one variant of a method is better than another: levels, and a paired comparison of two of them.

Pure functions of scores (N, S): N images, each restored by S models that differ only in their training seed.
Column s of every variant belongs to the same seed, so to the same crops in the same order.

Two things vary, and each test sees one of them:

- The interval and the sign-flip test resample images, with the seeds averaged. They ask: would this difference
  show on other pictures of the same kind, for these very models? They take images as independent, which frames
  of one scene are not, and say nothing about models trained anew: with few seeds a lucky start looks
  significant on many pictures.
- The seeds won count trained models. They ask: would it show if all were trained again? Few seeds can show
  little: if the variants were equal, all of n would still be won by chance with probability 1 / 2^n, 1 in 8
  for three seeds. They say nothing about other pictures.

A difference is worth reporting where both agree. No p is corrected for how many comparisons are made.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from resharp.evaluate.paired import HIGHER_IS_BETTER, bootstrap_interval, gains

# Up to so many images all signs are tried, 4096 of them; beyond, they are drawn.
EXACT_IMAGES = 12
DRAWS = 99_999
_CHUNK = 10_000


@dataclass(frozen=True)
class Level:
    """How well a variant does by one metric.

    mean: over images and seeds.
    spread: sample deviation (divisor S - 1) over seeds of the mean over images; NaN for one seed. It is what
        training again would change, and no error of the mean over images.
    """

    mean: float
    spread: float


@dataclass(frozen=True)
class Comparison:
    """Variant B against A by one metric; a gain is positive where B is better, whatever the metric.

    gain: mean over images and seeds.
    low, high: 95 % bootstrap interval of the gain, images resampled, seeds averaged first.
    p: of the two-sided sign-flip test over images, seeds averaged first.
    by_seed: the mean gain over images of each seed.
    seeds_won: in how many of them B is better; a tie is not won.
    """

    metric: str
    images: int
    seeds: int
    gain: float
    low: float
    high: float
    p: float
    seeds_won: int
    by_seed: tuple[float, ...]


def level(scores: np.ndarray) -> Level:
    """The `Level` of scores (N, S).

    Raises:
        ValueError: another shape, or values that are not finite.
    """
    per_seed = _checked(scores).mean(axis=0)
    spread = float(np.std(per_seed, ddof=1)) if len(per_seed) > 1 else math.nan
    return Level(float(per_seed.mean()), spread)


def compare(metric: str, a: np.ndarray, b: np.ndarray, seed: int = 0) -> Comparison:
    """B against A.

    Args:
        metric: "psnr", "ssim" or "lpips".
        a, b: (N, S) each; the same images in the rows, the same training seeds in the columns.
        seed: of the bootstrap and of the signs that are drawn.

    Raises:
        ValueError: an unknown metric, shapes that differ or are not (N, S), or values that are not finite.
    """
    if metric not in HIGHER_IS_BETTER:
        raise ValueError(f"metric {metric!r}: known are {', '.join(HIGHER_IS_BETTER)}")
    a, b = _checked(a), _checked(b)
    if a.shape != b.shape:
        raise ValueError(f"expected the same images and seeds, got {a.shape} and {b.shape}")
    gained = gains(metric, a, b)
    by_seed, by_image = gained.mean(axis=0), gained.mean(axis=1)
    low, high = bootstrap_interval(by_image, seed)
    return Comparison(
        metric=metric,
        images=a.shape[0],
        seeds=a.shape[1],
        gain=float(by_image.mean()),
        low=low,
        high=high,
        p=sign_flip_p(by_image, seed),
        seeds_won=int((by_seed > 0).sum()),
        by_seed=tuple(by_seed.tolist()),
    )


def sign_flip_p(differences: np.ndarray, seed: int = 0, draws: int = DRAWS) -> float:
    """Two-sided p of the sign-flip test: how often is |mean| as large if each sign were a coin's?

    The null hypothesis is that each difference is distributed symmetrically around 0, as it is where the two
    variants are interchangeable. Up to 12 differences all 2^N signs are tried and p is exact, 2 / 2^N at least.
    Beyond, `draws` random ones are, and those observed count as one more, so that p is never 0.

    Args:
        differences: (N,), one for each image, taken as independent.

    Raises:
        ValueError: no differences.
    """
    count = len(differences)
    if count == 0:
        raise ValueError("no differences to test")
    # Equal sums, added in another order, differ in their last bits: they must count as equal.
    at_least = abs(differences.sum()) - 1e-12 * np.abs(differences).sum()
    if count <= EXACT_IMAGES:
        signs = np.array(list(itertools.product((-1.0, 1.0), repeat=count)))
        return float(np.mean(np.abs(signs @ differences) >= at_least))
    rng = np.random.default_rng(seed)
    extreme = 0
    for start in range(0, draws, _CHUNK):
        signs = 2.0 * rng.integers(2, size=(min(_CHUNK, draws - start), count)) - 1.0
        extreme += int((np.abs(signs @ differences) >= at_least).sum())
    return (1 + extreme) / (1 + draws)


def _checked(scores: np.ndarray) -> np.ndarray:
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 2 or scores.size == 0:
        raise ValueError(f"expected scores (N, S), got {scores.shape}")
    if not np.isfinite(scores).all():
        raise ValueError("scores that are not finite numbers")
    return scores
