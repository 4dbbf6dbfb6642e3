"""Failures in words: captions, a table of the worst images, and correlations with conditions."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from resharp.analysis.failures import LEAST_IMAGES, Correlation, Judged

CONDITIONS = {
    "darkness": "darkness",
    "dark_share": "dark share",
    "saturated_share": "saturated share",
    "blur_extent_px": "blur extent",
    "noise_sigma": "noise",
}
READING = (
    "Rank correlation of how bad an image is with a condition; positive: the more of it, the worse. In brackets: 95 %"
    " percentile bootstrap over images, which takes them as independent; of many intervals some leave out 0 by chance."
    " PSNR and SSIM depend on the scene as much as on the method, so look at the gains over the blurry photo first."
)


def ranks_of(ranked: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Image -> "psnr 1" and so on, in the order of the metrics and their ranks."""
    found: dict[str, list[str]] = {}
    for metric, names in ranked.items():
        for rank, name in enumerate(names, start=1):
            found.setdefault(name, []).append(f"{metric} {rank}")
    return found


def caption(image: Judged, ranks: Sequence[str]) -> list[str]:
    """Two lines: which image and what it is worst by, then its figures and conditions."""
    scores = (f"{metric} {score(metric, value)}" for metric, value in image.scores.items())
    conditions = (f"{CONDITIONS[key]} {_condition(key, value)}" for key, value in image.conditions.items())
    return [f"{image.name}; worst by: {', '.join(ranks)}", f"{', '.join(scores)}; {', '.join(conditions)}"]


def failures_table(images: Sequence[Judged], ranked: Mapping[str, Sequence[str]], found: Sequence[Correlation]) -> str:
    """Markdown: the worst images with the median of all below them, then the correlations."""
    by = {image.name: image for image in images}
    metrics, conditions = list(images[0].scores), list(images[0].conditions)
    heading = ["image", "worst by", *metrics, *(CONDITIONS[key] for key in conditions)]
    lines = [f"| {' | '.join(heading)} |", "|---" * len(heading) + "|"]
    for name, ranks in ranks_of(ranked).items():
        image = by[name]
        cells = [score(metric, image.scores[metric]) for metric in metrics]
        cells += [_condition(key, image.conditions[key]) for key in conditions]
        lines.append(f"| {name.replace('|', chr(92) + '|')} | {', '.join(ranks)} | {' | '.join(cells)} |")
    medians = [score(metric, statistics.median(image.scores[metric] for image in images)) for metric in metrics]
    for key in conditions:
        known = [value for image in images if (value := image.conditions[key]) is not None]
        medians.append(_condition(key, statistics.median(known) if known else None))
    lines += [f"| median of all {len(images)} | | {' | '.join(medians)} |", ""]
    return "\n".join(lines + _correlations(images, metrics, conditions, found)) + "\n"


def _correlations(
    images: Sequence[Judged], metrics: Sequence[str], conditions: Sequence[str], found: Sequence[Correlation]
) -> list[str]:
    if not found:
        return [f"Rank correlations need at least {LEAST_IMAGES} images, there are {len(images)}."]
    by = {(each.metric, each.condition): each for each in found}
    lines = [
        f"| worse by | {' | '.join(CONDITIONS[key] for key in conditions)} |",
        "|---" * (1 + len(conditions)) + "|",
    ]
    for metric in metrics:
        lines.append(f"| {metric} | {' | '.join(_rho(by.get((metric, key))) for key in conditions)} |")
    return [*lines, "", READING]


def _rho(each: Correlation | None) -> str:
    if each is None or each.rho is None:
        return "-"
    interval = "" if each.low is None or each.high is None else f" [{each.low:+.2f}, {each.high:+.2f}]"
    return f"{each.rho:+.2f}{interval}"


def score(metric: str, value: float) -> str:
    """A figure with the decimals it deserves."""
    sign = "+" if metric.endswith("_gain") else ""
    return f"{value:{sign}.{2 if metric.startswith(('psnr', 'fid')) else 4}f}"


def _condition(key: str, value: float | None) -> str:
    if value is None:
        return "-"
    if key.endswith("_share"):
        return f"{value:.1%}"
    return f"{value:.1f} px" if key.endswith("_px") else f"{value:.{4 if key == 'noise_sigma' else 3}f}"


def failure_rows(images: Sequence[Judged], ranked: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """Plain values of all images, ready for CSV and JSON; an empty condition is None."""
    ranks = ranks_of(ranked)
    return [
        {"name": image.name, **image.scores, **image.conditions, "worst_by": ", ".join(ranks.get(image.name, []))}
        for image in images
    ]
