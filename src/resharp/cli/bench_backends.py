"""`resharp bench backends`: one model, one picture, and every way to run its networks on this CPU."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from resharp.cli.bench_report import (
    OutOption,
    OverwriteOption,
    about_measurements,
    check_out,
    free_memory,
    measured_line,
    picture_size,
)
from resharp.cli.console import note, say
from resharp.cli.options import DebugOption, JsonOption
from resharp.errors import ConfigError, ModelError, ResharpError, TrainingError

if TYPE_CHECKING:
    from resharp.bench.backend_runs import Way
    from resharp.bench.limited_process import Limits
    from resharp.bench.turns import Run
    from resharp.model_files import ConfigFile

SIZES = ("256x256", "1280x720")
# What an exported folder adds to the table, by backend and precision.
LABELS = {
    ("onnx", "float32"): "ONNX Runtime",
    ("openvino", "float32"): "OpenVINO, free sizes",
    ("onnx", "int8"): "ONNX Runtime, int8",
    ("openvino", "int8"): "OpenVINO, int8",
}
Exports = dict[tuple[str, str], Path]


def backends(
    model: Annotated[str, typer.Option(metavar="MODEL", help="A model's name, folder or Hub id.")] = "default",
    exported: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FOLDER",
            help="Made from MODEL by resharp export, int8 above all; repeatable. What is not given is exported first.",
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Measure the diffusion too, in so many steps.")] = None,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Measure torch.compile too, which takes minutes to start.")
    ] = False,
    size: Annotated[
        list[str] | None,
        typer.Option("--size", metavar="WxH", help="Size of the picture; repeatable; default: 256x256 and 1280x720."),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Rounds in which all ways are measured.")] = 3,
    once_above: Annotated[
        float, typer.Option(metavar="SECONDS", help="What takes longer is measured in the first round only.")
    ] = 60.0,
    limit: Annotated[float, typer.Option(metavar="SECONDS", help="A measurement that takes longer is ended.")] = 1800.0,
    threads: Annotated[int | None, typer.Option(min=1, help="Of each way; default: the cores.")] = None,
    out: OutOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Time torch, ONNX Runtime and OpenVINO on the same picture; each in a process of its own, in turns."""
    check_out(out, overwrite=overwrite)
    sizes = [picture_size(text) for text in dict.fromkeys(size or SIZES)]
    from resharp.bench.backend_table import markdown, rows_of
    from resharp.bench.limited_process import Limits
    from resharp.bench.spec import usable_cores

    limits = Limits(threads or usable_cores(), limit, free_memory())
    about = about_measurements(model, limits, repeats)
    with tempfile.TemporaryDirectory(prefix="resharp-bench-") as folder:
        ways = _ways(model, exported or (), steps, compiled, Path(folder))
        runs = _runs(ways, sizes, limits, repeats, once_above, Path(folder))
    rows = rows_of(ways, runs)
    _report(rows, runs, about, out, None if as_json else markdown(rows, about))
    if not any(run.seconds for run in runs):
        raise TrainingError(f"nothing could be measured: {runs[0].failed}")


def _ways(model: str, exported: Sequence[str], steps: int | None, compiled: bool, folder: Path) -> list[Way]:
    """What is to be measured; raises ConfigError, ModelError.

    folder: a place for graphs that must be exported first.
    """
    from resharp.bench.backend_runs import EAGER, Way
    from resharp.hub import locate_model
    from resharp.model_files import read_config
    from resharp.runtime.exported import is_exported

    source = locate_model(model)
    if is_exported(source):
        raise ConfigError(f"{model}: is exported; name the model that it was made from, and give it as --exported")
    config, schedule = read_config(source)
    parts = _parts(config, schedule, steps)
    given = _given(exported, model)
    places: list[tuple[str, str, Path | None, str | None]] = [(EAGER, "torch", source, None)]
    places.append(("torch, channels_last", "torch channels_last", source, None))
    if compiled:
        places.append(("torch, compiled", "torch compiled", source, None))
    for (backend, precision), label in LABELS.items():
        if (backend, precision) in given:
            places.append((label, backend, given[backend, precision], None))
        elif precision == "float32":
            places.append((label, backend, *_graphs(model, config, source, backend, folder)))
    return [Way(label, way, place, part, why) for part in parts for label, way, place, why in places]


