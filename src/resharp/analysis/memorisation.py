"""Does a model return what it was trained on? Restored crops, and the training crops nearest to them."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from resharp.analysis.patch_search import Grid, Match, OnPhoto, cut_patch, describe, luma, nearest_patches
from resharp.errors import ConfigError, DataError
from resharp.evaluate.pairs import Pair
from resharp.images.sheet import write_sheet

# A crop counts as a copy if it is this many times nearer to a training crop than its truth is, than its blurry
# picture is, and than it is to its truth. A restoration that is merely smooth, and smooth crops resemble each
# other, is near to its truth and to what the blurry picture is near to.
COPY_RATIO = 0.5
# A single copy as near as this, all else being as above, is no coincidence: a correlation of 0.995.
VERBATIM = 0.1
# The truth itself is in the training photos: such a crop cannot tell learning from memory.
SEEN = 0.1
LEAST_CROPS = 10
LEAST_CONTRAST = 0.04  # standard deviation of brightness: plain sky is near to all plain sky
CHANCE = 0.05

RULE = (
    f"A copy: the restored crop is less than {COPY_RATIO:g} times as far from a training crop as its sharp and its "
    "blurry crop are from theirs, and as it is from its sharp crop. A mirrored copy: the same with restored and sharp "
    f"exchanged, which only chance can bring about. 'found': a copy nearer than {VERBATIM:g}, or more copies than "
    f"mirrored ones (one-sided sign test, p < {CHANCE:g}); 'suspected': other copies; 'not found': none; "
    f"'undecided': fewer than {LEAST_CROPS} crops whose truth is not in the training photos."
)


@dataclass(frozen=True)
class Crops:
    """The same places of blurry, sharp and restored pictures, (B, 3, S, S) each, and the pairs' names."""

    blurry: Tensor
    sharp: Tensor
    restored: Tensor
    names: tuple[str, ...]


@dataclass(frozen=True)
class Distances:
    """Of each crop, (B,) each, in the descriptors of `patch_search`.

    restored, sharp, blurry: to the nearest training crop.
    error: from the restored crop to its own sharp one.
    matches: the training crops nearest to the restored ones.
    """

    restored: np.ndarray
    sharp: np.ndarray
    blurry: np.ndarray
    error: np.ndarray
    matches: tuple[Match, ...]

    def ratio(self) -> np.ndarray:
        """How near the restored crop is to training, with its truth as the measure; 1 is alike."""
        return self.restored / np.maximum(self.sharp, 1e-6)


@dataclass(frozen=True)
class Finding:
    """The outcome; see `RULE`.

    seen: crops whose truth is in the training photos; they are left out of what follows.
    p_value: None without copies and mirrored copies.
    copies: the numbers of the crops that are copies.
    """

    verdict: str
    crops: int
    seen: int
    mirrored: int
    p_value: float | None
    copies: tuple[int, ...]


def draw_crops(
    restore: Callable[[Tensor], Tensor],
    pairs: Sequence[Pair],
    count: int,
    size_px: int,
    seed: int,
    on_image: Callable[[int, int, str], None] | None = None,
) -> Crops:
    """Restore whole pictures and cut crops out of them, at places that do not overlap and are not plain.

    Args:
        restore: (1, 3, H, W) in [0, 1] -> the same.
        count: at most so many crops in all, evenly from all pairs.

    Raises:
        ConfigError: a count below 1.
        DataError: no pair has a crop of this size with anything in it.
        ImageError: a picture cannot be read.
    """
    if count < 1:
        raise ConfigError(f"crops is {count}; allowed: 1 or more")
    generator = torch.Generator().manual_seed(seed)
    found: list[tuple[Tensor, Tensor, Tensor, str]] = []
    for i, pair in enumerate(pairs):
        wanted = math.ceil((count - len(found)) / (len(pairs) - i))
        blurry, sharp = pair.load()
        places = _places(sharp, size_px, generator)[:wanted]
        restored = restore(blurry).cpu() if places else blurry
        for top, left in places:
            cut = (0, slice(None), slice(top, top + size_px), slice(left, left + size_px))
            found.append((blurry[cut].clone(), sharp[cut].clone(), restored[cut].clone(), pair.name))
        if on_image is not None:
            on_image(i + 1, len(pairs), pair.name)
    if not found:
        raise DataError(f"no pair has a crop of {size_px} px that is not plain; take smaller crops or other photos")
    blurries, sharps, restoreds, names = zip(*found, strict=True)
    return Crops(torch.stack(blurries), torch.stack(sharps), torch.stack(restoreds), names)


