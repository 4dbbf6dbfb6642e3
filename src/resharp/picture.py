"""One picture from file to file, and what is reported of it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from resharp.assessment import InputReport, Safe, assess_input, make_safe, unlike
from resharp.assessment.arrays import as_samples
from resharp.diffusion.choices import chosen_of
from resharp.errors import ImageError, is_out_of_memory
from resharp.files import atomic_path, make_folder
from resharp.images.formats import FORMAT_BY_SUFFIX
from resharp.images.gps import jpeg_without_gps, without_gps
from resharp.images.holding import not_held
from resharp.images.photo import Photo
from resharp.images.reading import read_photo
from resharp.images.writing import check_writable, format_for, write_photo
from resharp.images.xmp import SourceType
from resharp.provenance import make_receipt
from resharp.receipt import Origin, Receipt

if TYPE_CHECKING:  # torch stays out where exported graphs do the work
    from resharp.pipeline import DeblurPipeline
    from resharp.restoration import Restored
    from resharp.runtime.pipeline import GraphPipeline, Made

# IPTC's words: the predictor corrects what is there, the diffusion draws part of what is seen.
_SOURCE_TYPES: dict[str, SourceType] = {
    "predictor": "algorithmicallyEnhanced",
    "diffusion": "compositeWithTrainedAlgorithmicMedia",
}
NO_BLUR = "no motion blur found, so the photo is passed through unchanged; --force restores it all the same"


@dataclass
class Result:
    """What became of one input; the fields are those of `--json`. Diffusion's settings are None without it."""

    input: str
    output: str | None = None
    seconds: float | None = None
    width: int | None = None
    height: int | None = None
    frames: int | None = None  # of a video
    part: str | None = None
    restores: tuple[str, ...] | None = None  # what the model is for
    seed: int | None = None
    steps: int | None = None
    samples: int | None = None
    sampler: str | None = None
    final_variance: float | None = None
    fidelity: float | None = None
    ensemble: int | None = None
    tile: tuple[int, int] | None = None  # the most that a tile measured, height and width; None: made as a whole
    spread_maximum: float | None = None
    receipt: Any = None  # a `Receipt`; of a video its `ClipReceipt`
    assessment: dict[str, Any] | None = None
    trust: dict[str, Any] | None = None
    remark: str | None = None
    dropped: tuple[str, ...] = ()  # what the photo's file has beside the picture and the result has not
    skipped: bool = False  # its result was there already: --skip-done
    error: str | None = None


def restore_file(
    pipeline: DeblurPipeline | GraphPipeline,
    source: Path,
    target: Path,
    settings: dict[str, Any],
    *,
    spread: Path | None = None,
    origin: Origin | None = None,
    guard: bool = False,
    strip_gps: bool = False,
    **watching: Any,
) -> Result:
    """Read, restore, write.

    Args:
        settings: for `DeblurPipeline.restore`.
        spread: also write the per-pixel spread here.
        origin: the pipeline's model, for the receipt in the result; None leaves the receipt out.
        guard: hold the result to what the photo supports; see `resharp.assessment.guard`.
        strip_gps: leave out where the photo was made.
        watching: on_step, on_preview and on_sample of `DeblurPipeline.restore`.

    Raises:
        ImageError: the photo cannot be read or is too large for the memory.
        OutputError: a result cannot be written.
    """
    started = time.perf_counter()
    photo = read_photo(source)
    check_writable(photo, target)
    photo = without_gps(photo) if strip_gps else photo
    height, width = photo.size
    try:
        restored, safe, remark = _restore(pipeline, photo, settings, guard, watching)
        held = guard and safe is not None and restored.output != "input"
        receipts: list[Receipt] = []

        def receipt_for(samples: np.ndarray) -> str:
            assert origin is not None
            seed = settings.get("seed", 0)
            receipts.append(make_receipt(origin, pipeline, restored, source, samples, seed=seed, guard=held))
            return receipts[0].to_text()

        copied = _write(photo, restored, source, target, None if origin is None else receipt_for, strip_gps)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise ImageError(f"{source}: not enough memory for {width}x{height}; give a smaller picture") from error
    height, width = restored.image.shape[2:]
    result = Result(str(source), str(target), width=width, height=height, part=restored.output)
    result.restores = pipeline.task.restores
    result.receipt = receipts[0] if receipts else None
    if not copied:
        result.dropped = photo.meta.dropped + not_held(photo.meta, format_for(target))
    elif strip_gps:
        result.dropped = photo.meta.dropped
    result.tile, result.remark = restored.tile, remark
    if safe is not None:
        result.assessment, result.trust = safe.assessment_json(), safe.trust_json()
    used = restored.settings
    if restored.output == "predictor" or used.ensemble > 1:
        result.ensemble = used.ensemble
    if restored.output == "diffusion":
        result.seed = settings["seed"]
        for name in ("steps", "samples", "sampler", "final_variance", "fidelity"):
            setattr(result, name, getattr(used, name))
    if spread is not None and restored.spread is not None:
        result.spread_maximum = write_spread(restored.spread, spread)
    result.seconds = round(time.perf_counter() - started, 3)
    return result