def _parts(config: ConfigFile, schedule: Any, steps: int | None) -> list[int | None]:
    """The predictor alone, None, and the diffusion, as far as asked for; raises ConfigError."""
    from resharp.bench.backend_speed import settings_of
    from resharp.diffusion.choices import Choices

    if config.task.scale > 1 or "holes" in config.task.restores:
        raise ConfigError(f"restores {config.task.words}, which exported graphs cannot; there is nothing to compare")
    has_predictor = config.model.predictor is not None
    parts: list[int | None] = [None] * has_predictor + ([] if steps is None else [steps])
    if not parts:
        raise ConfigError("this model has no initial predictor; give --steps to measure its diffusion")
    choices = Choices(schedule, config.defaults, has_predictor, config.model.denoiser is not None)
    for part in parts:
        choices.choose(**settings_of(part))
    return parts


def _given(exported: Sequence[str], model: str) -> Exports:
    """The exported folders by backend and precision; raises ConfigError, ModelError."""
    from resharp.provenance import origin_of
    from resharp.runtime.exported import is_exported, read_export

    found: Exports = {}
    for name in exported:
        if not is_exported(Path(name)):
            raise ModelError(f"--exported {name}: not a folder made by resharp export")
        export = read_export(Path(name))
        kind = (export.backend, export.precision)
        if kind not in LABELS:
            raise ConfigError(f"--exported {name}: is for other programs; give one for onnx or openvino")
        if kind in found:
            raise ConfigError(f"--exported {name}: {found[kind]} is for {kind[0]} in {kind[1]} too; give one of them")
        if export.weights_sha256 != origin_of(model).weights_sha256:
            raise ModelError(f"--exported {name}: was made from another model, {export.model}; give it as --model")
        found[kind] = Path(name)
    return found


def _graphs(model: str, config: ConfigFile, source: Path, backend: str, folder: Path) -> tuple[Path | None, str | None]:
    """A folder from which `backend` can run the model in float32, exported where that is needed; or None and why."""
    from resharp.runtime.exported import shipped_graphs
    from resharp.runtime.onnx_graphs import onnxruntime
    from resharp.runtime.openvino_graphs import openvino

    try:
        onnxruntime() if backend == "onnx" else openvino()
        if shipped_graphs(config.model) is not None:
            return source, None
        from resharp.export.folder import export_model
        from resharp.pipeline import DeblurPipeline
        from resharp.provenance import origin_of

        note(f"exporting for {backend}")
        export_model(DeblurPipeline.from_pretrained(model), origin_of(model), backend, folder / backend)
    except ResharpError as error:  # nothing to measure; the other ways go on
        return None, str(error)
    return folder / backend, None


def _runs(
    ways: Sequence[Way],
    sizes: Sequence[tuple[int, int]],
    limits: Limits,
    repeats: int,
    once_above: float,
    folder: Path,
) -> list[Run]:
    from resharp.bench.backend_runs import in_turns
    from resharp.bench.photographs import write_photograph

    pictures = {size: folder / f"{size[0]}x{size[1]}.png" for size in sizes}
    for (width, height), path in pictures.items():
        write_photograph(path, width, height)
    runs = []
    for run in in_turns(ways, pictures, limits, repeats, once_above):
        runs.append(run)
        note(measured_line(run))
    return runs


def _report(
    rows: Sequence[Any], runs: Sequence[Run], about: dict[str, Any], out: str | None, table: str | None
) -> None:
    """table: for people; None prints the JSON object."""
    from dataclasses import asdict

    from resharp.files import write_text

    found = {**about, "rows": [asdict(row) for row in rows], "runs": [asdict(run) for run in runs]}
    text = json.dumps(found, indent=2)
    if out is not None:
        write_text(out, text + "\n")
    say(text if table is None else table.rstrip())
