"""The blur kernel between a blurry and a sharp tile, and its shape as a few numbers.

The kernel is the regularised least-squares one in linear light: with D the horizontal and vertical differences
of all colours under a window, and F the Fourier transform,

    K = sum conj(F D sharp) F D blurry / (sum |F D sharp|^2 + lambda)

Its noise is cut by a threshold, and what hangs together with its peak is kept.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

GAMMA = 2.2
# Of the mean power of the sharp differences: less lets noise through, more rounds the kernel off.
REGULARISATION = 0.01
# Of the kernel's highest value. Ripples of the cut spectrum stay below it.
THRESHOLD = 0.12
# Deviations of the kernel's own noise.
NOISE_THRESHOLD = 3.0
LEAST_PEAK = 6.0


class KernelShape(NamedTuple):
    """Shapes of N kernels, each (N,).

    major_px, minor_px: extents along the principal axes, sqrt(12) times the standard deviation: the length of a
        straight trail at constant speed. A kernel of one pixel has about 1.
    straightness: 1 - minor / major: 1 is a line, 0 as wide as long.
    offset_px: distance of the centre of mass from no shift at all.
    """

    major_px: Tensor
    minor_px: Tensor
    straightness: Tensor
    offset_px: Tensor


def estimate_kernels(blurry: Tensor, sharp: Tensor, *, gamma: float = GAMMA) -> Tensor:
    """Tiles (N, 3, T, T) in [0, 1] -> kernels (N, 2 R + 1, 2 R + 1) with R = T / 4, sums not fixed to 1.

    gamma: pixel values to this power are linear light.
    """
    side = sharp.shape[-1]
    window = torch.hann_window(side - 1, periodic=False, dtype=sharp.dtype, device=sharp.device)
    window = window[:, None] * window
    spectra = []
    for tiles in (blurry, sharp):
        light = tiles.pow(gamma)
        # Differences whiten a photograph, so that the window's leakage from low frequencies matters less.
        across = light[..., :-1, 1:] - light[..., :-1, :-1]
        down = light[..., 1:, :-1] - light[..., :-1, :-1]
        spectra.append(torch.fft.rfft2(torch.cat((across, down), dim=1) * window, s=(2 * side, 2 * side)))
    cross = (spectra[1].conj() * spectra[0]).sum(dim=1)
    power = spectra[1].abs().square().sum(dim=1)
    ridge = REGULARISATION * power.mean(dim=(1, 2), keepdim=True).clamp(min=1e-12)
    kernels = torch.fft.irfft2(cross / (power + ridge), s=(2 * side, 2 * side))
    # Of a shift d the window lets through what it has in common with itself moved by d.
    overlap = torch.fft.irfft2(torch.fft.rfft2(window, s=(2 * side, 2 * side)).abs().square(), s=(2 * side, 2 * side))
    kernels = kernels / (overlap / overlap[0, 0]).clamp(min=0.05)
    radius = side // 4
    return kernels.roll((radius, radius), dims=(1, 2))[:, : 2 * radius + 1, : 2 * radius + 1]


def cleaned(kernels: Tensor) -> Tensor:
    """Kernels (N, S, S) without their noise: not negative, in one piece around the peak, of sum 1."""
    peak = kernels.amax(dim=(1, 2), keepdim=True)
    noise = noise_deviation(kernels)[:, None, None]
    allowed = (kernels > torch.maximum(THRESHOLD * peak, NOISE_THRESHOLD * noise)) | (kernels == peak)
    kept = (kernels == peak).float()
    for _ in range(kernels.shape[-1]):
        # Gaps of one pixel are crossed.
        grown = F.max_pool2d(kept[:, None], 5, stride=1, padding=2)[:, 0] * allowed
        if torch.equal(grown, kept):
            break
        kept = grown
    part = (kernels * kept).clamp(min=0)
    return part / part.sum(dim=(1, 2), keepdim=True).clamp(min=1e-12)


def clear_kernels(kernels: Tensor) -> Tensor:
    """Which kernels (N, S, S), as estimated, stand out of their noise: (N,) bool. The others' peaks may be anywhere."""
    return kernels.amax(dim=(1, 2)) >= LEAST_PEAK * noise_deviation(kernels)


