"""Distances of two sets of feature vectors: Frechet distance (FID's) and kernel distance (KID's).

Both know arrays only; which network made the features, and whether the result may be called FID or KID, is the
caller's business. FID is arXiv 1706.08500 equation 6, KID arXiv 1801.01401 section 4.
"""

from __future__ import annotations

import numpy as np

from resharp.errors import DataError

KERNEL_SUBSETS = 100
KERNEL_SUBSET_SIZE = 1000


def frechet_distance(a: np.ndarray, b: np.ndarray, min_samples: int = 2) -> float:
    """`|m_a - m_b|^2 + tr(C_a) + tr(C_b) - 2 tr((C_a C_b)^(1/2))` of the means and sample covariances.

    The last trace is the sum of the singular values of `X_a X_b^T / sqrt((n_a - 1) (n_b - 1))`, with X the centred
    features: no matrix square root, so nothing is added to covariances that are singular. It is biased upwards for
    few samples, the more the larger D is: compare only values of equal numbers of samples.

    Args:
        a, b: (N, D) and (M, D) features, any float type; computed in float64.
        min_samples: N and M must be at least this, and 2.

    Returns:
        The distance, not negative; 0 for equal sets.

    Raises:
        DataError: too few samples, or values that are not finite.
        ValueError: not two matrices of one width.
    """
    a, b = _checked(a, b, max(min_samples, 2), "Frechet distance")
    shift = a.mean(axis=0) - b.mean(axis=0)
    root_a, root_b = _root(a), _root(b)  # (min(N, D), D) each, root^T root is the covariance
    traces = np.square(root_a).sum() + np.square(root_b).sum()
    cross = np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum()
    return max(float(shift @ shift + traces - 2 * cross), 0.0)


def kernel_distance(
    a: np.ndarray,
    b: np.ndarray,
    seed: int = 0,
    subsets: int = KERNEL_SUBSETS,
    subset_size: int = KERNEL_SUBSET_SIZE,
) -> float:
    """Unbiased squared MMD with the kernel `(x . y / D + 1)^3`, the mean over random subsets of both sets.

    The scheme is the KID paper's: `subsets` times, `subset_size` features of each set are drawn without
    replacement. Papers report it times 1000; this is not. It may be slightly negative for equal distributions.

    Args:
        a, b: (N, D) and (M, D) features, any float type; computed in float64.
        seed: of the draws; same seed, same value.
        subsets, subset_size: N and M must be at least `subset_size`, which is at least 2.

    Raises:
        DataError: fewer samples than a subset needs, or values that are not finite.
        ValueError: not two matrices of one width, or a scheme without subsets.
    """
    if subsets < 1 or subset_size < 2:
        raise ValueError(f"expected at least 1 subset of at least 2 samples, got {subsets} of {subset_size}")
    a, b = _checked(a, b, subset_size, "kernel distance")
    if subset_size == len(a) == len(b):
        subsets = 1  # every draw is the whole
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(subsets):
        of_a = a[rng.choice(len(a), subset_size, replace=False)]
        of_b = b[rng.choice(len(b), subset_size, replace=False)]
        values.append(_unbiased_mmd(of_a, of_b))
    return float(np.mean(values))


def _unbiased_mmd(a: np.ndarray, b: np.ndarray) -> float:
    """Squared MMD of two (n, D) sets; an item is not compared with itself."""
    n, width = a.shape

    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (x @ y.T / width + 1) ** 3

    def within(x: np.ndarray) -> float:
        own = (np.square(x).sum(axis=1) / width + 1) ** 3
        return float((kernel(x, x).sum() - own.sum()) / (n * (n - 1)))

    return within(a) + within(b) - 2 * float(kernel(a, b).mean())


def _root(x: np.ndarray) -> np.ndarray:
    """A matrix R of at most D rows with `R^T R` the sample covariance of (N, D) features."""
    centred = (x - x.mean(axis=0)) / np.sqrt(len(x) - 1)
    return np.asarray(np.linalg.qr(centred, mode="r")) if len(x) > x.shape[1] else centred


def _checked(a: np.ndarray, b: np.ndarray, least: int, what: str) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or a.shape[1] == 0:
        raise ValueError(f"expected (N, D) and (M, D) features, got {a.shape} and {b.shape}")
    if min(len(a), len(b)) < least:
        raise DataError(
            f"{what}: needs at least {least:,} samples of each set, got {len(a):,} and {len(b):,}; "
            "add images, or patches of them"
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise DataError(f"{what}: features that are not finite numbers")
    return a, b
