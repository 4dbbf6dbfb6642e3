"""Low resolution: pictures made smaller, damaged as small pictures are, and enlarged again for the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Generator, Tensor

from resharp.data.degradation import Damage, damaged, in_levels
from resharp.errors import ConfigError
from resharp.task import MAX_SCALE, enlarged

# Bicubic interpolation looks at two small pixels on each side, on the way down and on the way up.
_REACH_SMALL_PX = 4


@dataclass(frozen=True)
class SuperResolutionConfig:
    """How much smaller the pictures are."""

    # Whole number of times that the result is larger than the input.
    scale: int = 4

    def __post_init__(self) -> None:
        if not 2 <= self.scale <= MAX_SCALE:
            raise ConfigError(f"scale is {self.scale}; allowed: 2 to {MAX_SCALE}")


class LowResolution:
    """Bicubic down by `scale` (Pillow's kernel, as MATLAB's: antialiased), 8 bits, other damages, bicubic up.

    Args:
        config: the scale.
        small: what happens to the small pictures, such as noise and JPEG.
    """

    def __init__(self, config: SuperResolutionConfig = SuperResolutionConfig(), small: Sequence[Damage] = ()) -> None:
        self.config, self.small = config, tuple(small)

    @property
    def margin_px(self) -> int:
        """See `resharp.data.degradation.Damage`; a multiple of the scale."""
        inner = max((damage.margin_px for damage in self.small), default=0)
        return (_REACH_SMALL_PX + inner) * self.config.scale

    def __call__(self, pictures: Tensor, generator: Generator) -> Tensor:
        """See `resharp.data.degradation.Damage`; raises ValueError as `shrunk`."""
        return enlarged(damaged(self.shrunk(pictures), self.small, generator), self.config.scale)

    def shrunk(self, pictures: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] to (B, 3, H / scale, W / scale), in 8-bit steps.

        Raises:
            ValueError: H or W is no multiple of the scale.
        """
        scale = self.config.scale
        height, width = pictures.shape[-2:]
        if height % scale or width % scale:
            raise ValueError(f"{height}x{width} cannot be made {scale} times smaller; crop to multiples of {scale}")
        size = (height // scale, width // scale)
        return in_levels(F.interpolate(pictures, size=size, mode="bicubic", antialias=True))