def noise_deviation(kernels: Tensor) -> Tensor:
    """Deviation (N,) of the noise of kernels (N, S, S): most of a kernel is noise."""
    # Half of the values of Gaussian noise lie within 0.6745 deviations.
    return kernels.abs().flatten(1).median(dim=1).values / 0.6745


def kernel_shapes(kernels: Tensor) -> KernelShape:
    """Shapes of kernels (N, S, S) of sum 1, none negative."""
    middle = kernels.shape[-1] // 2
    at = torch.arange(kernels.shape[-1], dtype=kernels.dtype, device=kernels.device) - middle
    columns, rows = kernels.sum(dim=1), kernels.sum(dim=2)
    x, y = columns @ at, rows @ at
    # 1/12 is the variance of a pixel's own width.
    xx, yy = columns @ at.square() - x.square() + 1 / 12, rows @ at.square() - y.square() + 1 / 12
    xy = torch.einsum("nij,i,j->n", kernels, at, at) - x * y
    mean, spread = (xx + yy) / 2, (((xx - yy) / 2).square() + xy.square()).sqrt()
    major = (12 * (mean + spread)).sqrt()
    minor = (12 * (mean - spread).clamp(min=1 / 12)).sqrt()
    return KernelShape(major, minor, 1 - minor / major, torch.hypot(x, y))


def unexplained(blurry: Tensor, sharp: Tensor, kernels: Tensor, *, gamma: float = GAMMA) -> Tensor:
    """Share (N,) of what blurring took away that one kernel per tile does not account for, in linear light.

    kernels: (N, S, S) of sum 1. A border of a quarter tile, which kernels reach over, is left out. 0 is one motion;
    more means several motions or clipped light; cut at 1. The finest detail, where noise is, does not count.
    Tiles that are hardly changed have 0.
    """
    side, radius = sharp.shape[-1], kernels.shape[-1] // 2
    size = side + 2 * radius
    light, arrived = smoothed(sharp.pow(gamma)), smoothed(blurry.pow(gamma))
    spectrum = torch.fft.rfft2(light, s=(size, size)) * torch.fft.rfft2(kernels, s=(size, size))[:, None]
    predicted = torch.fft.irfft2(spectrum, s=(size, size))[..., radius : radius + side, radius : radius + side]
    inner = (..., slice(side // 4, side - side // 4), slice(side // 4, side - side // 4))
    error = (predicted - arrived)[inner].square().mean(dim=(1, 2, 3))
    change = (light - arrived)[inner].square().mean(dim=(1, 2, 3))
    return torch.where(change > 1e-6, (error / change.clamp(min=1e-12)).clamp(max=1).sqrt(), 0.0)


def textured(sharp: Tensor, least: float = 0.01) -> Tensor:
    """Which tiles (N, 3, T, T) have edges in all directions, so that they tell a kernel: (N,) bool.

    least: root mean square of the differences of smoothed pixel values, in the direction that has the fewest.
    """
    smooth = smoothed(sharp)
    across = smooth[..., :-1, 1:] - smooth[..., :-1, :-1]
    down = smooth[..., 1:, :-1] - smooth[..., :-1, :-1]
    xx, yy, xy = ((a * b).mean(dim=(1, 2, 3)) for a, b in ((across, across), (down, down), (across, down)))
    weakest = (xx + yy) / 2 - (((xx - yy) / 2).square() + xy.square()).sqrt()
    return weakest.clamp(min=0).sqrt() >= least


def smoothed(tiles: Tensor) -> Tensor:
    """Tiles (N, C, T, T) with the filter 1 4 6 4 1 in both directions: what is finer than about 3 px is gone."""
    weights = torch.tensor([1.0, 4, 6, 4, 1], dtype=tiles.dtype, device=tiles.device) / 16
    count, channels, height, width = tiles.shape
    padded = F.pad(tiles.reshape(-1, 1, height, width), (2, 2, 2, 2), mode="replicate")
    result = F.conv2d(F.conv2d(padded, weights[None, None, None]), weights[None, None, :, None])
    return result.view(count, channels, height, width)
