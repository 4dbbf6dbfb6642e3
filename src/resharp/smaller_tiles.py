"""Once more in smaller tiles where memory ran out, whatever runs the networks. No torch needed."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from resharp.errors import is_out_of_memory
from resharp.models.config import ModelConfig
from resharp.tile_choice import Tiles, tiles_for
from resharp.tiling import sides_within

Made = TypeVar("Made")


def made_to_fit(
    make: Callable[[Tiles | None], Made],
    config: ModelConfig,
    size: tuple[int, int],
    tiles: Tiles | None,
    release: Callable[[], None] = lambda: None,
) -> Made:
    """What `make` makes with these tiles, or where memory runs out with smaller ones, each half as large.

    Args:
        make: gives a dataclass with the fields `tile` and `remark`; see `resharp.restoration.Restored`.
        config: of the model. size: of the picture, height and width.
        release: gives back what a failed attempt left behind.

    Raises:
        MemoryError, RuntimeError: the smallest tiles are still too large; or any other error of `make`.
    """
    remark = None
    while True:
        try:
            made = make(tiles)
            if tiles is not None:
                _give_back()
            most = None if tiles is None else tiles.most
            return replace(made, tile=most, remark=remark)  # type: ignore[type-var]
        except (MemoryError, RuntimeError) as error:
            following = _smaller(config, tiles, size) if is_out_of_memory(error) else None
            if following is None:
                raise
        # Outside of the handler: the error's traceback kept what the failed attempt had made.
        tiles = following
        remark = "memory ran out, so it was made again in tiles of {1}x{0} px".format(*tiles.most)
        gc.collect()
        release()


def _give_back() -> None:
    """Let the C library return to the system what tiles left behind, before a large photo is guarded and written."""
    with suppress(AttributeError, OSError, TypeError):  # glibc's alone has the call
        ctypes.CDLL(None).malloc_trim(0)


def _smaller(config: ModelConfig, tiles: Tiles | None, size: tuple[int, int]) -> Tiles | None:
    height, width = size if tiles is None else (min(a, b) for a, b in zip(size, tiles.most, strict=True))
    following = tiles_for(config, sides_within(height, width, height * width // 2, config.size_multiple))
    return following if following.most[0] < height or following.most[1] < width else None
