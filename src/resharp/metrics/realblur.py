"""PSNR and SSIM as RealBlur's evaluation script computes them (evaluation_RealBlur_ecc.py of its authors).

RealBlur's blurry and sharp photos come from two cameras. They differ slightly in brightness and geometry, and so
does what a method restores. The restored photo is scaled to the sharp one's brightness, moved onto it by a
homography, and compared only where it covers it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from resharp.errors import ModelError
from resharp.metrics.full_reference import SSIM_WINDOW_PX, round_to_uint8, ssim_map
from resharp.metrics.lpips import check_pair

ITERATIONS = 100
SMOOTHING_PX = 5
BORDER_PX = SSIM_WINDOW_PX // 2
# A homography found on less than this is chance.
MIN_SIDE_PX = 32


class RealBlurScores:
    """PSNR and SSIM of aligned photos. The last alignment is kept, since both ask for the same one."""

    def __init__(self) -> None:
        self._last: tuple[Tensor, Tensor, tuple[float, float]] | None = None

    def psnr(self, restored: Tensor, sharp: Tensor) -> float:
        """In dB, over the pixels that the aligned photo covers. Arguments and errors as in `realblur_scores`."""
        return self._scores(restored, sharp)[0]

    def ssim(self, restored: Tensor, sharp: Tensor) -> float:
        """Mean over the pixels that the aligned photo covers, 5 px at the border left out; otherwise as `psnr`."""
        return self._scores(restored, sharp)[1]

    def _scores(self, restored: Tensor, sharp: Tensor) -> tuple[float, float]:
        last = self._last
        if last is None or not (torch.equal(last[0], restored) and torch.equal(last[1], sharp)):
            last = self._last = (restored.clone(), sharp.clone(), realblur_scores(restored, sharp))
        return last[2]


def realblur_scores(restored: Tensor, sharp: Tensor) -> tuple[float, float]:
    """PSNR and SSIM after alignment.

    Args:
        restored, sharp: (1, 3, H, W), [0, 1], H and W at least 32; both are rounded to 8 bits first.

    Raises:
        ValueError: other shapes, too small, or photos so different that no alignment is found.
        ModelError: OpenCV is not installed.
    """
    check_pair(restored, sharp, MIN_SIDE_PX, "RealBlur's alignment")
    if restored.shape[0] != 1:
        raise ValueError(f"RealBlur's alignment takes one photo at a time, got {restored.shape[0]}")
    aligned, target, mask = align(_pixels(restored), _pixels(sharp))
    error = np.square(target.astype(np.float64) - aligned).sum() / mask.sum()
    psnr = -10 * np.log10(error) if error > 0 else np.inf
    maps = ssim_map(_planes(aligned), _planes(target))[0].permute(1, 2, 0).numpy()  # (H - 10, W - 10, 3)
    inside = mask[BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX]
    if not inside.any():
        raise ValueError("the aligned photo does not cover the sharp one; are they of the same scene?")
    ssim = ((maps * inside).sum(axis=(0, 1)) / inside.sum(axis=(0, 1))).mean()
    return float(psnr), float(ssim)


def align(restored: np.ndarray, sharp: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scale the restored photo by the gain of least squares, then warp it onto the sharp one.

    The homography maximises the enhanced correlation coefficient of the gray images (smoothed over 5 px), in 100
    iterations from the identity. Pixels are interpolated bicubically and not cut off at [0, 1].

    Args:
        restored, sharp: (H, W, 3) float32, [0, 1].

    Returns:
        The aligned photo and the sharp one, zero outside the mask, and the mask of ones and zeros; all (H, W, 3).

    Raises:
        ValueError: black photos, or no homography is found.
        ModelError: OpenCV is not installed.
    """
    cv2 = _opencv()
    energy = np.square(restored, dtype=np.float64).sum()
    gain = (sharp.astype(np.float64) * restored).sum() / energy if energy else 0.0
    if not gain:
        raise ValueError("a black photo cannot be aligned by RealBlur's protocol")
    scaled = (np.float32(gain) * restored).astype(np.float32)
    height, width = sharp.shape[:2]
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, ITERATIONS, 0)
    gray = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (sharp, scaled)]
    start = np.eye(3, dtype=np.float32)
    try:
        _, warp = cv2.findTransformECC(*gray, start, cv2.MOTION_HOMOGRAPHY, stop, None, SMOOTHING_PX)
    except cv2.error as error:
        raise ValueError("cannot be aligned by RealBlur's protocol; are both photos of the same scene?") from error
    aligned = cv2.warpPerspective(
        scaled, warp, (width, height), flags=cv2.INTER_CUBIC + cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT
    )
    mask = cv2.warpPerspective(
        np.ones_like(scaled),
        warp,
        (width, height),
        flags=cv2.INTER_NEAREST + cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    return aligned * mask, sharp * mask, mask


def opencv_version() -> str | None:
    """None where OpenCV is not installed."""
    try:
        return _opencv().__version__
    except ModelError:
        return None


def _opencv() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise ModelError("RealBlur's protocol needs the extra 'realblur': pip install 'resharp[realblur]'") from error
    return cv2


def _pixels(image: Tensor) -> np.ndarray:
    return np.ascontiguousarray(round_to_uint8(image.detach().cpu().float())[0].permute(1, 2, 0).numpy())


def _planes(image: np.ndarray) -> Tensor:
    return torch.from_numpy(image.astype(np.float64)).permute(2, 0, 1)[None]
