"""What the answers come to: win rates, strengths, agreement and side bias, with 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from resharp.study.agreement import krippendorff_alpha, pairwise_agreement
from resharp.study.answers import Answers
from resharp.study.bradley_terry import fit_strengths

Resample = Literal["both", "raters", "photos"]
RESAMPLES = ("both", "raters", "photos")
_AT_ONCE = 1 << 21


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval; NaN where there is none."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class WinRate:
    """How often `method` was preferred over `other`.

    rate: share of preferences, a tie as half for each, with its bootstrap interval.
    wilson: low and high of Wilson's interval, which takes all answers as independent.
    """

    method: str
    other: str
    wins: int
    ties: int
    losses: int
    rate: Interval
    wilson: tuple[float, float]


@dataclass(frozen=True)
class Strength:
    """A method's Bradley-Terry strength, natural log of odds, mean 0 over methods; share of resamples it leads."""

    method: str
    strength: Interval
    first: float


@dataclass(frozen=True)
class Analysis:
    """The study's outcome, strongest method first; `side` is the share of preferences for the left picture."""

    answers: int
    raters: int
    photos: int
    win_rates: tuple[WinRate, ...]
    strengths: tuple[Strength, ...]
    alpha: Interval
    agreement: float
    agreement_pairs: int
    side: Interval
    side_wilson: tuple[float, float]
    seconds: tuple[float, float, float]


def analyse(answers: Answers, resample: Resample = "both", resamples: int = 2000, seed: int = 0) -> Analysis:
    """Win rates, strengths, agreement, side bias and time (quartiles of seconds) of one or more answers.

    Intervals are percentiles of a bootstrap that draws raters, or photos, or both independently of each other (the
    pigeonhole bootstrap: A. B. Owen, arXiv 0712.1111), so that a rater's or a photo's answers need not be independent.
    With both it is conservative: too wide rather than too narrow. With a single rater or photo, drawing them tells
    nothing, and the other is drawn alone; with one of each there are no bootstrap intervals. The side's interval is
    over raters and alpha's over photos, whatever is chosen.
    """
    count = len(answers.methods)
    drawn = _draw(_columns_of_wins(answers), answers, resample, resamples, seed).reshape(-1, count, count)
    wins = _columns_of_wins(answers).sum(axis=0).reshape(count, count)
    votes = _columns_of_sides(answers)
    sides = float(votes[:, 0].sum()), float(votes[:, 1].sum())
    # A side is drawn for each answer, so a photo has no leaning to either; raters may have one.
    drawn_sides = _draw(votes, answers, "raters", resamples, seed)
    strengths = fit_strengths(wins)
    order = [int(i) for i in np.argsort(-strengths, kind="stable")]
    fits = fit_strengths(drawn) if len(drawn) else np.full((0, count), np.nan)
    lead = np.bincount(np.argmax(fits, axis=1), minlength=count) / max(1, len(fits))
    rates = [_win_rate(answers, i, j, wins, drawn) for i, j in combinations(order, 2)]
    unit = _units(answers)
    agreement, pairs = pairwise_agreement(unit, answers.score)
    low, middle, high = np.percentile(answers.seconds, [25, 50, 75])
    with np.errstate(invalid="ignore"):
        side = _interval(_ratio(*sides), drawn_sides[:, 0] / drawn_sides[:, 1])
    return Analysis(
        answers=len(answers),
        raters=len(np.unique(answers.rater)),
        photos=len(np.unique(answers.photo)),
        win_rates=tuple(rate for rate in rates if rate is not None),
        strengths=tuple(
            Strength(answers.methods[i], _interval(float(strengths[i]), fits[:, i]), float(lead[i])) for i in order
        ),
        alpha=_alpha(answers, unit, resamples, seed),
        agreement=agreement,
        agreement_pairs=pairs,
        side=side,
        side_wilson=wilson_interval(*sides),
        seconds=(float(low), float(middle), float(high)),
    )


def wilson_interval(successes: float, trials: float) -> tuple[float, float]:
    """The 95 % score interval of a share (E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209); NaN without trials."""
    if trials <= 0:
        return math.nan, math.nan
    z = 1.959963984540054
    share = successes / trials
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / (1 + z * z / trials)
    return max(0.0, middle - half), min(1.0, middle + half)


