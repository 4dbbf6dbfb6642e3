"""From a folder and the name of a backend to a pipeline that runs without torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from resharp.errors import ConfigError, ModelError
from resharp.model_files import WEIGHTS, ConfigFile, read_config
from resharp.runtime.exported import SUFFIXES, is_exported, read_export, shipped_graphs
from resharp.runtime.networks import Networks, Run, graph_inputs
from resharp.runtime.onnx_graphs import OnnxGraphs, onnxruntime
from resharp.runtime.openvino_graphs import OpenvinoGraphs, openvino
from resharp.runtime.pipeline import GraphPipeline


def open_graphs(folder: Path, backend: str) -> GraphPipeline:
    """The pipeline of an exported folder, or of a model folder for whose configuration graphs come with resharp.

    Args:
        folder: see `resharp.hub.locate_model`.
        backend: "onnx" or "openvino".

    Raises:
        ModelError: the folder is damaged, was exported for another backend, or must be exported first.
        ConfigError: the backend is not installed, or cannot do what this model is for.
    """
    config, schedule = read_config(folder)
    _check_task(config, folder)
    version = onnxruntime().__version__ if backend == "onnx" else openvino().__version__.split("-")[0]
    precision = "float32"
    run: Run
    if is_exported(folder):
        export = read_export(folder)
        if export.backend != backend:
            raise ModelError(f"{folder}: was exported for {export.backend}; give --backend {export.backend}")
        precision = export.precision
        files = {name: folder / f"{name}{SUFFIXES[backend]}" for name in graph_inputs(config.model)}
        run = OnnxGraphs(files) if backend == "onnx" else OpenvinoGraphs(files)
    else:
        graphs = shipped_graphs(config.model) if backend == "onnx" else None
        if graphs is None:
            raise ModelError(
                f"{folder}: has no {backend} graphs; make them with `resharp export {backend} MODEL OUT`, "
                "then give --model OUT"
            )
        files = {name: graphs / f"{name}.onnx" for name in graph_inputs(config.model)}
        run = OnnxGraphs(files, _weights(folder / WEIGHTS))
    networks = Networks(config.model, run)
    return GraphPipeline(
        networks, schedule, config.defaults, config.task, backend=backend, version=version, precision=precision
    )


def _check_task(config: ConfigFile, folder: Path) -> None:
    if config.task.scale > 1 or "holes" in config.task.restores:
        raise ConfigError(f"{folder}: restores {config.task.words}, which exported graphs cannot; use --backend torch")


def _weights(path: Path) -> dict[str, np.ndarray]:
    """Every tensor in float32, by name.

    Raises:
        ModelError: the file is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return {name: value.astype(np.float32) for name, value in load_file(path).items()}
    except (OSError, ValueError, SafetensorError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise ModelError(f"{path}: not a readable safetensors file ({reason}); fetch it again") from error
