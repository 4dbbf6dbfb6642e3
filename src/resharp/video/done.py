"""Whether a clip's work is done: an existing result that was made from it, with this model, in these settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from resharp.diffusion.choices import chosen_of
from resharp.errors import DataError
from resharp.pipeline import DeblurPipeline
from resharp.receipt import Origin, file_sha256
from resharp.video.receipts import make_clip_receipt, read_clip_receipt
from resharp.video.restoring import is_copied, look_at


def is_clip_done(
    pipeline: DeblurPipeline,
    origin: Origin,
    source: Path,
    target: Path,
    settings: Mapping[str, Any],
    *,
    guard: bool,
    strip_gps: bool,
    crf: int | None = None,
) -> bool:
    """Whether `target` is what `restore_clip` would make of `source`, up to rounding and resharp's version.

    Its receipt must name the same clip, weights, settings and encoding. A clip that is passed through may be a copy
    without a receipt: then looking at it must say once more that it is passed through. A container that holds no
    receipt is never done.

    Raises:
        DataError: the clip cannot be read, or not be restored.
    """
    if not target.is_file():
        return False
    chosen = pipeline.choose(**chosen_of(settings))
    if is_copied(source, target, strip_gps) and _same_bytes(source, target):
        return chosen.output == "input" or _passes(source, guard)
    try:
        found = read_clip_receipt(target)
    except DataError:
        return False  # damaged, or no video at all
    if found is None:
        return False
    if found.part == "input" and chosen.output != "input":
        if not _passes(source, guard):
            return False
        chosen = pipeline.choose(output="input")
    seed, how = settings.get("seed", 0), {"guarded": guard, "strip_gps": strip_gps}
    return found.inputs() == make_clip_receipt(origin, pipeline, source, chosen, seed, crf=crf, **how).inputs()


def _passes(source: Path, guard: bool) -> bool:
    return guard and look_at(source).report.motion_blur == "none"


def _same_bytes(source: Path, target: Path) -> bool:
    return source.stat().st_size == target.stat().st_size and file_sha256(source) == file_sha256(target)
