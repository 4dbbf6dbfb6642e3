"""The weights that ready graphs leave out: which are each graph's, and where in one file the graph looks for them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from resharp.errors import OutputError
from resharp.runtime.networks import DENOISE, GUIDE, PREDICT

# Beside the graph; float32, little-endian, one tensor after the other. ONNX Runtime is given tensors and reads no file.
FILE = "weights.bin"
# Where a graph's weights stand in model.safetensors. R, which only training needs, is in none.
_WEIGHTS_OF = {GUIDE: "guidance.guides.", PREDICT: "predictor.", DENOISE: "denoiser."}


def weights_of(name: str, weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A graph's own, by name."""
    return {key: value for key, value in weights.items() if key.startswith(_WEIGHTS_OF[name])}


def places(name: str, shapes: Mapping[str, Sequence[int]]) -> dict[str, tuple[int, int]]:
    """(offset, length) in bytes of each tensor of a graph in its `FILE`.

    Args:
        name: of the graph.
        shapes: of all tensors of the model, in any order.
    """
    found, offset = {}, 0
    for key in sorted(key for key in shapes if key.startswith(_WEIGHTS_OF[name])):
        found[key] = (offset, 4 * math.prod(shapes[key]))
        offset += found[key][1]
    return found


def write_weights(name: str, weights: Mapping[str, np.ndarray], folder: Path) -> None:
    """Write a graph's `FILE` into a folder, as `places` has it.

    Args:
        weights: of the model, float32 by name.

    Raises:
        OutputError: there is no room for it.
    """
    try:
        with (folder / FILE).open("wb") as file:
            for key in places(name, {key: value.shape for key, value in weights.items()}):
                file.write(weights[key].astype("<f4").tobytes())
    except OSError as error:
        raise OutputError(
            f"{folder.parent}: the model's weights cannot be put there for a moment ({error.strerror}); make room, or "
            "name another folder by TMPDIR"
        ) from error
