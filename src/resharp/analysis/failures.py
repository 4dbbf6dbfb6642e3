"""Where a method fails: the worst images by each metric, and the conditions that go with bad results."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from resharp.assessment.measures import measure
from resharp.assessment.report import assess_input
from resharp.assessment.tiles import gray
from resharp.errors import DataError
from resharp.evaluate.paired import gains
from resharp.evaluate.score import PSNR_LIMIT_DB, Metric, measured, metrics_with
from resharp.evaluate.trios import Trio, key_of
from resharp.images.formats import FORMAT_BY_SUFFIX
from resharp.metrics.catalogue import METRICS

GAIN = "_gain"
# A rank correlation of fewer is chance.
LEAST_IMAGES = 10
RESAMPLES = 1000
NAME_COLUMNS = ("name", "image", "file")

OnImage = Callable[[str, int, int, str], None]


@dataclass(frozen=True)
class Judged:
    """One image.

    scores: metric -> figure; `psnr_gain` and the like are over the blurry photo, positive where better.
    conditions: see `conditions_of`; None where one cannot be told.
    """

    name: str
    scores: Mapping[str, float]
    conditions: Mapping[str, float | None]


@dataclass(frozen=True)
class Correlation:
    """Spearman's rank correlation of how bad images are by a metric with a condition: positive is worse with more.

    low, high: 95 % percentile bootstrap over images; rho and both are None where the condition is the same
        everywhere.
    """

    metric: str
    condition: str
    images: int
    rho: float | None
    low: float | None
    high: float | None


def judge(
    trios: Sequence[Trio],
    lpips: Metric | None = None,
    given: Mapping[str, Mapping[str, float]] | None = None,
    on_image: OnImage | None = None,
) -> list[Judged]:
    """Scores and conditions of every image.

    PSNR, SSIM and, if given, LPIPS, and with blurry photos the gains over them; PSNR is cut off at 100 dB.

    Args:
        given: name -> scores that were measured before, in place of these; see `read_scores`.

    Raises:
        DataError: a photo too small for a metric.
        ImageError: one that cannot be read.
    """
    found = []
    metrics = metrics_with(lpips)
    for done, trio in enumerate(trios, start=1):
        restored, sharp, blurry = trio.load()
        scores = dict(given[trio.name]) if given is not None else measured(metrics, restored, sharp, trio.name)
        if blurry is not None and given is None:
            before = measured(metrics, blurry, sharp, trio.name)
            scores |= {m + GAIN: float(gains(m, np.array(before[m]), np.array(scores[m]))) for m in metrics}
        found.append(Judged(trio.name, scores, conditions_of(blurry, sharp)))
        if on_image is not None:
            on_image("judging", done, len(trios), trio.name)
    return found


def conditions_of(blurry: Tensor | None, sharp: Tensor) -> dict[str, float | None]:
    """What may make a photo hard, of the blurry photo or, where there is none, of the sharp one.

    darkness: 1 minus the mean luma, gamma-encoded. dark_share: of pixels below 0.1. saturated_share: of pixels with
    a channel at 253 of 255 or more. blur_extent_px, noise_sigma: estimates from the blurry photo alone (docs/trust.md).

    Args:
        blurry, sharp: (1, 3, H, W) in [0, 1].
    """
    photo = sharp if blurry is None else blurry
    found = measure(photo)
    conditions: dict[str, float | None] = {
        "darkness": 1 - float(gray(photo).mean()),
        "dark_share": found.dark_share,
        "saturated_share": found.saturated_share,
    }
    if blurry is not None:
        report = assess_input(blurry)
        conditions |= {"blur_extent_px": report.blur_extent_px, "noise_sigma": report.noise_sigma}
    return conditions


def read_scores(path: str | os.PathLike[str], names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Scores of each image from a CSV with a column `name` (or `image`, `file`) and columns named after metrics.

    Other columns are left alone; PSNR is cut off at 100 dB.

    Args:
        names: of all images that must be in it.

    Raises:
        DataError: no such file, no such columns, an image that is missing or there twice, or a score that is no
            number.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a CSV ({error})") from error
    columns = list(lines[0]) if lines else []
    name_column = next((column for column in NAME_COLUMNS if column in columns), None)
    metrics = [column for column in columns if column in METRICS]
    if name_column is None or not metrics:
        raise DataError(f"{path}: expected a column 'name' and columns such as psnr or lpips-alex, found {columns}")
    found: dict[str, dict[str, float]] = {}
    for line in lines:
        name = _key(line[name_column] or "")
        if name in found:
            raise DataError(f"{path}: {name} is there twice; give the scores of one method")
        found[name] = {metric: _number(line[metric], path, name, metric) for metric in metrics}
    for name in names:
        if name not in found:
            raise DataError(f"{path}: has no scores of {name}")
    return found


def _key(written: str) -> str:
    path = Path(written)
    return key_of(path.stem if path.suffix.lower() in FORMAT_BY_SUFFIX else path.name)


def _number(text: str | None, path: Path, name: str, metric: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if metric.startswith("psnr"):
        value = min(value, PSNR_LIMIT_DB)
    if not math.isfinite(value):
        raise DataError(f"{path}: {metric} of {name} is {text!r}; every image needs a number, or leave the column out")
    return value


def higher_is_better(metric: str) -> bool:
    """PSNR, SSIM and all gains; of the rest less is better."""
    return metric.startswith(("psnr", "ssim")) or metric.endswith(GAIN)


def badness(images: Sequence[Judged], metric: str) -> np.ndarray:
    """(N,), more is worse."""
    values = np.array([image.scores[metric] for image in images])
    return -values if higher_is_better(metric) else values


def worst(images: Sequence[Judged], count: int) -> dict[str, list[str]]:
    """Metric -> names of its `count` worst images, the worst first; of equals the earlier one."""
    metrics = images[0].scores
    order = {metric: np.argsort(-badness(images, metric), kind="stable")[:count] for metric in metrics}
    return {metric: [images[i].name for i in found] for metric, found in order.items()}


def correlations(images: Sequence[Judged], seed: int = 0) -> list[Correlation]:
    """Of every metric with every condition, over the images where the condition is known.

    Empty with fewer than `LEAST_IMAGES` images; so is a condition known for fewer.
    """
    found = []
    metrics = list(images[0].scores)
    for condition in images[0].conditions:
        known = [image for image in images if image.conditions[condition] is not None]
        if len(known) < LEAST_IMAGES:
            continue
        values = np.array([image.conditions[condition] for image in known], dtype=np.float64)
        bad = np.stack([badness(known, metric) for metric in metrics])
        rho = _spearman(bad, values)
        rng = np.random.default_rng(seed)
        draws = []
        for _ in range(RESAMPLES):
            chosen = rng.integers(len(known), size=len(known))
            draws.append(_spearman(bad[:, chosen], values[chosen]))
        for metric, value, of_metric in zip(metrics, rho, np.array(draws).T, strict=True):
            found.append(Correlation(metric, condition, len(known), *_interval(float(value), of_metric)))
    return found


def _interval(rho: float, draws: np.ndarray) -> tuple[float | None, float | None, float | None]:
    defined = draws[~np.isnan(draws)]  # a resample may hold one image only, again and again
    if math.isnan(rho) or len(defined) < 0.9 * len(draws):
        return None if math.isnan(rho) else rho, None, None
    low, high = np.percentile(defined, [2.5, 97.5])
    return rho, float(low), float(high)


def _spearman(rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Of each row (M, N) with the values (N,); NaN where one is constant."""
    y = _ranks(values)
    found = []
    for row in rows:
        x = _ranks(row)
        scale = math.sqrt(float(x @ x) * float(y @ y))
        found.append(float(x @ y) / scale if scale > 0 else math.nan)
    return np.array(found)


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks around 0, equal values with the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts - 1) / 2
    return (middle - (len(values) + 1) / 2)[place]
