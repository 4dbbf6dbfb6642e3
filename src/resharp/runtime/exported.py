"""What an exported folder says of itself, and which graphs a model has."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from resharp.errors import ModelError
from resharp.files import read_text
from resharp.model_files import CONFIG, read_json
from resharp.models.config import ModelConfig

EXPORT = "export.json"
FORMAT = 1
BACKENDS = ("torch", "onnx", "openvino")
SUFFIXES = {"onnx": ".onnx", "openvino": ".xml", "torch": ".pt2"}
# Graphs without weights for the size of the shipped models: the weights come from the model's own file, and SHAPES
# says which it must have.
SHAPES = "weights.json"
_SHIPPED_GRAPHS = Path(__file__).parent / "graphs"


@dataclass(frozen=True)
class ExportFile:
    """Schema of export.json.

    backend: what runs the graphs. precision: of their weights and activations.
    model, weights_sha256: what was exported; see `resharp.receipt.Origin`.
    files: SHA-256 of each graph's files, by name.
    made_with: versions of the programs that made them.
    format: grows when an older resharp could no longer understand it.
    """

    backend: Literal["onnx", "openvino", "torch"]
    precision: Literal["float32", "int8"]
    model: str
    weights_sha256: str
    files: dict  # type: ignore[type-arg]  # from_dict wants a plain type
    made_with: dict  # type: ignore[type-arg]
    format: int = FORMAT


def is_exported(folder: Path) -> bool:
    """Whether this is a folder made by `resharp export`."""
    return (folder / EXPORT).is_file()


def read_export(folder: Path) -> ExportFile:
    """What an exported folder says of itself.

    Raises:
        ModelError: it is damaged, of a newer resharp, or a file of it is missing.
    """
    found = read_json(ExportFile, folder / EXPORT)
    if found.format != FORMAT:
        raise ModelError(f"{folder / EXPORT}: not of this version of resharp; update resharp, or export again")
    for name in found.files:
        if Path(name).name != name or not (folder / name).is_file():
            raise ModelError(f"{folder}: lacks {str(name)[:80]!r}, which its {EXPORT} names; export again")
    return found


def shipped_graphs(config: ModelConfig) -> Path | None:
    """The folder of ready ONNX graphs, without weights, for this configuration; None where there is none."""
    for folder in sorted(_SHIPPED_GRAPHS.glob("*")):
        if (folder / CONFIG).is_file() and read_json(ModelConfig, folder / CONFIG) == config:
            return folder
    return None


def weight_shapes(graphs: Path) -> dict[str, tuple[int, ...]]:
    """The tensors of model.safetensors that belong to ready graphs, those that only training needs included."""
    return {name: tuple(shape) for name, shape in json.loads(read_text(graphs / SHAPES)).items()}
