"""What a blurry and a sharp tile differ in besides their kernel: spectra, noise, JPEG's grid, light, PSNR."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# Edges of the frequency bands in cycles per pixel; half a cycle is the finest there is.
BANDS = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2)
BAND_NAMES = ("1/64-1/32", "1/32-1/16", "1/16-1/8", "1/8-1/4", "1/4-1/2")
WHITE, BLACK = 250 / 255, 5 / 255
MOST_PSNR = 60.0  # of equal tiles, dB
_CELL = 8
_FLAT_SHARE = 0.08


def luma(tiles: Tensor) -> Tensor:
    """(N, 3, T, T) -> (N, T, T), BT.601 as in JPEG."""
    return torch.einsum("nchw,c->nhw", tiles, tiles.new_tensor((0.299, 0.587, 0.114)))


def band_power(tiles: Tensor) -> Tensor:
    """Power of the luma's variance in each band, (N, bands); all frequencies together make about the variance."""
    grey = luma(tiles)
    side = grey.shape[-1]
    window = torch.hann_window(side, periodic=False, dtype=grey.dtype, device=grey.device)
    window = window[:, None] * window
    mean = (grey * window).sum(dim=(1, 2), keepdim=True) / window.sum()
    power = torch.fft.fft2((grey - mean) * window).abs().square() / window.square().sum() / side**2
    at = torch.fft.fftfreq(side, device=grey.device)
    frequency = torch.hypot(at[:, None], at)
    inside = [(frequency >= low) & (frequency < high) for low, high in zip(BANDS[:-1], BANDS[1:], strict=True)]
    return torch.stack([(power * band).sum(dim=(1, 2)) for band in inside], dim=1)


def flat_noise(tiles: Tensor, guide: Tensor) -> Tensor:
    """Deviation (N,) of the noise in the flattest cells, in pixel values, by a filter that ignores slopes.

    guide: the tiles (N, 3, T, T) by which flat cells are chosen: the blurry ones, for both partners. Cells are
    chosen by a smoothed picture, so that they are not the ones whose noise happens to be small. Cells that
    are nearly black or white are avoided.
    """
    smooth = F.avg_pool2d(luma(guide)[:, None], 5, stride=1, padding=2, count_include_pad=False)
    edges = torch.zeros_like(smooth)
    edges[..., :-1, :-1] = (smooth.diff(dim=-1)[..., :-1, :].square() + smooth.diff(dim=-2)[..., :-1].square()).sqrt()
    activity = F.avg_pool2d(edges, _CELL)
    level = F.avg_pool2d(luma(guide)[:, None], _CELL)
    activity = (activity + ((level < 0.04) | (level > 0.96))).flatten(1)
    chosen = activity.topk(max(1, round(_FLAT_SHARE * activity.shape[1])), dim=1, largest=False).indices
    # The difference of two Laplacians: its gain for white noise is 6.
    kernel = torch.tensor([[1.0, -2, 1], [-2, 4, -2], [1, -2, 1]], device=tiles.device, dtype=tiles.dtype) / 6
    rest = F.conv2d(F.pad(luma(tiles)[:, None], (1, 1, 1, 1), mode="reflect"), kernel[None, None])
    variance = F.avg_pool2d(rest.square(), _CELL).flatten(1)
    return variance.gather(1, chosen).mean(dim=1).sqrt()


def blockiness(tiles: Tensor) -> Tensor:
    """How much larger the steps over JPEG's 8 px grid are than the other steps: (N,), 0 without a grid.

    Tiles (N, 3, T, T) begin on the grid. Steps are those of the luma, less what its slope explains.
    """
    result = []
    for grey in (luma(tiles), luma(tiles).transpose(1, 2)):
        step = grey.diff(dim=-1)
        # A slope makes the same step on both sides.
        bend = (step[..., 1:-1] - (step[..., :-2] + step[..., 2:]) / 2).abs()
        at = torch.arange(1, step.shape[-1] - 1, device=grey.device) % _CELL
        edge, middle = bend[..., at == _CELL - 1].mean(dim=(1, 2)), bend[..., (at > 1) & (at < 5)].mean(dim=(1, 2))
        result.append(edge / middle.clamp(min=1e-4) - 1)
    return (result[0] + result[1]) / 2


def psnr(blurry: Tensor, sharp: Tensor) -> Tensor:
    """(N,) dB, at most 60."""
    error = (blurry - sharp).square().mean(dim=(1, 2, 3))
    return -10 * error.clamp(min=10 ** (-MOST_PSNR / 10)).log10()


def share_white(tiles: Tensor) -> Tensor:
    """Share (N,) of pixels of which a colour is 250 of 255 or more."""
    return (tiles.amax(dim=1) >= WHITE).float().mean(dim=(1, 2))


def share_dark(tiles: Tensor) -> Tensor:
    """Share (N,) of pixels of which all colours are 5 of 255 or less."""
    return (tiles.amax(dim=1) <= BLACK).float().mean(dim=(1, 2))


def conserving_power(blurry: Tensor, sharp: Tensor) -> float | None:
    """The power g for which the mean of pixel values to the power g is the same in blurry and sharp tiles.

    Averaging in linear light conserves light, so g is the camera's gamma (2.2); averaging pixel values gives 1.
    Tiles with clipped pixels are left out: clipped light is lost. Tiles (N, 3, T, T), of one picture or many: what
    moves in and out at the borders averages out over many. None where no power between 0.2 and 6 does it, as
    for pictures that nothing blurred.
    """
    clear = (share_white(blurry) < 0.001) & (share_white(sharp) < 0.001) & (psnr(blurry, sharp) < 40)
    # A quarter of the pixels has the same means.
    blurry, sharp = blurry[clear][..., ::2, ::2], sharp[clear][..., ::2, ::2]
    if not len(sharp):
        return None

    def lost(power: float) -> float:
        """How much brighter blurry is than sharp: positive below the true power, negative above."""
        # Relative to the tile's own light, so that bright tiles do not outvote dark ones.
        before, after = sharp.pow(power).mean(dim=(1, 2, 3)), blurry.pow(power).mean(dim=(1, 2, 3))
        return float(((after - before) / before.clamp(min=1e-6)).clamp(-1, 1).mean())

    low, high = 0.2, 6.0
    if not lost(low) > 0 > lost(high):
        return None
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if lost(middle) > 0 else (low, middle)
    return (low + high) / 2
