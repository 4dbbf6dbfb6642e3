"""ONNX graphs in int8: weights by channel, activations by ranges seen while pictures are restored."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from resharp.errors import ConfigError
from resharp.runtime.networks import GUIDE, PREDICT, Networks
from resharp.runtime.onnx_graphs import INSTALL, OnnxGraphs
from resharp.runtime.pictures import to_network

Inputs = Mapping[str, np.ndarray]


def quantise(folder: Path, networks: Networks, pictures: Sequence[np.ndarray]) -> None:
    """Replace guide.onnx and predict.onnx in a folder by int8 graphs; denoise.onnx stays in float32.

    Static quantisation by ONNX Runtime: QDQ, int8 weights of 7 bits, which processors without VNNI do not saturate,
    uint8 activations. The first and the last convolution of each graph stay in float32.

    Args:
        networks: the folder's graphs in float32.
        pictures: blurry ones to take ranges from, each (1, 3, H, W) in [0, 1].

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
        _quantise(folder / f"{name}.onnx", inputs)


def open_float(folder: Path, config: Any) -> Networks:
    """The float32 graphs of a folder that is being made."""
    return Networks(config, OnnxGraphs({name: folder / f"{name}.onnx" for name in (GUIDE, PREDICT)}))


def _quantise(path: Path, inputs: Sequence[Inputs]) -> None:
    try:
        import onnx
        from onnxruntime import quantization
    except ImportError as error:
        raise ConfigError(f"--int8 needs ONNX Runtime and onnx: {INSTALL}") from error

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
