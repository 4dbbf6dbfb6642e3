"""Distances between domains as a table and as plain values, beside those of the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from resharp.analysis.domain_distance import Compared
from resharp.analysis.domain_networks import NAMES, TITLES, WIDTHS

FIGURES = tuple((name, figure) for name in NAMES for figure in ("frechet", "kernel"))
_DECIMALS = {"frechet": 2, "kernel": 2}
# GoPro and RealBlur-J at 1/8 of the size, as known from a summary of arXiv 2212.01789.
PAPER = {("inception", "frechet"): "49.684 -> 44.649", ("inception", "kernel"): "4.91 -> 4.70"}
PAPER_K = 3
PAPER_NOTE = (
    "Paper: GoPro and RealBlur-J, arXiv 2212.01789 as known from a summary; patches and numbers of them are not"
    " known, so it shows a direction and is no figure to reach."
)
READING = (
    "Lower is closer; a negative difference: the guidance brings the domains closer. ±: standard error by leaving out"
    " one photo at a time. The Frechet distance has no error here, and a bias that grows as patches get fewer: compare"
    " it only at equal numbers of patches. The kernel distance is unbiased where patches are independent; those of one"
    " photo are alike, which raises both distances when photos are few."
)


def domain_table(compared: Sequence[Compared], shown: Sequence[str], absent: Mapping[str, str], patches: int) -> str:
    """Markdown: three lines for each scale, a column for each figure, and why a column is empty.

    Args:
        shown: the networks that have columns.
        absent: network -> why it is missing, and the remedy.
        patches: of the folder that has fewer.
    """
    by = {(each.k, each.network, each.figure): each for each in compared}
    figures = [(name, figure) for name, figure in FIGURES if name in shown]
    lines = [f"| scale | pictures | {' | '.join(TITLES[figure] for figure in figures)} |"]
    lines.append("|---" * (2 + len(figures)) + "|")
    for k in dict.fromkeys(each.k for each in compared):
        for i, (picture, words) in enumerate(
            {"phi": f"phi_{k}(y)", "guided": f"R(H(phi_{k}(y)))", "difference": "difference"}.items()
        ):
            cells = [_cell(by.get((k, name, figure)), picture, i) for name, figure in figures]
            lines.append(f"| x{2**k} | {words} | {' | '.join(cells)} |")
    if any(figure in PAPER for figure in figures):
        cells = [PAPER.get(figure, "-") for figure in figures]
        lines.append(f"| x{2**PAPER_K} | paper | {' | '.join(cells)} |")
    notes = [f"{_titles(name)}: {absent[name]}." for name in shown if name in absent]
    notes += [
        f"{TITLES[name, 'frechet']}: needs at least {WIDTHS[name] + 1:,} patches of each folder, there are {patches:,};"
        " add photos, or choose a smaller --patch."
        for name in shown
        if name not in absent and patches <= WIDTHS[name]
    ]
    return "\n".join([*lines, "", READING, *([PAPER_NOTE] if "inception" in shown else []), *notes]) + "\n"


def _cell(each: Compared | None, picture: str, i: int) -> str:
    value = None if each is None else getattr(each, picture)
    if each is None or value is None:
        return "-"
    error = "" if each.errors is None else f" ± {each.errors[i]:.{_DECIMALS[each.figure]}f}"
    sign = "+" if picture == "difference" else ""
    return f"{value:{sign}.{_DECIMALS[each.figure]}f}{error}"


def _titles(name: str) -> str:
    return " and ".join(TITLES[name, figure] for figure in ("frechet", "kernel"))


def domain_values(compared: Sequence[Compared]) -> list[dict[str, Any]]:
    """Plain values, ready for JSON and CSV."""
    found = []
    for each in compared:
        errors = each.errors or (None, None, None)
        values = {key: value for key, value in asdict(each).items() if key != "errors"}
        values |= {"title": TITLES[each.network, each.figure], "difference": each.difference}
        values |= dict(zip(("phi_error", "guided_error", "difference_error"), errors, strict=True))
        found.append(values)
    return found