def _draw(columns: np.ndarray, answers: Answers, resample: str, resamples: int, seed: int) -> np.ndarray:
    """(B, C) sums of the answers' columns (N, C) in each resample; B is 0 where there is nothing to draw."""
    axes = [("raters", answers.rater), ("photos", answers.photo)]
    used = [numbers for name, numbers in axes if resample in (name, "both") and len(np.unique(numbers)) > 1]
    if not used:
        return np.zeros((0, columns.shape[1]))
    rng = np.random.default_rng(seed)
    return np.concatenate([weights @ columns for weights in _weights(used, resamples, rng)])


def _columns_of_wins(answers: Answers) -> np.ndarray:
    """(N, M * M): what each answer adds to the preferences of row over column."""
    count, rows = len(answers.methods), np.arange(len(answers))
    columns = np.zeros((len(answers), count * count))
    columns[rows, answers.first * count + answers.second] = answers.score
    columns[rows, answers.second * count + answers.first] = 1 - answers.score
    return columns


def _columns_of_sides(answers: Answers) -> np.ndarray:
    """(N, 2): votes for the left side, and for either."""
    decided = answers.left != 0.5
    return np.stack([answers.left * decided, decided], axis=1).astype(float)


def _weights(used: list[np.ndarray], resamples: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """(b, N) in parts: how often each answer is drawn, the product over what is drawn."""
    at_once = max(1, _AT_ONCE // len(used[0]))
    for start in range(0, resamples, at_once):
        part = min(at_once, resamples - start)
        weights = np.ones((part, len(used[0])))
        for numbers in used:
            names, index = np.unique(numbers, return_inverse=True)
            drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=part)
            weights *= drawn[:, index]
        yield weights


def _win_rate(answers: Answers, i: int, j: int, wins: np.ndarray, drawn: np.ndarray) -> WinRate | None:
    """Of i over j, or None if nobody compared them."""
    asked = (answers.first == min(i, j)) & (answers.second == max(i, j))
    if not asked.any():
        return None
    for_i = answers.score[asked] if i < j else 1 - answers.score[asked]
    with np.errstate(invalid="ignore"):
        shares = drawn[:, i, j] / (drawn[:, i, j] + drawn[:, j, i])
    preferred, total = float(wins[i, j]), float(len(for_i))
    return WinRate(
        method=answers.methods[i],
        other=answers.methods[j],
        wins=int((for_i == 1).sum()),
        ties=int((for_i == 0.5).sum()),
        losses=int((for_i == 0).sum()),
        rate=_interval(preferred / total, shares),
        wilson=wilson_interval(preferred, total),
    )


def _units(answers: Answers) -> np.ndarray:
    """(N,) a number from 0 for each photo and pair of methods."""
    count = len(answers.methods)
    key = (answers.photo * count + answers.first) * count + answers.second
    return np.unique(key, return_inverse=True)[1]


def _alpha(answers: Answers, unit: np.ndarray, resamples: int, seed: int) -> Interval:
    """Every question is put both ways round, or alpha would depend on which method's name comes first.

    The interval is over photos only: a rater drawn twice would agree with themselves.
    """
    units = int(unit.max()) + 1
    both_units = np.concatenate([unit, unit + units])
    both_scores = np.concatenate([answers.score, 1 - answers.score])
    value = krippendorff_alpha(both_units, both_scores)
    names, photo = np.unique(answers.photo, return_inverse=True)
    if not math.isfinite(value) or len(names) < 2:
        return Interval(value, math.nan, math.nan)
    of_unit = np.zeros(units, dtype=int)
    of_unit[unit] = photo
    rng = np.random.default_rng([seed, 1])
    draws = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples).astype(float)
    weights = np.tile(draws[:, of_unit], 2)
    return _interval(value, np.array([krippendorff_alpha(both_units, both_scores, weight) for weight in weights]))


def _interval(value: float, drawn: np.ndarray) -> Interval:
    drawn = drawn[np.isfinite(drawn)]
    low, high = np.percentile(drawn, [2.5, 97.5]) if len(drawn) else (math.nan, math.nan)
    return Interval(value, float(low), float(high))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan
