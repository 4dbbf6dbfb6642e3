"""One adaptation from beginning to end: photos, their blur, a fine-tune, and the check that decides."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from resharp.adapt.adversarial import DomainLoss
from resharp.adapt.batches import ReblurBatches, margin_px
from resharp.adapt.blurs import Blurs, find_blurs
from resharp.adapt.check import HeldOutCheck, accepted, as_dicts, made_pairs
from resharp.adapt.photos import OnPhoto, UserPhoto, UserPhotos, open_photos
from resharp.adapt.settings import DEFAULTS, AdaptSettings, tuning_config
from resharp.adapt.sharp import SharpPictures, sharp_folder, shrunk_photos
from resharp.adapt.tuning import OnStep, Tuner
from resharp.data.source import Batching
from resharp.errors import ConfigError, DataError, ModelError
from resharp.evaluate.score import Metric
from resharp.pipeline import DeblurPipeline
from resharp.train.batches import Part, Parts
from resharp.train.config import TrainConfig
from resharp.train.data import open_data


@dataclass(frozen=True)
class Inputs:
    """Where an adaptation takes its pictures from.

    photos: a folder of blurry photos. sharp: of sharp ones, None uses the photos at half their size.
    data: source data of the adversarial method, as for training. work: for checkpoints.
    """

    photos: str
    sharp: str | None = None
    data: tuple[str, ...] = ()
    work: Path | None = None


@dataclass(frozen=True)
class Watch:
    """Called as the work goes on."""

    on_photo: OnPhoto = lambda what, done, total, name: None
    on_step: OnStep = lambda done, total: None
    report: Callable[[str], None] = lambda text: None


@dataclass(frozen=True, eq=False)
class Adapted:
    """The adapted pipeline, whether the check accepts it, and the report as plain values."""

    pipeline: DeblurPipeline
    accepted: bool
    report: dict[str, Any] = field(repr=False)


def adapt(
    pipeline: DeblurPipeline,
    inputs: Inputs,
    settings: AdaptSettings = AdaptSettings(),
    *,
    base: TrainConfig = DEFAULTS,
    lpips: Metric | None = None,
    identity: str = "",
    watch: Watch = Watch(),
) -> Adapted:
    """Adapt a model to blurry photos without sharp partners, and check the result on what was held out.

    Args:
        pipeline: the model; it is not changed.
        base: losses and ordinary blur of the fine-tune; see `tuning_config`.
        lpips: the perceptual metric of the check; SSIM without.
        identity: what the model is, for checkpoints.

    Raises:
        ImageError, DataError: photos, sharp pictures or source data that cannot be used, or too few of them.
        ModelError: the adversarial method on a model without guidance.
        ConfigError: settings that do not go together; TrainingError: no finite loss.
    """
    started = time.monotonic()
    _check_inputs(pipeline, inputs, settings)
    config = tuning_config(settings, pipeline.model, pipeline.schedule, base)
    photos = open_photos(inputs.photos, settings.window_px, settings.held_out_share, watch.on_photo)
    parts = checked_parts(pipeline)
    restored = {
        side: _restored(pipeline, parts[0], getattr(photos, side), settings.seed, watch.on_photo)
        for side in ("fit", "held_out")
    }
    needed_px = config.crop_px + 2 * margin_px(config)
    if inputs.sharp is not None:
        pictures = sharp_folder(inputs.sharp, needed_px)
    else:
        pictures = shrunk_photos(photos.fit, restored["fit"], photos.held_out, restored["held_out"], needed_px)
    blurs = {
        side: find_blurs(getattr(photos, side), restored[side], watch.on_photo, f"{inputs.photos}, {words}")
        for side, words in (("fit", "photos to fit"), ("held_out", "held-out photos"))
    }
    tuner = _tuner(pipeline, inputs, settings, config, photos, pictures, blurs["fit"], identity)
    watch.report(f"fine-tuning {config.steps} steps from step {tuner.step}")
    average = tuner.run(watch.on_step)
    tuned = _with_weights(pipeline, average)
    watch.report("checking on what was held out")
    check = HeldOutCheck(
        photos.held_out, made_pairs(pictures.held_out, blurs["held_out"], settings.seed), lpips, settings.seed
    )
    found, rows = check.compare(*({part: _restorer(each, part) for part in parts} for each in (pipeline, tuned)))
    verdict = accepted(found)
    report = {
        "decision": "accepted" if verdict else "refused",
        "requirements": as_dicts(found),
        "held_out_photos": rows,
        "settings": asdict(settings),
        "losses": tuner.log,
        "skipped_steps": tuner.skipped,
        "photos": {
            **{side: [photo.name for photo in getattr(photos, side)] for side in ("fit", "held_out")},
            "left_out": list(photos.left_out),
        },
        "sharp": {"origin": pictures.origin, "fit": len(pictures.source), "held_out": len(pictures.held_out)},
        "blurs": {side: _about(each) for side, each in blurs.items()},
        "seconds": time.monotonic() - started,
    }
    return Adapted(tuned, verdict, report)


def checked_parts(pipeline: DeblurPipeline) -> list[str]:
    """The parts that the check looks at: the default first, or the predictor where the default is the input."""
    there = {"predictor": pipeline.model.predictor, "diffusion": pipeline.model.denoiser}
    parts = [name for name, part in there.items() if part is not None]
    return sorted(parts, key=lambda name: name != pipeline.defaults.output)


def _check_inputs(pipeline: DeblurPipeline, inputs: Inputs, settings: AdaptSettings) -> None:
    if settings.method == "adversarial":
        if not inputs.data:
            raise ConfigError("--method adversarial needs --data, the photographs that the model was trained on")
        if pipeline.model.guidance is None:
            raise ModelError("--method adversarial acts on guidance features, and this model has no guidance")
    elif inputs.data:
        raise ConfigError("--data is for --method adversarial; sharp photos for --method reblur are --sharp")


def _restored(
    pipeline: DeblurPipeline, part: str, photos: tuple[UserPhoto, ...], seed: int, on_photo: OnPhoto
) -> list[Tensor]:
    restore = _restorer(pipeline, part)
    pictures = []
    for i, photo in enumerate(photos):
        pictures.append(restore(photo.window, seed))
        on_photo("restoring", i + 1, len(photos), photo.name)
    return pictures


def _restorer(pipeline: DeblurPipeline, part: str) -> Callable[[Tensor, int], Tensor]:
    return lambda blurry, seed: pipeline.restore(blurry, output=part, seed=seed).image.float().cpu()


def _tuner(
    pipeline: DeblurPipeline,
    inputs: Inputs,
    settings: AdaptSettings,
    config: TrainConfig,
    photos: UserPhotos,
    pictures: SharpPictures,
    blurs: Blurs,
    identity: str,
) -> Tuner:
    model, device = copy.deepcopy(pipeline.model), pipeline.device
    batches: Callable[[int], Part]
    extra = None
    if settings.method == "reblur":
        batches = ReblurBatches(config, blurs, pictures.source, settings.ordinary_share, device)
        data = pictures.source.fingerprint()
    else:
        targets = [photo.window for photo in photos.fit if min(photo.window.shape[-2:]) >= config.crop_px]
        if not targets:
            raise DataError(f"{inputs.photos}: no photo of {config.crop_px} px a side; give larger ones")
        extra = DomainLoss(model, config, targets, settings.domain_weight)
        source, _ = open_data(config, list(inputs.data))
        parts = Parts(config, source, Batching(config.batch_size, 1, config.seed), device, range(1), 0)
        batches, data = (lambda step: parts.prepare((step, 0), parts.crops[step, 0])), source.fingerprint()
    names = [photo.name for photo in photos.fit]
    whole = repr((identity, settings, config, names, data, float(blurs.kernels.square().sum())))
    return Tuner(model, config, batches, extra, inputs.work, whole)


def _with_weights(pipeline: DeblurPipeline, weights: dict[str, Tensor]) -> DeblurPipeline:
    model = copy.deepcopy(pipeline.model)
    model.load_state_dict(weights)
    return DeblurPipeline(model.eval().requires_grad_(False), pipeline.schedule, pipeline.defaults, pipeline.task)


def _about(blurs: Blurs) -> dict[str, Any]:
    extent = blurs.extents_px
    return {
        "tiles": blurs.tiles,
        "kept": len(blurs),
        "dropped": blurs.dropped,
        "extent_px": [float(extent.min()), float(extent.median()), float(extent.max())],
        "noise_sigma": float(blurs.noise.mean()),
        "jpeg_quality": [float(blurs.quality.min()), float(blurs.quality.max())],
    }
