"""Figures to hold our counts against, and how far they are apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from resharp.analysis.cost_count import Count, Size

SMALL, LARGE = Size(256, 256), Size(1280, 720)
# Marks as in docs/method.md: [S] the summary of arXiv 2212.01789, [B] arXiv 2112.02475, [C] computed from its layout.
_LAYOUT = "layout of arXiv 2112.02475 [B, C]"
_SIZES = "arXiv 2112.02475 [B], to the million"
_SUMMARY = "summary of arXiv 2212.01789 [S], a FLOP read as a multiply-accumulate"


@dataclass(frozen=True)
class Reference:
    """A figure from elsewhere for a named size.

    what: "parameters", in numbers, or parts of `PARTS` with " + " between them, in MAC for one run of each.
    size: of the picture; None for parameters.
    approximate: given in round numbers.
    """

    name: str
    what: str
    size: Size | None
    value: float
    source: str
    approximate: bool = False


REFERENCES = (
    Reference("icdpm-s", "parameters", None, 6.73e6, _LAYOUT),
    Reference("icdpm-s", "parameters", None, 7e6, _SIZES, approximate=True),
    Reference("icdpm-s", "step", SMALL, 39e9, _LAYOUT),
    Reference("icdpm-s", "step", LARGE, 548e9, _LAYOUT),
    Reference("icdpm-l", "parameters", None, 26.91e6, _LAYOUT),
    Reference("icdpm-l", "parameters", None, 26e6, _SIZES, approximate=True),
    Reference("icdpm-l", "step", SMALL, 156e9, _LAYOUT),
    Reference("icdpm-l", "step", LARGE, 2190e9, _LAYOUT),
    Reference("msgd-l", "guidance + step", LARGE, 10_000e9, _SUMMARY, approximate=True),
)


@dataclass(frozen=True)
class Difference:
    """One of our counts beside a figure from elsewhere."""

    reference: Reference
    ours: float

    @property
    def share(self) -> float:
        """(ours - theirs) / theirs."""
        return self.ours / self.reference.value - 1


def compared(
    counts: Mapping[tuple[str, Size], Count], references: Iterable[Reference] = REFERENCES
) -> list[Difference]:
    """Every reference whose network and picture were counted.

    Args:
        counts: by name and size of the picture.
    """
    found = []
    for each in references:
        mine = [count for (name, size), count in counts.items() if name == each.name and each.size in (None, size)]
        if not mine:
            continue
        of = mine[0].parameters if each.what == "parameters" else mine[0].macs
        parts = of if each.what == "parameters" else each.what.split(" + ")
        found.append(Difference(each, float(sum(of[part] for part in parts))))
    return found
