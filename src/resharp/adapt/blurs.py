"""The blur of one's own photos, as kernels with the noise and the JPEG that came with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from resharp.adapt.photos import OnPhoto, UserPhoto
from resharp.assessment import reblur_consistency
from resharp.assessment.kernel_fit import blur
from resharp.data.jpeg import jpeg
from resharp.errors import DataError

KERNEL_PX = 31  # what `reblur_consistency` fits
MARGIN_PX = KERNEL_PX // 2
GAMMA = 2.2  # as in the fit
# The limit below which a result is called doubtful; see docs/trust.md.
LEAST_EXPLAINED = 0.75
# Least squares leave a haze of small weights around the true trail.
WEAKEST_SHARE = 0.05
STILL_BELOW_PX = 3.0
MOST_ON_BORDER = 0.05
LEAST_BLURS = 8
# Deviation of luma noise over that of each colour, if the colours' noise is independent.
_LUMA_SHARE = (0.299**2 + 0.587**2 + 0.114**2) ** 0.5


@dataclass(frozen=True, eq=False)
class Blurs:
    """N blurs found in photos.

    kernels: (N, K, K), sum 1, centre of mass in the middle. extents_px: (N,), length of the trail.
    noise: (N,), deviation of each colour on [0, 1]. quality: (N,), of the JPEG, 0 for none. subsampled: (N,) bool.
    tiles: how many were looked at. dropped: of these, by reason.
    """

    kernels: Tensor
    extents_px: Tensor
    noise: Tensor
    quality: Tensor
    subsampled: Tensor
    tiles: int
    dropped: dict[str, int]

    def __len__(self) -> int:
        return len(self.kernels)

    def apply(self, sharp: Tensor, index: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Blurry and sharp pictures, both (B, 3, H, W) in [0, 1], the blurry ones in 8-bit steps.

        Convolved in linear light, clipped, with Gaussian noise, rounded and compressed.

        Args:
            sharp: (B, 3, H + 2 m, W + 2 m) in [0, 1], m = `MARGIN_PX`, gamma-encoded.
            index: (B,), which blur each gets.
            generator: of the noise.
        """
        count, _, height, width = sharp.shape
        kernels = self.kernels[index].repeat_interleave(3, dim=0).to(sharp)
        light = torch.from_numpy(blur(sharp.pow(GAMMA).flatten(0, 1), kernels)).to(sharp)
        image = light.clamp(0, 1).pow(1 / GAMMA).unflatten(0, (count, 3))
        unit = torch.randn(image.shape, generator=generator, device=generator.device).to(image)
        image = image + unit * self.noise[index].to(image)[:, None, None, None]
        image = image.clamp(0, 1).mul(255).round().div(255)
        for subsampled in (False, True):
            here = ((self.quality[index] > 0) & (self.subsampled[index] == subsampled)).nonzero()[:, 0]
            if len(here):
                image[here.to(image.device)] = jpeg(
                    image[here.to(image.device)], self.quality[index][here].to(image), subsampled
                )
        return image, sharp[..., MARGIN_PX : height - MARGIN_PX, MARGIN_PX : width - MARGIN_PX]


