"""Score anything that restores images on a list of pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from resharp.errors import DataError
from resharp.evaluate.paired import PairedScores, bootstrap_interval, standard_error
from resharp.evaluate.pairs import Pair
from resharp.metrics.full_reference import psnr, round_to_uint8, ssim

Metric = Callable[[Tensor, Tensor], Tensor]
Restore = Callable[[Tensor, int], Tensor]

# Two equal images have infinite PSNR, which has no mean and no place in JSON. One step of one channel in one
# pixel of a 1280x720 photo is 113 dB, so the limit tells no two real restorations apart.
PSNR_LIMIT_DB = 100.0


class Row(NamedTuple):
    """One score: `metric` of the blurry photo `name`, and of its restoration with `seed`."""

    name: str
    seed: int
    metric: str
    blurry: float
    restored: float


@dataclass(frozen=True)
class Summary:
    """One metric over a set. `gain` and what follows count positive as better, whatever the metric.

    blurry, restored: means over images, seeds averaged first (so each image counts once).
    gain_error: standard error of the mean gain over images; NaN for one image.
    gain_low, gain_high: 95 % bootstrap interval of the mean gain, images resampled.
    """

    metric: str
    images: int
    seeds: int
    blurry: float
    restored: float
    gain: float
    gain_error: float
    gain_low: float
    gain_high: float


def score_restorer(
    restore: Restore,
    pairs: Iterable[Pair],
    seeds: Sequence[int],
    lpips: Metric | None = None,
    progress: Callable[[int, str], None] | None = None,
    deterministic: bool = False,
) -> list[Row]:
    """PSNR, SSIM and, if given, LPIPS of every pair before and after `restore`, for every seed.

    All are measured on 8-bit values, as a saved file would hold. The blurry photo is scored once, and so is
    the restored one where `restore` is deterministic.

    Args:
        restore: (blurry (1, 3, H, W) in [0, 1], seed) -> restored, same shape, any device and float type.
        pairs: from `protocols`.
        seeds: at least one, all different.
        lpips: for example `load_lpips(path)`.
        progress: called after each restoration with how many are done and the pair's name.
        deterministic: `restore` does not depend on the seed: it is called once per pair, with the first seed,
            and the result is filed under each seed.

    Returns:
        One row per pair, seed and metric, in that order. PSNR is cut off at 100 dB.

    Raises:
        ImageError, DataError: a pair that cannot be loaded, or is too small for a metric.
        ValueError: bad seeds, or a restoration of another shape or with values that are not finite.
    """
    if not seeds or len(set(seeds)) != len(seeds):
        raise ValueError(f"seeds: expected at least one and no repeats, got {list(seeds)}")
    metrics = metrics_with(lpips)
    rows: list[Row] = []
    done = 0
    for pair in pairs:
        blurry, sharp = pair.load()
        before = measured(metrics, blurry, sharp, pair.name)
        for seed in seeds:
            if seed == seeds[0] or not deterministic:
                after = measured(metrics, checked(restore, blurry, seed, pair.name), sharp, pair.name)
                done += 1
                if progress is not None:
                    progress(done, pair.name)
            rows += [Row(pair.name, seed, metric, before[metric], after[metric]) for metric in metrics]
    return rows


def paired_scores(rows: Iterable[Row]) -> dict[str, PairedScores]:
    """Rows as arrays, by metric; images in the order of their first row, seeds in ascending order.

    Raises:
        ValueError: no rows, or an image and seed that one of the metrics lacks or has twice.
    """
    by_metric: dict[str, dict[str, dict[int, Row]]] = {}
    for row in rows:
        of_image = by_metric.setdefault(row.metric, {}).setdefault(row.name, {})
        if row.seed in of_image:
            raise ValueError(f"{row.name}, seed {row.seed}: two rows of {row.metric}")
        of_image[row.seed] = row
    if not by_metric:
        raise ValueError("no rows to summarise")
    scores = {}
    for metric, images in by_metric.items():
        seeds = sorted(next(iter(images.values())))
        for name, of_image in images.items():
            if sorted(of_image) != seeds:
                raise ValueError(f"{name}: {metric} for seeds {sorted(of_image)}, others have {seeds}")
        # Where the seed decides the blur too, an image's restored mean belongs beside its blurry mean.
        blurry = [np.mean([of_image[seed].blurry for seed in seeds]) for of_image in images.values()]
        restored = [[of_image[seed].restored for seed in seeds] for of_image in images.values()]
        scores[metric] = PairedScores(metric, np.array(blurry), np.array(restored))
    return scores


def summarise(rows: Iterable[Row], bootstrap_seed: int = 0) -> list[Summary]:
    """One `Summary` per metric, in the order of the rows; errors as in `paired_scores`."""
    summaries = []
    for metric, scores in paired_scores(rows).items():
        low, high = bootstrap_interval(scores.gains, bootstrap_seed)
        summaries.append(
            Summary(
                metric=metric,
                images=scores.images,
                seeds=scores.seeds,
                blurry=float(scores.blurry.mean()),
                restored=float(scores.per_image.mean()),
                gain=float(scores.gains.mean()),
                gain_error=standard_error(scores.gains),
                gain_low=low,
                gain_high=high,
            )
        )
    return summaries


def metrics_with(lpips: Metric | None) -> dict[str, Metric]:
    """PSNR, SSIM and, if given, LPIPS, by name."""
    return {"psnr": psnr, "ssim": ssim} | ({} if lpips is None else {"lpips": lpips})


def checked(restore: Restore, blurry: Tensor, seed: int, name: str) -> Tensor:
    """What `restore` makes of a blurry photo, float32 on the CPU; ValueError where that is no such picture."""
    with torch.no_grad():
        # A copy: a restorer that writes into its input must not spoil the next seed's.
        restored = restore(blurry.clone(), seed).detach().float().cpu()
    if restored.shape != blurry.shape:
        raise ValueError(f"{name}: restored to {tuple(restored.shape)}, the photo is {tuple(blurry.shape)}")
    if not torch.isfinite(restored).all():
        raise ValueError(f"{name}: the restoration has values that are not finite numbers")
    return restored


def measured(metrics: dict[str, Metric], image: Tensor, sharp: Tensor, name: str) -> dict[str, float]:
    """Each metric of one picture, both rounded to 8 bits; PSNR is cut off at 100 dB.

    Raises:
        DataError: the picture is too small for a metric.
    """
    image, sharp = round_to_uint8(image), round_to_uint8(sharp)
    try:
        with torch.no_grad():
            values = {metric: float(measure(image, sharp)) for metric, measure in metrics.items()}
    except ValueError as error:
        raise DataError(f"{name}: {error}") from error
    values["psnr"] = min(values["psnr"], PSNR_LIMIT_DB)
    return values
