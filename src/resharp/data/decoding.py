"""From the bytes of a photograph's file to the tensor that training uses."""

from __future__ import annotations

import io
from pathlib import Path
from typing import cast

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from resharp.errors import ImageError
from resharp.images.decoding import decode, turn_upright
from resharp.images.exif import orientation_of
from resharp.images.formats import READABLE_FORMATS

# Pillow's strictness is a setting of the whole process, guarded by one lock; a second lock would guard nothing.
from resharp.images.reading import MAX_PIXELS, strict_pillow


def decode_photo(data: bytes, name: str) -> Tensor:
    """The photograph in `data`, a whole file of a format that `read_photo` reads, turned upright.

    Args:
        data: the file's bytes.
        name: named in errors.

    Returns:
        (3, H, W) uint8: what `read_photo` gives, in 8-bit steps.

    Raises:
        ImageError: not a photo, of a kind that cannot be read, too large, damaged, or cut short.
    """
    try:
        with strict_pillow(MAX_PIXELS), Image.open(_Named(data, name), formats=READABLE_FORMATS) as image:
            # MPO is a JPEG followed by a second picture: its first one is the photo.
            if getattr(image, "is_animated", False) and image.format != "MPO":
                raise ImageError(f"{name}: holds several pictures; save the one to train on as its own file")
            # A file opened by path is opened a second time for 16-bit colour; this object takes the path's place.
            values = decode(image, cast(Path, _Named(data, name))).values
            values = turn_upright(values, orientation_of(image))  # (H, W, C)
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(f"{name}: not a photo, or a damaged one") from error
    except Image.DecompressionBombError as error:
        raise ImageError(
            f"{name}: has more than {MAX_PIXELS / 1e6:g} megapixels, the limit; make it smaller"
        ) from error
    except MemoryError as error:
        raise ImageError(f"{name}: not enough memory to read it; make it smaller") from error
    except Exception as error:  # a decoder given a damaged file may raise nearly anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"{name}: damaged or cut short ({reason[:120]}); get a fresh copy") from error
    return torch.from_numpy(_eight_bit_colours(values)).permute(2, 0, 1).contiguous()


class _Named(io.BytesIO):
    """A file in memory that calls itself by its photograph's name, as a path does."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self.photo_name = name

    def __str__(self) -> str:
        return self.photo_name


def _eight_bit_colours(values: np.ndarray) -> np.ndarray:
    """(H, W, 1 to 4) uint8 or uint16 to (H, W, 3) uint8, alpha left off; a fresh array that may be written to."""
    colours = values[:, :, :3] if values.shape[2] >= 3 else np.repeat(values[:, :, :1], 3, axis=2)
    if colours.dtype == np.uint16:
        colours = np.rint(colours.astype(np.float32) / np.float32(65535) * np.float32(255))
    return np.array(colours, dtype=np.uint8, order="C")
