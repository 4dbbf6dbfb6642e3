"""One figure and one word for how far a result can be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from resharp.assessment.arrays import as_array
from resharp.assessment.consistency import Consistency
from resharp.assessment.report import InputReport

# Real sharp partners of photos with strong, uneven motion explain 0.4 to 1 of them: no tile has a single kernel there.
# So a value below `DOUBTFUL_EXPLAINED` is not yet wrong, while results that tell of something else get less than 0.3.
DOUBTFUL_EXPLAINED = 0.75
POOR_EXPLAINED = 0.35
# Samples that differ among themselves by more than the strongest noise of training do not know the answer ...
DOUBTFUL_SPREAD = 0.03
# ... and those that differ by twice that have a PSNR below 24 dB to their own mean.
POOR_SPREAD = 0.06
LARGE_CHANGE = 0.01  # 40 dB: what a photo without motion blur may be changed by

GOOD, DOUBTFUL, POOR = "good", "doubtful", "poor"


@dataclass(frozen=True)
class Trust:
    """How far a result can be trusted not to be worse than its photo.

    level: "good", "doubtful" or "poor".
    explained: see `Consistency`.
    spread: standard deviation over the samples, mean over the picture, on [0, 1]; None with fewer than two.
    reasons: why the level is not good, in plain words.
    """

    level: str
    explained: float
    spread: float | None
    reasons: tuple[str, ...]


def trust(spread: Any | None, consistency: Consistency, report: InputReport) -> Trust:
    """The worst of what explanation, spread and the photo's kind say.

    Args:
        spread: (B, 1, H, W) standard deviations over samples, an array or a tensor, or None.
        consistency: of the input and the result as it is delivered.
    """
    found: list[tuple[str, str]] = []
    if consistency.explained < DOUBTFUL_EXPLAINED:
        level = POOR if consistency.explained < POOR_EXPLAINED else DOUBTFUL
        found.append((level, f"blurred again it explains {consistency.explained:.0%} of the photo"))
    mean = None if spread is None else float(as_array(spread).mean(dtype=np.float64))
    if mean is not None and mean > DOUBTFUL_SPREAD:
        level = POOR if mean > POOR_SPREAD else DOUBTFUL
        found.append((level, f"samples differ by {mean * 255:.0f} levels of 255"))
    # A photo that was hardly changed is as good as it was, whatever its kind.
    if consistency.change > LARGE_CHANGE:
        found += [(DOUBTFUL, reason) for reason in report.outside]
        if report.motion_blur == "none":
            found.append((DOUBTFUL, "no motion blur found"))
    levels = [level for level, _ in found]
    word = POOR if POOR in levels else DOUBTFUL if levels else GOOD
    return Trust(word, consistency.explained, mean, tuple(reason for _, reason in found))
