"""NIQE (Mittal, Soundararajan, Bovik, IEEE Signal Processing Letters 2013): quality of one photo without its sharp one.

Features of 96x96 px blocks of the luma at two scales are fitted by a Gaussian, whose distance to that of
undistorted photos is the figure. The latter, 36 means and their covariance, are the authors' and are read from a
file. The steps are those of their MATLAB release as BasicSR 1.4.2 follows it, which is what papers on restoration
mostly print: Y of rgb2ycbcr rounded to whole numbers, no border cut off, blocks side by side, MATLAB's imresize.
"""

from __future__ import annotations

import zipfile
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from resharp.errors import ModelError
from resharp.metrics.backbones import NIQE_PARAMETERS, how_to_fetch
from resharp.metrics.full_reference import luma, round_to_uint8

BLOCK_PX = 96
# Two blocks a side: fewer leave no covariance worth the name.
MIN_SIDE_PX = 2 * BLOCK_PX
FEATURES = 36
# Far above the rounding errors of a mean of values up to 255, and far below what one step of a pixel makes.
_ROUNDING = 1e-9
_SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))
# Half-size bicubic of MATLAB's imresize: the cubic (a = -0.5) stretched to twice its width, at its 8 samples.
_HALF = (-0.01171875, -0.03515625, 0.11328125, 0.43359375, 0.43359375, 0.11328125, -0.03515625, -0.01171875)


