"""AlexNet and VGG16 up to the layers that perceptual metrics look at, without torchvision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from resharp.metrics.backbones import ALEXNET, VGG16, Backbone, fill, read_state


@dataclass(frozen=True)
class Trunk:
    """A stack of convolutions, each with a ReLU, in stages; a metric sees the output of each stage.

    convs: (inputs, outputs, kernel, stride, padding) in px.
    index: of each convolution inside torchvision's `features`, which names the entries of the weights file.
    stages: how many convolutions each stage has.
    pooled: the stages that start by halving the size, with a maximum over `pool_px`.
    min_side_px: smaller images leave nothing to pool.
    """

    backbone: Backbone
    convs: tuple[tuple[int, int, int, int, int], ...]
    index: tuple[int, ...]
    stages: tuple[int, ...]
    pooled: frozenset[int]
    pool_px: int
    min_side_px: int

    @property
    def widths(self) -> list[int]:
        """Channels of each stage's output."""
        return [self.convs[sum(self.stages[: stage + 1]) - 1][1] for stage in range(len(self.stages))]

    def build(self) -> nn.ModuleList:
        """The convolutions, with random weights."""
        return nn.ModuleList(nn.Conv2d(i, o, k, stride=s, padding=p) for i, o, k, s, p in self.convs)

    def load(self, convs: nn.ModuleList, weights: Path, then: str) -> None:
        """Fill the convolutions from torchvision's state dict; the classifier's entries are ignored.

        Raises:
            ModelError: the file is unreadable, or holds tensors of other names or shapes; it ends with `then`.
        """
        state = read_state(weights, f"not {self.backbone.title} weights; {then}")
        for conv, index in zip(convs, self.index, strict=True):
            for part in ("weight", "bias"):
                fill(getattr(conv, part), state, f"features.{index}.{part}", weights, then)

    def run(self, convs: nn.ModuleList, x: Tensor, pool: Callable[[Tensor], Tensor] | None = None) -> Iterator[Tensor]:
        """The ReLU output of each stage, (B, C_l, H_l, W_l), one at a time so that earlier ones can be freed.

        Args:
            x: (B, 3, H, W), normalised as the metric does it.
            pool: used in place of the maximum.
        """
        remaining = iter(convs)
        for stage, count in enumerate(self.stages):
            if stage in self.pooled:
                x = F.max_pool2d(x, self.pool_px, stride=2) if pool is None else pool(x)
            for _ in range(count):
                x = F.relu(next(remaining)(x))
            yield x


ALEX = Trunk(
    backbone=ALEXNET,
    convs=((3, 64, 11, 4, 2), (64, 192, 5, 1, 2), (192, 384, 3, 1, 1), (384, 256, 3, 1, 1), (256, 256, 3, 1, 1)),
    index=(0, 3, 6, 8, 10),
    stages=(1, 1, 1, 1, 1),
    pooled=frozenset({1, 2}),
    pool_px=3,
    min_side_px=31,
)
_VGG_CHANNELS = (3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
VGG = Trunk(
    backbone=VGG16,
    convs=tuple((i, o, 3, 1, 1) for i, o in pairwise(_VGG_CHANNELS)),
    index=(0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
    stages=(2, 2, 3, 3, 3),
    pooled=frozenset({1, 2, 3, 4}),
    pool_px=2,
    min_side_px=16,
)
TRUNKS = {"alex": ALEX, "vgg": VGG}
