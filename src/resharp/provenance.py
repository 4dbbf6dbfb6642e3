"""The receipt of one restoration: which model it was, and what is written down of how it was used."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from resharp import __version__
from resharp.diffusion.presets import Preset
from resharp.hub import SHIPPED_NAMES, locate_model
from resharp.pipeline import DeblurPipeline, Restored
from resharp.receipt import TILED, WHOLE, Origin, Receipt, file_sha256, pixels_digest
from resharp.serialization import WEIGHTS


def origin_of(model: str | None) -> Origin:
    """The model called `model` as it is named to `DeblurPipeline.from_pretrained`; its weights are read once.

    Raises:
        ModelError: it is not there.
        DataError: its weights cannot be read.
    """
    folder = locate_model(model)
    name = SHIPPED_NAMES[0] if model is None else model
    if name not in SHIPPED_NAMES and Path(name).is_dir():
        name = folder.resolve().name  # the folders above it are nobody's business
    return Origin(name, file_sha256(folder / WEIGHTS))


def make_receipt(
    origin: Origin,
    pipeline: DeblurPipeline,
    restored: Restored,
    source: Path,
    samples: np.ndarray,
    *,
    seed: int,
    guard: bool,
) -> Receipt:
    """The receipt of a restoration.

    Args:
        source: the photo's file.
        samples: what is about to be encoded; see `resharp.images.writing.samples_for`.

    Raises:
        DataError: the photo's file can no longer be read.
    """
    return Receipt(
        resharp=__version__,
        torch=torch.__version__,
        device=pipeline.device.type,
        model=origin.model,
        weights_sha256=origin.weights_sha256,
        part=restored.output,  # type: ignore[arg-type]
        seed=seed if restored.output == "diffusion" else None,
        settings=_counted(restored.settings),
        guard=guard,
        photo=source.name,
        photo_sha256=file_sha256(source),
        pixels_sha256=pixels_digest(samples),
        tile=restored.tile,
        format=WHOLE if restored.tile is None else TILED,
    )


def _counted(settings: Preset) -> dict[str, Any]:
    """The settings that its part uses; those of the diffusion all, since a default may change with the version."""
    given = asdict(settings)
    drawn, usual = given.pop("output") == "diffusion", asdict(Preset())
    return {name: value for name, value in given.items() if drawn or value != usual[name]}
