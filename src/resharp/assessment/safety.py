"""Both in one call: guard the result, and say how far it can be trusted."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from resharp.assessment.consistency import reblur_consistency
from resharp.assessment.guarding import Guarded, guard
from resharp.assessment.report import InputReport
from resharp.assessment.trusting import GOOD, POOR, Trust, trust


@dataclass(frozen=True)
class Safe:
    """A result with what is to be said of it.

    image: (1, 3, H, W) float32 in [0, 1].
    kept_share, notes: see `Guarded`.
    """

    image: Tensor
    kept_share: float
    notes: tuple[str, ...]
    report: InputReport
    trust: Trust

    @property
    def remark(self) -> str | None:
        """One line for the user, or None where all is well."""
        if self.trust.level == GOOD:
            return None
        reasons = "; ".join(self.trust.reasons)
        poor = self.trust.level == POOR
        return f"the result {'may be worse than the photo' if poor else 'is doubtful'}: {reasons}"

    def assessment_json(self) -> dict[str, Any]:
        """What the photo shows and what the guard did, of plain values."""
        return asdict(self.report) | {"kept_share": self.kept_share, "notes": self.notes}

    def trust_json(self) -> dict[str, Any]:
        """The trust figure, of plain values."""
        return asdict(self.trust)


def make_safe(
    blurry: Tensor, restored: Tensor, report: InputReport, spread: Tensor | None = None, *, guarded: bool = True
) -> Safe:
    """Guard and judge one picture.

    Args:
        blurry, restored: (1, 3, H, W) in [0, 1].
        report: `assess_input(blurry)`.
        spread: (1, 1, H, W), from several samples, or None.
        guarded: without the guard the judgement is made all the same.
    """
    held = guard(blurry, restored, report) if guarded else Guarded(restored, 1.0, ())
    consistency = reblur_consistency(blurry, held.image, report.noise_sigma)
    if guarded and report.motion_blur == "none":
        spread = None  # of samples that were not used
    return Safe(held.image, held.kept_share, held.notes, report, trust(spread, consistency, report))
