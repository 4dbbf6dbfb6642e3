"""Pictures in overlapping tiles, by the plan of `resharp.tiled` and with arrays: a part of the picture at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from resharp.images.photo import as_floats
from resharp.runtime.networks import Networks
from resharp.runtime.pictures import to_network, to_unit, turned
from resharp.tile_choice import Tiles, guided_box
from resharp.tiling import Plan, Tile

H = dict[int, np.ndarray]


@dataclass(frozen=True)
class Conditions:
    """What is computed once per image: y, h and, with a predictor, g; all padded. size: before padding.

    layout: the tiles in which the denoiser is to be run; None runs it on the whole.
    """

    y: np.ndarray
    h: H
    g: np.ndarray | None
    size: tuple[int, int]
    layout: Plan | None = None

    def repeated(self, count: int) -> Conditions:
        """Those of `count` samples drawn together: of all pictures once for each sample, one sample after the other."""
        if count == 1:
            return self
        repeats = (count, 1, 1, 1)
        h = {k: np.tile(h_k, repeats) for k, h_k in self.h.items()}
        g = None if self.g is None else np.tile(self.g, repeats)
        return replace(self, y=np.tile(self.y, repeats), h=h, g=g)


def condition(networks: Networks, picture: np.ndarray, tiles: Tiles | None) -> Conditions:
    """Guide and predict, once for an image, (B, 3, H, W) in [0, 1] or samples."""
    size = (picture.shape[2], picture.shape[3])
    y = to_network(as_floats(picture), networks.config.size_multiple)
    if tiles is None:
        h = networks.guide(y)
        return Conditions(y, h, None if networks.config.predictor is None else networks.predict(y, h), size)
    layout, whole_h = tiles.plan(*size), {}
    g = None if networks.config.predictor is None else np.zeros_like(y)
    for tile in layout:
        y_tile, h = _guided_part(networks, picture, tile)
        for k, h_k in h.items():
            if k not in whole_h:
                whole_h[k] = np.empty((*h_k.shape[:2], y.shape[2] >> k, y.shape[3] >> k), dtype=np.float32)
            whole_h[k][(..., *_at_scale(tile.box, k))] = h_k
        if g is not None:
            g[(..., *tile.box)] += networks.predict(y_tile, h) * tile.weights()
    return Conditions(y, whole_h, g, size, layout)


def predict_in_tiles(
    networks: Networks,
    picture: np.ndarray,
    tiles: Tiles,
    count: int,
    on_tile: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """The mean of g over the first `count` orientations, each padded after turning, (B, 3, H, W) in [0, 1].

    Args:
        picture: (B, 3, H, W) in [0, 1] or samples.
        on_tile: called with (tiles done, tiles in all).
    """
    total = np.zeros(picture.shape, dtype=np.float32)
    plans = [tiles.plan(*turned(picture, orientation).shape[-2:]) for orientation in range(count)]
    done, of_all = 0, sum(map(len, plans))
    for orientation, layout in enumerate(plans):
        # Views: what is added to a tile of one is added to the picture.
        source, into = turned(picture, orientation), turned(total, orientation)
        for tile in layout:
            g = to_unit(networks.predict(*_guided_part(networks, source, tile)), tile.size)
            room = into[(..., *tile.box)]
            room += (g * (tile.weights() / np.float32(count)))[..., : room.shape[-2], : room.shape[-1]]
            done += 1
            if on_tile is not None:
                on_tile(done, of_all)
    return total


def denoise_in_tiles(
    networks: Networks, conditions: Conditions, x_t: np.ndarray, alpha_bar: float, layout: Plan
) -> np.ndarray:
    """The weighted mean of the denoiser's answers, (B, 3, H, W); it means what the mean of their x0_hat means."""
    answer = np.zeros_like(x_t)
    for tile in layout:
        box = (..., *tile.box)
        h = {k: h_k[(..., *_at_scale(tile.box, k))] for k, h_k in conditions.h.items()}
        g = None if conditions.g is None else conditions.g[box]
        answer[box] += networks.denoise(x_t[box], conditions.y[box], g, alpha_bar, h) * tile.weights()
    return answer


def _guided_part(networks: Networks, picture: np.ndarray, tile: Tile) -> tuple[np.ndarray, H]:
    """y and h_k of a tile, h_k as for the whole picture; no more of it is read than guidance must see."""
    config = networks.config
    rows, columns = guided_box(config, tile, picture.shape[2], picture.shape[3])
    y = to_network(as_floats(picture[..., rows, columns]), config.size_multiple)
    top, left = tile.rows.start - rows.start, tile.columns.start - columns.start
    inside = slice(top, top + tile.rows.size), slice(left, left + tile.columns.size)
    return y[(..., *inside)], {k: h_k[(..., *_at_scale(inside, k))] for k, h_k in networks.guide(y).items()}


def _at_scale(box: tuple[slice, ...], k: int) -> tuple[slice, ...]:
    """A box of the picture in the pixels of h_k."""
    return tuple(slice(side.start >> k, side.stop >> k) for side in box)
