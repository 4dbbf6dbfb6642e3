"""Pictures as numpy arrays, and the means, maxima and enlargements that the checks need of them.

numpy alone, no torch, so that the same checks run with and without torch.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from resharp.images.photo import as_floats

# Cells are enlarged by products with small matrices, of blocks of so many cells: quicker than sums of what lies apart.
# Products above some 2^18 operations may be split among threads by the library that makes them; these stay below.
_COLUMNS, _ROWS, _WIDEST = 16, 4, 2048
_NEAR = 7  # up to this side a window's terms are fewer than the work of running sums


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


def as_planes(samples: np.ndarray) -> np.ndarray:
    """`as_array` of samples (1, C, H, W), one channel after the other in memory."""
    if samples.dtype.kind != "u":
        return np.ascontiguousarray(samples)
    planes = np.empty(samples.shape, dtype=np.float32)
    planes[...] = samples
    planes /= np.float32(np.iinfo(samples.dtype).max)
    return planes


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
        counts = (last - first).reshape((-1, 1) if axis == -2 else (-1,))
        sums = _near_sums(image, half, axis) if side <= _NEAR else _far_sums(image, first, last, axis)
        image = np.asarray(sums / counts.astype(sums.dtype), dtype=np.float32)
    return image


def _near_sums(image: np.ndarray, half: int, axis: int) -> np.ndarray:
    """Sums of what lies up to `half` away along an axis, term by term."""
    sums, length = image.astype(np.float32), image.shape[axis]
    for offset in range(1, min(half, length - 1) + 1):
        low, high = slice(None, length - offset), slice(offset, None)
        for to, source in ((low, high), (high, low)):
            into = _part(sums, axis, to)
            into += _part(image, axis, source)
    return sums


def _far_sums(image: np.ndarray, first: np.ndarray, last: np.ndarray, axis: int) -> np.ndarray:
    """Sums from `first` to before `last` along an axis, as differences of running sums."""
    start = np.zeros_like(_part(image, axis, slice(0, 1)), dtype=np.float64)
    sums = np.concatenate([start, np.cumsum(image, axis=axis, dtype=np.float64)], axis=axis)
    return np.take(sums, last, axis=axis) - np.take(sums, first, axis=axis)


def window_maxima(image: np.ndarray, reach: int) -> np.ndarray:
    """Maxima over squares of 2 reach + 1 around each entry of (..., H, W)."""
    for axis in (-2, -1):
        length, width = image.shape[axis], 1
        border = [(0, 0)] * image.ndim
        border[axis] = (reach, reach)
        image = np.pad(image, border, mode="edge")
        while width < 2 * reach + 1:  # each maximum is over `width` entries from its own on
            step = min(width, 2 * reach + 1 - width)
            rest = image.shape[axis] - step
            image = np.maximum(_part(image, axis, slice(0, rest)), _part(image, axis, slice(step, None)))
            width += step
        assert image.shape[axis] == length
    return image


def enlarged(cells: np.ndarray, side: int, size: tuple[int, int], top: int = 0) -> np.ndarray:
    """Cells (..., h, w) enlarged `side` times, bilinearly between their centres, and cut.

    Args:
        size: height and width of what is wanted.
        top: its first row.
    """
    first, last = top // side, -(-(top + size[0]) // side)
    lines = _with_neighbours(cells, -2, first, last, _ROWS)
    lines = _with_neighbours(lines, -1, 0, cells.shape[-1], _COLUMNS)
    windows = sliding_window_view(lines, _COLUMNS + 2, axis=-1)[..., ::_COLUMNS, :]
    lines = np.matmul(np.ascontiguousarray(windows), _bilinear(side, _COLUMNS))  # (..., rows, blocks, 16 side)
    lines = lines.reshape(*lines.shape[:-2], -1)[..., : size[1]]
    windows = np.swapaxes(sliding_window_view(lines, _ROWS + 2, axis=-2)[..., ::_ROWS, :, :], -1, -2)
    result = np.empty((*windows.shape[:-2], _ROWS * side, size[1]), dtype=np.float32)  # (..., blocks, 4 side, W)
    for left in range(0, size[1], _WIDEST):
        columns = slice(left, left + _WIDEST)
        np.matmul(_bilinear(side, _ROWS).T, windows[..., columns], out=result[..., columns])
    result = result.reshape(*result.shape[:-3], -1, size[1])
    start = top - first * side
    return result[..., start : start + size[0], :]


def _with_neighbours(cells: np.ndarray, axis: int, first: int, last: int, block: int) -> np.ndarray:
    """Cells from `first` to `last` in whole blocks, one more on either side; beyond the border is what is at it."""
    wanted = np.arange(first - 1, first + -(-(last - first) // block) * block + 1)
    return np.take(cells, np.clip(wanted, 0, cells.shape[axis] - 1), axis=axis)


@cache
def _bilinear(side: int, block: int) -> np.ndarray:
    """(block + 2, block side): what cells, one more on either side, give to the pixels of a block."""
    way = (np.arange(side) + 0.5) / side - 0.5  # to the neighbour, which is before where it is negative
    shares = np.stack([np.maximum(-way, 0), 1 - np.abs(way), np.maximum(way, 0)])
    matrix = np.zeros((block + 2, block * side), dtype=np.float32)
    for cell in range(block):
        matrix[cell : cell + 3, cell * side : (cell + 1) * side] = shares
    return matrix


def _part(image: np.ndarray, axis: int, which: slice) -> np.ndarray:
    """A view of (..., H, W), cut along one of its last two axes."""
    return image[..., which, :] if axis == -2 else image[..., which]
