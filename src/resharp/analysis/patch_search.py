"""The nearest patches of a folder of photos: exact search over a grid, then pixel by pixel around the best."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, unfold

from resharp.errors import ConfigError, DataError
from resharp.images.reading import read_photo
from resharp.images.tensors import photo_to_tensor

CELLS = 16  # a descriptor has so many cells a side
TURNS = 8  # training mirrors and turns its crops, so a copy may be any of these
# Below this standard deviation a descriptor is not scaled up to length 1: noise in a plain wall would be.
LEAST_DEVIATION = 0.02
_CANDIDATES = 8  # places that are looked at pixel by pixel, for each query
_PATCHES_AT_ONCE = 8192
_LUMA = (0.299, 0.587, 0.114)

OnPhoto = Callable[[int, int, str], None]


class Match(NamedTuple):
    """A training patch: the query, turned by `turn`, resembles photo number `photo` at `top`, `left`.

    distance: between descriptors, which have length 1 at most: 0 is equal, 1.41 unrelated, 2 the negative.
    """

    distance: float
    photo: int
    top: int
    left: int
    turn: int


@dataclass(frozen=True)
class Grid:
    """Patches of `size_px` a side, every `stride_px` pixels in both directions.

    Raises:
        ConfigError: the size is not a multiple of 16, or the stride not one of the cells, which are size / 16.
    """

    size_px: int = 64
    stride_px: int = 8

    def __post_init__(self) -> None:
        if self.size_px < CELLS or self.size_px % CELLS:
            raise ConfigError(f"crop size is {self.size_px} px; allowed: multiples of {CELLS}")
        if self.stride_px < 1 or self.stride_px % self.cell_px:
            raise ConfigError(f"stride is {self.stride_px} px; allowed for this size: multiples of {self.cell_px}")

    @property
    def cell_px(self) -> int:
        """Pixels a side that make one cell of the descriptor."""
        return self.size_px // CELLS


def luma(image: Tensor) -> Tensor:
    """(B, 3, H, W) -> (B, 1, H, W), brightness of gamma-encoded pixels."""
    weights = torch.tensor(_LUMA, device=image.device).view(1, 3, 1, 1)
    return (image * weights).sum(dim=1, keepdim=True)


def describe(crops: Tensor, grid: Grid) -> Tensor:
    """Crops (B, 3, S, S) in [0, 1] as descriptors (B, 256): coarse brightness without mean and contrast."""
    return _normalised(avg_pool2d(luma(crops), grid.cell_px).flatten(1))


def turned(image: Tensor, turn: int) -> Tensor:
    """(..., S, S) mirrored where `turn` is 4 or more, then turned by `turn` mod 4 quarters."""
    return torch.rot90(image.flip(-1) if turn >= 4 else image, turn % 4, (-2, -1))


def turned_back(image: Tensor, turn: int) -> Tensor:
    """The inverse of `turned`."""
    image = torch.rot90(image, -(turn % 4), (-2, -1))
    return image.flip(-1) if turn >= 4 else image


def nearest_patches(
    crops: Tensor, photos: Sequence[Path], grid: Grid, device: torch.device, on_photo: OnPhoto | None = None
) -> list[Match]:
    """The nearest patch of all photos for each crop, over all eight orientations.

    Exact on the grid. A copy lies between the grid's places as a rule, so the best of them are then searched at
    every pixel closer than a stride.

    Args:
        crops: (B, 3, S, S) in [0, 1].
        photos: those smaller than a patch are skipped.
        on_photo: called with (photos done, of how many, name), over both passes.

    Raises:
        ImageError: a photo cannot be read.
        DataError: no photo is as large as a patch.
    """
    queries = describe(crops.to(device), grid)
    all_turns = torch.cat([_turned_cells(queries, turn) for turn in range(TURNS)])  # (8 B, 256)
    best = [torch.full((len(crops), _CANDIDATES), torch.inf, device=device)]
    best += [torch.zeros_like(best[0], dtype=torch.long) for _ in range(2)]  # place and photo, then turn
    places: list[tuple[int, int, int]] = []  # photo, rows and columns before it
    for i, path in enumerate(photos):
        _search(_read_luma(path, device), i, all_turns, grid, best, places)
        if on_photo is not None:
            on_photo(i + 1, 2 * len(photos), path.name)
    if not places:
        raise DataError(f"{photos[0].parent if photos else 'no photos'}: none is {grid.size_px} px a side or more")
    found: dict[int, list[tuple[int, int, int, int]]] = {}
    for crop in range(len(crops)):
        for k in range(_CANDIDATES):
            if torch.isfinite(best[0][crop, k]):
                photo, top, left = _place(int(best[1][crop, k]), places, grid)
                found.setdefault(photo, []).append((crop, top, left, int(best[2][crop, k])))
    matches: list[Match | None] = [None] * len(crops)
    for done, (photo, candidates) in enumerate(sorted(found.items()), start=1):
        image = _read_luma(photos[photo], device)
        for crop, top, left, turn in candidates:
            match = _refine(image, photo, top, left, turn, all_turns[turn * len(crops) + crop], grid)
            if matches[crop] is None or match < matches[crop]:
                matches[crop] = match
        if on_photo is not None:
            on_photo(len(photos) + done * len(photos) // len(found), 2 * len(photos), photos[photo].name)
    return [match for match in matches if match is not None]


def cut_patch(photos: Sequence[Path], match: Match, grid: Grid) -> Tensor:
    """The matching patch, (3, S, S) in [0, 1], turned so as to lie as its query does."""
    image = photo_to_tensor(read_photo(photos[match.photo]))[0]
    rows, columns = (slice(start, start + grid.size_px) for start in (match.top, match.left))
    return turned_back(image[:, rows, columns], match.turn)


def _search(
    image: Tensor,
    photo: int,
    queries: Tensor,
    grid: Grid,
    best: list[Tensor],
    places: list[tuple[int, int, int]],
) -> None:
    """Merge one photo's patches into the best so far: distances, places and turns, each (B, candidates)."""
    if min(image.shape[-2:]) < grid.size_px:
        return
    cells = avg_pool2d(image, grid.cell_px)
    step = grid.stride_px // grid.cell_px
    columns = (cells.shape[-1] - CELLS) // step + 1
    first = 0 if not places else places[-1][2]
    patches = unfold(cells, CELLS, stride=step)[0].T  # (P, 256)
    places.append((photo, columns, first + len(patches)))
    count = len(queries) // TURNS
    for start in range(0, len(patches), _PATCHES_AT_ONCE):
        some = _normalised(patches[start : start + _PATCHES_AT_ONCE])
        near = _distances(queries, some).view(TURNS, count, -1)
        distances, turns = near.min(dim=0)  # (B, P)
        kept, index = distances.topk(min(_CANDIDATES, len(some)), largest=False)
        new = (kept, index + first + start, turns.gather(1, index))
        together = [torch.cat(pair, dim=1) for pair in zip(best, new, strict=True)]
        order = together[0].argsort(dim=1, stable=True)[:, :_CANDIDATES]
        best[:] = [each.gather(1, order) for each in together]


