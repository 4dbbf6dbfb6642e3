"""How far raters agree on the same question."""

from __future__ import annotations

import numpy as np


def krippendorff_alpha(unit: np.ndarray, value: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Krippendorff's alpha with the squared difference: 1 full agreement, 0 that of chance; NaN if undefined.

    K. Krippendorff, Computing Krippendorff's alpha-reliability (2011). For answers 0 and 1 it is the nominal alpha;
    a tie of 0.5 is half as far from each. Units with one answer say nothing about agreement and are left out.

    Args:
        unit: (N,) what was judged, numbers from 0.
        value: (N,) the judgement.
        weight: (units,) how often each unit counts, as in a bootstrap over units; default: once.
    """
    count = np.bincount(unit)
    weight = np.ones(len(count)) if weight is None else weight[: len(count)]
    weight = np.where(count >= 2, weight, 0.0)
    total = np.bincount(unit, value)
    squares = np.bincount(unit, value**2)
    judgements = float(weight @ count)
    if judgements == 0:
        return float("nan")
    # Sums of (v_i - v_j)^2 over ordered pairs are 2 n sum v^2 - 2 (sum v)^2, here within each unit and over all.
    within = 2 * (count * squares - total**2) / np.maximum(count - 1, 1)
    observed = float(weight @ within) / judgements
    expected = 2 * (judgements * float(weight @ squares) - float(weight @ total) ** 2)
    expected /= judgements * (judgements - 1)
    return 1 - observed / expected if expected > 1e-12 else float("nan")


def pairwise_agreement(unit: np.ndarray, value: np.ndarray) -> tuple[float, int]:
    """The share of pairs of raters with equal answers, over all pairs on one unit, and how many pairs there are.

    The share is NaN if there are none. Chance alone gives 0.5 where the two answers are equally frequent.
    """
    values = np.unique(value)
    table = np.zeros((int(unit.max()) + 1, len(values)))
    np.add.at(table, (unit, np.searchsorted(values, value)), 1)
    same = (table * (table - 1)).sum() / 2
    each = table.sum(axis=1)
    pairs = (each * (each - 1)).sum() / 2
    return (float(same / pairs) if pairs else float("nan")), int(pairs)
