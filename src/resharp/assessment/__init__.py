"""Do no harm: what a photo shows, what a result may not do to it, and how far the result can be trusted."""

from resharp.assessment.consistency import Consistency, reblur_consistency
from resharp.assessment.guarding import Guarded, guard
from resharp.assessment.report import InputReport, assess_input
from resharp.assessment.safety import Safe, make_safe, unlike
from resharp.assessment.trusting import Trust, trust

__all__ = [
    "Consistency",
    "Guarded",
    "InputReport",
    "Safe",
    "Trust",
    "assess_input",
    "guard",
    "make_safe",
    "reblur_consistency",
    "trust",
    "unlike",
]
