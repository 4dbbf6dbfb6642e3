"""The receipt of one restoration: which model it was, and what is written down of how it was used."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from resharp import __version__
from resharp.diffusion.presets import Preset
from resharp.hub import SHIPPED_NAMES, locate_model
from resharp.model_files import WEIGHTS
from resharp.receipt import BATCHED, TILED, WHOLE, Origin, Receipt, file_sha256, pixels_digest
from resharp.runtime.exported import is_exported, read_export

if TYPE_CHECKING:
    from resharp.pipeline import DeblurPipeline
    from resharp.restoration import Restored
    from resharp.runtime.pipeline import GraphPipeline, Made


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
    digest = read_export(folder).weights_sha256 if is_exported(folder) else file_sha256(folder / WEIGHTS)
    return Origin(name, digest)


def make_receipt(
    origin: Origin,
    pipeline: DeblurPipeline | GraphPipeline,
    restored: Restored | Made,
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
        device=pipeline.device.type,
        model=origin.model,
        weights_sha256=origin.weights_sha256,
        part=restored.output,  # type: ignore[arg-type]
        seed=seed if restored.output == "diffusion" else None,
        settings=counted(restored.settings),
        guard=guard,
        photo=source.name,
        photo_sha256=file_sha256(source),
        pixels_sha256=pixels_digest(samples),
        tile=restored.tile,
        batch=restored.batch,
        format=BATCHED if restored.batch > 1 else WHOLE if restored.tile is None else TILED,
        **versions_of(pipeline),
    )


def versions_of(pipeline: DeblurPipeline | GraphPipeline) -> dict[str, Any]:
    """What ran the networks, as receipts name it."""
    graphs = pipeline.backend != "torch"
    return {
        "torch": None if graphs else pipeline.version,
        "backend": pipeline.backend,
        "runtime": pipeline.version if graphs else None,
        "precision": pipeline.precision,
    }


def counted(settings: Preset) -> dict[str, Any]:
    """The settings that its part uses; those of the diffusion all, since a default may change with the version."""
    given = asdict(settings)
    drawn, usual = given.pop("output") == "diffusion", asdict(Preset())
    return {name: value for name, value in given.items() if drawn or value != usual[name]}