def find_blurs(
    photos: Sequence[UserPhoto], restored: Sequence[Tensor], on_photo: OnPhoto | None = None, where: str = "photos"
) -> Blurs:
    """For each tile the kernel that turns the restored photo back into the photo; bad fits are dropped.

    What blur is left in the restored photo is missing in its kernel: kernels are shorter than the blur.

    Args:
        restored: one picture for each photo's window, (1, 3, H, W) in [0, 1].
        where: names the photos in errors.

    Raises:
        DataError: fewer than `LEAST_BLURS` tiles tell their blur.
    """
    kernels, noise, quality, subsampled = [], [], [], []
    dropped = {"not explained by one kernel": 0, "no motion": 0, "longer than the kernel": 0}
    tiles = 0
    for i, (photo, picture) in enumerate(zip(photos, restored, strict=True)):
        found = reblur_consistency(photo.window, picture, photo.report.noise_sigma)
        explained = torch.from_numpy(found.map[~np.isnan(found.map)])
        cleaned = centred(without_haze(torch.from_numpy(found.kernels)))
        still = extents_px(cleaned) < STILL_BELOW_PX
        cut = ~still & (explained >= LEAST_EXPLAINED) & (_border_share(cleaned) > MOST_ON_BORDER)
        keep = ~still & (explained >= LEAST_EXPLAINED) & ~cut
        tiles += len(keep)
        for reason, which in zip(dropped, (~still & (explained < LEAST_EXPLAINED), still, cut), strict=True):
            dropped[reason] += int(which.sum())
        count = int(keep.sum())
        kernels.append(cleaned[keep])
        noise += [photo.report.noise_sigma / _LUMA_SHARE] * count
        quality += [photo.jpeg_quality or 0.0] * count
        subsampled += [photo.jpeg_subsampled] * count
        if on_photo is not None:
            on_photo(f"finding the blur of {where}", i + 1, len(photos), photo.name)
    if len(noise) < LEAST_BLURS:
        reasons = ", ".join(f"{number} {reason}" for reason, number in dropped.items() if number)
        raise DataError(
            f"{where}: the blur of {len(noise)} of {tiles} tiles could be told ({reasons}), {LEAST_BLURS} are needed; "
            "add photos with visible, even motion blur"
        )
    every = torch.cat(kernels)
    levels = torch.tensor(noise), torch.tensor(quality), torch.tensor(subsampled)
    return Blurs(every, extents_px(every), *levels, tiles, dropped)


def without_haze(kernels: Tensor) -> Tensor:
    """Kernels (N, K, K) without weights below `WEAKEST_SHARE` of their greatest, sum 1 again."""
    weakest = WEAKEST_SHARE * kernels.amax(dim=(1, 2), keepdim=True)
    kept = torch.where(kernels >= weakest, kernels, 0.0)
    return kept / kept.sum(dim=(1, 2), keepdim=True)


def centred(kernels: Tensor) -> Tensor:
    """Kernels (N, K, K) moved bilinearly until their centre of mass is in the middle.

    A kernel off centre shifts the picture, and a model trained on such pairs would learn to shift.
    """
    x, y = _centre(kernels)
    size = kernels.shape[-1]
    at = torch.arange(size, dtype=kernels.dtype)
    # Room for any shift, so that nothing is lost before the border is looked at.
    rows = (at[None] + y[:, None])[:, :, None].expand(-1, -1, size)
    columns = (at[None] + x[:, None])[:, None, :].expand(-1, size, -1)
    grid = torch.stack([columns, rows], dim=-1) * 2 / (size - 1) - 1
    moved = F.grid_sample(kernels[:, None], grid, mode="bilinear", padding_mode="zeros", align_corners=True)[:, 0]
    return moved / moved.sum(dim=(1, 2), keepdim=True).clamp(min=1e-12)


def extents_px(kernels: Tensor) -> Tensor:
    """(N,): sqrt(12) times the deviation along the longer axis, the length of a straight even trail."""
    x, y = _centre(kernels)
    at = torch.arange(kernels.shape[-1], dtype=kernels.dtype) - kernels.shape[-1] // 2
    columns, rows = kernels.sum(dim=1), kernels.sum(dim=2)
    xx, yy = columns @ at.square() - x.square() + 1 / 12, rows @ at.square() - y.square() + 1 / 12
    xy = torch.einsum("nij,i,j->n", kernels, at, at) - x * y
    return (12 * ((xx + yy) / 2 + (((xx - yy) / 2).square() + xy.square()).sqrt())).sqrt()


def _centre(kernels: Tensor) -> tuple[Tensor, Tensor]:
    at = torch.arange(kernels.shape[-1], dtype=kernels.dtype) - kernels.shape[-1] // 2
    return kernels.sum(dim=1) @ at, kernels.sum(dim=2) @ at


def _border_share(kernels: Tensor) -> Tensor:
    """Share (N,) of the weight that lies on the outermost pixels."""
    return 1 - kernels[:, 1:-1, 1:-1].sum(dim=(1, 2))
