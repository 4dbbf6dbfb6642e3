"""Whole or in tiles: what a picture needs, what memory there is, and smaller tiles where that was not enough."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import torch

from resharp.diffusion.presets import Preset
from resharp.errors import is_out_of_memory
from resharp.memory import HEADROOM, parse_bytes, spare_bytes
from resharp.models.icdpm import ICDPM
from resharp.restoration import Restored
from resharp.tile_choice import Tiles, tiles_for, tiles_within
from resharp.tiling import sides_within


def choose_tiles(
    model: ICDPM, settings: Preset, shape: tuple[int, ...], memory: int | str | None, device: torch.device
) -> Tiles | None:
    """Tiles with which a picture keeps to the memory; None where it fits as a whole.

    Args:
        shape: (B, 3, H, W).
        memory: the most that this process may hold, bytes or a text as of `parse_bytes`, on a GPU of its memory;
            None is what is free, less a fifth.

    Raises:
        ConfigError: not even the smallest tiles fit; says what is needed.
    """
    limit = parse_bytes(memory) if isinstance(memory, str) else memory
    # What is free is an estimate, and a predictor needs little: it may try.
    may_try = limit is None and settings.output == "predictor"
    in_main = None if device.type == "cpu" else spare_bytes(None)
    return tiles_within(model.config, settings, shape, _room(device, limit), in_main, may_try=may_try)


def made_to_fit(
    make: Callable[[Tiles | None], Restored], model: ICDPM, size: tuple[int, int], tiles: Tiles | None
) -> Restored:
    """What `make` makes with these tiles, or where memory runs out with smaller ones, each half as large.

    Raises:
        MemoryError, RuntimeError: the smallest tiles are still too large; or any other error of `make`.
    """
    remark = None
    while True:
        try:
            made = make(tiles)
            if tiles is not None:
                _give_back()
            return replace(made, tile=None if tiles is None else tiles.most, remark=remark)
        except (MemoryError, RuntimeError) as error:
            following = _smaller(model, tiles, size) if is_out_of_memory(error) else None
            if following is None:
                raise
        # Outside of the handler: the error's traceback kept what the failed attempt had made.
        tiles = following
        remark = "memory ran out, so it was made again in tiles of {1}x{0} px".format(*tiles.most)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _give_back() -> None:
    """Let the C library return to the system what tiles left behind, before a large photo is guarded and written."""
    with suppress(AttributeError, OSError, TypeError):  # glibc's alone has the call
        ctypes.CDLL(None).malloc_trim(0)


def _smaller(model: ICDPM, tiles: Tiles | None, size: tuple[int, int]) -> Tiles | None:
    height, width = size if tiles is None else (min(a, b) for a, b in zip(size, tiles.most, strict=True))
    following = tiles_for(model.config, sides_within(height, width, height * width // 2, model.size_multiple))
    return following if following.most[0] < height or following.most[1] < width else None


def _room(device: torch.device, limit: int | None) -> float:
    """Bytes that may be taken on top of what is held."""
    if device.type == "cuda":
        if limit is not None:
            return limit - torch.cuda.memory_allocated(device)
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return (torch.cuda.mem_get_info(device)[0] + kept) * (1 - HEADROOM)
    if device.type == "mps":
        most = torch.mps.recommended_max_memory() * (1 - HEADROOM) if limit is None else limit
        return most - torch.mps.current_allocated_memory()
    return spare_bytes(limit)
