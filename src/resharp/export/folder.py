"""`resharp export`: a folder of graphs with all that is needed to run them, complete or absent."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from resharp import __version__
from resharp.errors import OutputError
from resharp.export.graphs import read_openvino, write_onnx, write_openvino, write_torch
from resharp.export.programs import Program, programs
from resharp.model_files import CONFIG, SCHEDULER, ConfigFile, as_json
from resharp.pipeline import DeblurPipeline
from resharp.receipt import Origin, file_sha256
from resharp.runtime.exported import EXPORT, SUFFIXES, ExportFile

OnGraph = Callable[[str], None]


def export_model(
    pipeline: DeblurPipeline,
    origin: Origin,
    backend: str,
    out: Path,
    *,
    overwrite: bool = False,
    on_graph: OnGraph | None = None,
    to_int8: Callable[[Path], None] | None = None,
) -> ExportFile:
    """Write the graphs of a model with config.json, scheduler_config.json and export.json.

    Args:
        origin: of the pipeline's model.
        backend: "onnx", "openvino" or "torch".
        out: a folder that does not exist, or is empty; with `overwrite` also an earlier export.
        on_graph: called with the name of each graph before it is made.
        to_int8: turns the float32 graphs in the folder it is given into int8; its errors leave nothing behind.

    Raises:
        OutputError: the folder is there already, or cannot be written.
        ConfigError: a package that exporting needs is not installed.
    """
    with new_folder(out, overwrite=overwrite) as folder:
        for name, program in programs(pipeline.model.cpu()).items():
            if on_graph is not None:
                on_graph(name)
            _write(program, folder / f"{name}{SUFFIXES[backend]}", backend)
        if to_int8 is not None:
            to_int8(folder)
        precision = "float32" if to_int8 is None else "int8"
        found = ExportFile(backend, precision, origin.model, origin.weights_sha256, {}, versions())  # type: ignore[arg-type]
        return finish(folder, pipeline, found)


def finish(folder: Path, pipeline: DeblurPipeline, export: ExportFile) -> ExportFile:
    """Add to the graphs in a folder what describes them."""
    files = {path.name: file_sha256(path) for path in sorted(folder.iterdir())}
    export = replace(export, files=files)
    config = ConfigFile(pipeline.model.config, pipeline.defaults, task=pipeline.task)
    for name, settings in ((CONFIG, config), (SCHEDULER, pipeline.schedule), (EXPORT, export)):
        (folder / name).write_text(as_json(settings), encoding="utf-8")
    return export


def versions() -> dict[str, str]:
    """The programs that make graphs."""
    return {"resharp": __version__, "torch": torch.__version__}


@contextmanager
def new_folder(out: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield a folder beside `out` that takes its place if the block ends without an error.

    Raises:
        OutputError: `out` is there and holds something that is not to be replaced, or cannot be made.
    """
    if out.exists() and not (out.is_dir() and (not any(out.iterdir()) or (overwrite and (out / EXPORT).is_file()))):
        remedy = "add --overwrite to replace it" if (out / EXPORT).is_file() else "choose another place"
        raise OutputError(f"{out}: exists already and is kept; {remedy}")
    temporary = out.parent / f".resharp-{secrets.token_hex(4)}"
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if out.exists():
            shutil.rmtree(out)
        os.replace(temporary, out)
    except OSError as error:
        raise OutputError(f"{out}: cannot write it ({error.strerror or error})") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write(program: Program, path: Path, backend: str) -> None:
    if backend == "torch":
        write_torch(program, path)
    elif backend == "onnx":
        write_onnx(program, path)
    else:
        onnx = path.with_suffix(".onnx")
        write_onnx(program, onnx)
        write_openvino(read_openvino(onnx), path)
        onnx.unlink()
