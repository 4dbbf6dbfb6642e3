"""Programs written as files: torch.export's own, ONNX, and OpenVINO's by way of ONNX."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from resharp.errors import ConfigError
from resharp.export.programs import Program
from resharp.runtime.openvino_graphs import openvino

OPSET = 20


def write_torch(program: Program, path: Path) -> None:
    """A .pt2 file, for `torch.export.load`."""
    with _quiet():
        exported = torch.export.export(program.module, program.examples, dynamic_shapes=_dynamic(program))
        torch.export.save(exported, path)


def write_onnx(program: Program, path: Path) -> None:
    """An .onnx file, complete in itself.

    Raises:
        ConfigError: onnx or onnxscript is not installed.
    """
    _need("onnx", "onnx")
    _need("onnxscript", "onnx")
    with _quiet():
        torch.onnx.export(
            program.module,
            program.examples,
            str(path),
            dynamo=True,
            dynamic_shapes=_dynamic(program),
            input_names=list(program.inputs),
            output_names=list(program.outputs),
            opset_version=OPSET,
            external_data=False,
            verbose=False,
        )


def read_openvino(onnx: Path) -> Any:
    """An OpenVINO model of an .onnx file.

    Raises:
        ConfigError: OpenVINO is not installed.
    """
    return openvino().convert_model(str(onnx))


def write_openvino(model: Any, path: Path) -> None:
    """An OpenVINO model as an .xml file with its .bin beside it, weights in float32 unless they are int8."""
    openvino().save_model(model, str(path), compress_to_fp16=False)


def _dynamic(program: Program) -> tuple[Any, ...]:
    # Of a module that takes *tensors the shapes are one tuple.
    return program.shapes if len(program.inputs) == 1 else (program.shapes,)


def _need(module: str, extra: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(f"exporting needs the package {module}: pip install 'resharp[{extra}]'") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks on operators of packages that are not installed, and on its own parts."""
    log = logging.getLogger("torch.onnx")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)
