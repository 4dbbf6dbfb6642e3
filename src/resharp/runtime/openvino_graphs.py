"""OpenVINO models run on the CPU."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from resharp.runtime.opened import Graph, Graphs, library
from resharp.runtime.ready_weights import write_weights
from resharp.threads import thread_count

NAME, _TELEMETRY = "OpenVINO", "openvino_telemetry"
_PATIENCE_MS = 200


def openvino() -> Any:
    """The module, which sends nothing about its use; see `resharp.runtime.opened.library` for errors."""
    with unreported():
        return library("openvino", NAME, "openvino")


@cache
def openvino_core() -> Any:
    """The one `openvino.Core` of this process.

    Its plugin for CPUs gives the thread a stack for signals and, when it goes, puts back the one that was there before.
    Of two, gone in the order in which they came, that one is freed memory by then, and the next Ctrl-C a segmentation
    fault. So there is one, and it stays.
    """
    return openvino().Core()


@contextmanager
def unreported() -> Iterator[None]:
    """Without the package by which OpenVINO and NNCF, when imported, tell their makers so, unasked.

    Where it is missing they do without, and within the block it is missing.
    """
    before = sys.modules.get(_TELEMETRY)
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # what an import takes for "not there"
    try:
        yield
    finally:
        del sys.modules[_TELEMETRY]
        if before is not None:
            sys.modules[_TELEMETRY] = before


def openvino_graphs(
    files: Mapping[str, Path], weights: Mapping[str, np.ndarray] | None = None, threads: int | None = None
) -> Graphs:
    """Models by name, opened when they are first run.

    Args:
        files: of each the .xml file, whose .bin lies beside it, or an .onnx file.
        weights: tensors that .onnx files leave out, by name; None where they are complete.
        threads: see `resharp.threads.thread_count`.

    Raises:
        ConfigError: OpenVINO is not installed.
    """
    core = openvino_core()
    # float32 asked for: where it has bf16, OpenVINO takes that by itself.
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": thread_count(threads)}

    def read(name: str, path: Path) -> Graph:
        if weights is None:
            compiled = core.compile_model(str(path), "CPU", options)
        else:
            # It takes weights from a file alone. Windows does not remove one that is still read.
            with TemporaryDirectory(prefix="resharp-", ignore_cleanup_errors=True) as folder:
                write_weights(name, weights, Path(folder))
                compiled = core.compile_model(shutil.copy(path, folder), "CPU", options)
        request = compiled.create_infer_request()

        def run(inputs: Mapping[str, np.ndarray]) -> Sequence[np.ndarray]:
            request.start_async(dict(inputs), share_inputs=True)
            try:
                while not request.wait_for(_PATIENCE_MS):  # between these Ctrl-C is heard
                    pass
            except BaseException:
                request.cancel()
                with suppress(Exception):  # that it was cancelled
                    request.wait()  # it works on our arrays
                raise
            # Copies: the results live in memory that the next call overwrites.
            return [np.array(request.get_output_tensor(i).data) for i in range(len(compiled.outputs))]

        return run

    return Graphs(files, read, NAME)
