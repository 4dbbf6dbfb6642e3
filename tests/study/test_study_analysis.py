"""Analysis against closed forms, published values and an outside optimiser; simulated studies are recovered."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import binomtest

from resharp.study.agreement import krippendorff_alpha, pairwise_agreement
from resharp.study.analysis import analyse, wilson_interval
from resharp.study.bradley_terry import fit_strengths
from studies import simulate

STRENGTHS = [0.8, 0.1, -0.9]  # mean 0


def chance(difference: float) -> float:
    return 1 / (1 + math.exp(-difference))


def covers(interval, truth: float) -> bool:
    return interval.low <= truth <= interval.high


def test_two_methods_have_a_closed_form():
    strengths = fit_strengths(np.array([[0, 30], [10, 0]]), prior=0)
    np.testing.assert_allclose(strengths, [math.log(3) / 2, -math.log(3) / 2], atol=1e-9)
    with_prior = fit_strengths(np.array([[0, 30], [10, 0]]))
    assert with_prior[0] - with_prior[1] == pytest.approx(math.log(30.5 / 10.5))


def test_strengths_maximise_the_likelihood():
    wins = np.random.default_rng(0).integers(0, 40, (5, 5)).astype(float)
    np.fill_diagonal(wins, 0)

    def loss(s):
        return (wins * np.logaddexp(0, s[None, :] - s[:, None])).sum()

    found = minimize(loss, np.zeros(5), method="BFGS", options={"gtol": 1e-8}).x
    np.testing.assert_allclose(fit_strengths(wins, prior=0), found - found.mean(), atol=1e-5)


def test_many_fits_at_once_equal_single_ones():
    wins = np.random.default_rng(1).integers(0, 9, (7, 4, 4)).astype(float)
    together = fit_strengths(wins)
    for one, expected in zip(wins, together, strict=True):
        np.testing.assert_allclose(fit_strengths(one), expected, atol=1e-9)


def test_a_method_that_never_lost_has_a_finite_strength():
    strengths = fit_strengths(np.array([[0, 5000.0, 5000], [0, 0, 1], [0, 1, 0]]))
    assert np.isfinite(strengths).all()
    assert strengths[0] > 4
    np.testing.assert_allclose(fit_strengths(np.zeros((3, 3))), 0, atol=1e-12)
    with pytest.raises(ValueError, match="expected"):
        fit_strengths(np.zeros((3, 2)))


@pytest.mark.parametrize(("wins", "of"), [(13, 20), (0, 7), (7, 7), (62, 100)])
def test_wilson_against_scipy(wins, of):
    expected = binomtest(wins, of).proportion_ci(method="wilson")
    np.testing.assert_allclose(wilson_interval(wins, of), [expected.low, expected.high], atol=1e-12)


def test_alpha_against_the_published_example():
    """Three coders, fifteen units, data of the Wikipedia article on Krippendorff's alpha: interval alpha 0.811."""
    coders = ["*****34121133*3", "1*213343*******", "**21344*21133*4"]
    unit, value = [], []
    for line in coders:
        for number, character in enumerate(line):
            if character != "*":
                unit.append(number)
                value.append(float(character))
    assert krippendorff_alpha(np.array(unit), np.array(value)) == pytest.approx(0.811, abs=5e-4)


def test_alpha_at_its_ends():
    unit = np.repeat(np.arange(50), 4)
    agreed = np.repeat(np.arange(50) % 2, 4).astype(float)
    assert krippendorff_alpha(unit, agreed) == pytest.approx(1)
    random = np.random.default_rng(0).integers(0, 2, 200).astype(float)
    assert abs(krippendorff_alpha(unit, random)) < 0.12
    assert math.isnan(krippendorff_alpha(unit, np.ones(200)))
    assert math.isnan(krippendorff_alpha(np.arange(5), np.arange(5.0)))


def test_weights_of_alpha_stand_for_units_repeated():
    rng = np.random.default_rng(2)
    unit, value = np.repeat(np.arange(6), 3), rng.integers(0, 3, 18) / 2
    weight = np.array([2.0, 0, 1, 3, 1, 1])
    repeated = [(u, value[unit == n]) for u, n in enumerate(np.repeat(np.arange(6), weight.astype(int)))]
    plain = krippendorff_alpha(np.repeat([u for u, _ in repeated], 3), np.concatenate([v for _, v in repeated]))
    assert krippendorff_alpha(unit, value, weight) == pytest.approx(plain)


def test_pairwise_agreement_by_counting():
    unit, value = np.array([0, 0, 0, 1, 1, 2]), np.array([1, 1, 0, 0.5, 0.5, 1])
    assert pairwise_agreement(unit, value) == (2 / 4, 4)
    share, pairs = pairwise_agreement(np.array([0, 1]), np.array([0.0, 1]))
    assert math.isnan(share)
    assert pairs == 0


