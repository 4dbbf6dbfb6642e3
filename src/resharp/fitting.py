"""Whole or in tiles: what a picture needs, what memory there is, and smaller tiles where that was not enough."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from math import prod

import torch

from resharp.diffusion.presets import Preset
from resharp.errors import ConfigError, is_out_of_memory
from resharp.memory import HEADROOM, free_bytes, in_words, parse_bytes, resident_bytes
from resharp.models.footprint import Footprint, footprint
from resharp.models.icdpm import ICDPM
from resharp.restoration import Restored
from resharp.tiled import Tiles, tiles_for
from resharp.tiling import sides_within

# Of a limit that is to be kept, what estimates may be wrong by.
RESERVE = 0.1
_IMAGE_BYTES = 3 * 4  # per pixel of a picture in float32
# Pictures that sampling holds at once, x_t, y, g, noise, the scheduler's and what is being computed: measured.
_SAMPLING_IMAGES = 16
_MOMENT_IMAGES = 5  # more, where several samples are averaged


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
    room, pixels, found = _room(device, limit), shape[0] * prod(shape[2:]), footprint(model.config)
    state = pixels * _state_bytes(settings, found)
    if pixels * _running_bytes(settings, found) + state <= room:
        return None
    in_main = room if device.type == "cpu" else _room(torch.device("cpu"), None)
    left = room - state if device.type == "cpu" else room

    def bytes_of(tiles: Tiles) -> float:
        return shape[0] * _tile_bytes(settings, found, tiles)

    least = tiles_for(model, (1, 1))
    if min(left, in_main - state + bytes_of(least)) < bytes_of(least):
        # What is free is an estimate, and a predictor needs little: it may try.
        if limit is None and settings.output == "predictor":
            return least
        raise ConfigError(_too_little(settings, shape, state + bytes_of(least), room))
    most_px = left / bytes_of(least) * prod(least.most)
    tiles = tiles_for(model, sides_within(shape[2], shape[3], int(most_px), model.size_multiple))
    while bytes_of(tiles) > left and tiles.most != least.most:
        most_px *= 0.9
        tiles = tiles_for(model, sides_within(shape[2], shape[3], int(most_px), model.size_multiple))
    return tiles


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
    following = tiles_for(model, sides_within(height, width, height * width // 2, model.size_multiple))
    return following if following.most[0] < height or following.most[1] < width else None


def _running_bytes(settings: Preset, found: Footprint) -> float:
    """Per pixel, while networks run."""
    return found.predict if settings.output == "predictor" else max(found.predict, found.step)


def _state_bytes(settings: Preset, found: Footprint) -> float:
    """Per pixel of the picture, tiles or not."""
    if settings.output == "predictor":
        return _IMAGE_BYTES * (1 if settings.ensemble == 1 else 2)
    images = _SAMPLING_IMAGES + (_MOMENT_IMAGES if settings.samples > 1 or settings.fidelity is not None else 0)
    return _IMAGE_BYTES * images + found.features


def _tile_bytes(settings: Preset, found: Footprint, tiles: Tiles) -> float:
    """While a tile is computed; guidance sees more than the tile."""
    height, width = tiles.most
    around = 2 * (found.guidance_reach + tiles.multiple)
    seen = (height + around) * (width + around)
    # Beside the networks: what is read of the picture, and what is made of it, weighed.
    running = _running_bytes(settings, found) + 3 * _IMAGE_BYTES
    return max(running * height * width, found.guiding * seen)


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
    if limit is None:
        return free_bytes() * (1 - HEADROOM)
    return (limit - resident_bytes()) * (1 - RESERVE)


def _too_little(settings: Preset, shape: tuple[int, ...], needed: float, room: float) -> str:
    part = settings.output
    remedy = "give a smaller picture, or more memory"
    if part == "diffusion":
        remedy = "take the predictor (output or --part predictor), a smaller picture, or give more memory"
    return (
        f"the {part} needs about {in_words(needed)} for {shape[3]}x{shape[2]} px besides what is held already, and "
        f"{in_words(max(0, room))} may be taken; {remedy}"
    )
