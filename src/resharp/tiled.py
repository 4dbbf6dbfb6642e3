"""Pictures in overlapping tiles: the same networks, a part of the picture at a time.

The picture and everything as large as it stay in main memory; a tile goes to the model's device and comes back. What
overlapping tiles say is averaged by the weights of `resharp.tiling`: of the initial predictor its prediction, of the
diffusion x0_hat inside every denoising step, as MultiDiffusion does (arXiv 2302.08113), with one field of noise over
the whole picture. h_k is that of the whole picture: around a tile as much is read as H can see.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from resharp.images.tensors import as_unit
from resharp.models.icdpm import ICDPM
from resharp.models.padding import laid_out, pad_to_multiple
from resharp.tile_choice import Tiles, guided_box
from resharp.tiling import Plan, Tile

Orientation = tuple[int, bool]  # quarter turns, and whether a mirror image follows


def part(picture: np.ndarray, rows: slice, columns: slice, multiple: int, device: torch.device) -> Tensor:
    """A part of y, (B, 3, h, w) in [-1, 1] on `device`, padded where it ends beyond the picture.

    Args:
        picture: (B, 3, H, W) in [0, 1] or samples.
        rows, columns: of the padded picture, beginnings multiples of `multiple`.
    """
    seen = np.ascontiguousarray(picture[..., rows, columns])
    return laid_out(pad_to_multiple(as_unit(torch.from_numpy(seen)).to(device, torch.float32) * 2 - 1, multiple))


def guided_part(
    model: ICDPM, picture: np.ndarray, tile: Tile, device: torch.device
) -> tuple[Tensor, dict[int, Tensor]]:
    """y and h_k of a tile, h_k as for the whole picture."""
    rows, columns = guided_box(model.config, tile, picture.shape[-2], picture.shape[-1])
    y = part(picture, rows, columns, model.size_multiple, device)
    top, left = tile.rows.start - rows.start, tile.columns.start - columns.start
    height, width = tile.rows.size, tile.columns.size
    h = {
        k: h_k[..., top >> k : (top + height) >> k, left >> k : (left + width) >> k]
        for k, h_k in model.guide(y).items()
    }
    return y[..., top : top + height, left : left + width], h


def predict_in_tiles(
    model: ICDPM,
    picture: np.ndarray,
    tiles: Tiles,
    orientations: Sequence[Orientation],
    on_tile: Callable[[int, int], None] | None = None,
) -> Tensor:
    """The mean of g over orientations of the picture, (B, 3, H, W) float32 in [0, 1] in main memory.

    Args:
        picture: (B, 3, H, W) in [0, 1] or samples.
        orientations: which; (0, False) alone gives g itself.
        on_tile: called with (tiles done, tiles in all).
    """
    device = next(model.parameters()).device
    total = np.zeros(picture.shape, dtype=np.float32)
    plans = [tiles.plan(*_turned(picture, each).shape[-2:]) for each in orientations]
    done, count = 0, sum(map(len, plans))
    for orientation, layout in zip(orientations, plans, strict=True):
        # Views: what is added to a tile of one is added to the picture.
        source, into = _turned(picture, orientation), _turned(total, orientation)
        for tile in layout:
            y, h = guided_part(model, source, tile, device)
            g = ((model.predict(y, h) + 1) / 2).clamp_(0, 1)
            weighed = g.cpu().numpy() * (tile.weights() / np.float32(len(orientations)))
            room = into[(..., *tile.box)]
            room += weighed[..., : room.shape[-2], : room.shape[-1]]
            done += 1
            if on_tile is not None:
                on_tile(done, count)
    return torch.from_numpy(total)


def features_in_tiles(
    model: ICDPM, picture: np.ndarray, tiles: Tiles
) -> tuple[Tensor, dict[int, Tensor], Tensor | None, Plan]:
    """y, h and, with a predictor, g of the whole padded picture, in main memory; and the tiles they were made in."""
    device, multiple = next(model.parameters()).device, model.size_multiple
    layout = tiles.plan(*picture.shape[-2:])
    everything = slice(0, picture.shape[-2]), slice(0, picture.shape[-1])
    y = part(picture, *everything, multiple, torch.device("cpu"))
    h: dict[int, Tensor] = {}
    g = None if model.predictor is None else torch.zeros_like(y)
    for tile in layout:
        y_tile, h_tile = guided_part(model, picture, tile, device)
        for k, h_k in h_tile.items():
            if k not in h:
                h[k] = torch.empty(*h_k.shape[:2], y.shape[-2] >> k, y.shape[-1] >> k)
            rows, columns = tile.rows, tile.columns
            h[k][..., rows.start >> k : rows.stop >> k, columns.start >> k : columns.stop >> k] = h_k
        if g is not None:
            g[(..., *tile.box)] += model.predict(y_tile, h_tile).cpu() * torch.from_numpy(tile.weights())
    return y, h, g, layout


def blended(layout: Plan, like: Tensor, answer: Callable[[Tile], Tensor]) -> Tensor:
    """The weighted mean of what `answer` says of each tile, (B, 3, H, W), of the type and place of `like`."""
    result = torch.zeros_like(like)
    for tile in layout:
        result[(..., *tile.box)] += answer(tile).to(like) * torch.from_numpy(tile.weights()).to(like)
    return result


def crop(h: dict[int, Tensor], tile: Tile, device: torch.device) -> dict[int, Tensor]:
    """h_k of a tile, from those of the whole picture."""
    rows, columns = tile.rows, tile.columns
    return {
        k: h_k[..., rows.start >> k : rows.stop >> k, columns.start >> k : columns.stop >> k].to(device)
        for k, h_k in h.items()
    }


def _turned(image: np.ndarray, orientation: Orientation) -> np.ndarray:
    turns, mirrored = orientation
    image = np.rot90(image, turns, (-2, -1))
    return image[..., ::-1] if mirrored else image
