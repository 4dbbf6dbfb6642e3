"""Make the graphs that come with resharp from an exported model: the same graphs without the weights.

    resharp export onnx default EXPORTED
    python tools/ship_graphs.py EXPORTED src/resharp/runtime/graphs/msgd-fast

The weights are taken from the model's own file, so one set of graphs serves every model of this size: ONNX Runtime is
given them by name, OpenVINO in a file beside the graph, which says where in it each lies.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import onnx
import torch

from resharp.model_files import CONFIG, as_json, read_config
from resharp.models.icdpm import ICDPM
from resharp.runtime.exported import SHAPES
from resharp.runtime.networks import graph_inputs
from resharp.runtime.ready_weights import FILE, places

NOT_STORED = ".frequencies"  # a constant of the network, not in model.safetensors
PREFIX = "model."  # of parameters within the exported modules; see resharp/export/programs.py


def without_weights(graph: onnx.ModelProto, where: Mapping[str, tuple[int, int]]) -> onnx.ModelProto:
    """The graph with every parameter left out, to be given by its name in model.safetensors.

    where: offset and length in bytes of each in the file that OpenVINO is given.
    """
    parameters = {each.name for each in graph.graph.initializer if each.name.startswith(PREFIX)}
    names = {name: name.removeprefix(PREFIX) for name in parameters if not name.endswith(NOT_STORED)}
    for tensor in graph.graph.initializer:
        del tensor.metadata_props[:]
        if tensor.name not in names:
            continue
        tensor.name = names[tensor.name]
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        offset, length = where[tensor.name]
        for key, value in (("location", FILE), ("offset", offset), ("length", length)):
            tensor.external_data.add(key=key, value=str(value))
    for node in graph.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        del node.metadata_props[:]
        node.ClearField("doc_string")
    for value in (*graph.graph.input, *graph.graph.output):
        del value.metadata_props[:]
    del graph.graph.value_info[:], graph.metadata_props[:], graph.graph.metadata_props[:]
    return graph


def main(exported: Path, out: Path) -> None:
    config, _ = read_config(exported)
    out.mkdir(parents=True, exist_ok=True)
    (out / CONFIG).write_text(as_json(config.model), encoding="utf-8")
    with torch.device("meta"):
        shapes = {key: list(value.shape) for key, value in ICDPM(config.model).state_dict().items()}
    for name in graph_inputs(config.model):
        graph = without_weights(onnx.load(exported / f"{name}.onnx"), places(name, shapes))
        (out / f"{name}.onnx").write_bytes(graph.SerializeToString())
    (out / SHAPES).write_text(json.dumps(shapes, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
