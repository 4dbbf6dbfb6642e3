"""Both in one call: guard the result, and say how far it can be trusted."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from resharp.assessment.arrays import as_array
from resharp.assessment.consistency import reblur_consistency
from resharp.assessment.guarding import NOT_SURE, Guarded, guard
from resharp.assessment.report import InputReport
from resharp.assessment.trusting import GOOD, POOR, Trust, trust


@dataclass(frozen=True)
class Safe:
    """A result with what is to be said of it.

    image: (1, 3, H, W) float32 in [0, 1].
    kept_share, notes: see `Guarded`.
    """

    image: np.ndarray
    kept_share: float
    notes: tuple[str, ...]
    report: InputReport
    trust: Trust

    @property
    def remark(self) -> str | None:
        """One line for the user, or None where all is well."""
        said = [note for note in self.notes if note == NOT_SURE]
        if self.trust.level != GOOD:
            what = "may be worse than the photo" if self.trust.level == POOR else "is doubtful"
            said.append(f"the result {what}: {'; '.join(self.trust.reasons)}")
        elif self.report.outside:
            said.append(unlike(self.report))
        return "; ".join(said) or None

    def assessment_json(self) -> dict[str, Any]:
        """What the photo shows and what the guard did, of plain values."""
        return asdict(self.report) | {"kept_share": self.kept_share, "notes": self.notes}

    def trust_json(self) -> dict[str, Any]:
        """The trust figure, of plain values."""
        return asdict(self.trust)


def unlike(report: InputReport) -> str:
    """That and why a photo lies outside what the model was made for."""
    return f"unlike the photos the model was made for: {', '.join(report.outside)}"


def make_safe(
    blurry: Any,
    restored: Any,
    report: InputReport,
    spread: Any | None = None,
    *,
    guarded: bool = True,
    in_place: bool = False,
) -> Safe:
    """Guard and judge one picture.

    Args:
        blurry, restored: (1, 3, H, W) in [0, 1], arrays or tensors; blurry may be the samples of a photo.
        report: `assess_input(blurry)`.
        spread: (1, 1, H, W), from several samples, or None.
        guarded: without the guard the judgement is made all the same.
        in_place: let the guard write over `restored`, which must be float32 on the CPU.
    """
    restored = as_array(restored)
    held = Guarded(restored, 1.0, ())
    if guarded:
        held = guard(blurry, restored, report, out=restored if in_place else None)
    consistency = reblur_consistency(blurry, held.image, report.noise_sigma)
    if guarded and report.motion_blur == "none":
        spread = None  # of samples that were not used
    return Safe(held.image, held.kept_share, held.notes, report, trust(spread, consistency, report))
