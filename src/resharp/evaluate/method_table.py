"""What the scores of several methods come to: means, intervals, and how often a method does harm."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from resharp.evaluate.methods import INPUT, MethodScore
from resharp.evaluate.paired import bootstrap_interval

METRICS = ("psnr", "ssim", "lpips")
_DECIMALS = {"psnr": 2, "ssim": 4, "lpips": 4}


@dataclass(frozen=True)
class Estimate:
    """A mean over images with its 95 % bootstrap interval; a photo's seeds are averaged first."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class MethodSummary:
    """One method on one set.

    images: photos, which are what the bootstrap resamples.
    seeds: pictures of each.
    scores: by metric; without LPIPS where it was left out.
    gains: over the blurry input, image by image; positive is better, whatever the metric. Empty for the input.
    worse: by metric, the share of all pictures whose score is worse than their input's. Empty for the input.
    """

    set: str
    method: str
    images: int
    seeds: int
    scores: dict[str, Estimate]
    gains: dict[str, Estimate]
    worse: dict[str, float]


def summarise_methods(rows: Iterable[MethodScore], bootstrap_seed: int = 0) -> list[MethodSummary]:
    """One summary for each set and method, in the order of their first rows.

    Raises:
        ValueError: images of one set and method with unequal numbers of seeds.
    """
    grouped: dict[tuple[str, str], dict[str, list[MethodScore]]] = {}
    for row in rows:
        grouped.setdefault((row.set, row.method), {}).setdefault(row.image, []).append(row)
    summaries = []
    for (name, method), images in grouped.items():
        counts = {len(pictures) for pictures in images.values()}
        if len(counts) > 1:
            raise ValueError(f"{method}, {name}: images with unequal numbers of seeds, {sorted(counts)}")
        pictures = list(images.values())
        there = [metric for metric in METRICS if getattr(pictures[0][0], metric) is not None]
        scores = {metric: _estimate(_values(pictures, metric), bootstrap_seed) for metric in there}
        gains, worse = {}, {}
        if method != INPUT:
            for metric in there:
                gained = _values(pictures, f"{metric}_gain")
                gains[metric] = _estimate(gained, bootstrap_seed)
                worse[metric] = float((gained < 0).mean())
        summaries.append(MethodSummary(name, method, len(images), counts.pop(), scores, gains, worse))
    return summaries


def methods_table(summaries: Sequence[MethodSummary], notes: Sequence[str] = ()) -> str:
    """The summaries in Markdown, intervals in brackets, and the notes below as a list."""
    with_lpips = any("lpips" in summary.scores for summary in summaries)
    metrics = METRICS if with_lpips else METRICS[:2]
    gained = [metric for metric in metrics if metric != "ssim"]
    arrow = {"psnr": "↑", "ssim": "↑", "lpips": "↓"}
    heads = ["set", "method"]
    for metric in metrics:
        heads.append(f"{metric.upper()} {arrow[metric]}")
        heads += [f"{metric.upper()} gain"] if metric in gained else []
    heads += [f"worse {metric.upper()}" for metric in gained] + ["images", "seeds"]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for summary in summaries:
        cells = [summary.set, summary.method]
        for metric in metrics:
            cells.append(_cell(summary.scores.get(metric), _DECIMALS[metric]))
            if metric in gained:
                cells.append(_cell(summary.gains.get(metric), _DECIMALS[metric], signed=True))
        cells += [f"{summary.worse[m]:.0%}" if m in summary.worse else "-" for m in gained]
        cells += [str(summary.images), str(summary.seeds)]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    if notes:
        lines += ["", *(f"- {note}" for note in notes)]
    return "\n".join(lines) + "\n"


def _values(pictures: Sequence[Sequence[MethodScore]], field: str) -> np.ndarray:
    """(images, seeds)."""
    return np.array([[getattr(row, field) for row in of_image] for of_image in pictures], dtype=np.float64)


def _estimate(values: np.ndarray, bootstrap_seed: int) -> Estimate:
    per_image = values.mean(axis=1)
    return Estimate(float(per_image.mean()), *bootstrap_interval(per_image, bootstrap_seed))


def _cell(estimate: Estimate | None, decimals: int, signed: bool = False) -> str:
    if estimate is None or not math.isfinite(estimate.mean):
        return "-"
    mean, low, high = (
        f"{value:{'+' if signed else ''}.{decimals}f}" for value in (estimate.mean, estimate.low, estimate.high)
    )
    return f"{mean} [{low}, {high}]"
