"""Score folders of restored pictures, whoever made them, image by image and as a set."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from resharp.errors import DataError
from resharp.evaluate.paired import bootstrap_interval
from resharp.evaluate.score import PSNR_LIMIT_DB
from resharp.evaluate.score_store import ScoreStore
from resharp.evaluate.trios import Trio
from resharp.images.headers import upright_size
from resharp.images.reading import read_photo
from resharp.images.tensors import photo_to_tensor
from resharp.metrics.backbones import how_to_fetch
from resharp.metrics.kinds import Absent, PairMetric, SetMetric

OnImage = Callable[[str, int, int, str], None]
# Features by the network that made them, side of the patches, and photos.
FeaturesOf = dict[tuple[Callable[[Tensor], Tensor], int, tuple[Path, ...]], np.ndarray]
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
    of_sharp: FeaturesOf | None = None,
) -> list[Column]:
    """Every metric of one method's pictures.

    Args:
        method: for messages.
        trios: from `find_trios`.
        metrics: from `choose_metrics`.
        store: keeps what is measured, so that a stopped evaluation goes on.
        seed: of the bootstrap.
        on_image: called with what is done, how many of how many, and the image's name.
        of_sharp: the same table for all methods of a set spares computing the features of its sharp photos again.

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
    of_restored: FeaturesOf = {}
    for metric in metrics:
        if isinstance(metric, Absent):
            columns.append(Column(metric.name, None, why=f"{metric.why}; {how_to_fetch(metric.remedy)}"))
        elif isinstance(metric, SetMetric):
            columns.append(_set_score(metric, trios, of_restored, {} if of_sharp is None else of_sharp))
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


def _set_score(metric: SetMetric, trios: Sequence[Trio], of_restored: FeaturesOf, of_sharp: FeaturesOf) -> Column:
    px = metric.patch_px
    # Both sides have as many: sizes are equal.
    count = sum(math.prod(side // px for side in upright_size(trio.sharp)) for trio in trios)
    if count < metric.min_patches:
        return Column(metric.name, None, why=f"{count:,} patches of {px} px; {metric.min_patches:,} are needed")
    restored = _features(metric, [trio.restored for trio in trios], of_restored)
    sharp = _features(metric, [trio.sharp for trio in trios], of_sharp)
    return Column(metric.name, float(metric.distance(restored, sharp)))


def _features(metric: SetMetric, paths: Sequence[Path], known: FeaturesOf) -> np.ndarray:
    """(N, D) of all patches; metrics of one network share them."""
    key = (metric.features, metric.patch_px, tuple(paths))
    if key not in known:
        patches = _patches(paths, metric.patch_px)
        parts = []
        while batch := list(islice(patches, PATCHES_AT_ONCE)):
            parts.append(metric.features(torch.stack(batch)))
        known[key] = torch.cat(parts).numpy()
    return known[key]


def _patches(paths: Sequence[Path], px: int) -> Iterator[Tensor]:
    """Patches (3, px, px) side by side from the top left; what is left over at the edges is not used."""
    for path in paths:
        image = photo_to_tensor(read_photo(path))[0]
        for top in range(0, image.shape[-2] - px + 1, px):
            for left in range(0, image.shape[-1] - px + 1, px):
                yield image[:, top : top + px, left : left + px]
