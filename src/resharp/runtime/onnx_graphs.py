"""ONNX graphs run by ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from resharp.errors import ConfigError, ModelError
from resharp.runtime.networks import DENOISE, GUIDE, PREDICT
from resharp.runtime.threads import thread_count

# Where a graph's weights stand in model.safetensors. R, which only training needs, is in none.
_WEIGHTS_OF = {GUIDE: "guidance.guides.", PREDICT: "predictor.", DENOISE: "denoiser."}
INSTALL = "pip install 'resharp[onnx]'"


def onnxruntime() -> Any:
    """The module.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ConfigError(f"--backend onnx needs ONNX Runtime: {INSTALL}") from error
    return onnxruntime


class OnnxGraphs:
    """Graphs by name, opened when they are first run.

    Args:
        files: the .onnx file of each.
        weights: tensors that the files leave out, by name; None where they are complete.

    Raises:
        ConfigError: ONNX Runtime is not installed.
    """

    def __init__(self, files: Mapping[str, Path], weights: Mapping[str, np.ndarray] | None = None) -> None:
        self._library = onnxruntime()
        self._files, self._weights = dict(files), weights
        self._sessions: dict[str, Any] = {}

    def __call__(self, name: str, inputs: Mapping[str, np.ndarray]) -> Sequence[np.ndarray]:
        """The outputs of a graph, in order; see `Networks.run`."""
        session = self._sessions.get(name) or self._open(name)
        return session.run(None, {key: np.ascontiguousarray(value) for key, value in inputs.items()})

    def _open(self, name: str) -> Any:
        library, path = self._library, self._files[name]
        options = library.SessionOptions()
        options.intra_op_num_threads = thread_count()
        options.log_severity_level = 3
        if self._weights is not None:
            own = {key: value for key, value in self._weights.items() if key.startswith(_WEIGHTS_OF[name])}
            values = {key: library.OrtValue.ortvalue_from_numpy(value) for key, value in own.items()}
            options.add_external_initializers(list(values), list(values.values()))
        try:
            session = library.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its own kinds, one for each way in which a file can be wrong
            raise ModelError(f"{path}: not a graph that ONNX Runtime can run ({_line(error)}); export again") from error
        self._sessions[name] = session
        return session


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:160]