class Niqe:
    """NIQE with the statistics of undistorted photos.

    Args:
        mean: (36,) of the features.
        covariance: (36, 36).
        window: (7, 7) weights of local means, of sum 1.
    """

    def __init__(self, mean: np.ndarray, covariance: np.ndarray, window: np.ndarray) -> None:
        self.mean = np.asarray(mean, dtype=np.float64).reshape(FEATURES)
        self.covariance = np.asarray(covariance, dtype=np.float64).reshape(FEATURES, FEATURES)
        self.window = torch.from_numpy(np.asarray(window, dtype=np.float64))

    def __call__(self, image: Tensor) -> float:
        """NIQE of one photo; lower is better.

        Args:
            image: (1, 3, H, W), [0, 1], H and W at least 192; rounded to 8 bits first.

        Raises:
            ValueError: another shape, too small, or fewer than two blocks that are not flat.
        """
        if image.ndim != 4 or image.shape[:2] != (1, 3):
            raise ValueError(f"NIQE takes one RGB image, (1, 3, H, W), got {tuple(image.shape)}")
        height, width = image.shape[-2:]
        if min(height, width) < MIN_SIDE_PX:
            raise ValueError(f"NIQE needs images of at least {MIN_SIDE_PX} px a side, got {width}x{height}")
        features = self.features(image).numpy()  # (blocks, 36)
        whole = features[~np.isnan(features).any(axis=1)]
        if len(whole) < 2:
            raise ValueError("NIQE is not defined for an image that is nearly all flat")
        pooled = (self.covariance + np.cov(whole, rowvar=False)) / 2
        # As in the release: a block with a flat part counts for the means of the features it has.
        difference = self.mean - np.nanmean(features, axis=0)
        return float(np.sqrt(difference @ np.linalg.pinv(pooled) @ difference))

    @torch.no_grad()
    def features(self, image: Tensor) -> Tensor:
        """(1, 3, H, W) -> (blocks, 36) float64; NaN where a block is flat. Incomplete blocks are left out."""
        y = luma(round_to_uint8(image.detach().cpu().float()).double())[0, 0].mul(255).round()
        rows, columns = (side // BLOCK_PX for side in y.shape)
        y = y[: rows * BLOCK_PX, : columns * BLOCK_PX]
        fine = block_features(self._normalised(y), BLOCK_PX)
        coarse = block_features(self._normalised(half_size(y)), BLOCK_PX // 2)
        return torch.cat([fine, coarse], dim=1)

    def _normalised(self, y: Tensor) -> Tensor:
        """`(y - mu) / (sigma + 1)` with local mean and deviation, equation 1; the border is repeated.

        Where the surroundings are flat, as in a clipped sky, the result is exactly 0: left to rounding it would
        have a random sign, and the fit, which counts each sign, would differ by machine (NIQE by up to 0.4).
        """
        kernel, reach = self.window[None, None], self.window.shape[0] // 2

        def local_mean(x: Tensor) -> Tensor:
            return F.conv2d(F.pad(x[None, None], [reach] * 4, mode="replicate"), kernel)[0, 0]

        mu = local_mean(y)
        sigma = (local_mean(y.square()) - mu.square()).abs().sqrt()
        difference = torch.where((y - mu).abs() < _ROUNDING, 0.0, y - mu)
        return difference / (sigma + 1)


def load_niqe(parameters: str | Path) -> Niqe:
    """NIQE with the parameters of BasicSR's `niqe_pris_params.npz`. Their hash is not looked at.

    Raises:
        ModelError: the file is missing, unreadable, or holds other arrays.
    """
    parameters = Path(parameters)
    try:
        with np.load(parameters, allow_pickle=False) as file:
            return Niqe(file["mu_pris_param"], file["cov_pris_param"], file["gaussian_window"])
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        fetch = how_to_fetch(NIQE_PARAMETERS.remedy)
        raise ModelError(f"{parameters}: not the NIQE parameters, or a damaged file; {fetch}") from error


def block_features(image: Tensor, block_px: int) -> Tensor:
    """(rows * block_px, columns * block_px) normalised luma -> (rows * columns, 18), equations 4 to 8."""
    rows, columns = (side // block_px for side in image.shape)
    blocks = image.view(rows, block_px, columns, block_px).transpose(1, 2).reshape(-1, block_px, block_px)
    alpha, left, right = fit_aggd(blocks.flatten(1))
    features = [alpha, (left + right) / 2]
    for shift in _SHIFTS:
        # Products of neighbours; a block's last column or row meets its first, as with MATLAB's circshift.
        alpha, left, right = fit_aggd((blocks * blocks.roll(shift, dims=(1, 2))).flatten(1))
        mean = (right - left) * (torch.lgamma(2 / alpha) - torch.lgamma(1 / alpha)).exp()
        features += [alpha, mean, left, right]
    return torch.stack(features, dim=1)


def fit_aggd(samples: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Shape and the two widths of asymmetric generalised Gaussians, by moments, one for each row of (N, S).

    The density is proportional to `exp(-(|x| / beta)^alpha)` with its own beta for each sign. The shape is the
    nearest on a grid from 0.2 to 10 in steps of 0.001, as in the release.

    Returns:
        alpha, beta_left, beta_right: (N,) each; widths are NaN, and the shape 0.2, where a sign does not occur.
    """
    squares = samples.square()
    below, above = samples < 0, samples > 0
    left = (squares * below).sum(dim=1).div(below.sum(dim=1)).sqrt()
    right = (squares * above).sum(dim=1).div(above.sum(dim=1)).sqrt()
    ratio = left / right
    moment = samples.abs().mean(dim=1).square() / squares.mean(dim=1)
    wanted = moment * (ratio**3 + 1) * (ratio + 1) / (ratio.square() + 1).square()
    shapes, moments = _aggd_grid()
    upper = torch.searchsorted(moments, wanted.nan_to_num(0.0)).clamp(1, len(moments) - 1)
    nearer_below = (wanted - moments[upper - 1]).abs() <= (moments[upper] - wanted).abs()
    index = torch.where(wanted.isnan(), torch.zeros_like(upper), upper - nearer_below.long())
    alpha = shapes[index]
    scale = (0.5 * (torch.lgamma(1 / alpha) - torch.lgamma(3 / alpha))).exp()
    return alpha, left * scale, right * scale


def half_size(y: Tensor) -> Tensor:
    """(H, W), even sides -> (H / 2, W / 2), as MATLAB's imresize by 0.5 (bicubic, antialiased, mirrored border)."""
    for _ in range(2):
        padded = torch.cat([y[:3].flip(0), y, y[-3:].flip(0)])
        y = torch.as_tensor(sum(weight * padded[tap : tap + len(y) : 2] for tap, weight in enumerate(_HALF))).T
    return y


@lru_cache(maxsize=1)
def _aggd_grid() -> tuple[Tensor, Tensor]:
    """Shapes, and `Gamma(2/a)^2 / (Gamma(1/a) Gamma(3/a))` of each, which grows with the shape."""
    shapes = torch.from_numpy(np.arange(0.2, 10.001, 0.001))
    inverse = 1 / shapes
    return shapes, (2 * torch.lgamma(2 * inverse) - torch.lgamma(inverse) - torch.lgamma(3 * inverse)).exp()
