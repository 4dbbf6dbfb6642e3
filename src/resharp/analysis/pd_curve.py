"""The perception-distortion curve of a model: many settings scored on pairs, with no network run twice for them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from resharp.analysis.scoring import PairSet
from resharp.diffusion.presets import Preset
from resharp.errors import ConfigError, DataError
from resharp.evaluate.centre import CentrePair
from resharp.evaluate.paired import standard_error
from resharp.evaluate.protocols import out_of_domain_pairs, paired_folder
from resharp.evaluate.score import PSNR_LIMIT_DB, Metric, Row, paired_scores
from resharp.metrics.full_reference import psnr, round_to_uint8, ssim
from resharp.moments import Moments
from resharp.pipeline import DeblurPipeline
from resharp.restoration import condition, predicted, self_ensemble

MIN_CROP_PX = 32
BLUR_SEED = 0
OnImage = Callable[[str, int, int, str], None]


@dataclass(frozen=True)
class Score:
    """A metric at one point.

    mean, error: over images, seeds averaged first, and its standard error.
    gain, gain_error: the same of how much better than the blurry photo, positive where it is, photo by photo.
        Photos differ more from each other than restorations do, so this error is the one to compare points by.
    """

    mean: float
    error: float
    gain: float
    gain_error: float


@dataclass(frozen=True)
class Point:
    """One way to restore, scored on one set of pairs; `scores` is by metric."""

    set: str
    settings: Preset
    images: int
    seeds: int
    scores: Mapping[str, Score]


def curve_sets(pairs: str, sharp: str | None, crop_px: int | None, limit: int | None) -> list[PairSet]:
    """Real pairs, and with `sharp` also photos blurred otherwise than in training.

    Args:
        pairs, sharp: folders.
        crop_px: at most so many px a side, from the middle; None takes whole pictures.
        limit: the first so many of each, by name; None takes all.

    Raises:
        ConfigError, DataError, ImageError: a folder, photo or number that cannot be used.
    """
    if crop_px is not None and crop_px < MIN_CROP_PX:
        raise ConfigError(f"crop is {crop_px}; allowed: {MIN_CROP_PX} or more")
    if limit is not None and limit < 1:
        raise ConfigError(f"limit is {limit}; allowed: 1 or more")
    found = {"real": (pairs, paired_folder(pairs))}
    if sharp is not None:
        found["out-of-domain"] = (sharp, out_of_domain_pairs(sharp, BLUR_SEED))
    sets = []
    for name, (folder, listed) in found.items():
        listed = listed[:limit]
        digest = hashlib.sha256(f"{name} {crop_px} {BLUR_SEED}".encode())
        for pair in listed:
            files = [getattr(pair, side, None) for side in ("blurry_path", "sharp_path")]
            for path in (path for path in files if path is not None):
                digest.update(os.fsencode(f"{path.name} {path.stat().st_size}\n"))
        about = f"{folder}, {len(listed)} photos" + ("" if crop_px is None else f", the middle {crop_px} px")
        cut = listed if crop_px is None else [CentrePair(pair, crop_px) for pair in listed]
        sets.append(PairSet(name, name.replace("-", " "), about, tuple(cut), digest.hexdigest()))
    return sets


def plan(
    pipeline: DeblurPipeline,
    *,
    steps: Sequence[int],
    samples: Sequence[int],
    fidelities: Sequence[float],
    final_variances: Sequence[float | None] = (None,),
    **others: object,
) -> list[Preset]:
    """The points: the input, the predictor, means of samples and mixes, and the model's presets, each once.

    With a predictor, mixes are of it and one sample. Without, they are of each number of samples above one.

    Args:
        others: more fields of `Preset` for all points of the diffusion, such as sampler and spacing.

    Raises:
        ConfigError: a value that is not allowed, or that this model cannot use.
    """
    has_predictor = pipeline.model.predictor is not None
    wanted = [Preset(output="input")]
    if has_predictor:
        wanted.append(Preset(output="predictor"))
    if pipeline.model.denoiser is not None:
        base = replace(pipeline.defaults.preset(), output="diffusion", ensemble=1, fidelity=None)
        for variance in final_variances:
            for count in steps:
                asked = {**others, "steps": count, "final_variance": variance}
                drawn = base.choose(asked, has_predictor=has_predictor)
                wanted += [replace(drawn, samples=number) for number in samples]
                mixed = [1] if has_predictor else [number for number in samples if number > 1]
                wanted += [replace(drawn, samples=n, fidelity=f) for n in mixed for f in sorted(fidelities)]
    for each in wanted:
        pipeline.choices.check(each)
    return list(dict.fromkeys([*wanted, *named(pipeline).values()]))


def named(pipeline: DeblurPipeline) -> dict[str, Preset]:
    """The model's presets, with the settings that count."""
    return {name: pipeline.choose(name) for name in pipeline.presets()}


