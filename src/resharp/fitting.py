"""Whole or in tiles, and how many samples at once: what a picture needs, and what memory torch's devices have."""

from __future__ import annotations

import torch

from resharp.diffusion.presets import Preset
from resharp.memory import HEADROOM, parse_bytes, spare_bytes
from resharp.models.icdpm import ICDPM
from resharp.tile_choice import Portions, portions_within


def choose_portions(
    model: ICDPM,
    settings: Preset,
    shape: tuple[int, ...],
    memory: int | str | None,
    device: torch.device,
    *,
    tile: tuple[int, int] | None = None,
    batch: int | None = None,
) -> Portions:
    """Tiles, and samples drawn together, with which a picture keeps to the memory.

    Args:
        shape: (B, 3, H, W).
        memory: the most that this process may hold, bytes or a text as of `parse_bytes`, on a GPU of its memory;
            None is what is free, less a fifth.
        tile, batch: see `portions_within`; without a batch it is 1 on the CPU, where more gain nothing at the size of
            photos, and on a GPU all samples.

    Raises:
        ConfigError: not even the smallest tiles fit; says what is needed.
    """
    limit = parse_bytes(memory) if isinstance(memory, str) else memory
    # What is free is an estimate, and a predictor needs little: it may try.
    may_try = limit is None and settings.output == "predictor"
    in_main = None if device.type == "cpu" else spare_bytes(None)
    if batch is None:
        batch = 1 if device.type == "cpu" else settings.samples
    room = 0.0 if tile is not None else _room(device, limit)
    return portions_within(model.config, settings, shape, room, in_main, may_try=may_try, tile=tile, batch=batch)


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
