"""`resharp export`: a model's networks for programs and machines without torch."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from resharp.cli.console import note, say
from resharp.cli.options import BACKENDS, DebugOption, JsonOption
from resharp.errors import ConfigError


def export(
    backend: Annotated[str, typer.Argument(metavar="onnx|openvino|torch", help="What is to run the networks.")],
    model: Annotated[str, typer.Argument(metavar="MODEL", help="default, one-step, a model folder or Hub id.")],
    out: Annotated[str, typer.Argument(metavar="OUT", help="The folder to make.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier export.")] = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Write a model's guide, predict and denoise as graphs with free batch, height and width."""
    if backend not in BACKENDS[:-1]:
        raise ConfigError(f"unknown backend {backend!r}; allowed: {', '.join(BACKENDS[:-1])}")
    from resharp.export.folder import export_model
    from resharp.pipeline import DeblurPipeline
    from resharp.provenance import origin_of

    pipeline = DeblurPipeline.from_pretrained(model)

    def tell(name: str) -> None:
        if not as_json:
            note(f"exporting {name}")

    made = export_model(pipeline, origin_of(model), backend, Path(out), overwrite=overwrite, on_graph=tell)
    sizes = {name: (Path(out) / name).stat().st_size for name in made.files}
    if as_json:
        say(json.dumps(asdict(made) | {"bytes": sizes}, indent=2))
        return
    for name, size in sizes.items():
        say(f"{Path(out) / name}: {size / 1e6:.2f} MB")
