"""OpenVINO models run on the CPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from resharp.errors import ConfigError, ModelError
from resharp.runtime.threads import thread_count

INSTALL = "pip install 'resharp[openvino]'"


def openvino() -> Any:
    """The module.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import openvino
    except ImportError as error:
        raise ConfigError(f"--backend openvino needs OpenVINO: {INSTALL}") from error
    return openvino


class OpenvinoGraphs:
    """Models by name, opened when they are first run.

    Args:
        files: the .xml file of each; its .bin lies beside it.

    Raises:
        ConfigError: OpenVINO is not installed.
    """

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._core = openvino().Core()
        self._files = dict(files)
        self._compiled: dict[str, Any] = {}

    def __call__(self, name: str, inputs: Mapping[str, np.ndarray]) -> Sequence[np.ndarray]:
        """The outputs of a model, in order; see `Networks.run`."""
        compiled = self._compiled.get(name) or self._open(name)
        found = compiled({key: np.ascontiguousarray(value) for key, value in inputs.items()})
        # Copies: the results live in memory that the next call overwrites.
        return [np.array(found[output]) for output in compiled.outputs]

    def _open(self, name: str) -> Any:
        # float32 asked for: where it has bf16, OpenVINO takes that by itself.
        options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": thread_count()}
        path = self._files[name]
        try:
            compiled = self._core.compile_model(str(path), "CPU", options)
        except Exception as error:  # RuntimeError and its own kinds
            line = " ".join(str(error).split())[:160]
            raise ModelError(f"{path}: not a model that OpenVINO can run ({line}); export again") from error
        self._compiled[name] = compiled
        return compiled
