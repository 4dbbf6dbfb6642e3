"""Score folders of restored pictures, whoever made them, image by image and as a set."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from resharp.errors import DataError
from resharp.evaluate.paired import bootstrap_interval
from resharp.evaluate.score import PSNR_LIMIT_DB
from resharp.evaluate.score_store import ScoreStore
from resharp.evaluate.trios import Trio
from resharp.metrics.kinds import Absent, PairMetric, SetMetric

OnImage = Callable[[str, int, int, str], None]
PATCHES_AT_ONCE = 16


@dataclass(frozen=True)
class Column:
    """One metric of one method.

    mean: over images, or the figure of the whole set; None where there is none, and `why` says the reason.
    low, high: 95 % bootstrap interval of the mean, images resampled; None for a figure of the whole set.
    per_image: by image; empty for a figure of the whole set.
    """

    metric: str
    mean: float | None
    low: float | None = None
    high: float | None = None
    why: str | None = None
    per_image: dict[str, float] | None = None


def evaluate_folder(
    method: str,
    trios: Sequence[Trio],
    metrics: Sequence[PairMetric | SetMetric | Absent],
    store: ScoreStore,
    seed: int = 0,
    on_image: OnImage | None = None,
) -> list[Column]:
    """Every metric of one method's pictures.

    Args:
        method: for messages.
        trios: from `find_trios`.
        metrics: from `choose_metrics`.
        store: keeps what is measured, so that a stopped evaluation goes on.
        seed: of the bootstrap.
        on_image: called with what is done, how many of how many, and the image's name.

    Returns:
        One column per metric, in their order. PSNR is cut off at 100 dB.

    Raises:
        ImageError: a picture that cannot be read.
        DataError: one that is too small for a metric, or for which it is not defined.
    """
    pair_metrics = [metric for metric in metrics if isinstance(metric, PairMetric)]
    values: dict[str, dict[str, float]] = {metric.name: {} for metric in pair_metrics}
    for done, trio in enumerate(trios, 1):
        for name, value in _image_scores(trio, pair_metrics, store).items():
            values[name][trio.name] = value
        if on_image is not None:
            on_image(method, done, len(trios), trio.name)
    columns = []
    for metric in metrics:
        if isinstance(metric, Absent):
            columns.append(Column(metric.name, None, why=f"{metric.why}; {metric.remedy}"))
        elif isinstance(metric, SetMetric):
            columns.append(_set_score(metric, trios))
        else:
            scores = np.array(list(values[metric.name].values()))
            low, high = bootstrap_interval(scores, seed)
            columns.append(Column(metric.name, float(scores.mean()), low, high, per_image=values[metric.name]))
    return columns


def _image_scores(trio: Trio, metrics: Sequence[PairMetric], store: ScoreStore) -> dict[str, float]:
    found = {metric.name: store.find(trio, metric) for metric in metrics}
    missing = [metric for metric in metrics if found[metric.name] is None]
    if missing:
        restored, sharp, _ = trio.load()
        for metric in missing:
            try:
                with torch.no_grad():
                    value = float(metric.measure(restored, sharp))
            except ValueError as error:
                raise DataError(f"{trio.restored}: {metric.title}: {error}") from error
            if metric.name.startswith("psnr"):
                value = min(value, PSNR_LIMIT_DB)
            if not math.isfinite(value):
                raise DataError(f"{trio.restored}: {metric.title} is not a finite number; leave the metric out")
            store.add(trio, metric, value)
            found[metric.name] = value
    return {name: value for name, value in found.items() if value is not None}


def _set_score(metric: SetMetric, trios: Sequence[Trio]) -> Column:
    features = []
    for side in ("restored", "sharp"):
        parts: list[Tensor] = []
        batch: list[Tensor] = []
        for patch in _patches(trios, side, metric.patch_px):
            batch.append(patch)
            if len(batch) == PATCHES_AT_ONCE:
                parts.append(metric.features(torch.stack(batch)))
                batch = []
        if batch:
            parts.append(metric.features(torch.stack(batch)))
        count = sum(len(part) for part in parts)
        if count < metric.min_patches:
            px = metric.patch_px
            return Column(metric.name, None, why=f"{count} patches of {px} px; {metric.min_patches} are needed")
        features.append(torch.cat(parts).numpy())
    return Column(metric.name, float(metric.distance(features[0], features[1])))


def _patches(trios: Sequence[Trio], side: str, px: int) -> Iterator[Tensor]:
    """Patches (3, px, px) side by side from the top left; what is left over at the edges is not used."""
    for trio in trios:
        image = trio.load()[0 if side == "restored" else 1][0]
        for top in range(0, image.shape[-2] - px + 1, px):
            for left in range(0, image.shape[-1] - px + 1, px):
                yield image[:, top : top + px, left : left + px]
