"""OpenVINO models in int8, by NNCF's post-training quantisation."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from resharp.errors import ConfigError
from resharp.export.graphs import write_openvino
from resharp.runtime.openvino_graphs import openvino_core, unreported


def quantise_openvino(path: Path, inputs: Sequence[Mapping[str, np.ndarray]]) -> None:
    """Replace an .xml and its .bin by the same network in int8.

    Weights are int8 by channel, of 7 bits, which processors without VNNI do not saturate. Activations are uint8, their
    ranges the least and the most seen: NNCF's own default, the mean of each picture's, cuts off what is bright or
    dark in some (0.27 dB lost on the shipped default instead of 0.05). The first and the last convolution stay in
    float32.

    Args:
        inputs: what the network is given for each picture, by name.

    Raises:
        ConfigError: NNCF or OpenVINO is not installed.
    """
    nncf = load_nncf()
    model = openvino_core().read_model(str(path))
    convolutions = [op.get_friendly_name() for op in model.get_ordered_ops() if op.get_type_name() == "Convolution"]
    ranges = nncf.quantization.range_estimator.RangeEstimatorParametersSet.MINMAX
    with redirect_stdout(io.StringIO()):  # its bars
        model = nncf.quantize(
            model,
            nncf.Dataset(list(inputs)),
            preset=nncf.QuantizationPreset.MIXED,
            target_device=nncf.TargetDevice.CPU,
            subset_size=len(inputs),
            ignored_scope=nncf.IgnoredScope(names=[convolutions[0], convolutions[-1]]),
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                overflow_fix=nncf.OverflowFix.ENABLE, activations_range_estimator_params=ranges
            ),
        )
    made = path.with_name(f"int8-{path.name}")
    write_openvino(model, made)
    for suffix in (".bin", ".xml"):
        made.with_suffix(suffix).replace(path.with_suffix(suffix))


def load_nncf() -> Any:
    """The module, which sends nothing about its use.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        with unreported(), redirect_stdout(io.StringIO()):  # where its log goes from then on
            import nncf
            import nncf.quantization.range_estimator
    except ImportError as error:
        raise ConfigError("--int8 for openvino needs NNCF: pip install 'resharp[openvino-int8]'") from error
    nncf.set_log_level(logging.ERROR)
    return nncf
