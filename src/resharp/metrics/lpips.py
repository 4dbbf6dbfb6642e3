"""LPIPS (arXiv 1801.03924) with the AlexNet trunk, without torchvision.

The linear heads (version 0.1) are the ones torchmetrics ships; the trunk is read from a file the user names,
because no package that this project depends on carries it.

Checked against the `lpips` 0.1.4 package with the ImageNet trunk of torchvision on nine pairs (1280x720 real
blur, 768x512, 131x97, 33x31, flat black against flat white): no difference in float32 on one CPU.
"""

from __future__ import annotations

import importlib.util
import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from resharp.errors import ModelError

TRUNK_URL = "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"
WIDTHS = (64, 192, 384, 256, 256)
# Index of each convolution inside torchvision's `features`, which names the entries of the weights file.
CONV_INDEX = (0, 3, 6, 8, 10)
# Smaller images leave nothing to pool before the third convolution.
MIN_SIDE_PX = 31


class LPIPS(nn.Module):
    """Learned perceptual distance of two images; 0 for equal images, lower is better.

    `d = sum_l mean_hw sum_c w_lc (f_lc(restored) - f_lc(sharp))^2`, where `f_l` is the feature vector of layer l
    divided by its length over channels. Newly built it has random weights: use `load_lpips`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            [
                nn.Conv2d(3, 64, 11, stride=4, padding=2),
                nn.Conv2d(64, 192, 5, padding=2),
                nn.Conv2d(192, 384, 3, padding=1),
                nn.Conv2d(384, 256, 3, padding=1),
                nn.Conv2d(256, 256, 3, padding=1),
            ]
        )
        self.heads = nn.ParameterList([nn.Parameter(torch.rand(width)) for width in WIDTHS])
        # LPIPS' own input statistics, for images in [-1, 1].
        self.register_buffer("mean", torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1))
        self.eval().requires_grad_(False)

    def forward(self, restored: Tensor, sharp: Tensor) -> Tensor:
        """Distance per image.

        Args:
            restored, sharp: (B, 3, H, W), [0, 1], H and W at least 31; any device, computed on the module's.

        Returns:
            (B,) float32, not negative.

        Raises:
            ValueError: the shapes differ, are not (B, 3, H, W), or are smaller than 31 px.
        """
        if restored.ndim != 4 or restored.shape[1] != 3 or restored.shape != sharp.shape:
            raise ValueError(
                f"expected two (B, 3, H, W) tensors of one shape, got {tuple(restored.shape)} and {tuple(sharp.shape)}"
            )
        if min(restored.shape[-2:]) < MIN_SIDE_PX:
            height, width = restored.shape[-2:]
            raise ValueError(f"LPIPS needs images of at least {MIN_SIDE_PX} px a side, got {width}x{height}")
        distance = torch.zeros(restored.shape[0], device=self.mean.device)
        for weight, a, b in zip(self.heads, self.features(restored), self.features(sharp), strict=True):
            squared = (_unit_length(a) - _unit_length(b)).square()
            distance = distance + torch.einsum("bchw,c->bhw", squared, weight).mean(dim=(1, 2))
        return distance

    def features(self, image: Tensor) -> list[Tensor]:
        """(B, 3, H, W) in [0, 1] -> the five ReLU outputs, (B, C_l, H_l, W_l), not normalised."""
        x = (image.to(self.mean) * 2 - 1 - self.mean) / self.std
        outputs = []
        for index, conv in enumerate(self.convs):
            if index in (1, 2):
                x = F.max_pool2d(x, 3, stride=2)
            x = F.relu(conv(x))
            outputs.append(x)
        return outputs


def load_lpips(weights: str | Path) -> LPIPS:
    """Build LPIPS from the AlexNet weights in `weights`.

    Args:
        weights: torchvision's state dict of AlexNet (`features.0.weight` ..., the classifier is ignored), as the
            published `.pth`, read without executing pickled code, or as `.safetensors`.

    Raises:
        ModelError: the file is missing, unreadable, or holds tensors of other names or shapes.
    """
    weights = Path(weights)
    if not weights.is_file():
        raise ModelError(f"{weights}: no AlexNet weights for LPIPS here; fetch {TRUNK_URL}")
    model = LPIPS()
    trunk = _read_state(weights, f"not AlexNet weights; fetch {TRUNK_URL}")
    for conv, index in zip(model.convs, CONV_INDEX, strict=True):
        for part in ("weight", "bias"):
            _fill(getattr(conv, part), trunk, f"features.{index}.{part}", weights, f"; fetch {TRUNK_URL}")
    path = _heads_path()
    heads = _read_state(path, "unreadable; reinstall torchmetrics")
    for layer, head in enumerate(model.heads):
        _fill(head.view(1, -1, 1, 1), heads, f"lin{layer}.model.1.weight", path, "; reinstall torchmetrics")
    return model


def _fill(target: Tensor, state: Mapping[str, Tensor], key: str, path: Path, remedy: str) -> None:
    found = state.get(key)
    if not isinstance(found, Tensor) or found.shape != target.shape or not found.is_floating_point():
        got = "is missing" if not isinstance(found, Tensor) else f"is {tuple(found.shape)} {found.dtype}"
        raise ModelError(f"{path}: {key} {got}, LPIPS needs {tuple(target.shape)} floats{remedy}")
    target.data.copy_(found)


def _read_state(path: Path, problem: str) -> Mapping[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError, SafetensorError) as error:
        raise ModelError(f"{path}: {problem}") from error
    if not isinstance(state, Mapping):
        raise ModelError(f"{path}: {problem}")
    return state


def _heads_path() -> Path:
    """Where torchmetrics keeps the heads; looked up without the seconds its import takes."""
    spec = importlib.util.find_spec("torchmetrics")
    if spec is None or spec.origin is None:
        raise ModelError("LPIPS needs the extra 'evaluate': pip install 'resharp[evaluate]'")
    return Path(spec.origin).parent / "functional" / "image" / "lpips_models" / "alex.pth"


def _unit_length(features: Tensor) -> Tensor:
    """Divide by the length over channels; the 1e-10 of the reference keeps all-zero vectors at zero."""
    return features / (features.square().sum(dim=1, keepdim=True).sqrt() + 1e-10)
