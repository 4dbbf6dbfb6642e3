"""What is to be said of a result, as `resharp deblur` says it, in the visitor's language."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from resharp.assessment.guarding import NOT_SURE
from resharp.assessment.trusting import GOOD, POOR
from resharp.images import extras, holding
from resharp.picture import Result
from resharp.web.words import say

# The assessment's own words, to the keys of ours.
_REASONS = {
    r"smaller than (\d+) px": "why_small",
    r"night with bright lights": "why_night",
    r"too dark": "why_dark",
    r"drawn, text or a screenshot": "why_drawn",
    r"large areas clipped to white or full colour": "why_clipped",
    r"strong noise or grain": "why_noise",
    r"blur wider than the model has seen": "why_wide",
    r"blurred again it explains (-?\d+)% of the photo": "why_explained",
    r"samples differ by (\d+) levels of 255": "why_spread",
    r"no motion blur found": "why_sharp",
}
_DROPPED = {
    extras.GAIN_MAP: "gain_map",
    extras.VIDEO: "video",
    extras.DEPTH: "depth",
    extras.OTHER_PICTURES: "other_pictures",
    extras.EXTENDED_XMP: "extended_xmp",
    extras.DEEPER: "deeper",
    holding.EXIF: "exif",
    holding.XMP: "xmp",
    holding.CAPTIONS: "captions",
    holding.TEXTS: "texts",
    holding.PROFILE: "profile",
}


def say_reason(language: str, reason: str) -> str:
    """One of the assessment's reasons; one that is not known here stays as it is."""
    for pattern, key in _REASONS.items():
        if match := re.fullmatch(pattern, reason):
            return say(language, key, number=match[1]) if match.groups() else say(language, key)
    return reason


def remark(language: str, result: Result) -> str | None:
    """What `Result.remark` says; None where all is well."""
    if result.remark is None or result.assessment is None or result.trust is None:
        return None
    outside = result.assessment["outside"]
    unlike = say(language, "unlike", reasons=_join(language, outside)) if outside else None
    if result.part == "input":
        force = f"“{say(language, 'force')}”"
        return "; ".join(filter(None, [say(language, "no_blur", force=force), unlike]))
    said = [say(language, "not_sure")] if NOT_SURE in result.assessment["notes"] else []
    level = result.trust["level"]
    if level != GOOD:
        key = "may_be_worse" if level == POOR else "is_doubtful"
        said.append(say(language, key, reasons=_join(language, result.trust["reasons"], "; ")))
    elif unlike:
        said.append(unlike)
    return "; ".join(said) or None


def level(result: Result) -> str:
    """How a result is shown: "good", "doubtful", "poor", or "same" for a photo passed through."""
    if result.part == "input" or result.trust is None:
        return "same"
    if result.trust["level"] == GOOD and result.remark is not None:
        return "doubtful"
    return str(result.trust["level"])


def facts(language: str, result: Result) -> list[str]:
    """Further sentences: what made it, how well it explains the photo, what was left out."""
    trust: dict[str, Any] = result.trust or {}
    said = [say(language, f"made_{result.part}")]
    if result.part != "input" and "explained" in trust:
        said.append(say(language, "explains", percent=f"{max(0.0, trust['explained']):.0%}"))
    if result.dropped:
        what = ", ".join(say(language, _DROPPED[each]) if each in _DROPPED else each for each in result.dropped)
        said.append(say(language, "left_out", what=what))
    return said


def _join(language: str, reasons: Sequence[str], between: str = ", ") -> str:
    return between.join(say_reason(language, reason) for reason in reasons)
