"""The networks whose features tell domains apart: Inception for FID and KID, and a stand-in with free weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resharp.errors import ConfigError, ModelError
from resharp.metrics.backbones import EFFICIENTNET, INCEPTION, Backbone, check_weights, find_weights, how_to_fetch
from resharp.metrics.efficientnet import FEATURES as EFFICIENTNET_FEATURES
from resharp.metrics.efficientnet import load_efficientnet
from resharp.metrics.inception import FEATURES as INCEPTION_FEATURES
from resharp.metrics.inception import load_inception

NAMES = ("inception", "efficientnet")
BACKBONES = {"inception": INCEPTION, "efficientnet": EFFICIENTNET}
# What the figures may be called: FID and KID are of Inception's features, and of no others.
TITLES = {
    ("inception", "frechet"): "FID",
    ("inception", "kernel"): "KID (x1000)",
    ("efficientnet", "frechet"): "Frechet distance, EfficientNet-Lite0 features",
    ("efficientnet", "kernel"): "kernel distance (x1000), EfficientNet-Lite0 features",
}
WIDTHS = {"inception": INCEPTION_FEATURES, "efficientnet": EFFICIENTNET_FEATURES}
# What the network was trained on; a patch of 32 px taken as it is would leave it a single position.
SIDE_PX = 224


@dataclass(frozen=True)
class FeatureNetwork:
    """Weights that were found, and which they are, in a line."""

    name: str
    module: nn.Module
    protocol: str

    @torch.no_grad()
    def __call__(self, patches: Tensor) -> Tensor:
        """(N, 3, h, w) in [0, 1] -> (N, D). Inception enlarges to 299 px itself; EfficientNet is given 224 px."""
        if self.name == "efficientnet":
            patches = F.interpolate(patches, (SIDE_PX, SIDE_PX), mode="bilinear", align_corners=False)
        return self.module(patches)


def load_networks(
    names: Sequence[str], weights: Path | None, device: torch.device
) -> tuple[dict[str, FeatureNetwork], dict[str, str]]:
    """The networks whose weights are here, and for each other name why it is missing and the remedy, in a line.

    Raises:
        ConfigError: an unknown name.
        ModelError: none of the weights are here, or a file is not what it should be.
    """
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise ConfigError(f"--features {unknown[0]}: choose from {', '.join(NAMES)}")
    found: dict[str, FeatureNetwork] = {}
    absent: dict[str, str] = {}
    for name in dict.fromkeys(names):
        backbone = BACKBONES[name]
        path = find_weights(backbone, weights)
        if path is None:
            absent[name] = f"no {backbone.title} weights; {how_to_fetch(backbone.remedy)}"
            continue
        module = (load_inception if name == "inception" else load_efficientnet)(path).to(device)
        found[name] = FeatureNetwork(name, module, _protocol(backbone, path, name))
    if not found:
        raise ModelError("nothing to measure with: " + "; ".join(absent.values()))
    return found, absent


def _protocol(backbone: Backbone, path: Path, name: str) -> str:
    size = "enlarged to 299 px from the corner" if name == "inception" else f"enlarged to {SIDE_PX} px, bilinear"
    return f"{backbone.title} {path.name} (SHA-256 {check_weights(backbone, path)[:8]}), {size}"
