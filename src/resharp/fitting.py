"""Whole or in tiles: what a picture needs, and what memory there is on torch's devices."""

from __future__ import annotations

import torch

from resharp.diffusion.presets import Preset
from resharp.memory import HEADROOM, parse_bytes, spare_bytes
from resharp.models.icdpm import ICDPM
from resharp.tile_choice import Tiles, tiles_within


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


def empty_caches() -> None:
    """Let torch return to a GPU what it keeps for later."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


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
