"""Once more in smaller portions where memory ran out, whatever runs the networks. No torch needed."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from resharp.errors import is_out_of_memory
from resharp.models.config import ModelConfig
from resharp.tile_choice import Portions, tiles_for
from resharp.tiling import sides_within

Made = TypeVar("Made")


def made_to_fit(
    make: Callable[[Portions], Made],
    config: ModelConfig,
    size: tuple[int, int],
    portions: Portions,
    release: Callable[[], None] = lambda: None,
) -> Made:
    """What `make` makes in these portions, or where memory runs out in smaller ones, each half as large.

    Fewer samples are drawn together before the picture is cut.

    Args:
        make: gives a dataclass with the fields `tile`, `batch` and `remark`; see `resharp.restoration.Restored`.
        config: of the model. size: of the picture, height and width.
        release: gives back what a failed attempt left behind.

    Raises:
        MemoryError, RuntimeError: the smallest tiles are still too large; or any other error of `make`.
    """
    remark = None
    while True:
        try:
            made = make(portions)
            if portions.tiles is not None:
                _give_back()
            most = None if portions.tiles is None else portions.tiles.most
            return replace(made, tile=most, batch=portions.batch, remark=remark)  # type: ignore[type-var]
        except (MemoryError, RuntimeError) as error:
            following = _smaller(config, portions, size) if is_out_of_memory(error) else None
            if following is None:
                raise
        # Outside of the handler: the error's traceback kept what the failed attempt had made.
        remark = f"memory ran out, so it was made again {_in_words(portions, following)}"
        portions = following
        gc.collect()
        release()


def _give_back() -> None:
    """Let the C library return to the system what tiles left behind, before a large photo is guarded and written."""
    with suppress(AttributeError, OSError, TypeError):  # glibc's alone has the call
        ctypes.CDLL(None).malloc_trim(0)


def _smaller(config: ModelConfig, portions: Portions, size: tuple[int, int]) -> Portions | None:
    tiles, batch = portions.tiles, portions.batch
    if batch > 1:
        return Portions(tiles, batch // 2)
    height, width = size if tiles is None else (min(a, b) for a, b in zip(size, tiles.most, strict=True))
    following = tiles_for(config, sides_within(height, width, height * width // 2, config.size_multiple))
    return Portions(following) if following.most[0] < height or following.most[1] < width else None


def _in_words(before: Portions, after: Portions) -> str:
    if after.batch < before.batch:
        return f"with {after.batch} sample{'s' * (after.batch > 1)} at a time"
    assert after.tiles is not None
    return "in tiles of {1}x{0} px".format(*after.tiles.most)
