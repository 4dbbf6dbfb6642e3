"""ONNX graphs run by ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from resharp.runtime.opened import Graph, Graphs, library
from resharp.runtime.ready_weights import weights_of
from resharp.threads import thread_count

NAME = "ONNX Runtime"
# Else a session keeps the most it ever took, while a large photo is guarded and written: 336 MB at 1280x720, not 100.
_GIVE_BACK = ("memory.enable_memory_arena_shrinkage", "cpu:0")
_SILENT = 4  # its errors come as exceptions; these are the lines it would print besides


def onnxruntime() -> Any:
    """The module, which sends nothing about its use; see `resharp.runtime.opened.library` for errors."""
    module = library("onnxruntime", NAME, "onnx")
    module.disable_telemetry_events()  # its builds for Windows have some
    return module


def onnx_graphs(
    files: Mapping[str, Path], weights: Mapping[str, np.ndarray] | None = None, threads: int | None = None
) -> Graphs:
    """Graphs by name, opened when they are first run.

    Args:
        files: the .onnx file of each.
        weights: tensors that the files leave out, by name; None where they are complete.
        threads: see `resharp.threads.thread_count`.

    Raises:
        ConfigError: ONNX Runtime is not installed.
    """
    module, count = onnxruntime(), thread_count(threads)

    def read(name: str, path: Path) -> Graph:
        options = module.SessionOptions()
        options.intra_op_num_threads = count
        options.log_severity_level = _SILENT
        if weights is not None:
            own = weights_of(name, weights).items()
            values = {key: module.OrtValue.ortvalue_from_numpy(value) for key, value in own}
            options.add_external_initializers(list(values), list(values.values()))
        session = module.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

        def run(inputs: Mapping[str, np.ndarray]) -> Sequence[np.ndarray]:
            options = module.RunOptions()
            options.log_severity_level = _SILENT
            options.add_run_config_entry(*_GIVE_BACK)
            return _run(session, dict(inputs), options)

        return run

    return Graphs(files, read, NAME)


def _run(session: Any, inputs: Mapping[str, np.ndarray], options: Any) -> Sequence[np.ndarray]:
    """The outputs. The work is done in another thread, so that Ctrl-C is heard meanwhile; it stops at the next node."""
    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(session.run, None, inputs, options)
        try:
            return work.result()
        except BaseException:
            options.terminate = True
            raise