def _place(index: int, places: list[tuple[int, int, int]], grid: Grid) -> tuple[int, int, int]:
    """Photo, top and left of the patch with this running number."""
    before = 0
    for photo, columns, end in places:
        if index < end:
            row, column = divmod(index - before, columns)
            return photo, row * grid.stride_px, column * grid.stride_px
        before = end
    raise AssertionError(index)


def _refine(image: Tensor, photo: int, top: int, left: int, turn: int, query: Tensor, grid: Grid) -> Match:
    """The best place closer than a stride to this one."""
    reach = grid.stride_px - 1
    y, x = max(0, top - reach), max(0, left - reach)
    region = image[..., y : top + grid.size_px + reach, x : left + grid.size_px + reach]
    cells = avg_pool2d(region, grid.cell_px, stride=1)
    patches = _normalised(unfold(cells, CELLS, dilation=grid.cell_px)[0].T)
    distances = _distances(query[None], patches)[0]
    index = int(distances.argmin())
    row, column = divmod(index, region.shape[-1] - grid.size_px + 1)
    return Match(float(distances[index]), photo, y + row, x + column, turn)


def _normalised(cells: Tensor) -> Tensor:
    """(B, 256) without mean, divided by its length, or by less where there is nothing but noise."""
    centred = cells - cells.mean(dim=1, keepdim=True)
    return centred / centred.norm(dim=1, keepdim=True).clamp(min=LEAST_DEVIATION * CELLS)


def _turned_cells(descriptors: Tensor, turn: int) -> Tensor:
    return turned(descriptors.view(-1, CELLS, CELLS), turn).reshape(len(descriptors), -1)


def _distances(first: Tensor, second: Tensor) -> Tensor:
    """(A, D), (B, D) -> (A, B)."""
    squares = first.square().sum(1)[:, None] + second.square().sum(1)[None] - 2 * first @ second.T
    return squares.clamp(min=0).sqrt()


def _read_luma(path: Path, device: torch.device) -> Tensor:
    return luma(photo_to_tensor(read_photo(path)).to(device))
