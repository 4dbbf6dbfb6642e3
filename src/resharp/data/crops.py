"""Random crops of a folder of sharp photographs, the same for the same seed and step, whoever asks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from resharp.errors import DataError, ImageError
from resharp.images.reading import find_photos, read_photo


def load_photos(folders: Sequence[str | Path], min_side_px: int) -> tuple[list[Tensor], list[str]]:
    """All readable photographs of the folders, in memory.

    Args:
        folders: walked recursively.
        min_side_px: photographs with a shorter side are left out.

    Returns:
        The photographs, uint8 (3, H, W), in the order of their paths; and one line for each file left out,
        with its name and the reason.

    Raises:
        DataError: no photograph is left.
    """
    photos: list[Tensor] = []
    left_out: list[str] = []
    try:
        paths = find_photos([Path(folder) for folder in folders])
    except ImageError as error:
        raise DataError(str(error)) from error
    for path in paths:
        try:
            pixels = read_photo(path).pixels
        except ImageError as error:
            left_out.append(str(error))
            continue
        height, width = pixels.shape[:2]
        if min(height, width) < min_side_px:
            left_out.append(f"{path}: {width}x{height} is too small for training; {min_side_px} px a side are needed")
            continue
        photos.append(torch.from_numpy(pixels).mul(255).round().byte().permute(2, 0, 1).contiguous())
    if not photos:
        where = ", ".join(map(str, folders))
        reason = f" (first of {len(left_out)} left out: {left_out[0]})" if left_out else ""
        raise DataError(f"{where}: no usable photograph to train on{reason}")
    return photos, left_out


def step_generator(seed: int, step: int, stream: int) -> torch.Generator:
    """A CPU generator for one purpose (`stream`) at one step: what resume and data workers need to agree on."""
    # Mersenne twisters with neighbouring seeds start alike; a large odd factor spreads the steps apart.
    mixed = (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + stream * 0x94D049BB133111EB) % 2**63
    return torch.Generator().manual_seed(mixed)


class SharpCrops(torch.utils.data.Dataset):
    """Item `step` is the batch of that step: (B, 3, S, S) uint8, flipped, turned and shrunk at random.

    Shrinking by up to `scale_min` makes soft photographs sharper and shows more of each of them.

    Args:
        photos: uint8 (3, H, W).
        batch_size, size_px: B and S; S includes the margin that the blur synthesiser wants.
        steps: length.
        seed: with the step, decides everything.
        scale_min: smallest factor of the random resize, in (0, 1].
    """

    def __init__(
        self, photos: Sequence[Tensor], batch_size: int, size_px: int, steps: int, seed: int, scale_min: float = 0.6
    ) -> None:
        self.photos, self.batch_size, self.size_px = photos, batch_size, size_px
        self.steps, self.seed, self.scale_min = steps, seed, scale_min

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Tensor:
        if not 0 <= step < self.steps:
            raise IndexError(step)
        generator = step_generator(self.seed, step, stream=0)
        return torch.stack([self._crop(generator) for _ in range(self.batch_size)])

    def _crop(self, generator: torch.Generator) -> Tensor:
        draw = torch.rand(7, generator=generator).tolist()
        photo = self.photos[min(int(draw[0] * len(self.photos)), len(self.photos) - 1)]
        height, width = photo.shape[1:]
        scale = max(self.scale_min + (1 - self.scale_min) * draw[1], self.size_px / min(height, width))
        taken = min(round(self.size_px / min(scale, 1.0)), height, width)
        top, left = int(draw[2] * (height - taken + 1)), int(draw[3] * (width - taken + 1))
        crop = photo[:, top : top + taken, left : left + taken]
        if taken != self.size_px:
            small = F.interpolate(crop[None].float(), size=(self.size_px,) * 2, mode="bicubic", antialias=True)
            crop = small[0].clamp(0, 255).round().byte()
        if draw[4] < 0.5:
            crop = crop.flip(2)
        return torch.rot90(crop, int(draw[5] * 4), (1, 2)).contiguous()
