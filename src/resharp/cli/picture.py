"""One picture from file to file, and what is reported of it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from resharp.cli.console import is_out_of_memory
from resharp.cli.places import make_folder
from resharp.errors import ImageError
from resharp.files import atomic_path
from resharp.images.formats import FORMAT_BY_SUFFIX
from resharp.images.photo import Photo
from resharp.images.reading import read_photo
from resharp.images.tensors import photo_to_tensor, tensor_to_pixels
from resharp.images.writing import write_photo
from resharp.pipeline import DeblurPipeline, Restored


@dataclass
class Result:
    """What became of one input; the fields are those of `--json`. Diffusion's settings are None without it."""

    input: str
    output: str | None = None
    seconds: float | None = None
    width: int | None = None
    height: int | None = None
    part: str | None = None
    seed: int | None = None
    steps: int | None = None
    samples: int | None = None
    sampler: str | None = None
    spread_maximum: float | None = None
    error: str | None = None


def restore_file(
    pipeline: DeblurPipeline,
    source: Path,
    target: Path,
    settings: dict[str, Any],
    *,
    spread: Path | None = None,
    on_step: Callable[[int, int], None] | None = None,
) -> Result:
    """Read, restore, write.

    Args:
        settings: for `DeblurPipeline.restore`.
        spread: also write the per-pixel spread here.

    Raises:
        ImageError: the photo cannot be read or is too large for the memory.
        OutputError: a result cannot be written.
    """
    started = time.perf_counter()
    photo = read_photo(source)
    height, width = photo.pixels.shape[:2]
    try:
        restored = pipeline.restore(photo_to_tensor(photo), **settings, on_step=on_step)
        _write(photo, restored, source, target)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise ImageError(f"{source}: not enough memory for {width}x{height}; give a smaller picture") from error
    result = Result(str(source), str(target), width=width, height=height, part=restored.output)
    if restored.output == "diffusion":
        result.seed = settings["seed"]
        for name in ("steps", "samples", "sampler"):
            given = settings[name]
            setattr(result, name, getattr(pipeline.defaults, name) if given is None else given)
    if spread is not None and restored.spread is not None:
        result.spread_maximum = write_spread(restored.spread, spread)
    result.seconds = round(time.perf_counter() - started, 3)
    return result


def _write(photo: Photo, restored: Restored, source: Path, target: Path) -> None:
    make_folder(target.parent)
    if restored.output == "input" and FORMAT_BY_SUFFIX.get(target.suffix.lower()) == photo.meta.format:
        # Passing a JPEG through unchanged means the file, not a second compression of it.
        with atomic_path(target) as temporary:
            shutil.copyfile(source, temporary)
        return
    write_photo(photo.with_pixels(tensor_to_pixels(restored.image)), target)


def write_spread(spread: Tensor, path: Path) -> float:
    """Write (1, 1, H, W) as an 8-bit gray PNG whose white is the maximum; returns the maximum."""
    make_folder(path.parent)
    values = spread[0, 0].numpy()
    maximum = float(values.max())
    scaled = values / maximum if maximum > 0 else values
    with atomic_path(path) as temporary:
        Image.fromarray(np.rint(scaled * 255).astype(np.uint8)).save(temporary, format="PNG")
    return maximum
