"""Bradley-Terry strengths: one number for each method from who was preferred over whom."""

from __future__ import annotations

import numpy as np

# Answers added for each two methods, half to each side. Without it a method that never lost has no finite strength.
PRIOR = 1.0

_LONGEST_STEP = 2.0


def fit_strengths(wins: np.ndarray, prior: float = PRIOR, iterations: int = 100) -> np.ndarray:
    """The most likely strengths s, mean 0, where i is preferred over j with probability 1 / (1 + exp(s_j - s_i)).

    R. A. Bradley and M. E. Terry, Biometrika 39 (1952) 324. Newton's method on the log-likelihood, which is concave.

    Args:
        wins: (..., M, M) preferences of row over column, a tie as half for each; leading dimensions are fits of
            their own.
        prior: answers added for each two methods, half to each side.

    Returns:
        (..., M) strengths as natural logarithms of odds.

    Raises:
        ValueError: the last two dimensions are not M, M with M of 2 or more.
    """
    count = wins.shape[-1]
    if wins.ndim < 2 or wins.shape[-2] != count or count < 2:
        raise ValueError(f"expected (..., M, M) with M of 2 or more, got {wins.shape}")
    wins = (wins + prior / 2) * (1 - np.eye(count))
    games = wins + np.swapaxes(wins, -1, -2)
    strengths = np.zeros(wins.shape[:-1])
    for _ in range(iterations):
        chance = _logistic(strengths[..., :, None] - strengths[..., None, :])  # (..., M, M)
        slope = (wins - games * chance).sum(axis=-1)  # (..., M)
        curve = games * chance * (1 - chance)
        # Minus the Hessian; ones make it regular, and keep steps at mean 0 since slopes sum to 0.
        information = np.eye(count) * curve.sum(axis=-1)[..., None] - curve + 1.0
        step = np.linalg.solve(information, slope[..., None])[..., 0]
        longest = np.abs(step).max(axis=-1, keepdims=True)
        step *= np.minimum(1, _LONGEST_STEP / np.maximum(longest, 1e-300))
        strengths = strengths + step
        if longest.max() < 1e-10:
            break
    return strengths - strengths.mean(axis=-1, keepdims=True)


def _logistic(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * x))
