"""The methods that `resharp score` can run itself: a model in several settings, and classical deconvolution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from resharp.analysis.scoring import file_digest
from resharp.cli.options import check_part
from resharp.evaluate.classical import check_installed, richardson_lucy, wiener
from resharp.evaluate.methods import Method
from resharp.hub import locate_model
from resharp.pipeline import DeblurPipeline
from resharp.serialization import WEIGHTS

if TYPE_CHECKING:
    import torch

OURS, WIENER, RICHARDSON_LUCY = "resharp", "wiener", "richardson-lucy"
# First words of names that peers must not have.
TAKEN = (OURS, WIENER, RICHARDSON_LUCY)


def model_methods(
    source: str | None,
    parts: Sequence[str],
    qualities: Sequence[str],
    drawing: Mapping[str, int | None],
    device: torch.device,
) -> tuple[list[Method], dict[str, Any]]:
    """One method for each part and each quality, or one for the model's default; and what they are.

    Args:
        source: of the model, as in `DeblurPipeline.from_pretrained`.
        drawing: steps and samples of the diffusion; a part "predictor" goes without.

    Raises:
        ModelError: no such model.
        ConfigError: settings that are unknown, or that this model cannot do.
    """
    for part in parts:
        check_part(part)
    folder = locate_model(source)
    pipeline = DeblurPipeline.from_pretrained(folder).to(device)
    pipeline.task.require_same_size("resharp score")
    wanted: dict[str, dict[str, Any]] = {} if parts or qualities else {OURS: dict(drawing)}
    for part in parts:
        wanted[f"{OURS} {part}"] = {"output": part, **({} if part == "predictor" else drawing)}
    for quality in qualities:
        wanted[f"{OURS} {quality}"] = {"quality": quality, **drawing}
    chosen = {name: pipeline.choose(**asked) for name, asked in wanted.items()}
    methods = [_own(pipeline, name, asked, draws=chosen[name].output == "diffusion") for name, asked in wanted.items()]
    about = {"model": source, "weights_sha256": file_digest(folder / WEIGHTS)}
    return methods, {**about, "methods": {name: str(settings) for name, settings in chosen.items()}}


def classical_methods() -> list[Method]:
    """Wiener and Richardson-Lucy deconvolution; ConfigError where scikit-image is missing."""
    check_installed()
    return [
        Method(WIENER, lambda each, name, blurry, seed: wiener(blurry)),
        Method(RICHARDSON_LUCY, lambda each, name, blurry, seed: richardson_lucy(blurry)),
    ]


def _own(pipeline: DeblurPipeline, name: str, asked: Mapping[str, Any], *, draws: bool) -> Method:
    return Method(name, lambda each, image, blurry, seed: pipeline.restore(blurry, seed=seed, **asked).image, draws)
