"""Pictures as numpy arrays, and the means, maxima and enlargements that the checks need of them.

numpy alone, no torch, so that the same checks run with and without torch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from resharp.images.photo import as_floats


def as_samples(image: Any) -> np.ndarray:
    """An array or torch tensor of any device as an array without a copy: unsigned samples as they are, else float32."""
    if hasattr(image, "detach"):  # torch is not imported here: whoever has a tensor has imported it
        image = image.detach()
        image = (image.float() if image.is_floating_point() else image).cpu().numpy()
    image = np.asarray(image)
    return image if image.dtype.kind == "u" else np.asarray(image, dtype=np.float32)


def as_array(image: Any) -> np.ndarray:
    """As `as_samples`, but unsigned samples too as float32 in [0, 1]."""
    return as_floats(as_samples(image))


def as_picture(image: Any) -> np.ndarray:
    """`as_samples` of one picture: a large photo is not made four times larger to be looked at in parts.

    Raises:
        ValueError: its shape is not (1, 3, H, W), or it is empty.
    """
    array = as_samples(image)
    if array.ndim != 4 or array.shape[:2] != (1, 3) or array.size == 0:
        raise ValueError(f"expected a picture of shape (1, 3, H, W), got {array.shape}")
    return array


def as_two_pictures(first: Any, second: Any) -> tuple[np.ndarray, np.ndarray]:
    """`as_picture` of two of the same size.

    Raises:
        ValueError: the shapes differ or are not (1, 3, H, W).
    """
    one, other = as_samples(first), as_samples(second)
    if one.ndim != 4 or one.shape[:2] != (1, 3) or one.shape != other.shape:
        raise ValueError(f"expected two (1, 3, H, W) of one shape, got {one.shape}, {other.shape}")
    return one, other


def cell_means(image: np.ndarray, side: int) -> np.ndarray:
    """Means of side x side cells of (..., H, W); those at the right and lower border may be smaller."""
    for axis in (-2, -1):  # rows first: what is left for the columns, which cost more, is small
        length = image.shape[axis]
        starts = np.arange(0, length, side)
        whole = length // side * side
        lines = [_part(image, axis, slice(offset, whole, side)) for offset in range(side)]
        total = lines[0] + lines[1] if side > 1 else lines[0].copy()
        for line in lines[2:]:
            total += line
        if whole < length:
            rest = _part(image, axis, slice(whole, None)).sum(axis=axis, keepdims=True)
            total = np.concatenate([total, rest], axis=axis)
        sizes = np.minimum(length - starts, side).astype(image.dtype)
        image = total / (sizes[:, None] if axis == -2 else sizes)
    return image


def window_means(image: np.ndarray, side: int) -> np.ndarray:
    """Means over squares of `side` (odd) around each entry of (..., H, W); beyond the border there is nothing."""
    half = side // 2
    for axis in (-2, -1):
        length = image.shape[axis]
        first, last = np.maximum(np.arange(length) - half, 0), np.minimum(np.arange(length) + half + 1, length)
        start = np.zeros_like(_part(image, axis, slice(0, 1)), dtype=np.float64)
        sums = np.concatenate([start, np.cumsum(image, axis=axis, dtype=np.float64)], axis=axis)
        counts = (last - first).reshape((-1, 1) if axis == -2 else (-1,))
        image = ((np.take(sums, last, axis=axis) - np.take(sums, first, axis=axis)) / counts).astype(np.float32)
    return image


def window_maxima(image: np.ndarray, reach: int) -> np.ndarray:
    """Maxima over squares of 2 reach + 1 around each entry of (..., H, W)."""
    for axis in (-2, -1):
        length, result = image.shape[axis], image.copy()
        for offset in range(1, min(reach, length - 1) + 1):
            low, high = slice(None, length - offset), slice(offset, None)
            for to, source in ((low, high), (high, low)):
                into = _part(result, axis, to)
                np.maximum(into, _part(image, axis, source), out=into)
        image = result
    return image


def enlarged(cells: np.ndarray, side: int, size: tuple[int, int]) -> np.ndarray:
    """Cells (..., h, w) enlarged `side` times, bilinearly between their centres, and cut to `size`."""
    for axis, length in ((-1, size[1]), (-2, size[0])):  # columns first: writing rows apart is cheap
        count = cells.shape[axis]
        shape = list(cells.shape)
        shape[axis] = count * side
        result = np.empty(shape, dtype=cells.dtype)
        before = np.take(cells, np.maximum(np.arange(count) - 1, 0), axis=axis)
        after = np.take(cells, np.minimum(np.arange(count) + 1, count - 1), axis=axis)
        for offset in range(side):
            share = (offset + 0.5) / side - 0.5  # of the way to the neighbour, which is before where it is negative
            other = before if share < 0 else after
            weight = cells.dtype.type(abs(share))
            np.add(cells * (1 - weight), other * weight, out=_part(result, axis, slice(offset, None, side)))
        cells = _part(result, axis, slice(0, length))
    return cells


def _part(image: np.ndarray, axis: int, which: slice) -> np.ndarray:
    """A view of (..., H, W), cut along one of its last two axes."""
    return image[..., which, :] if axis == -2 else image[..., which]
