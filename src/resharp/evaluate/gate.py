"""Which part of a trained model `resharp deblur` uses by default: it must have shown that it does no harm.

Pure functions of scores. The rule:

1. A candidate passes when, on the real pairs, it beats the blurry input by more than two standard errors, and on
   the out-of-domain pairs it does not fall below it. Both hold in PSNR and in a perceptual metric: LPIPS where
   every candidate has it, SSIM where not (no LPIPS weights). Every score is over at least three seeds.
2. If none passes, the input goes through untouched.
3. If both pass, the diffusion is chosen only where its perceptual metric on the real pairs is better than the
   predictor's by more than two standard errors of their paired difference. All else is a tie and goes to
   the predictor, which is one network call where the diffusion is several.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from resharp.evaluate.paired import PairedScores, gains, standard_error

__all__ = ["Candidate", "Check", "PairedScores", "beats", "checks", "decide", "not_below", "perceptual_metric"]

Choice = Literal["diffusion", "predictor", "input"]
CANDIDATES = ("predictor", "diffusion")
MIN_SEEDS = 3
ROUNDING = 1e-9


@dataclass(frozen=True)
class Candidate:
    """The scores of one candidate: metric -> scores on the real pairs and on the out-of-domain ones."""

    real: Mapping[str, PairedScores]
    out_of_domain: Mapping[str, PairedScores]


@dataclass(frozen=True)
class Check:
    """One requirement and how it came out; `gain` is positive where the candidate is better."""

    candidate: str
    pairs: Literal["real", "out_of_domain"]
    metric: str
    gain: float
    standard_error: float
    passed: bool


def beats(scores: PairedScores) -> bool:
    """Whether the mean gain over images exceeds two of its standard errors (seeds are averaged first).

    Raises:
        ValueError: fewer than two images, which have no standard error.
    """
    return _exceeds_two_errors(scores.gains)


def not_below(scores: PairedScores) -> bool:
    """Whether the mean gain over images (seeds averaged first) is 0 or more.

    No allowance for chance, only for the last bits: an exact 0 must not fail for how its terms were rounded.
    """
    return float(scores.gains.mean()) >= -ROUNDING


def perceptual_metric(candidates: Mapping[str, Candidate]) -> str:
    """The metric asked for beside PSNR: "lpips" if every candidate has it on both kinds of pairs, else "ssim"."""
    everywhere = all("lpips" in c.real and "lpips" in c.out_of_domain for c in candidates.values())
    return "lpips" if everywhere else "ssim"


def checks(candidates: Mapping[str, Candidate]) -> list[Check]:
    """Every requirement of rule 1, for every candidate, in the order given.

    Raises:
        ValueError: a candidate that is neither "predictor" nor "diffusion", a metric that is missing, scores
            filed under another metric's name, fewer than three seeds, or fewer than two images.
    """
    results = []
    for name, candidate in candidates.items():
        if name not in CANDIDATES:
            raise ValueError(f"candidate {name!r}: known are {', '.join(CANDIDATES)}")
        for metric in ("psnr", perceptual_metric(candidates)):
            real = _scores(name, "real", candidate.real, metric)
            out = _scores(name, "out_of_domain", candidate.out_of_domain, metric)
            results.append(_check(name, "real", real, beats(real)))
            results.append(_check(name, "out_of_domain", out, not_below(out)))
    return results


def decide(candidates: Mapping[str, Candidate]) -> Choice:
    """Apply the rule above to {"predictor": ..., "diffusion": ...}, or to one of them, or to none.

    Raises:
        ValueError: as in `checks`; or the two candidates were not scored on the same real pairs.
    """
    results = checks(candidates)
    passed = [name for name in candidates if all(check.passed for check in results if check.candidate == name)]
    if not passed:
        return "input"
    if len(passed) == 1:
        return "diffusion" if passed[0] == "diffusion" else "predictor"
    metric = perceptual_metric(candidates)
    predictor, diffusion = candidates["predictor"].real[metric], candidates["diffusion"].real[metric]
    if not np.array_equal(predictor.blurry, diffusion.blurry):
        raise ValueError("predictor and diffusion were scored on different real pairs")
    better = _exceeds_two_errors(gains(metric, predictor.per_image, diffusion.per_image))
    return "diffusion" if better else "predictor"


def _exceeds_two_errors(values: np.ndarray) -> bool:
    if len(values) < 2:
        raise ValueError("one image has no standard error; score at least two")
    return float(values.mean()) > 2 * standard_error(values)


def _scores(name: str, pairs: str, by_metric: Mapping[str, PairedScores], metric: str) -> PairedScores:
    scores = by_metric.get(metric)
    if scores is None or scores.metric != metric:
        raise ValueError(f"{name}, {pairs}: no {metric} scores")
    if scores.seeds < MIN_SEEDS:
        raise ValueError(f"{name}, {pairs}, {metric}: {scores.seeds} seed(s); the decision needs {MIN_SEEDS}")
    return scores


def _check(name: str, pairs: Literal["real", "out_of_domain"], scores: PairedScores, passed: bool) -> Check:
    gain = float(scores.gains.mean())
    return Check(name, pairs, scores.metric, gain, standard_error(scores.gains), passed)
