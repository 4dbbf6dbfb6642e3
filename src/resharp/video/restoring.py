"""A clip restored frame by frame, with one noise for all frames and one decision for the whole clip."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from resharp.assessment import InputReport, assess_input, guard, make_safe
from resharp.diffusion.choices import chosen_of
from resharp.errors import ImageError, is_out_of_memory
from resharp.files import atomic_path, make_folder
from resharp.picture import NO_BLUR, Result
from resharp.pipeline import DeblurPipeline
from resharp.receipt import Origin
from resharp.video.clip import ClipFacts, check_frame, display_matrix, opened, packets_and_frames
from resharp.video.colours import from_rgb, to_rgb
from resharp.video.receipts import can_hold_receipt, make_clip_receipt
from resharp.video.writing import clip_writer, encoder_for, pixel_format

PROBES = 9  # frames that are looked at, at least, where there are as many
OnStep = Callable[[int, int], None]


@dataclass(frozen=True)
class Look:
    """What a first reading of the clip found.

    report: for all frames, or None of a clip that nobody asked about.
    every: each frame whose number this divides was looked at.
    """

    facts: ClipFacts
    report: InputReport
    every: int


def look_at(path: Path, on_step: OnStep | None = None) -> Look:
    """Read the whole clip, and assess frames spread evenly over it.

    Raises:
        DataError: it is not a video, or not one that would come back as it is; see `resharp.video.clip`.
    """
    facts, every, count = None, 1, 0
    reports: dict[int, InputReport] = {}
    with opened(path) as (container, stream):
        for _, frames in packets_and_frames(path, container, stream):
            for frame in frames:
                check_frame(path, frame, facts)
                if facts is None:
                    facts = ClipFacts(0, frame.width, frame.height, display_matrix(frame))
                if count % every == 0:
                    reports[count] = assess_input(_tensor(to_rgb(frame)))
                    if len(reports) == 2 * PROBES:
                        every *= 2
                        reports = {number: report for number, report in reports.items() if number % every == 0}
                count += 1
                if on_step is not None:
                    on_step(count, stream.frames or count)
    if facts is None:
        raise ImageError(f"{path}: has no frames; give a video")
    return Look(replace(facts, frames=count), of_clip(list(reports.values())), every)


def of_clip(reports: Sequence[InputReport]) -> InputReport:
    """One report for all frames, so that nothing is switched on and off between them.

    Motion blur is what the middle one of the reports, in the order none, unsure, some, says; noise is their median; and
    what makes photos unlike those the model knows counts where half of them say it.
    """
    order = ("none", "unsure", "some")
    middle = sorted(reports, key=lambda report: order.index(report.motion_blur))[len(reports) // 2]
    said = [reason for report in reports for reason in report.outside]
    outside = tuple(reason for reason in dict.fromkeys(said) if 2 * said.count(reason) >= len(reports))
    noise = statistics.median(report.noise_sigma for report in reports)
    return replace(middle, noise_sigma=noise, outside=outside)


def restore_clip(
    pipeline: DeblurPipeline,
    source: Path,
    target: Path,
    settings: dict[str, Any],
    *,
    guarded: bool,
    crf: int | None = None,
    strip_gps: bool = False,
    origin: Origin | None = None,
    on_step: OnStep | None = None,
) -> Result:
    """Read, restore, write; memory does not grow with the clip's length.

    Every frame starts from the noise of the same seed, so that noise does not flicker.

    Args:
        settings: for `DeblurPipeline.restore`.
        guarded: hold each frame to what the clip supports, and pass a clip without motion blur through.
        crf: the encoder's constant rate factor.
        origin: the pipeline's model, for the receipt in the result; None leaves the receipt out.

    Raises:
        DataError: not a video, a damaged one, or one that would not come back as it is.
        ConfigError: a crf that the encoder has not.
        ImageError: too large for the memory.
        OutputError: the result cannot be written.
    """
    started = time.perf_counter()
    chosen = asked = pipeline.choose(**chosen_of(settings))
    with opened(source) as (_, stream):
        encoder_for(stream, crf)  # a mistake is told before the work
    look = look_at(source)
    facts = look.facts
    passes = chosen.output == "input" or (guarded and look.report.motion_blur == "none")
    result = Result(str(source), str(target), width=facts.width, height=facts.height, frames=facts.frames)
    if passes:
        chosen = pipeline.choose(output="input")
    if origin is not None and can_hold_receipt(target) and not (passes and is_copied(source, target, strip_gps)):
        seed = settings.get("seed", 0)
        how: dict[str, Any] = {"guarded": guarded, "crf": crf, "strip_gps": strip_gps}
        result.receipt = make_clip_receipt(origin, pipeline, source, chosen, seed, **how)
    receipt = None if result.receipt is None else result.receipt.to_text()
    if passes:
        result.part = "input"
        result.remark = None if asked.output == "input" else NO_BLUR.replace("photo", "video")
        result.dropped = _pass_through(source, target, facts, strip_gps, receipt)
    else:
        result.part = chosen.output
        names = ("steps", "samples", "sampler", "final_variance", "fidelity") if chosen.output == "diffusion" else ()
        for name in names:
            setattr(result, name, getattr(chosen, name))
        result.seed = settings.get("seed", 0) if names else None
        result.ensemble = chosen.ensemble if chosen.output == "predictor" or chosen.ensemble > 1 else None
        try:
            run = _Run(pipeline, settings, look, guarded)
            result.dropped = _encode(run, source, target, crf, strip_gps, receipt, on_step)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            size = f"{facts.width}x{facts.height}"
            raise ImageError(f"{source}: not enough memory for frames of {size}; make it smaller") from error
        result.trust, result.remark = run.verdict()
    result.seconds = round(time.perf_counter() - started, 3)
    return result


class _Run:
    """Restores frames of one clip, and remembers what was said of those that were looked at."""

    def __init__(self, pipeline: DeblurPipeline, settings: dict[str, Any], look: Look, guarded: bool) -> None:
        self.pipeline, self.settings, self.look, self.guarded = pipeline, settings, look, guarded
        self.number = 0
        self.said: list[Any] = []

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """(H, W, 3) in [0, 1], and the same restored."""
        blurry = _tensor(pixels)
        restored = self.pipeline.restore(blurry, **self.settings)
        image: Any = restored.image
        report = self.look.report
        if self.number % self.look.every == 0:
            safe = make_safe(blurry, image, report, restored.spread, guarded=self.guarded)
            self.said.append(safe)
            image = safe.image
        elif self.guarded:
            image = guard(blurry, image, report).image
        self.number += 1
        return np.clip(np.asarray(image)[0].transpose(1, 2, 0), 0, 1)

    def verdict(self) -> tuple[dict[str, Any] | None, str | None]:
        """Trust and remark of the middle one, by how much it explains."""
        if not self.said:
            return None, None
        safe = sorted(self.said, key=lambda each: each.trust.explained)[len(self.said) // 2]
        return safe.trust_json(), safe.remark


def _encode(
    run: _Run,
    source: Path,
    target: Path,
    crf: int | None,
    strip_gps: bool,
    receipt: str | None,
    on_step: OnStep | None,
) -> tuple[str, ...]:
    """The second reading. Returns what was left out."""
    facts = run.look.facts
    with opened(source) as (container, stream):
        encoder = encoder_for(stream, crf)
        format = pixel_format(stream, encoder)
        with clip_writer(target, container, stream, facts, encoder, strip_gps=strip_gps, receipt=receipt) as writer:
            for packet, frames in packets_and_frames(source, container, stream):
                for frame in frames:
                    writer.encode(from_rgb(run(to_rgb(frame)), frame, format))
                    if on_step is not None:
                        on_step(run.number, facts.frames)
                writer.copy(packet)
            writer.encode(None)
            return writer.dropped


def is_copied(source: Path, target: Path, strip_gps: bool) -> bool:
    """Whether a clip that is passed through is its file's bytes."""
    return not strip_gps and source.suffix.lower() == target.suffix.lower()


def _pass_through(
    source: Path, target: Path, facts: ClipFacts, strip_gps: bool, receipt: str | None
) -> tuple[str, ...]:
    if is_copied(source, target, strip_gps):
        make_folder(target.parent)
        with atomic_path(target) as temporary:
            shutil.copyfile(source, temporary)
        return ()
    with (
        opened(source) as (container, stream),
        clip_writer(target, container, stream, facts, None, strip_gps=strip_gps, receipt=receipt) as writer,
    ):
        for packet, _ in packets_and_frames(source, container, stream):
            writer.copy(packet)
        return writer.dropped


def _tensor(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous()
