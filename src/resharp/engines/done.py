"""Whether a photo's work is done: an existing result that was made from it, with this model, in these settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from resharp.assessment import assess_input
from resharp.diffusion.choices import chosen_of
from resharp.diffusion.presets import Preset
from resharp.errors import ImageError
from resharp.images.gps import jpeg_without_gps, without_gps
from resharp.images.photo import Photo
from resharp.images.reading import read_photo
from resharp.images.receipts import read_receipt
from resharp.provenance import make_receipt
from resharp.receipt import Origin, Receipt
from resharp.runtime.pipeline import Made

if TYPE_CHECKING:  # torch stays out where exported graphs do the work
    from resharp.pipeline import DeblurPipeline
    from resharp.runtime.pipeline import GraphPipeline


def is_done(
    pipeline: DeblurPipeline | GraphPipeline,
    origin: Origin,
    source: Path,
    target: Path,
    settings: Mapping[str, Any],
    *,
    guard: bool,
    strip_gps: bool,
) -> bool:
    """Whether `target` is what `restore_file` would make of `source`, up to rounding and resharp's version.

    The receipt in it must name the same weights, precision, settings, seed, guard and SHA-256 of the photo; device,
    backend and version may differ, since their results do by rounding alone. A photo that is passed through is copied
    and has no receipt: then the copy must be of the same bytes, and looking at the photo must say once more that it is
    passed through. BMP holds no receipt, so it is never done.

    Raises:
        ImageError, DataError: the photo cannot be read.
    """
    if not target.is_file():
        return False
    try:
        text = read_receipt(target)
        found = None if text is None else Receipt.from_text(text, str(target))
        if strip_gps and _has_gps(read_photo(target)):
            return False
    except ImageError:
        return False  # damaged, or by another program
    guard = guard and pipeline.task.deblurs  # as `restore_file` has it
    chosen = pipeline.choose(**chosen_of(settings))
    if found is not None and found.part != "input":
        return found.inputs() == _inputs(pipeline, origin, chosen, source, settings, guard)
    if found is None and not _is_copy(source, target, strip_gps):
        return False
    if chosen.output != "input":
        passes = guard and assess_input(read_photo(source).planes).motion_blur == "none"
        if not passes:
            return False
        chosen = pipeline.choose(output="input")
    return found is None or found.inputs() == _inputs(pipeline, origin, chosen, source, settings, guard=False)


def _inputs(
    pipeline: DeblurPipeline | GraphPipeline,
    origin: Origin,
    chosen: Preset,
    source: Path,
    settings: Mapping[str, Any],
    guard: bool,
) -> dict[str, Any]:
    """What a receipt would say of everything that decides the pixels."""
    expected = Made(None, None, chosen.output, chosen)  # type: ignore[arg-type]  # of no pixels yet
    guard = guard and chosen.output != "input"
    nothing = np.zeros((1, 1, 3), dtype=np.uint8)
    seed = settings.get("seed", 0)
    return make_receipt(origin, pipeline, expected, source, nothing, seed=seed, guard=guard).inputs()


def _is_copy(source: Path, target: Path, strip_gps: bool) -> bool:
    if not strip_gps and source.stat().st_size != target.stat().st_size:
        return False
    photo, copy = source.read_bytes(), target.read_bytes()
    return copy == (jpeg_without_gps(photo) if strip_gps else photo)


def _has_gps(photo: Photo) -> bool:
    return without_gps(photo).meta != photo.meta
