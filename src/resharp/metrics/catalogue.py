"""Every figure that resharp can print for a folder of pictures, with the protocol it stands for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from resharp import __version__
from resharp.errors import ConfigError
from resharp.metrics.backbones import (
    EFFICIENTNET,
    INCEPTION,
    NIQE_PARAMETERS,
    Backbone,
    check_weights,
    find_weights,
)
from resharp.metrics.dists import load_dists
from resharp.metrics.efficientnet import FEATURES as EFFICIENTNET_FEATURES
from resharp.metrics.efficientnet import load_efficientnet
from resharp.metrics.frechet import KERNEL_SUBSET_SIZE, KERNEL_SUBSETS, frechet_distance, kernel_distance
from resharp.metrics.full_reference import SSIM_WINDOW_PX, psnr, psnr_y, round_to_uint8, ssim, ssim_y
from resharp.metrics.inception import FEATURES as INCEPTION_FEATURES
from resharp.metrics.inception import load_inception
from resharp.metrics.kinds import Absent, PairMetric, SetMetric
from resharp.metrics.lpips import load_lpips
from resharp.metrics.niqe import BLOCK_PX, load_niqe
from resharp.metrics.niqe import MIN_SIDE_PX as NIQE_MIN_SIDE_PX
from resharp.metrics.realblur import MIN_SIDE_PX as REALBLUR_MIN_SIDE_PX
from resharp.metrics.realblur import RealBlurScores, opencv_version
from resharp.metrics.trunks import ALEX, VGG

__all__ = ["DEFAULT_METRICS", "METRICS", "Absent", "PairMetric", "SetMetric", "choose_metrics"]

Metric = PairMetric | SetMetric | Absent

DEFAULT_METRICS: tuple[str, ...] = ("psnr", "ssim", "lpips-alex", "niqe")
METRICS: tuple[str, ...] = (
    *("psnr", "ssim", "psnr-y", "ssim-y", "psnr-realblur", "ssim-realblur"),
    *("lpips-alex", "lpips-vgg", "dists", "niqe", "fid", "kid", "frechet-efficientnet"),
)
# Of 256 px, as high-fidelity compression (arXiv 2006.09965) and DvSR (arXiv 2112.02475) take FID and KID.
PATCH_PX = 256
TITLES = {
    "psnr": "PSNR",
    "ssim": "SSIM",
    "psnr-y": "PSNR (Y)",
    "ssim-y": "SSIM (Y)",
    "psnr-realblur": "PSNR (RealBlur)",
    "ssim-realblur": "SSIM (RealBlur)",
    "lpips-alex": "LPIPS (alex)",
    "lpips-vgg": "LPIPS (vgg)",
    "dists": "DISTS",
    "niqe": "NIQE",
    "fid": "FID",
    "kid": "KID (x1000)",
    "frechet-efficientnet": "Frechet distance, EfficientNet-Lite0 features",
}
_SSIM_PROTOCOL = "Gaussian window 11 px, sigma 1.5, windows wholly inside"
_Y_PROTOCOL = "Y of BT.601 studio swing (MATLAB's rgb2ycbcr on floats, not rounded), peak 255"


def choose_metrics(names: Sequence[str], weights: Path | None = None) -> list[PairMetric | SetMetric | Absent]:
    """The named metrics, ready to measure, in the order of `names`.

    Args:
        names: of `METRICS`; repeats are dropped.
        weights: a folder with weights, looked in before torch hub's cache.

    Raises:
        ConfigError: an unknown name, or none.
        ModelError: no such folder, or a weights file with the wrong hash or content.
    """
    unknown = [name for name in names if name not in METRICS]
    if unknown or not names:
        what = f"no metric {unknown[0]!r}" if unknown else "no metric named"
        raise ConfigError(f"{what}; choose from {', '.join(METRICS)}")
    builders: dict[str, Callable[[str, Path | None], Metric]] = {
        "niqe": _niqe,
        "fid": lambda name, weights: _inception(name, weights, inception),
        "kid": lambda name, weights: _inception(name, weights, inception),
        "frechet-efficientnet": _efficientnet,
        "psnr-realblur": lambda name, _: _realblur(name, scores),
        "ssim-realblur": lambda name, _: _realblur(name, scores),
    }
    builders |= dict.fromkeys(("psnr", "ssim", "psnr-y", "ssim-y"), _pixels)
    builders |= dict.fromkeys(("lpips-alex", "lpips-vgg", "dists"), _perceptual)
    # One for both of the figures that share alignment or features.
    scores, inception = RealBlurScores(), cache(load_inception)
    return [builders[name](name, weights) for name in dict.fromkeys(names)]


def _pixels(name: str, _: Path | None) -> Metric:
    compute = {"psnr": psnr, "ssim": ssim, "psnr-y": psnr_y, "ssim-y": ssim_y}[name]
    parts = [_Y_PROTOCOL if name.endswith("-y") else "RGB", "8 bits"]
    is_psnr = name.startswith("psnr")
    parts += [] if is_psnr else [_SSIM_PROTOCOL]
    return PairMetric(
        name=name,
        title=TITLES[name],
        protocol=", ".join([*parts, f"resharp {__version__}"]),
        higher_is_better=True,
        decimals=2 if is_psnr else 4,
        min_side_px=1 if is_psnr else SSIM_WINDOW_PX,
        measure=lambda restored, sharp: float(compute(restored, sharp)),
    )


def _realblur(name: str, scores: RealBlurScores) -> Metric:
    opencv = opencv_version()
    if opencv is None:
        return Absent(name, TITLES[name], "OpenCV is not installed", "pip install 'resharp[realblur]'")
    is_psnr = name == "psnr-realblur"
    region = "aligned area" if is_psnr else f"aligned area without 5 px at the border, {_SSIM_PROTOCOL}"
    return PairMetric(
        name=name,
        title=TITLES[name],
        protocol=(
            f"RealBlur's: RGB, brightness matched, ECC homography of 100 iterations, {region}, "
            f"OpenCV {opencv}, resharp {__version__}"
        ),
        higher_is_better=True,
        decimals=2 if is_psnr else 4,
        min_side_px=REALBLUR_MIN_SIDE_PX,
        measure=scores.psnr if is_psnr else scores.ssim,
    )


def _perceptual(name: str, weights: Path | None) -> Metric:
    trunk = ALEX if name == "lpips-alex" else VGG
    installed = _version("torchmetrics")
    if installed is None:
        return Absent(name, TITLES[name], "torchmetrics is not installed", "pip install 'resharp[evaluate]'")
    path = find_weights(trunk.backbone, weights)
    if path is None:
        return _absent(name, trunk.backbone)
    if name == "dists":
        model: nn.Module = load_dists(path)
        what = f"DISTS, RGB, 8 bits, not resized, layer weights of torchmetrics {installed}"
    else:
        model = load_lpips(path, name.removeprefix("lpips-"))
        what = f"LPIPS 0.1, RGB, 8 bits, heads of torchmetrics {installed}"

    @torch.no_grad()
    def measure(restored: Tensor, sharp: Tensor) -> float:
        # Rounding errors of nearly equal photos fall on both sides of 0.
        return max(float(model(round_to_uint8(restored.float()), round_to_uint8(sharp.float()))), 0.0)

    return PairMetric(
        name=name,
        title=TITLES[name],
        protocol=f"{what}, {_hash(trunk.backbone, path)}, resharp {__version__}",
        higher_is_better=False,
        decimals=4,
        min_side_px=trunk.min_side_px,
        measure=measure,
    )


def _niqe(name: str, weights: Path | None) -> Metric:
    path = find_weights(NIQE_PARAMETERS, weights)
    if path is None:
        return _absent(name, NIQE_PARAMETERS)
    model = load_niqe(path)
    return PairMetric(
        name=name,
        title=TITLES[name],
        protocol=(
            f"rounded Y of BT.601 studio swing, blocks of {BLOCK_PX} px, no border cut off, as in BasicSR 1.4.2, "
            f"{_hash(NIQE_PARAMETERS, path)}, resharp {__version__}"
        ),
        higher_is_better=False,
        decimals=3,
        min_side_px=NIQE_MIN_SIDE_PX,
        measure=lambda restored, sharp: model(restored),
        needs_sharp=False,
    )


def _inception(name: str, weights: Path | None, load: Callable[[Path], Callable[[Tensor], Tensor]]) -> Metric:
    path = find_weights(INCEPTION, weights)
    if path is None:
        return _absent(name, INCEPTION)
    if name == "fid":
        scheme = "sample covariances"
        # With fewer, the covariance is singular and the bias large.
        least = INCEPTION_FEATURES + 1
    else:
        scheme = f"{KERNEL_SUBSETS} subsets of {KERNEL_SUBSET_SIZE}, cubic kernel, unbiased"
        least = KERNEL_SUBSET_SIZE

    def distance(a: np.ndarray, b: np.ndarray) -> float:
        return frechet_distance(a, b, min_samples=least) if name == "fid" else 1000 * kernel_distance(a, b)

    return SetMetric(
        name=name,
        title=TITLES[name],
        protocol=(
            f"RGB patches of {PATCH_PX} px, 8 bits, torch-fidelity's Inception, {scheme}, "
            f"{_hash(INCEPTION, path)}, resharp {__version__}"
        ),
        higher_is_better=False,
        decimals=2 if name == "fid" else 3,
        patch_px=PATCH_PX,
        features=load(path),
        distance=distance,
        min_patches=least,
    )


def _efficientnet(name: str, weights: Path | None) -> Metric:
    path = find_weights(EFFICIENTNET, weights)
    if path is None:
        return _absent(name, EFFICIENTNET)
    least = EFFICIENTNET_FEATURES + 1
    return SetMetric(
        name=name,
        title=TITLES[name],
        protocol=(
            f"no FID: RGB patches of {PATCH_PX} px, 8 bits, pooled EfficientNet-Lite0 features, sample covariances, "
            f"{_hash(EFFICIENTNET, path)}, resharp {__version__}"
        ),
        higher_is_better=False,
        decimals=3,
        patch_px=PATCH_PX,
        features=load_efficientnet(path),
        distance=lambda a, b: frechet_distance(a, b, min_samples=least),
        min_patches=least,
    )


def _absent(name: str, backbone: Backbone) -> Absent:
    why = f"no {backbone.title}" if backbone is NIQE_PARAMETERS else f"no {backbone.title} weights"
    return Absent(name, TITLES[name], why, backbone.remedy)


def _hash(backbone: Backbone, path: Path) -> str:
    return f"{backbone.title} {path.name} (SHA-256 {check_weights(backbone, path)[:8]})"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
