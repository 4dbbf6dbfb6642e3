"""`resharp export`: a model's networks for programs and machines without torch."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from resharp.cli.console import note, say
from resharp.cli.options import BACKENDS, DebugOption, JsonOption
from resharp.errors import ConfigError

if TYPE_CHECKING:
    from resharp.models.config import ModelConfig


def export(
    backend: Annotated[str, typer.Argument(metavar="onnx|openvino|torch", help="What is to run the networks.")],
    model: Annotated[str, typer.Argument(metavar="MODEL", help="default, one-step, a model folder or Hub id.")],
    out: Annotated[str, typer.Argument(metavar="OUT", help="The folder to make.")],
    int8: Annotated[bool, typer.Option("--int8", help="Guide and predictor in int8; onnx and openvino.")] = False,
    calibrate: Annotated[
        str | None, typer.Option(metavar="PHOTOS", help="A folder of sharp photos to take int8's ranges from.")
    ] = None,
    pairs: Annotated[
        str | None, typer.Option(metavar="PAIRS", help="Blurry and sharp photos to score int8 on.")
    ] = None,
    lpips_weights: Annotated[str | None, typer.Option(metavar="FILE", help="AlexNet's weights, for LPIPS.")] = None,
    max_loss: Annotated[float, typer.Option(metavar="DB", help="Refuse int8 that loses more PSNR on the pairs.")] = 0.2,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier export.")] = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Write a model's guide, predict and denoise as graphs with free batch, height and width."""
    if backend not in BACKENDS[:-1]:
        raise ConfigError(f"unknown backend {backend!r}; allowed: {', '.join(BACKENDS[:-1])}")
    if int8 and (backend == "torch" or calibrate is None):
        raise ConfigError("--int8 is for onnx and openvino, and needs --calibrate PHOTOS, a folder of sharp photos")
    if not int8 and (calibrate or pairs or lpips_weights):
        raise ConfigError("--calibrate, --pairs and --lpips-weights are for --int8; add it, or leave them out")
    if lpips_weights is not None and pairs is None:
        raise ConfigError("--lpips-weights needs --pairs")
    from resharp.export.folder import export_model
    from resharp.pipeline import DeblurPipeline
    from resharp.provenance import origin_of

    pipeline = DeblurPipeline.from_pretrained(model)
    # Photos are looked at before the export, which takes longer.
    make_int8 = _int8_maker(backend, str(calibrate), pairs, lpips_weights, max_loss) if int8 else None

    def tell(name: str) -> None:
        if not as_json:
            note(f"exporting {name}")

    loss: list[dict[str, float]] = []

    def to_int8(folder: Path) -> None:
        assert make_int8 is not None
        loss.extend(make_int8(folder, pipeline.model.config))

    made = export_model(
        pipeline,
        origin_of(model),
        backend,
        Path(out),
        overwrite=overwrite,
        on_graph=tell,
        to_int8=None if make_int8 is None else to_int8,
    )
    sizes = {name: (Path(out) / name).stat().st_size for name in made.files}
    if as_json:
        say(json.dumps(asdict(made) | {"bytes": sizes, "float32_and_int8": loss or None}, indent=2))
        return
    for name, size in sizes.items():
        say(f"{Path(out) / name}: {size / 1e6:.2f} MB")
    for name, score in zip(("float32", "int8"), loss, strict=False):
        say(f"{name}: " + ", ".join(f"{key} {value:.4f}" for key, value in score.items()))


def _int8_maker(
    backend: str, photos: str, pairs: str | None, weights: str | None, max_loss: float
) -> Callable[[Path, ModelConfig], list[dict[str, float]]]:
    """What quantises the graphs in a folder, and returns the scores of float32 and int8 on the pairs, [] without.

    Raises:
        ConfigError, DataError, ImageError, ModelError: photos, pairs or weights that cannot be used.
    """
    from resharp.export.int8 import check_packages, open_networks, quantise
    from resharp.export.int8_loss import Judge, calibration_pictures

    check_packages(backend)
    pictures = calibration_pictures(Path(photos))
    judge = None if pairs is None else Judge.of(pairs, weights)

    def make(folder: Path, config: ModelConfig) -> list[dict[str, float]]:
        before = open_networks(folder, config, backend)
        quantise(folder, before, pictures, backend)
        if judge is None:
            return []
        found = judge.scores((before, open_networks(folder, config, backend)))
        lost = found[0]["psnr"] - found[1]["psnr"]
        if not lost <= max_loss:
            raise ConfigError(
                f"int8 loses {lost:.2f} dB on {pairs}; nothing was written; give a larger --max-loss to keep it"
            )
        return found

    return make
