"""The decision what runs by default, on scores with known outcomes."""

from __future__ import annotations

import numpy as np
import pytest

from resharp.evaluate.gate import Candidate, beats, checks, decide, not_below, perceptual_metric
from resharp.evaluate.paired import PairedScores, bootstrap_interval, standard_error

BASE = {"psnr": 30.0, "ssim": 0.9, "lpips": 0.2}
UNIT = {"psnr": 1.0, "ssim": 0.01, "lpips": -0.01}  # one step better


def scores(metric: str, steps: float, spread: float = 0.1, seeds: int = 3, images: int = 8) -> PairedScores:
    """Images that are on average `steps` better after than before, some more and some less by `spread`."""
    blurry = BASE[metric] + UNIT[metric] * np.linspace(-2, 2, images)
    gain = steps + spread * np.array([-1.0, 1.0] * (images // 2))
    per_seed = np.linspace(-0.5, 0.5, seeds) if seeds > 1 else np.zeros(1)
    restored = (blurry + UNIT[metric] * gain)[:, None] + UNIT[metric] * per_seed[None]
    return PairedScores(metric, blurry, restored)


def candidate(real: float = 1.0, out: float = 1.0, metrics=("psnr", "ssim", "lpips"), **changed) -> Candidate:
    """All metrics improve by `real` and `out` steps, but for those in `changed`, such as real_psnr=-1."""
    return Candidate(
        real={m: scores(m, changed.get(f"real_{m}", real)) for m in metrics},
        out_of_domain={m: scores(m, changed.get(f"out_{m}", out)) for m in metrics},
    )


def test_standard_error_by_hand():
    assert standard_error(np.array([1.0, 2.0, 3.0, 4.0])) == pytest.approx(np.sqrt(5 / 3) / 2)
    assert np.isnan(standard_error(np.array([1.0])))


def test_seeds_are_averaged_within_an_image_first():
    paired = PairedScores("psnr", np.array([30.0, 20.0]), np.array([[31.0, 33.0], [20.0, 22.0]]))
    np.testing.assert_allclose(paired.per_image, [32, 21])
    np.testing.assert_allclose(paired.gains, [2, 1])
    # Two images, not four scores: deviation sqrt(1/2), over sqrt(2).
    assert standard_error(paired.gains) == pytest.approx(0.5)


def test_lower_lpips_is_a_gain():
    paired = PairedScores("lpips", np.array([0.3, 0.2]), np.array([[0.1], [0.25]]))
    np.testing.assert_allclose(paired.gains, [0.2, -0.05])


def test_beats_needs_more_than_two_standard_errors():
    spread = 1.0
    error = standard_error(scores("psnr", 0, spread).gains)
    for metric in UNIT:
        assert beats(scores(metric, 2.001 * error, spread))
        assert not beats(scores(metric, 1.999 * error, spread))
        assert not beats(scores(metric, -5 * error, spread))


def test_not_below_needs_a_mean_gain_of_zero():
    for metric in UNIT:
        assert not_below(scores(metric, 0))
        assert not_below(scores(metric, 0.001, spread=5))
        assert not not_below(scores(metric, -0.001))
    blurry = np.random.default_rng(0).random(50)
    assert not_below(PairedScores("psnr", blurry, np.stack([blurry] * 3, axis=1)))


@pytest.mark.parametrize(
    ("candidates", "expected"),
    [
        ({}, "input"),
        ({"predictor": candidate()}, "predictor"),
        ({"diffusion": candidate()}, "diffusion"),
        ({"predictor": candidate(real=-1)}, "input"),
        ({"predictor": candidate(real=0)}, "input"),
        ({"predictor": candidate(out=-0.1)}, "input"),
        ({"predictor": candidate(out=0)}, "predictor"),
        ({"predictor": candidate(real_psnr=-1)}, "input"),
        ({"predictor": candidate(real_lpips=-1)}, "input"),
        ({"predictor": candidate(out_psnr=-1)}, "input"),
        ({"predictor": candidate(out_lpips=-1)}, "input"),
        # With LPIPS at hand SSIM is not asked for; without, it is.
        ({"predictor": candidate(real_ssim=-1)}, "predictor"),
        ({"predictor": candidate(metrics=("psnr", "ssim"))}, "predictor"),
        ({"predictor": candidate(metrics=("psnr", "ssim"), real_ssim=-1)}, "input"),
        ({"predictor": candidate(), "diffusion": candidate(out=-1)}, "predictor"),
        ({"predictor": candidate(out=-1), "diffusion": candidate()}, "diffusion"),
        ({"predictor": candidate(real=-1), "diffusion": candidate(out=-1)}, "input"),
        # Both pass: LPIPS on real pairs decides, and a tie is the predictor's.
        ({"predictor": candidate(), "diffusion": candidate()}, "predictor"),
        ({"predictor": candidate(), "diffusion": candidate(real_lpips=2)}, "diffusion"),
        ({"predictor": candidate(), "diffusion": candidate(real_psnr=2)}, "predictor"),
        ({"predictor": candidate(), "diffusion": candidate(real_psnr=0.5, real_lpips=2)}, "diffusion"),
        ({"predictor": candidate(real_lpips=2), "diffusion": candidate()}, "predictor"),
    ],
)
def test_decisions(candidates, expected):
    assert decide(candidates) == expected


def test_a_difference_within_two_errors_is_a_tie():
    predictor = candidate()
    diffusion = candidate()
    noisy = scores("lpips", 1.3, spread=1.0)  # error of the paired difference is about 0.35
    assert (
        decide(
            {"predictor": predictor, "diffusion": Candidate(diffusion.real | {"lpips": noisy}, diffusion.out_of_domain)}
        )
        == "predictor"
    )


def test_one_candidate_without_lpips_moves_both_to_ssim():
    both = {"predictor": candidate(real_lpips=-1), "diffusion": candidate(metrics=("psnr", "ssim"), real=2)}
    assert perceptual_metric(both) == "ssim"
    assert decide(both) == "diffusion"


def test_checks_say_what_failed():
    results = checks({"predictor": candidate(out_psnr=-1)})
    assert [(c.pairs, c.metric, c.passed) for c in results] == [
        ("real", "psnr", True),
        ("out_of_domain", "psnr", False),
        ("real", "lpips", True),
        ("out_of_domain", "lpips", True),
    ]
    assert results[1].gain == pytest.approx(-1)


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        ({"other": candidate()}, "known are predictor, diffusion"),
        ({"predictor": candidate(metrics=("psnr",))}, "no ssim scores"),
        ({"predictor": Candidate({"psnr": scores("ssim", 1)}, {})}, "no psnr scores"),
        ({"predictor": Candidate(*[{m: scores(m, 1, seeds=2) for m in UNIT}] * 2)}, "needs 3"),
        ({"predictor": Candidate(*[{m: PairedScores(m, [1], [[2, 2, 2]]) for m in UNIT}] * 2)}, "at least two"),
    ],
)
def test_scores_that_cannot_decide_are_refused(candidates, message):
    with pytest.raises(ValueError, match=message):
        decide(candidates)


