"""Pictures of any kind people hold in their hands, to a tensor and back to the same kind."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from resharp.errors import ImageError
from resharp.images.reading import read_photo
from resharp.images.tensors import photo_to_tensor

Back = Callable[[Tensor], Any]


def to_tensor(image: Any) -> tuple[Tensor, Back]:
    """A picture as (B, 3, H, W) float32 in [0, 1], and the function that turns a result into its kind.

    Args:
        image: a path, a PIL image, an array (H, W), (H, W, 3) of uint8, uint16 or floats in [0, 1], or a float
            tensor (3, H, W) or (B, 3, H, W) in [0, 1]. A path comes back as a PIL image.

    Raises:
        ImageError: unreadable file, or another type, shape or range.

    Example:
        >>> tensor, back = to_tensor(np.full((4, 6, 3), 51, np.uint8))
        >>> tensor.shape, round(tensor.max().item(), 3)
        (torch.Size([1, 3, 4, 6]), 0.2)
        >>> back(tensor).dtype
        dtype('uint8')
    """
    if isinstance(image, (str, os.PathLike)):
        return photo_to_tensor(read_photo(image)), _to_pil
    if isinstance(image, Image.Image):
        return _from_pil(image)
    if isinstance(image, np.ndarray):
        return _from_array(image)
    if isinstance(image, Tensor):
        return _from_tensor(image)
    raise ImageError(f"cannot restore a {type(image).__name__}; give a path, a PIL image, an array or a tensor")


def _from_pil(image: Image.Image) -> tuple[Tensor, Back]:
    if image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK"):
        raise ImageError(f"PIL mode {image.mode!r} is not understood; convert it to RGB, or give the file's path")
    array = np.asarray(image.convert("RGB"))
    tensor, _ = _from_array(array)
    alpha = image.convert("RGBA").getchannel("A") if image.has_transparency_data else None
    gray = image.mode in ("1", "L", "LA")

    def back(result: Tensor) -> Image.Image:
        restored = _to_pil(result)
        restored = restored.convert("L") if gray else restored
        if alpha is not None:
            restored.putalpha(alpha.resize(restored.size, Image.Resampling.BICUBIC))
        return restored

    return tensor, back


def _from_array(array: np.ndarray) -> tuple[Tensor, Back]:
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3) or 0 in array.shape:
        raise ImageError(f"array of shape {array.shape}; expected (H, W) or (H, W, 3)")
    if array.dtype not in (np.uint8, np.uint16) and array.dtype.kind != "f":
        raise ImageError(f"array of {array.dtype}; expected uint8, uint16 or floats in [0, 1]")
    top = 1.0 if array.dtype.kind == "f" else float(np.iinfo(array.dtype).max)
    values = array.astype(np.float32) / np.float32(top)
    _check_range(float(values.min()), float(values.max()))
    colours = values if values.ndim == 3 else np.repeat(values[:, :, None], 3, axis=2)
    tensor = torch.from_numpy(np.ascontiguousarray(colours.transpose(2, 0, 1)))[None]

    def back(result: Tensor) -> np.ndarray:
        pixels = result[0].permute(1, 2, 0).cpu().numpy()
        pixels = pixels if array.ndim == 3 else pixels.mean(axis=2)
        return (pixels if top == 1.0 else np.rint(pixels * top)).astype(array.dtype)

    return tensor, back


def _from_tensor(tensor: Tensor) -> tuple[Tensor, Back]:
    batched = tensor[None] if tensor.ndim == 3 else tensor
    if batched.ndim != 4 or batched.shape[1] != 3 or 0 in batched.shape:
        raise ImageError(f"tensor of shape {tuple(tensor.shape)}; expected (3, H, W) or (B, 3, H, W)")
    if not tensor.is_floating_point():
        raise ImageError(f"tensor of {tensor.dtype}; expected floats in [0, 1]")
    _check_range(float(tensor.min()), float(tensor.max()))
    return batched.float(), lambda result: (result if tensor.ndim == 4 else result[0]).to(tensor)


def _check_range(low: float, high: float) -> None:
    # The comparison is written so that NaN fails it.
    if not (low >= -1e-3 and high <= 1 + 1e-3):
        raise ImageError(f"values from {low:g} to {high:g}; expected [0, 1] (uint8 arrays: 0 to 255)")


def _to_pil(result: Tensor) -> Image.Image:
    pixels = result[0].permute(1, 2, 0).mul(255).round().byte().cpu().numpy()
    return Image.fromarray(np.ascontiguousarray(pixels))
