"""model.safetensors, held against what its model must have before any tensor is read. No torch needed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, deserialize, safe_open

from resharp.errors import ModelError
from resharp.model_files import CONFIG, SCHEDULER, WEIGHTS
from resharp.settings import once, shown

_MOST_HEADER_BYTES = 1 << 24
# Those that numpy knows. BF16 is the upper half of a float32.
_DTYPES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2", "F64": "<f8"}

Shapes = Mapping[str, Sequence[int]]


@contextmanager
def checked_weights(path: Path, expected: Shapes) -> Iterator[None]:
    """Refuse a file that does not hold the tensors `expected`, then within the block what fails in reading them.

    Raises:
        ModelError: the file is missing or damaged, or its weights belong to another model.
    """
    if not path.exists():
        raise ModelError(f"{path}: no such file; a model is a folder with {CONFIG}, {WEIGHTS}, {SCHEDULER}")
    if not path.is_file():
        raise ModelError(f"{path}: not an ordinary file; fetch it again")
    try:
        _refuse_double_names(path)
        with safe_open(path, framework="numpy") as file:
            _check_header(file, path, expected)
        yield
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:  # RecursionError is a RuntimeError
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{path}: not a readable safetensors file ({reason}); fetch it again") from error


def read_arrays(path: Path, expected: Shapes) -> dict[str, np.ndarray]:
    """The tensors `expected` by name, in float32.

    Raises:
        ModelError: as of `checked_weights`, or there are numbers that are not finite.
    """
    with checked_weights(path, expected):
        found = {name: _array(stored) for name, stored in deserialize(path.read_bytes())}
    for name, value in found.items():
        if not np.isfinite(value).all():
            raise not_finite(path, name)
    return found


def not_finite(path: Path, name: str) -> ModelError:
    """The error for a tensor with such numbers."""
    return ModelError(f"{path}: {name!r} holds numbers that are not finite; fetch the file again")


def _array(stored: dict[str, Any]) -> np.ndarray:
    values = np.frombuffer(stored["data"], dtype=_DTYPES[stored["dtype"]]).reshape(stored["shape"])
    if stored["dtype"] == "BF16":
        return (values.astype(np.uint32) << 16).view(np.float32)
    with np.errstate(over="ignore"):  # infinity is told below
        return values.astype(np.float32)


def _refuse_double_names(path: Path) -> None:
    """ValueError for a header in which two tensors share a name: readers differ in which one they take."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > _MOST_HEADER_BYTES:
            raise ValueError(f"its header says it has {length} bytes")
        json.loads(file.read(length), object_pairs_hook=once)


def _check_header(file: Any, path: Path, expected: Shapes) -> None:
    there = set(file.keys())
    for name in sorted(expected.keys() ^ there):
        what = "lacks" if name in expected else "has, beyond what its configuration describes,"
        raise ModelError(f"{path}: {what} the tensor {shown(name)}; these weights belong to another model")
    for name in sorted(there):
        stored = file.get_slice(name)
        if tuple(stored.get_shape()) != tuple(expected[name]):
            raise ModelError(
                f"{path}: {name!r} has shape {shown(tuple(stored.get_shape()))}, its configuration says "
                f"{tuple(expected[name])}; these weights belong to another model"
            )
        if stored.get_dtype() not in _DTYPES:
            raise ModelError(f"{path}: {name!r} is stored as {stored.get_dtype()}; allowed: {', '.join(_DTYPES)}")
