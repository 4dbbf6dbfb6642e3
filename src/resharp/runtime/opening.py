"""From a folder and the name of a backend to a pipeline that runs without torch."""

from __future__ import annotations

from pathlib import Path

from resharp.errors import ConfigError, ModelError
from resharp.model_files import WEIGHTS, ConfigFile, read_config
from resharp.runtime.exported import SUFFIXES, is_exported, read_export, shipped_graphs, weight_shapes
from resharp.runtime.networks import Networks, graph_inputs
from resharp.runtime.onnx_graphs import onnx_graphs, onnxruntime
from resharp.runtime.openvino_graphs import openvino, openvino_graphs
from resharp.runtime.pipeline import GraphPipeline
from resharp.weights_file import read_arrays


def open_graphs(folder: Path, backend: str, threads: int | None = None) -> GraphPipeline:
    """The pipeline of an exported folder, or of a model folder for whose configuration graphs come with resharp.

    Args:
        folder: see `resharp.hub.locate_model`.
        backend: "onnx" or "openvino".
        threads: see `resharp.threads.thread_count`.

    Raises:
        ModelError: the folder is damaged, was exported for another backend, or must be exported first.
        ConfigError: the backend is not installed, or cannot do what this model is for.
        MemoryError: there is not enough for the first graph.
    """
    config, schedule = read_config(folder)
    if not can_restore(config):
        raise ConfigError(f"{folder}: restores {config.task.words}, which exported graphs cannot; use --backend torch")
    version = onnxruntime().__version__ if backend == "onnx" else openvino().__version__.split("-")[0]
    precision, place, weights, suffix = "float32", folder, None, SUFFIXES[backend]
    if is_exported(folder):
        export = read_export(folder)
        if export.backend != backend:
            raise ModelError(f"{folder}: was exported for {export.backend}; give --backend {export.backend}")
        precision = export.precision
    else:
        ready = shipped_graphs(config.model)
        if ready is None:
            raise ModelError(
                f"{folder}: has no {backend} graphs; make them with `resharp export {backend} MODEL OUT`, "
                "then give --model OUT"
            )
        place, weights, suffix = ready, read_arrays(folder / WEIGHTS, weight_shapes(ready)), SUFFIXES["onnx"]
    files = {name: place / f"{name}{suffix}" for name in graph_inputs(config.model)}
    graphs = (onnx_graphs if backend == "onnx" else openvino_graphs)(files, weights, threads)
    # The first that a picture needs: a library or a file that does not work is told now, and not for every photo.
    graphs.open(next(iter(files)))
    return GraphPipeline(
        Networks(config.model, graphs),
        schedule,
        config.defaults,
        config.task,
        backend=backend,
        version=version,
        precision=precision,
        release=graphs.close,
    )


def can_restore(config: ConfigFile) -> bool:
    """Whether pipelines of graphs can do what a model is for: they neither enlarge pictures nor look for holes."""
    return config.task.scale == 1 and "holes" not in config.task.restores
