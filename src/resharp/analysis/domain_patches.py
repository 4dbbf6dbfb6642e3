"""Patches of two folders of blurry photos, as the guidance sees them and as its regression head restores them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from resharp.analysis.feature_maps import guidance_of
from resharp.errors import ConfigError, DataError, ModelError
from resharp.images.headers import upright_size
from resharp.images.reading import find_photos, read_photo
from resharp.images.tensors import photo_to_tensor
from resharp.metrics.full_reference import round_to_uint8
from resharp.models.guidance import phi
from resharp.models.icdpm import ICDPM
from resharp.models.padding import pad_to_multiple

BLURRY_MARK, SHARP_MARK = "_blur", "_sharp"
PICTURES = ("phi", "guided")
# Fewer say nothing, whatever the estimator.
LEAST_PATCHES = 50
BATCH = 16

Features = Callable[[Tensor], Tensor]
OnImage = Callable[[str, int, int, str], None]


@dataclass(frozen=True)
class PhotoPatches:
    """A photo and the places of its patches: top and left in px."""

    path: Path
    places: tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)  # comparing arrays gives arrays, not an answer
class DomainFeatures:
    """Features of all patches of one folder.

    counts: (photos,), patches of each; the rows of one photo lie together.
    values: {(network, k, picture): (patches, D) float32}, picture one of `PICTURES`.
    """

    counts: np.ndarray
    values: Mapping[tuple[str, int, str], np.ndarray]


def check_model(model: ICDPM, patch_px: int) -> None:
    """Refuse a model that has nothing to compare, or a patch that its scales would cut through pixels.

    Raises:
        ModelError: no guidance, or no regression head.
        ConfigError: the patch is no multiple of 2^k of the coarsest scale, or has no 4 px there.
    """
    guidance = guidance_of(model)
    if not guidance.config.regression:
        raise ModelError("this model's guidance has no regression head R, so there is no R(H(phi_k(y))) to compare")
    coarsest = 2 ** max(guidance.config.scales)
    if patch_px < 4 * coarsest or patch_px % coarsest:
        raise ConfigError(
            f"a patch of {patch_px} px does not fit; allowed: multiples of {coarsest} from {4 * coarsest}"
        )


def blurry_photos(folder: str | os.PathLike[str]) -> list[Path]:
    """The photos of a folder and the folders in it; of pairs (NAME_blur and NAME_sharp) the blurry sides alone.

    Raises:
        ImageError: the folder is missing, cannot be listed or has no photos.
        DataError: it is a file.
    """
    if not Path(folder).is_dir() and Path(folder).exists():
        raise DataError(f"{folder}: is a file; name a folder of blurry photos")
    photos = find_photos([folder])
    blurry = {photo.with_suffix("") for photo in photos if photo.stem.endswith(BLURRY_MARK)}

    def partner(photo: Path) -> Path:
        return photo.with_name(photo.stem.removesuffix(SHARP_MARK) + BLURRY_MARK)

    return [photo for photo in photos if not (photo.stem.endswith(SHARP_MARK) and partner(photo) in blurry)]


def choose_patches(
    photos: Sequence[Path], patch_px: int, multiple: int, most: int | None, seed: int, what: str
) -> list[PhotoPatches]:
    """A grid of patches without overlap in the middle of each photo; sizes come from the files' headers.

    Args:
        multiple: tops and lefts are multiples of this.
        most: if there are more patches, so many of them are drawn at random; photos left without any are dropped.
        what: the folder, for errors.

    Raises:
        DataError: a photo smaller than a patch, or fewer than `LEAST_PATCHES` patches in all.
        ImageError: a file whose header cannot be read.
    """
    places: list[tuple[int, tuple[int, int]]] = []
    for i, path in enumerate(photos):
        width, height = upright_size(path)
        if min(width, height) < patch_px:
            raise DataError(
                f"{path}: is {width}x{height}, smaller than a patch; choose a --patch up to {min(width, height)}"
            )
        rows, columns = _starts(height, patch_px, multiple), _starts(width, patch_px, multiple)
        places += [(i, (top, left)) for top in rows for left in columns]
    if most is not None and len(places) > most:
        kept = np.random.default_rng(seed).choice(len(places), most, replace=False)
        places = [places[j] for j in sorted(kept)]
    if len(places) < LEAST_PATCHES:
        raise DataError(
            f"{what}: {len(places)} patches of {patch_px} px, at least {LEAST_PATCHES} are needed; "
            "add photos, or choose a smaller --patch"
        )
    by_photo: dict[int, list[tuple[int, int]]] = {}
    for i, place in places:
        by_photo.setdefault(i, []).append(place)
    return [PhotoPatches(photos[i], tuple(found)) for i, found in by_photo.items()]


@torch.inference_mode()
def domain_features(
    model: ICDPM,
    photos: Sequence[PhotoPatches],
    patch_px: int,
    networks: Mapping[str, Features],
    on_image: OnImage | None = None,
    what: str = "",
) -> DomainFeatures:
    """Features of phi_k(y) and of R(H(phi_k(y))) on every patch, without noise, as in restoration.

    The guidance sees the whole photo. A patch of P px has P / 2^k px at scale k; gray is repeated to three channels.
    Values are cut to [0, 1] and rounded to 8 bits, as a saved picture's.

    Args:
        networks: by name, (N, 3, h, w) in [0, 1] -> (N, D).
        what: named in `on_image`.
    """
    parts: dict[tuple[str, int, str], list[np.ndarray]] = {}
    for done, photo in enumerate(photos, start=1):
        for (k, picture), image in _pictures(model, photo.path).items():
            side = patch_px // 2**k
            cut = [image[0, :, top // 2**k :, left // 2**k :][:, :side, :side] for top, left in photo.places]
            for name, network in networks.items():
                rows = [network(batch.to(image.device)).float().cpu().numpy() for batch in _batches(cut)]
                parts.setdefault((name, k, picture), []).append(np.concatenate(rows))
        if on_image is not None:
            on_image(what, done, len(photos), photo.path.name)
    counts = np.array([len(photo.places) for photo in photos])
    return DomainFeatures(counts, {key: np.concatenate(found) for key, found in parts.items()})


def _pictures(model: ICDPM, path: Path) -> dict[tuple[int, str], Tensor]:
    """{(k, picture): (1, 3, H', W')} of a photo on [0, 1], padding included."""
    guidance = guidance_of(model)
    device = next(model.parameters()).device
    y = pad_to_multiple(photo_to_tensor(read_photo(path)).to(device) * 2 - 1, model.size_multiple)
    regressed = guidance.regress(guidance(y))
    found = {}
    for k in guidance.config.scales:
        for picture, image in zip(PICTURES, (phi(y, k, color=guidance.config.color), regressed[k]), strict=True):
            seen = image[:, :1] if image.shape[1] == 2 else image  # of gray and edges the gray one
            found[k, picture] = round_to_uint8((seen + 1) / 2).expand(-1, 3, -1, -1)
    return found


def _batches(patches: Sequence[Tensor]) -> Iterator[Tensor]:
    for start in range(0, len(patches), BATCH):
        yield torch.stack(list(patches[start : start + BATCH]))


def _starts(length: int, patch_px: int, multiple: int) -> list[int]:
    count = length // patch_px
    first = (length - count * patch_px) // 2 // multiple * multiple
    return [first + i * patch_px for i in range(count)]
