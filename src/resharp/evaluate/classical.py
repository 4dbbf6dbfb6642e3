"""Deconvolution without learning, from scikit-image, as a yardstick: blind, with one fixed guess of the blur.

The real blur is unknown, as it is to the networks. Both methods take it for a small Gaussian; its width, and how
far Richardson-Lucy goes, are the constants below. They were chosen once for the best mean PSNR on 24 photos of the
training data, blurred by training's synthesiser (`tools/choose_classical.py`), and not on what is scored. There they
gain 0.025 dB (Richardson-Lucy) and 0.004 dB (Wiener), and much stronger settings lose: one guess for all
blur can hardly do more. Each colour is restored by itself, on gamma-encoded values.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from resharp.errors import ConfigError

WIENER_SIGMA_PX = 0.4
RICHARDSON_LUCY_SIGMA_PX = 0.8
RICHARDSON_LUCY_STEPS = 2
# Deconvolution rings at borders: they are moved out by this much, filled by reflection, and cut off again.
BORDER_PX = 24


def wiener(blurry: Tensor, sigma_px: float = WIENER_SIGMA_PX) -> Tensor:
    """Wiener-Hunt deconvolution whose regularisation is estimated from the picture (Orieux, Giovannelli, Rodet 2010).

    Args:
        blurry: (1, 3, H, W), [0, 1].
        sigma_px: of the Gaussian taken for the blur.

    Returns:
        (1, 3, H, W) float32 in [0, 1]; the same picture gives the same result.

    Raises:
        ConfigError: scikit-image is not installed.
    """
    unsupervised_wiener = _restoration().unsupervised_wiener

    def restore(channel: np.ndarray, kernel: np.ndarray) -> np.ndarray:
        return unsupervised_wiener(channel, kernel, clip=False, rng=0)[0]

    return _by_channel(blurry, sigma_px, restore)


def richardson_lucy(
    blurry: Tensor, sigma_px: float = RICHARDSON_LUCY_SIGMA_PX, steps: int = RICHARDSON_LUCY_STEPS
) -> Tensor:
    """Richardson-Lucy deconvolution, stopped early; arguments, result and errors as in `wiener`.

    steps: iterations.
    """
    iterate = _restoration().richardson_lucy

    def restore(channel: np.ndarray, kernel: np.ndarray) -> np.ndarray:
        return iterate(channel, kernel, num_iter=steps, clip=False, filter_epsilon=1e-6)

    return _by_channel(blurry, sigma_px, restore)


def gaussian(sigma_px: float) -> np.ndarray:
    """(K, K) Gaussian of K = 2 ceil(3 sigma) + 1, which sums to 1."""
    half = int(np.ceil(3 * sigma_px))
    line = np.exp(-0.5 * (np.arange(-half, half + 1) / sigma_px) ** 2)
    kernel = line[:, None] * line
    return kernel / kernel.sum()


def _by_channel(blurry: Tensor, sigma_px: float, restore: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Tensor:
    kernel = gaussian(sigma_px)
    pixels = np.pad(blurry[0].double().cpu().numpy(), ((0, 0), (BORDER_PX,) * 2, (BORDER_PX,) * 2), mode="symmetric")
    inside = (slice(BORDER_PX, -BORDER_PX),) * 2
    restored = np.stack([restore(channel, kernel)[inside] for channel in pixels])
    return torch.from_numpy(restored).float().clamp(0, 1)[None]


def check_installed() -> None:
    """Raise ConfigError now, and not after other work, where scikit-image is missing."""
    _restoration()


def _restoration() -> ModuleType:
    try:
        from skimage import restoration
    except ImportError as error:
        raise ConfigError(
            "classical deconvolution needs scikit-image; install it with: pip install 'resharp[evaluate]'"
        ) from error
    return restoration
