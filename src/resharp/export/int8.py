"""Graphs in int8: weights by channel, activations by ranges seen while pictures are restored."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from resharp.errors import ConfigError
from resharp.export.int8_openvino import load_nncf, quantise_openvino
from resharp.runtime.exported import SUFFIXES
from resharp.runtime.networks import GUIDE, PREDICT, Networks
from resharp.runtime.onnx_graphs import onnx_graphs
from resharp.runtime.openvino_graphs import openvino_graphs
from resharp.runtime.pictures import to_network

Inputs = Mapping[str, np.ndarray]


def quantise(folder: Path, networks: Networks, pictures: Sequence[np.ndarray], backend: str = "onnx") -> None:
    """Replace guide and predict in a folder by int8 graphs; denoise stays in float32.

    Static quantisation, for ONNX Runtime by itself: QDQ, int8 weights of 7 bits, which processors without VNNI do not
    saturate, uint8 activations; the first and the last convolution of each graph stay in float32. For OpenVINO see
    `quantise_openvino`.

    Args:
        networks: the folder's graphs in float32.
        pictures: blurry ones to take ranges from, each (1, 3, H, W) in [0, 1].
        backend: "onnx" or "openvino", for which the graphs are.

    Raises:
        ConfigError: a package is missing, or the model has no predictor.
    """
    config = networks.config
    if config.predictor is None:
        raise ConfigError("--int8 is for models with an initial predictor; this one has none")
    graphs: dict[str, list[Inputs]] = {PREDICT: []} if config.guidance is None else {GUIDE: [], PREDICT: []}
    for picture in pictures:
        y = to_network(picture, config.size_multiple)
        h = networks.guide(y)
        if config.guidance is not None:
            graphs[GUIDE].append({"y": y})
        inputs_of_predict = {"y": y, **{f"h_{k}": h_k for k, h_k in h.items()}}
        networks.predict(y, h)  # opens the float32 graph, which is to be compared with and is replaced below
        graphs[PREDICT].append(inputs_of_predict)
    for name, inputs in graphs.items():
        make = quantise_openvino if backend == "openvino" else _quantise_onnx
        make(folder / f"{name}{SUFFIXES[backend]}", inputs)


def open_networks(folder: Path, config: Any, backend: str = "onnx") -> Networks:
    """Guide and predict of a folder that is being made; each stays as it was when it was first run."""
    opened = openvino_graphs if backend == "openvino" else onnx_graphs
    return Networks(config, opened({name: folder / f"{name}{SUFFIXES[backend]}" for name in (GUIDE, PREDICT)}))


def check_packages(backend: str) -> None:
    """Refuse, with ConfigError, what cannot be quantised with what is installed; an export takes a while."""
    _onnx_packages() if backend == "onnx" else load_nncf()


def _onnx_packages() -> tuple[Any, Any]:
    """onnx and onnxruntime.quantization."""
    try:
        import onnx
        from onnxruntime import quantization
    except ImportError as error:
        raise ConfigError("--int8 needs ONNX Runtime and onnx: pip install 'resharp[onnx]'") from error
    return onnx, quantization


def _quantise_onnx(path: Path, inputs: Sequence[Inputs]) -> None:
    onnx, quantization = _onnx_packages()

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            self._left: Iterator[Inputs] = iter(inputs)

        def get_next(self) -> Inputs | None:
            return next(self._left, None)

    convolutions = [node.name for node in onnx.load(str(path)).graph.node if node.op_type == "Conv"]
    made, log = path.with_suffix(".int8"), logging.getLogger()
    before = log.level
    log.setLevel(logging.ERROR)  # it advises a preparation that needs fixed sizes
    try:
        quantization.quantize_static(
            str(path),
            str(made),
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=[convolutions[0], convolutions[-1]],
            per_channel=True,
            reduce_range=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )
    finally:
        log.setLevel(before)
    made.replace(path)
