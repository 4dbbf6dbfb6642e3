"""Graphs by name, opened when they are first run, and what is the same whichever library runs them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from resharp.errors import ConfigError, ModelError, ResharpError

Graph = Callable[[Mapping[str, np.ndarray]], Sequence[np.ndarray]]
# How ONNX Runtime and OpenVINO say that memory has run out: std::bad_alloc by name, or the request that failed.
_OUT_OF_MEMORY = ("bad_alloc", "failed to allocate memory", "could not allocate memory")


def library(module: str, name: str, backend: str) -> Any:
    """The module of a library that runs graphs.

    Args:
        name: what its makers call it. backend: as `--backend` has it, and the extra that installs it.

    Raises:
        ConfigError: it is not installed, or its installation is broken.
    """
    try:
        return importlib.import_module(module)
    except Exception as error:  # a broken installation has many ways of failing
        if isinstance(error, ModuleNotFoundError) and error.name == module:
            raise ConfigError(f"--backend {backend} needs {name}: pip install 'resharp[{backend}]'") from error
        raise ConfigError(
            f"{name} is installed and cannot be loaded ({type(error).__name__}: {_line(error)}); install it again: "
            f"pip install --force-reinstall {module}"
        ) from error


class Graphs:
    """The graphs of a model; called as `resharp.runtime.networks.Run`.

    Args:
        files: the file of each.
        read: (graph's name, file) -> the graph as a function of its inputs by name.
        name: of the library, for errors.
    """

    def __init__(self, files: Mapping[str, Path], read: Callable[[str, Path], Graph], name: str) -> None:
        self._files, self._read, self._name = dict(files), read, name
        self._opened: dict[str, Graph] = {}

    def open(self, name: str) -> Graph:
        """The graph; its file is read when it is first asked for, and not again.

        Raises:
            ModelError: the file is not one that the library can run.
            OutputError: there is no room for what it needs beside memory.
            MemoryError: there is not enough for it.
        """
        if name not in self._opened:
            path = self._files[name]
            try:
                self._opened[name] = self._read(name, path)
            except ResharpError:
                raise
            except Exception as error:  # its own kinds, one for each way in which a file can be wrong
                _raise_memory_error(error)
                raise ModelError(
                    f"{path}: not a graph that {self._name} can run ({_line(error)[:160]}); export again, "
                    f"or update {self._name}"
                ) from error
        return self._opened[name]

    def close(self) -> None:
        """Forget the graphs and what their library keeps for them; they are opened again when they are run."""
        self._opened.clear()

    def __call__(self, name: str, inputs: Mapping[str, np.ndarray]) -> Sequence[np.ndarray]:
        """The outputs of a graph, in order.

        Raises:
            ModelError, MemoryError: as `open`; memory also runs out while it works.
        """
        graph = self.open(name)
        try:
            return graph({key: np.ascontiguousarray(value) for key, value in inputs.items()})
        except Exception as error:
            _raise_memory_error(error)
            raise


def _raise_memory_error(error: Exception) -> None:
    """MemoryError where a library's own error says the same."""
    if not isinstance(error, MemoryError) and any(sign in str(error).lower() for sign in _OUT_OF_MEMORY):
        raise MemoryError(_line(error)) from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
