"""The Inception network behind FID and KID: TensorFlow's of 2015-12-05, up to its 2048 pooled features.

The weights are those published for pytorch-fid and torch-fidelity; names of modules follow that file. Details in
which it differs from the usual Inception v3: averages leave out the zeros beyond the border, the last block takes
a maximum in place of an average, and the image is enlarged as TensorFlow 1 did it, from the corner.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resharp.errors import ModelError
from resharp.metrics.backbones import INCEPTION, how_to_fetch, read_state

SIDE_PX = 299
FEATURES = 2048


class Inception(nn.Module):
    """(N, 3, H, W) images -> (N, 2048) features. Newly built it has random weights: use `load_inception`."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Conv(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = Conv(32, 32, 3)
        self.Conv2d_2b_3x3 = Conv(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = Conv(64, 80, 1)
        self.Conv2d_4a_3x3 = Conv(80, 192, 3)
        self.Mixed_5b = mixed_35(192, 32)
        self.Mixed_5c = mixed_35(256, 64)
        self.Mixed_5d = mixed_35(288, 64)
        self.Mixed_6a = reduce_35(288)
        self.Mixed_6b = mixed_17(768, 128)
        self.Mixed_6c = mixed_17(768, 160)
        self.Mixed_6d = mixed_17(768, 160)
        self.Mixed_6e = mixed_17(768, 192)
        self.Mixed_7a = reduce_17(768)
        self.Mixed_7b = mixed_8(1280, "average")
        self.Mixed_7c = mixed_8(2048, "max")
        self.eval().requires_grad_(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Pooled features.

        Args:
            images: (N, 3, H, W), [0, 1]; rounded to 8 bits first.

        Returns:
            (N, 2048) float32.
        """
        x = images.float().clamp(0, 1).mul(255).round()
        x = (enlarge(x, SIDE_PX) - 128) / 128  # (N, 3, 299, 299)
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = F.max_pool2d(x, 3, stride=2)  # (N, 64, 73, 73)
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x))
        x = F.max_pool2d(x, 3, stride=2)  # (N, 192, 35, 35)
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))  # (N, 288, 35, 35)
        x = self.Mixed_6a(x)  # (N, 768, 17, 17)
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(x))))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))  # (N, 2048, 8, 8)
        return x.mean(dim=(2, 3))


class Conv(nn.Module):
    """Convolution without bias, batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int | tuple[int, int], **options: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, bias=False, **options)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


class Mixed(nn.Module):
    """Chains of convolutions side by side, joined over channels; the last chain starts with pooling.

    Args:
        convs: all convolutions by name.
        chains: names in order; a last entry with two names is two convolutions of the same input.
        pool: "average" or "max" (3x3, same size), before `branch_pool`; "halve": a maximum of stride 2 alone.
    """

    branch_pool: Conv

    def __init__(self, convs: dict[str, Conv], chains: list[list[str]], pool: str) -> None:
        super().__init__()
        for name, conv in convs.items():
            self.add_module(name, conv)
        self.chains, self.pool = chains, pool

    def forward(self, x: Tensor) -> Tensor:
        outputs = []
        for chain in self.chains:
            y = x
            for name in chain[:-1]:
                y = getattr(self, name)(y)
            outputs += [getattr(self, name)(y) for name in chain[-1].split()]
        if self.pool == "halve":
            outputs.append(F.max_pool2d(x, 3, stride=2))
        elif self.pool == "max":
            outputs.append(self.branch_pool(F.max_pool2d(x, 3, stride=1, padding=1)))
        else:
            pooled = F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
            outputs.append(self.branch_pool(pooled))
        return torch.cat(outputs, dim=1)


def mixed_35(inputs: int, pooled: int) -> Mixed:
    """At 35x35 positions: 1x1, 5x5 and two 3x3 convolutions."""
    convs = {
        "branch1x1": Conv(inputs, 64, 1),
        "branch5x5_1": Conv(inputs, 48, 1),
        "branch5x5_2": Conv(48, 64, 5, padding=2),
        "branch3x3dbl_1": Conv(inputs, 64, 1),
        "branch3x3dbl_2": Conv(64, 96, 3, padding=1),
        "branch3x3dbl_3": Conv(96, 96, 3, padding=1),
        "branch_pool": Conv(inputs, pooled, 1),
    }
    return Mixed(convs, [["branch1x1"], _chain("branch5x5", 2), _chain("branch3x3dbl", 3)], "average")


def reduce_35(inputs: int) -> Mixed:
    """From 35x35 to 17x17 positions."""
    convs = {
        "branch3x3": Conv(inputs, 384, 3, stride=2),
        "branch3x3dbl_1": Conv(inputs, 64, 1),
        "branch3x3dbl_2": Conv(64, 96, 3, padding=1),
        "branch3x3dbl_3": Conv(96, 96, 3, stride=2),
    }
    return Mixed(convs, [["branch3x3"], _chain("branch3x3dbl", 3)], "halve")


def mixed_17(inputs: int, width: int) -> Mixed:
    """At 17x17 positions: 7x7 convolutions as 1x7 and 7x1."""
    wide, tall = {"kernel": (1, 7), "padding": (0, 3)}, {"kernel": (7, 1), "padding": (3, 0)}
    convs = {
        "branch1x1": Conv(inputs, 192, 1),
        "branch7x7_1": Conv(inputs, width, 1),
        "branch7x7_2": Conv(width, width, **wide),
        "branch7x7_3": Conv(width, 192, **tall),
        "branch7x7dbl_1": Conv(inputs, width, 1),
        "branch7x7dbl_2": Conv(width, width, **tall),
        "branch7x7dbl_3": Conv(width, width, **wide),
        "branch7x7dbl_4": Conv(width, width, **tall),
        "branch7x7dbl_5": Conv(width, 192, **wide),
        "branch_pool": Conv(inputs, 192, 1),
    }
    return Mixed(convs, [["branch1x1"], _chain("branch7x7", 3), _chain("branch7x7dbl", 5)], "average")


def reduce_17(inputs: int) -> Mixed:
    """From 17x17 to 8x8 positions."""
    convs = {
        "branch3x3_1": Conv(inputs, 192, 1),
        "branch3x3_2": Conv(192, 320, 3, stride=2),
        "branch7x7x3_1": Conv(inputs, 192, 1),
        "branch7x7x3_2": Conv(192, 192, (1, 7), padding=(0, 3)),
        "branch7x7x3_3": Conv(192, 192, (7, 1), padding=(3, 0)),
        "branch7x7x3_4": Conv(192, 192, 3, stride=2),
    }
    return Mixed(convs, [_chain("branch3x3", 2), _chain("branch7x7x3", 4)], "halve")


def mixed_8(inputs: int, pool: str) -> Mixed:
    """At 8x8 positions: chains that fork into 1x3 and 3x1."""
    wide, tall = {"kernel": (1, 3), "padding": (0, 1)}, {"kernel": (3, 1), "padding": (1, 0)}
    convs = {
        "branch1x1": Conv(inputs, 320, 1),
        "branch3x3_1": Conv(inputs, 384, 1),
        "branch3x3_2a": Conv(384, 384, **wide),
        "branch3x3_2b": Conv(384, 384, **tall),
        "branch3x3dbl_1": Conv(inputs, 448, 1),
        "branch3x3dbl_2": Conv(448, 384, 3, padding=1),
        "branch3x3dbl_3a": Conv(384, 384, **wide),
        "branch3x3dbl_3b": Conv(384, 384, **tall),
        "branch_pool": Conv(inputs, 192, 1),
    }
    simple = ["branch3x3_1", "branch3x3_2a branch3x3_2b"]
    double = ["branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3a branch3x3dbl_3b"]
    return Mixed(convs, [["branch1x1"], simple, double], pool)


def _chain(name: str, count: int) -> list[str]:
    return [f"{name}_{number}" for number in range(1, count + 1)]


def enlarge(images: Tensor, side_px: int) -> Tensor:
    """(N, C, H, W) -> (N, C, side, side) as TensorFlow 1's resize_bilinear: output pixel i lies at `i H / side`."""
    for axis in (3, 2):
        length = images.shape[axis]
        place = torch.arange(side_px, dtype=torch.float32, device=images.device) * (length / side_px)
        low = place.long().clamp_max(length - 1)
        fraction = (place - low).view((-1, 1) if axis == 2 else (-1,))
        a = images.index_select(axis, low)
        b = images.index_select(axis, (low + 1).clamp_max(length - 1))
        images = a + (b - a) * fraction
    return images


def load_inception(weights: str | Path) -> Inception:
    """The network with the weights of the published `.pth`. Their hash is not looked at.

    Raises:
        ModelError: the file is unreadable, or holds tensors of other names or shapes.
    """
    weights = Path(weights)
    fetch = how_to_fetch(INCEPTION.remedy)
    state = read_state(weights, fetch)
    model = Inception()
    wanted = model.state_dict()
    counters = {key for key in wanted if key.endswith("num_batches_tracked")}  # of no use, and not always there
    for key in wanted.keys() - counters:
        if key not in state or state[key].shape != wanted[key].shape:
            raise ModelError(f"{weights}: {key} is missing or has another shape; {fetch}")
    model.load_state_dict({key: state[key] for key in wanted if key not in counters}, strict=False)
    return model