def test_known_strengths_are_recovered_within_their_intervals():
    """40 studies of 12 raters and 15 photos each."""
    hits = {"strength": [], "rate": []}
    for seed in range(40):
        found = analyse(simulate(STRENGTHS, 12, 15, seed), resamples=300)
        assert [s.method for s in found.strengths] == ["method-0", "method-1", "method-2"]
        for strength, truth in zip(found.strengths, STRENGTHS, strict=True):
            hits["strength"].append(covers(strength.strength, truth))
        for rate in found.win_rates:
            first, second = (STRENGTHS[int(name[-1])] for name in (rate.method, rate.other))
            hits["rate"].append(covers(rate.rate, chance(first - second)))
    assert np.mean(hits["strength"]) >= 0.9
    assert np.mean(hits["rate"]) >= 0.9


def test_intervals_over_both_cover_where_wilson_does_not():
    """Photos on which methods differ much: answers on one photo are alike, which Wilson's interval ignores."""
    draws = np.random.default_rng(0).normal(size=(2, 200_000))
    truth = float(np.mean(1 / (1 + np.exp(-(0.5 + 1.5 * (draws[0] - draws[1]))))))
    both, wilson = [], []
    for seed in range(60):
        rate = analyse(simulate([0.25, -0.25], 20, 12, seed, per_photo=1.5), resamples=300).win_rates[0]
        rate_truth = truth if rate.method == "method-0" else 1 - truth
        both.append(covers(rate.rate, rate_truth))
        wilson.append(rate.wilson[0] <= rate_truth <= rate.wilson[1])
    assert np.mean(both) >= 0.88
    assert np.mean(wilson) < 0.7


def test_a_side_bias_is_found_and_does_not_favour_a_method():
    answers = simulate([0.5, -0.5], 15, 30, 0, side=0.6)
    found = analyse(answers, resamples=500)
    assert found.side.low > 0.5
    assert found.side_wilson[0] > 0.5
    assert found.win_rates[0].method == "method-0"
    unbiased = [analyse(simulate([0.5, -0.5], 15, 30, seed), resamples=300).side for seed in range(30)]
    assert np.mean([covers(side, 0.5) for side in unbiased]) >= 0.9


def test_ties_count_half_for_each():
    found = analyse(simulate([0.0, 0.0], 10, 20, 3, tie=0.4), resamples=200)
    (rate,) = found.win_rates
    assert rate.ties > 50
    assert rate.rate.value == pytest.approx((rate.wins + rate.ties / 2) / (rate.wins + rate.ties + rate.losses))
    assert rate.wins + rate.ties + rate.losses == found.answers == 200


def test_same_seed_same_figures_and_choice_of_what_is_drawn():
    answers = simulate(STRENGTHS, 8, 10, 5, per_photo=1.0)
    assert analyse(answers, resamples=200, seed=1) == analyse(answers, resamples=200, seed=1)
    width = {}
    for resample in ("both", "raters", "photos"):
        interval = analyse(answers, resample, 400).win_rates[0].rate
        width[resample] = interval.high - interval.low
    assert width["both"] > max(width["raters"], width["photos"])


def test_names_make_no_difference():
    """The first of two names could as well be the second: rates, strengths and alpha are the same."""
    answers = simulate(STRENGTHS, 8, 10, 5)
    turned = replace(
        answers,
        methods=tuple(reversed(answers.methods)),
        first=2 - answers.second,
        second=2 - answers.first,
        score=1 - answers.score,
        first_left=~answers.first_left,
    )
    one, other = analyse(answers, resamples=100), analyse(turned, resamples=100)
    assert one.alpha.value == pytest.approx(other.alpha.value)
    assert one.side.value == other.side.value
    assert one.win_rates == other.win_rates
    assert one.alpha.value == pytest.approx(2 * one.agreement - 1, abs=0.01)  # so it is for answers without ties
    unanimous = replace(answers, score=np.ones(len(answers)))
    assert analyse(unanimous, resamples=100).alpha.value == pytest.approx(1)


def test_one_rater_and_one_photo_have_no_bootstrap():
    found = analyse(simulate([0.5, -0.5], 1, 1, 0), resamples=100)
    assert math.isnan(found.strengths[0].strength.low)
    assert math.isnan(found.win_rates[0].rate.low)
    assert found.win_rates[0].wilson[1] <= 1
    over_photos = analyse(simulate([0.5, -0.5], 1, 30, 0), resamples=100)
    assert over_photos.win_rates[0].rate.low < over_photos.win_rates[0].rate.high
