"""DISTS (arXiv 2004.07728): structure and texture similarity of VGG16 features.

The layer weights alpha and beta are the ones torchmetrics ships, equal to those of the authors' package. The
image is measured at its own size; the authors' script shrinks larger ones to 256 px first, their package does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resharp.errors import ModelError
from resharp.metrics.backbones import fill, how_to_fetch, read_state
from resharp.metrics.lpips import check_pair, torchmetrics_file
from resharp.metrics.trunks import VGG

MIN_SIDE_PX = VGG.min_side_px
_C1 = _C2 = 1e-6
_REINSTALL = "reinstall torchmetrics"


class DISTS(nn.Module):
    """Distance of two images; 0 for equal images, lower is better. Newly built it is random: use `load_dists`."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.convs = VGG.build()
        self.widths = [3, *VGG.widths]
        self.alpha = nn.Parameter(torch.rand(sum(self.widths)))
        self.beta = nn.Parameter(torch.rand(sum(self.widths)))
        # ImageNet's statistics, for images in [0, 1].
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))
        self.eval().requires_grad_(False)

    def forward(self, restored: Tensor, sharp: Tensor) -> Tensor:
        """`1 - sum_lc (alpha_lc l(x_lc, y_lc) + beta_lc s(x_lc, y_lc))`, equations 4 to 7 of the paper.

        Args:
            restored, sharp: (B, 3, H, W), [0, 1], H and W at least 16.

        Returns:
            (B,) float32.

        Raises:
            ValueError: the shapes differ, are not (B, 3, H, W), or are smaller than 16 px.
        """
        check_pair(restored, sharp, MIN_SIDE_PX, "DISTS")
        total = self.alpha.sum() + self.beta.sum()
        alphas, betas = self.alpha.split(self.widths), self.beta.split(self.widths)
        similarity = torch.zeros(restored.shape[0], device=self.mean.device)
        layers = zip(alphas, betas, self._stages(restored), self._stages(sharp), strict=True)
        for alpha, beta, a, b in layers:
            mean_a, mean_b = a.mean(dim=(2, 3)), b.mean(dim=(2, 3))  # (B, C_l)
            off_a, off_b = a - mean_a[..., None, None], b - mean_b[..., None, None]
            covariance = (off_a * off_b).mean(dim=(2, 3))
            variances = off_a.square().mean(dim=(2, 3)) + off_b.square().mean(dim=(2, 3))
            texture = (2 * mean_a * mean_b + _C1) / (mean_a.square() + mean_b.square() + _C1)
            structure = (2 * covariance + _C2) / (variances + _C2)
            similarity = similarity + ((alpha * texture + beta * structure) / total).sum(dim=1)
        return 1 - similarity

    def _stages(self, image: Tensor) -> Iterator[Tensor]:
        image = image.to(self.mean)
        yield image
        yield from VGG.run(self.convs, (image - self.mean) / self.std, _l2_pool)


def load_dists(weights: str | Path) -> DISTS:
    """Build DISTS from the VGG16 weights in `weights`. Their hash is not looked at.

    Args:
        weights: torchvision's state dict, as `.pth` or `.safetensors`.

    Raises:
        ModelError: a file is missing, unreadable, or holds tensors of other names or shapes.
    """
    weights = Path(weights)
    if not weights.is_file():
        raise ModelError(f"{weights}: no VGG16 weights for DISTS here; fetch {VGG.backbone.url}")
    model = DISTS()
    VGG.load(model.convs, weights, how_to_fetch(VGG.backbone.url))
    path = torchmetrics_file("dists_models", "weights.pt")
    state = read_state(path, _REINSTALL)
    fill(model.alpha.view(1, -1, 1, 1), state, "alpha", path, _REINSTALL)
    fill(model.beta.view(1, -1, 1, 1), state, "beta", path, _REINSTALL)
    return model


def _l2_pool(x: Tensor) -> Tensor:
    """Root of the mean of squares under a 3x3 Hanning window, every other pixel; zeros beyond the border."""
    window = x.new_tensor([0.25, 0.5, 0.25])
    kernel = torch.outer(window, window).expand(x.shape[1], 1, 3, 3)
    return (F.conv2d(x.square(), kernel, stride=2, padding=1, groups=x.shape[1]) + 1e-12).sqrt()
