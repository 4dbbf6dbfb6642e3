"""Frechet and kernel distances against closed forms and plain computations."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

from resharp.errors import DataError
from resharp.metrics.frechet import frechet_distance, kernel_distance


def samples(count: int, mean: np.ndarray, root: np.ndarray, seed: int = 0) -> np.ndarray:
    """(count, D) whose sample mean and covariance are exactly `mean` and `root @ root.T`."""
    x = np.random.default_rng(seed).normal(size=(count, len(mean)))
    x -= x.mean(axis=0)
    whiten = np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False))).T
    return x @ whiten @ root.T + mean


def test_gaussians_along_the_axes_have_a_closed_form():
    first, second = np.array([1.0, 2.0, 0.5, 3.0]), np.array([2.0, 2.0, 0.1, 5.0])  # deviations
    shift = np.array([0.3, -1.0, 0.0, 2.0])
    a = samples(50, np.zeros(4), np.diag(first))
    b = samples(80, shift, np.diag(second), seed=1)
    expected = (shift**2).sum() + ((first - second) ** 2).sum()
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-12)
    assert frechet_distance(b, a) == pytest.approx(expected, rel=1e-12)


def test_covariances_that_do_not_commute_agree_with_the_matrix_square_root():
    rng = np.random.default_rng(3)
    a = samples(60, rng.normal(size=8), rng.normal(size=(8, 8)))
    b = samples(70, rng.normal(size=8), rng.normal(size=(8, 8)), seed=1)
    one, two = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(one @ two).real
    expected = np.square(a.mean(axis=0) - b.mean(axis=0)).sum() + np.trace(one + two - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)


def test_fewer_samples_than_dimensions_are_computed_exactly_too():
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=(9, 30)), 1 + 2 * rng.normal(size=(12, 30))
    one, two = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    # A square root of each alone is well behaved where the covariance is singular.
    values, vectors = np.linalg.eigh(one)
    root = vectors @ np.diag(np.sqrt(np.clip(values, 0, None))) @ vectors.T
    cross = np.sqrt(np.clip(np.linalg.eigvalsh(root @ two @ root), 0, None)).sum()
    expected = np.square(a.mean(axis=0) - b.mean(axis=0)).sum() + np.trace(one) + np.trace(two) - 2 * cross
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)


def test_equal_sets_are_at_distance_zero_whatever_their_order():
    a = np.random.default_rng(0).normal(size=(40, 10)).astype(np.float32)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-10)
    assert frechet_distance(a, a[::-1]) == pytest.approx(0, abs=1e-10)
    assert frechet_distance(a, a) >= 0


def plain_kernel_distance(a: np.ndarray, b: np.ndarray) -> float:
    n, width = a.shape

    def k(x: np.ndarray, y: np.ndarray) -> float:
        return (float(np.dot(x, y)) / width + 1) ** 3

    within = sum(k(x[i], x[j]) for x in (a, b) for i in range(n) for j in range(n) if i != j)
    across = sum(k(x, y) for x in a for y in b)
    return within / (n * (n - 1)) - 2 * across / n**2


def test_kernel_distance_is_the_unbiased_formula():
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=(12, 5)), 0.5 + rng.normal(size=(12, 5))
    assert kernel_distance(a, b, subset_size=12) == pytest.approx(plain_kernel_distance(a, b), rel=1e-12)


def test_kernel_distance_is_the_mean_over_subsets_and_follows_its_seed():
    rng = np.random.default_rng(6)
    a, b = rng.normal(size=(30, 5)), 0.5 + rng.normal(size=(25, 5))
    value = kernel_distance(a, b, seed=1, subsets=3, subset_size=10)
    draws = np.random.default_rng(1)
    expected = np.mean(
        [
            plain_kernel_distance(a[draws.choice(30, 10, replace=False)], b[draws.choice(25, 10, replace=False)])
            for _ in range(3)
        ]
    )
    assert value == pytest.approx(expected, rel=1e-12)
    assert kernel_distance(a, b, seed=1, subsets=3, subset_size=10) == value
    assert kernel_distance(a, b, seed=2, subsets=3, subset_size=10) != value


def test_kernel_distance_is_unbiased_where_the_distributions_are_equal():
    """Over many draws the mean is 0 within its error, which the biased estimate would miss by far."""
    rng = np.random.default_rng(7)
    values = [kernel_distance(*rng.normal(size=(2, 20, 4)), subset_size=20) for _ in range(400)]
    error = np.std(values) / 20
    assert abs(np.mean(values)) < 4 * error
    assert error < 0.02


@pytest.mark.parametrize(
    ("compute", "least"),
    [(frechet_distance, "2 samples"), (lambda a, b: frechet_distance(a, b, min_samples=50), "50 samples")],
)
def test_too_few_samples_are_refused(compute, least):
    with pytest.raises(DataError, match=f"at least {least} of each set, got 30 and 1"):
        compute(np.zeros((30, 3)), np.zeros((1, 3)))


def test_the_kernel_distance_needs_a_full_subset():
    with pytest.raises(DataError, match="at least 1,000 samples of each set, got 999 and 2,000; add images"):
        kernel_distance(np.zeros((999, 3)), np.zeros((2000, 3)))
    for scheme in ({"subsets": 0}, {"subset_size": 1}):
        with pytest.raises(ValueError, match="at least 1 subset of at least 2 samples"):
            kernel_distance(np.zeros((5, 3)), np.zeros((5, 3)), **scheme)


def test_other_shapes_and_values_are_refused():
    good = np.zeros((5, 3))
    for bad in (np.zeros((5, 4)), np.zeros(5), np.zeros((5, 0))):
        with pytest.raises(ValueError, match="features"):
            frechet_distance(good, bad)
    with pytest.raises(DataError, match="not finite"):
        frechet_distance(good, np.full((5, 3), np.nan))