def test_candidates_must_have_met_the_same_pairs():
    other = {m: scores(m, 1, images=6) for m in UNIT}
    with pytest.raises(ValueError, match="different real pairs"):
        decide({"predictor": candidate(), "diffusion": Candidate(other, other)})


@pytest.mark.parametrize(
    ("metric", "blurry", "restored"),
    [
        ("niqe", [1.0], [[1.0]]),
        ("psnr", [1.0, 2.0], [[1.0]]),
        ("psnr", [1.0], [1.0]),
        ("psnr", [], np.zeros((0, 3))),
        ("psnr", [np.inf], [[1.0]]),
        ("psnr", [1.0], [[np.nan]]),
    ],
)
def test_paired_scores_refuse_bad_arrays(metric, blurry, restored):
    with pytest.raises(ValueError):  # noqa: PT011 - each case has its own message
        PairedScores(metric, blurry, restored)


def test_bootstrap_interval_is_seeded_and_near_the_normal_one():
    values = np.random.default_rng(0).normal(3, 2, size=200)
    low, high = bootstrap_interval(values)
    assert (low, high) == bootstrap_interval(values)
    assert (low, high) != bootstrap_interval(values, seed=1)
    error = standard_error(values)
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error)
    assert bootstrap_interval(np.array([5.0])) == (5.0, 5.0)