def shared(pipeline: DeblurPipeline, settings: Preset) -> Preset:
    """The settings that give the same picture with less work; points that share them are scored once."""
    chosen = settings.choose({}, has_predictor=pipeline.model.predictor is not None)
    if chosen.output == "diffusion" and chosen.fidelity == 0:
        return replace(chosen, fidelity=None, samples=1, ensemble=1)
    return replace(chosen, fidelity=None) if chosen.fidelity == 1 else chosen


def draws(settings: Preset) -> Preset:
    """What two points must agree in to be made of the same samples."""
    return replace(settings, samples=1, ensemble=1, fidelity=None)


@torch.inference_mode()
def restorations(
    pipeline: DeblurPipeline, blurry: Tensor, wanted: Sequence[Preset], seed: int
) -> Iterator[tuple[Preset, Tensor]]:
    """Each of `wanted`, from `shared`, and the picture (1, 3, H, W) that `DeblurPipeline.restore` gives for it.

    The predictor runs once for each ensemble, and each sample is drawn once for all points that use it.
    """
    placed = blurry.to(pipeline.device, torch.float32)
    conditions = condition(pipeline.model, placed)
    predictions: dict[int, Tensor] = {}

    def prediction(ensemble: int) -> Tensor | None:
        if conditions.g is None:
            return None
        if ensemble not in predictions:
            alone = ensemble == 1
            g = predicted(conditions) if alone else self_ensemble(pipeline.model, placed, ensemble)
            predictions[ensemble] = g.cpu()
        return predictions[ensemble]

    groups: dict[Preset, list[Preset]] = {}
    for each in wanted:
        if each.output == "diffusion":
            groups.setdefault(draws(each), []).append(each)
        else:
            yield each, blurry if each.output == "input" else prediction(each.ensemble)
    for drawn, group in groups.items():
        moments = Moments()
        for index in range(max(each.samples for each in group)):
            moments.add(pipeline.draw(conditions, drawn, seed, [index]))
            for each in (each for each in group if each.samples == index + 1):
                g = None if each.fidelity is None else prediction(each.ensemble)
                yield each, moments.result(each.fidelity, g)


def measure(
    pipeline: DeblurPipeline,
    pairs: PairSet,
    wanted: Sequence[Preset],
    *,
    seeds: Sequence[int],
    lpips: Metric | None,
    on_image: OnImage,
) -> Iterator[list[Point]]:
    """Score `wanted` on a set, and yield the points whenever all that share their samples are done.

    Args:
        seeds: of the diffusion's noise; the rest does not depend on it and is scored once.
        on_image: called with what is being scored, how many photos are done, how many there are, and a name.

    Raises:
        ImageError, DataError: a pair that cannot be loaded, or is too small for a metric.
    """
    units: dict[Preset, dict[Preset, list[Preset]]] = {}
    for each in wanted:
        same = shared(pipeline, each)
        units.setdefault(draws(same), {}).setdefault(same, []).append(each)
    for unit, groups in units.items():
        drawn = unit.output == "diffusion"
        rows: dict[Preset, list[Row]] = {each: [] for each in groups}
        for done, pair in enumerate(pairs.pairs, start=1):
            blurry, sharp = pair.load()
            before = _measure(blurry, sharp, lpips, pair.name)
            for seed in seeds if drawn else seeds[:1]:
                for each, image in restorations(pipeline, blurry, list(groups), seed):
                    after = _measure(image, sharp, lpips, pair.name)
                    rows[each] += [Row(pair.name, seed, metric, before[metric], after[metric]) for metric in after]
            on_image(f"{pairs.title}, {unit}", done, len(pairs.pairs), pair.name)
        yield [
            Point(pairs.name, settings, len(pairs.pairs), len(seeds) if drawn else 1, _scores(rows[each]))
            for each, same in groups.items()
            for settings in same
        ]


def _scores(rows: Sequence[Row]) -> dict[str, Score]:
    return {
        metric: Score(
            float(found.per_image.mean()),
            standard_error(found.per_image),
            float(found.gains.mean()),
            standard_error(found.gains),
        )
        for metric, found in paired_scores(rows).items()
    }


def _measure(image: Tensor, sharp: Tensor, lpips: Metric | None, name: str) -> dict[str, float]:
    try:
        values = {"psnr": min(float(psnr(image, sharp)), PSNR_LIMIT_DB), "ssim": float(ssim(image, sharp))}
        if lpips is not None:
            with torch.inference_mode():
                values["lpips"] = float(lpips(round_to_uint8(image), round_to_uint8(sharp)))
    except ValueError as error:
        raise DataError(f"{name}: {error}") from error
    return values
