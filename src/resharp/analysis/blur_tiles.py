"""Tiles of real pairs, and of pairs that the synthesiser makes from sharp photos, for `blur_gap.measure`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Generator, Tensor

from resharp.analysis.blur_gap import tiles_of
from resharp.data.blur_config import BlurConfig
from resharp.data.synthetic import BlurSynthesiser
from resharp.errors import ConfigError
from resharp.evaluate.pairs import Pair

# JPEG's grid, on which tiles begin.
_CELL = 8
_LEAST_TILE, _MOST_TILE = 32, 512
# Tiles blurred at once, for the memory that takes.
_TOGETHER = 16

# What is being done, how many are done, how many there are, and a name.
OnPhoto = Callable[[str, int, int, str], None]


def check_tile(tile_px: int) -> None:
    """Whether tiles can be of this side.

    Raises:
        ConfigError: it is no multiple of 8 from 32 to 512.
    """
    if not _LEAST_TILE <= tile_px <= _MOST_TILE or tile_px % _CELL:
        raise ConfigError(f"tile {tile_px}: allowed: multiples of {_CELL} from {_LEAST_TILE} to {_MOST_TILE}")


def real_tiles(pairs: Sequence[Pair], tile_px: int, on_photo: OnPhoto) -> Iterator[tuple[Tensor, Tensor]]:
    """All whole tiles of each pair in turn: blurry and sharp (N, 3, T, T); N is 0 for a pair smaller than a tile."""
    for number, pair in enumerate(pairs, 1):
        blurry, sharp = pair.load()
        yield tiles_of(blurry, sharp, tile_px)
        on_photo("real", number, len(pairs), pair.name)


def synthetic_tiles(
    photos: Sequence[tuple[str, Callable[[], Tensor]]],
    config: BlurConfig,
    tile_px: int,
    seed: int,
    on_photo: OnPhoto,
) -> Iterator[tuple[Tensor, Tensor]]:
    """As many blurred tiles of each sharp photo as whole tiles fit into it: blurry and sharp (N, 3, T, T).

    Places are random, but begin on the photo's own JPEG grid, as those of real tiles do. N is 0 for a photo that is
    smaller than a tile and the margins that its blur needs.

    Args:
        photos: name and what loads it, (1, 3, H, W) in [0, 1]. The same first photos get the same blur, however many
            follow.
        seed: of places and blur.
    """
    synthesiser = BlurSynthesiser(config)
    generator = torch.Generator().manual_seed(seed)
    for number, (name, load) in enumerate(photos, 1):
        crops = _random_crops(load(), tile_px, synthesiser.margin_px, generator)
        made = [synthesiser(some, generator) for some in crops.split(_TOGETHER)] if len(crops) else []
        if made:
            yield torch.cat([blurry for blurry, _ in made]), torch.cat([sharp for _, sharp in made])
        on_photo("synthetic", number, len(photos), name)


def _random_crops(photo: Tensor, tile_px: int, margin_px: int, generator: Generator) -> Tensor:
    """Crops (N, 3, T + 2 m, T + 2 m) of a photo, whose tiles without margins begin on its grid of 8 px."""
    height, width = photo.shape[-2:]
    side = tile_px + 2 * margin_px
    # The first place on the grid that leaves room for the margin.
    first = -margin_px % _CELL
    places = [(length - side - first) // _CELL + 1 for length in (height, width)]
    if min(places) < 1:
        return photo.new_empty(0, 3, side, side)
    count = (height // tile_px) * (width // tile_px)
    top, left = (torch.randint(number, (count,), generator=generator).tolist() for number in places)
    corners = [(first + _CELL * row, first + _CELL * column) for row, column in zip(top, left, strict=True)]
    return torch.cat([photo[..., y : y + side, x : x + side] for y, x in corners])