def _restore(
    pipeline: DeblurPipeline | GraphPipeline,
    photo: Photo,
    settings: dict[str, Any],
    guard: bool,
    watching: dict[str, Any],
) -> tuple[Restored | Made, Safe | None, str | None]:
    """Restore, assess and, with `guard`, protect; the last is a line for the user.

    What is assessed is motion blur: a model of another task restores what it is given.
    """
    blurry = photo.planes
    if not pipeline.task.deblurs:
        restored = pipeline.restore(blurry, **settings, **watching)
        return restored, None, restored.remark
    report = assess_input(blurry)
    chosen = pipeline.choose(**chosen_of(settings))
    passes = guard and report.motion_blur == "none" and chosen.output != "input"
    restored = pipeline.restore(blurry, **({"output": "input"} if passes else settings), **watching)
    guarded = guard and restored.output != "input"
    safe = make_safe(blurry, restored.image, report, restored.spread, guarded=guarded, in_place=True)
    remark = _no_blur(report) if passes else None if restored.output == "input" else safe.remark
    remark = "; ".join(part for part in (restored.remark, remark) if part) or None
    return replace(restored, image=safe.image), safe, remark  # type: ignore[arg-type]  # a tensor or an array before


def _no_blur(report: InputReport) -> str:
    return f"{NO_BLUR}; {unlike(report)}" if report.outside else NO_BLUR


def _write(
    photo: Photo,
    restored: Restored | Made,
    source: Path,
    target: Path,
    receipt_for: Callable[[np.ndarray], str] | None,
    strip_gps: bool,
) -> bool:
    """Whether the photo's file was copied."""
    make_folder(target.parent)
    unchanged = restored.output == "input" and tuple(restored.image.shape[2:]) == photo.size
    same = unchanged and FORMAT_BY_SUFFIX.get(target.suffix.lower()) == photo.meta.format
    # Passing a JPEG through unchanged means the file, not a second compression of it.
    if same and not strip_gps:
        with atomic_path(target) as temporary:
            shutil.copyfile(source, temporary)
        return True
    data = jpeg_without_gps(source.read_bytes()) if same and photo.meta.format == "JPEG" else None
    if data is not None:
        with atomic_path(target) as temporary:
            temporary.write_bytes(data)
        return True
    made = photo.enlarged(np.moveaxis(as_samples(restored.image)[0], 0, 2))
    write_photo(made, target, receipt_for=receipt_for, source_type=_SOURCE_TYPES.get(restored.output))
    return False


def write_spread(spread: Any, path: Path) -> float:
    """Write (1, 1, H, W) as an 8-bit gray PNG whose white is the maximum; returns the maximum."""
    make_folder(path.parent)
    values = as_samples(spread)[0, 0]
    maximum = float(values.max())
    scaled = values / maximum if maximum > 0 else values
    with atomic_path(path) as temporary:
        Image.fromarray(np.rint(scaled * 255).astype(np.uint8)).save(temporary, format="PNG")
    return maximum
