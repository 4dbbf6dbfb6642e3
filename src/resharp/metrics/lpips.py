"""LPIPS (arXiv 1801.03924) with the AlexNet or VGG16 trunk, without torchvision.

The linear heads (version 0.1) are the ones torchmetrics ships; the trunk is read from a file the user names,
because no package that this project depends on carries it. With AlexNet it was checked against the `lpips` 0.1.4
package on nine pairs: no difference in float32 on one CPU. With VGG16 that is still to do.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from resharp.errors import ModelError
from resharp.metrics.backbones import ALEXNET, fill, how_to_fetch, read_state
from resharp.metrics.trunks import ALEX, TRUNKS

TRUNK_URL = ALEXNET.url
CONV_INDEX = ALEX.index
MIN_SIDE_PX = ALEX.min_side_px
_REINSTALL = "reinstall torchmetrics"


class LPIPS(nn.Module):
    """Learned perceptual distance of two images; 0 for equal images, lower is better.

    `d = sum_l mean_hw sum_c w_lc (f_lc(restored) - f_lc(sharp))^2`, where `f_l` is the feature vector of layer l
    divided by its length over channels. Newly built it has random weights: use `load_lpips`.

    Args:
        net: "alex" or "vgg".
    """

    mean: Tensor
    std: Tensor

    def __init__(self, net: str = "alex") -> None:
        super().__init__()
        self.trunk = TRUNKS[net]
        self.convs = self.trunk.build()
        self.heads = nn.ParameterList([nn.Parameter(torch.rand(width)) for width in self.trunk.widths])
        # LPIPS' own input statistics, for images in [-1, 1].
        self.register_buffer("mean", torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1))
        self.eval().requires_grad_(False)

    def forward(self, restored: Tensor, sharp: Tensor) -> Tensor:
        """Distance per image.

        Args:
            restored, sharp: (B, 3, H, W), [0, 1], H and W at least 31 (alex) or 16 (vgg); any device, computed on
                the module's.

        Returns:
            (B,) float32, not negative.

        Raises:
            ValueError: the shapes differ, are not (B, 3, H, W), or are too small.
        """
        check_pair(restored, sharp, self.trunk.min_side_px, "LPIPS")
        distance = torch.zeros(restored.shape[0], device=self.mean.device)
        layers = zip(self.heads, self._stages(restored), self._stages(sharp), strict=True)
        for weight, a, b in layers:
            squared = (_unit_length(a) - _unit_length(b)).square()
            distance = distance + torch.einsum("bchw,c->bhw", squared, weight).mean(dim=(1, 2))
        return distance

    def features(self, image: Tensor) -> list[Tensor]:
        """(B, 3, H, W) in [0, 1] -> the five ReLU outputs, (B, C_l, H_l, W_l), not normalised."""
        return list(self._stages(image))

    def _stages(self, image: Tensor) -> Iterator[Tensor]:
        return self.trunk.run(self.convs, (image.to(self.mean) * 2 - 1 - self.mean) / self.std)


def load_lpips(weights: str | Path, net: str = "alex") -> LPIPS:
    """Build LPIPS from the AlexNet or VGG16 weights in `weights`. Their hash is not looked at.

    Args:
        weights: torchvision's state dict (`features.0.weight` ..., the classifier is ignored), as the published
            `.pth`, read without executing pickled code, or as `.safetensors`.
        net: "alex" or "vgg": whose weights these are.

    Raises:
        ModelError: the file is missing, unreadable, or holds tensors of other names or shapes.
    """
    weights = Path(weights)
    model = LPIPS(net)
    backbone = model.trunk.backbone
    if not weights.is_file():
        raise ModelError(f"{weights}: no {backbone.title} weights for LPIPS here; fetch {backbone.url}")
    model.trunk.load(model.convs, weights, how_to_fetch(backbone.url))
    path = torchmetrics_file("lpips_models", f"{net}.pth")
    heads = read_state(path, _REINSTALL)
    for layer, head in enumerate(model.heads):
        fill(head.view(1, -1, 1, 1), heads, f"lin{layer}.model.1.weight", path, _REINSTALL)
    return model


def check_pair(restored: Tensor, sharp: Tensor, min_side_px: int, metric: str) -> None:
    """ValueError unless these are two batches of RGB images of one shape, large enough."""
    if restored.ndim != 4 or restored.shape[1] != 3 or restored.shape != sharp.shape:
        raise ValueError(
            f"expected two (B, 3, H, W) tensors of one shape, got {tuple(restored.shape)} and {tuple(sharp.shape)}"
        )
    if min(restored.shape[-2:]) < min_side_px:
        height, width = restored.shape[-2:]
        raise ValueError(f"{metric} needs images of at least {min_side_px} px a side, got {width}x{height}")


def torchmetrics_file(folder: str, name: str) -> Path:
    """A file that torchmetrics ships; found without the seconds its import takes.

    Raises:
        ModelError: torchmetrics is not installed.
    """
    spec = importlib.util.find_spec("torchmetrics")
    if spec is None or spec.origin is None:
        raise ModelError("LPIPS and DISTS need the extra 'evaluate': pip install 'resharp[evaluate]'")
    return Path(spec.origin).parent / "functional" / "image" / folder / name


def _unit_length(features: Tensor) -> Tensor:
    """Divide by the length over channels; the 1e-10 of the reference keeps all-zero vectors at zero."""
    return features / (features.square().sum(dim=1, keepdim=True).sqrt() + 1e-10)
