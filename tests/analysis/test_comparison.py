"""The statistics of a comparison against closed forms."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resharp.analysis.comparison import EXACT_IMAGES, compare, level, sign_flip_p

NUMBERS = st.floats(-10, 10, allow_nan=False, width=32)
FEW = st.lists(NUMBERS, min_size=1, max_size=7)


def scores(images: int = 5, seeds: int = 3, seed: int = 0) -> np.ndarray:
    return 30 + np.random.default_rng(seed).normal(size=(images, seeds))


def test_level_of_known_numbers():
    found = level(np.array([[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]]))
    assert found.mean == 3.0
    assert found.spread == pytest.approx(1.0)  # of 2, 3, 4
    assert math.isnan(level(np.array([[1.0], [2.0]])).spread)


@pytest.mark.parametrize("images", [1, 5, 30])
def test_identical_variants_do_not_differ(images):
    found = compare("psnr", scores(images), scores(images))
    assert (found.gain, found.low, found.high, found.p, found.seeds_won) == (0, 0, 0, 1, 0)


@pytest.mark.parametrize("images", [1, 2, 5, EXACT_IMAGES])
def test_a_constant_shift_has_the_smallest_p_there_is(images):
    a = scores(images)
    found = compare("psnr", a, a + 0.25)
    # The signs all positive and all negative, out of 2^N.
    assert found.p == 2 / 2**images
    assert (found.gain, found.low, found.high) == pytest.approx((0.25, 0.25, 0.25))
    assert (found.seeds_won, found.seeds, found.images) == (3, 3, images)
    assert found.by_seed == pytest.approx((0.25,) * 3)


def test_many_images_never_give_a_p_of_zero():
    found = compare("psnr", scores(60), scores(60) + 0.25)
    assert found.p == 1 / 100_000


@pytest.mark.parametrize("metric", ["psnr", "ssim"])
def test_higher_is_better(metric):
    assert compare(metric, scores(), scores() + 1).seeds_won == 3


def test_lower_lpips_is_a_gain():
    found = compare("lpips", scores(), scores() - 0.5)
    assert found.gain == pytest.approx(0.5)
    assert found.seeds_won == 3


def test_one_seed_that_loses_is_counted_though_the_mean_wins():
    a = np.zeros((4, 3))
    b = np.array([[1.0, 1.0, -0.5]] * 4)
    found = compare("psnr", a, b)
    assert (found.seeds_won, found.gain, found.by_seed) == (2, 0.5, (1.0, 1.0, -0.5))


def test_images_vary_in_the_interval_and_seeds_do_not():
    """Bootstrap of two values: the mean is that of (low, low), (high, high) or one of each."""
    a = np.zeros((2, 2))
    found = compare("psnr", a, np.array([[0.0, 2.0], [2.0, 4.0]]))
    assert (found.low, found.gain, found.high) == (1.0, 2.0, 3.0)


def test_p_counts_all_signs():
    """Sums of +-1 +-2 +-4: 7 5 3 1 and their negatives; a mean of (1 - 2 + 4) / 3 is reached by six of eight."""
    assert sign_flip_p(np.array([1.0, -2.0, 4.0])) == 6 / 8


def test_drawn_signs_agree_with_all_of_them():
    differences = np.random.default_rng(3).normal(0.4, 1, size=EXACT_IMAGES + 2)
    signs = np.array(list(itertools.product((-1, 1), repeat=len(differences))))
    exact = np.mean(abs(signs @ differences) >= abs(differences.sum()) - 1e-9)
    error = math.sqrt(exact * (1 - exact) / 100_000)
    assert sign_flip_p(differences, seed=1) == pytest.approx(exact, abs=4 * error)
    assert sign_flip_p(differences, seed=1) == sign_flip_p(differences, seed=1)


@pytest.mark.slow
def test_p_is_uniform_where_nothing_differs():
    """Among symmetric differences, p <= 0.1 in about one test of ten."""
    rng = np.random.default_rng(0)
    small = np.mean([sign_flip_p(rng.normal(size=9)) <= 0.1 for _ in range(2000)])
    assert small == pytest.approx(0.1, abs=0.02)


@settings(deadline=None, max_examples=50)
@given(FEW)
def test_p_knows_neither_direction_nor_order(values):
    differences = np.array(values)
    p = sign_flip_p(differences)
    assert 2 / 2 ** len(values) <= p <= 1
    assert sign_flip_p(-differences) == p
    assert sign_flip_p(differences[::-1].copy()) == p


@settings(deadline=None, max_examples=10)
@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=4))
def test_the_comparison_is_symmetric(pairs):
    a, b = (np.array(column)[:, None] for column in zip(*pairs, strict=True))
    one, other = compare("psnr", a, b), compare("psnr", b, a)
    assert one.gain == -other.gain
    assert one.p == other.p
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
    assert one.seeds_won + other.seeds_won == (1 if one.by_seed[0] else 0)


def test_what_cannot_be_compared():
    good = scores()
    for metric, a, b, says in (
        ("niqe", good, good, "known are psnr, ssim, lpips"),
        ("psnr", good, good[:, :2], "same images and seeds"),
        ("psnr", good, good[:4], "same images and seeds"),
        ("psnr", good, good[:, 0], r"\(N, S\)"),
        ("psnr", good, np.zeros((0, 3)), r"\(N, S\)"),
        ("psnr", good, good * math.inf, "not finite"),
    ):
        with pytest.raises(ValueError, match=says):
            compare(metric, a, b)
    with pytest.raises(ValueError, match="no differences"):
        sign_flip_p(np.array([]))