def measure(
    crops: Crops, training: Sequence[Path], grid: Grid, device: torch.device, on_photo: OnPhoto | None = None
) -> Distances:
    """Search the training photos for the crops, all three kinds in one pass.

    Raises:
        ImageError, DataError: as for `nearest_patches`.
    """
    count = len(crops.names)
    queries = torch.cat([crops.restored, crops.sharp, crops.blurry])
    matches = nearest_patches(queries, training, grid, device, on_photo)
    near = np.array([match.distance for match in matches]).reshape(3, count)
    error = (describe(crops.restored, grid) - describe(crops.sharp, grid)).norm(dim=1).double().numpy()
    return Distances(near[0], near[1], near[2], error, tuple(matches[:count]))


def judge(distances: Distances) -> Finding:
    """Apply `RULE`."""
    r, t, b, error = distances.restored, distances.sharp, distances.blurry, distances.error
    unseen = t >= SEEN
    copies = unseen & (r < COPY_RATIO * np.minimum(np.minimum(t, b), error))
    mirrored = int((unseen & (t < COPY_RATIO * np.minimum(np.minimum(r, b), error))).sum())
    number = int(copies.sum())
    p_value = _sign_test(number, mirrored)
    if unseen.sum() < LEAST_CROPS:
        verdict = "undecided"
    elif (copies & (r < VERBATIM)).any() or (p_value is not None and p_value < CHANCE):
        verdict = "found"
    else:
        verdict = "suspected" if number else "not found"
    where = tuple(int(i) for i in np.flatnonzero(copies))
    return Finding(verdict, len(r), int((~unseen).sum()), mirrored, p_value, where)


def closest(distances: Distances, count: int) -> list[int]:
    """The numbers of the crops that are nearest to training, with their truth as the measure; nearest first."""
    return [int(i) for i in np.argsort(distances.ratio(), kind="stable")[:count]]


def write_closest(
    path: str | os.PathLike[str],
    crops: Crops,
    distances: Distances,
    training: Sequence[Path],
    grid: Grid,
    rows: int = 12,
) -> None:
    """A contact sheet of the closest cases: restored, nearest training crop, truth, blurry."""
    shown = closest(distances, rows)
    patches = torch.stack([cut_patch(training, distances.matches[i], grid) for i in shown])
    columns = {"restored": crops.restored[shown], "training": patches}
    columns |= {"sharp": crops.sharp[shown], "blurry": crops.blurry[shown]}
    write_sheet(path, columns, rows)


def _places(sharp: Tensor, size_px: int, generator: torch.Generator) -> list[tuple[int, int]]:
    """Tops and lefts of crops that do not overlap, in random order; plain ones are left out."""
    height, width = sharp.shape[-2:]
    rows, columns = height // size_px, width // size_px
    if not rows or not columns:
        return []
    top, left = (int(torch.randint(spare % size_px + 1, (), generator=generator)) for spare in (height, width))
    order = torch.randperm(rows * columns, generator=generator).tolist()
    every = [(top + i // columns * size_px, left + i % columns * size_px) for i in order]
    bright = luma(sharp)[0, 0]
    return [(y, x) for y, x in every if bright[y : y + size_px, x : x + size_px].std() >= LEAST_CONTRAST]


def _sign_test(more: int, less: int) -> float | None:
    """The chance of `more` or above heads in `more + less` throws of a coin."""
    total = more + less
    return sum(math.comb(total, k) for k in range(more, total + 1)) / 2**total if total else None
