"""What a network is made of, as data: these dataclasses are the schema of a model's config.json."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from resharp.errors import ConfigError

# The paper's large network has 27 million parameters. A configuration may come from anywhere, and is refused before
# anything of its size is allocated.
MAX_PARAMETERS = 4_000_000_000
MAX_WIDTH = 65_536
MAX_BLOCKS = 256
# Photos are padded to multiples of 2 to this power, times the patch size.
MAX_LEVELS = 8
_CONVOLUTIONS, _TAPS = 2, 9  # of a ResBlock; of a convolution, 3 x 3


@dataclass(frozen=True)
class TransformerConfig:
    """Restormer's blocks (arXiv 2111.09881) in place of a UNet's ResBlocks; those that change the size stay."""

    # Channels of each head; must divide all widths of the UNet.
    head_channels: int = 16
    # Width of the gated feed-forward layer against that of the block; 2.66 in the paper.
    expansion: float = 2.66

    def __post_init__(self) -> None:
        if self.head_channels < 1:
            raise ConfigError(f"head_channels is {self.head_channels}; it must be at least 1")
        # Above 4 a block would have more weights than the ResBlock that `_check_parameters` counts.
        if not 0.5 <= self.expansion <= 4:
            raise ConfigError(f"expansion is {self.expansion}; allowed: 0.5 to 4")


@dataclass(frozen=True)
class UNetConfig:
    """The icDPM UNet (arXiv 2112.02475, fig. of the architecture; no attention, no normalisation)."""

    # Width of each scale, the finest first; the middle stage has the last one's.
    widths: tuple[int, ...] = (32, 64, 96, 128)
    # ResBlocks per scale on the way down; the block that halves the size comes on top of them.
    encoder_blocks: int = 3
    # ResBlocks per scale on the way up, each of which takes one skip: one more than `encoder_blocks`.
    decoder_blocks: int = 4
    middle_blocks: int = 2
    dropout: float = 0.0
    # None is the paper's: convolutions alone.
    transformer: TransformerConfig | None = None

    def __post_init__(self) -> None:
        if len(self.widths) > MAX_LEVELS:
            raise ConfigError(f"widths has {len(self.widths)} entries; at most {MAX_LEVELS} are allowed")
        if not self.widths or min(self.widths) < 2 or self.widths[0] % 2:
            raise ConfigError(f"widths is {self.widths}; give one even width or more, the finest scale first")
        if self.decoder_blocks != self.encoder_blocks + 1:
            raise ConfigError(
                f"decoder_blocks is {self.decoder_blocks}; every encoder output is a skip, so it must be "
                f"encoder_blocks + 1 = {self.encoder_blocks + 1}"
            )
        if self.encoder_blocks < 1 or self.middle_blocks < 0:
            raise ConfigError("encoder_blocks must be at least 1 and middle_blocks at least 0")
        if not 0.0 <= self.dropout < 1.0:
            raise ConfigError(f"dropout is {self.dropout}; allowed: 0 up to, not including, 1")
        blocks = (self.encoder_blocks + self.decoder_blocks, self.middle_blocks)
        _check_sizes("widths", max(self.widths), "encoder_blocks and middle_blocks", max(blocks) // 2)
        _check_parameters(blocks[0] * sum(width**2 for width in self.widths) + blocks[1] * self.widths[-1] ** 2)
        if self.transformer is not None and any(width % self.transformer.head_channels for width in self.widths):
            raise ConfigError(
                f"head_channels is {self.transformer.head_channels}; it must divide all widths, {self.widths}"
            )


@dataclass(frozen=True)
class GuidanceConfig:
    """Multiscale structure guidance (arXiv 2212.01789, sec. on guidance)."""

    # The k of phi_k: structure is predicted at 1 / 2^k of the size. (3,) is the paper's one-scale ablation.
    scales: tuple[int, ...] = (1, 2, 3)
    # What structure is: "gray" as in the paper, "rgb" its ablation, or edges of the gray picture, alone or beside it.
    color: Literal["gray", "rgb", "edges", "gray+edges"] = "gray"
    # Standard deviation of the noise inside phi while training, on [0, 1]; 0 is the no-noise ablation.
    sigma_k: float = 0.02
    # Channels of h_k; 64 in the paper.
    features: int = 64
    # Width of H's ResBlocks; the last one narrows it to `features`.
    width: int = 128
    # ResBlocks of H at each scale.
    blocks: int = 10
    # One H for all scales, or one each; the paper's notation reads as one.
    shared: bool = True
    # False removes R and its loss: the paper's ablation without regression.
    regression: bool = True

    def __post_init__(self) -> None:
        if len(self.scales) > MAX_LEVELS + 2:  # a patch size of 4 has two more
            raise ConfigError(f"scales has {len(self.scales)} entries; at most {MAX_LEVELS + 2} are allowed")
        if not self.scales or sorted(set(self.scales)) != list(self.scales) or min(self.scales) < 1:
            raise ConfigError(f"scales is {self.scales}; give increasing whole numbers from 1, such as [1, 2, 3]")
        if self.sigma_k < 0:
            raise ConfigError(f"sigma_k is {self.sigma_k}; it must not be negative")
        if min(self.features, self.width, self.blocks) < 1:
            raise ConfigError("features, width and blocks must be at least 1")
        _check_sizes("features and width", max(self.features, self.width), "blocks", self.blocks)
        _check_parameters((1 if self.shared else len(self.scales)) * self.blocks * self.width**2)


def _check_sizes(widths: str, widest: int, blocks: str, most: int) -> None:
    if widest > MAX_WIDTH:
        raise ConfigError(f"{widths}: a number is too large; allowed: up to {MAX_WIDTH}")
    if most > MAX_BLOCKS:
        raise ConfigError(f"{blocks}: a number is too large; allowed: up to {MAX_BLOCKS}")


def _check_parameters(squares: int) -> None:
    """squares: the squares of the widths of all blocks, summed; the parameters are somewhat more."""
    parameters = _CONVOLUTIONS * _TAPS * squares
    if parameters > MAX_PARAMETERS:
        raise ConfigError(f"a network of {parameters:.3g} parameters; at most {MAX_PARAMETERS:.3g} are allowed")


@dataclass(frozen=True)
class ModelConfig:
    """A whole model: guidance, denoiser and, for predict-and-refine, the initial predictor."""

    # None is icDPM without guidance.
    guidance: GuidanceConfig | None = field(default_factory=GuidanceConfig)
    # None is a plain regression: the predictor alone.
    denoiser: UNetConfig | None = field(default_factory=UNetConfig)
    # None diffuses the image (arXiv 2212.01789); else the residual x - g(y) is diffused (arXiv 2112.02475).
    predictor: UNetConfig | None = None
    # What the denoiser's output stands for; eps is the paper's.
    prediction_type: Literal["eps", "v", "x0"] = "eps"
    # Pixels per side folded into channels before the UNet and back after it; 1 is the paper's.
    patch_size: Literal[1, 2, 4] = 1
    # The residual is multiplied by this before diffusion, to bring its spread near one. Not in the papers.
    residual_scale: float = 1.0

    def __post_init__(self) -> None:
        if self.denoiser is None and self.predictor is None:
            raise ConfigError("denoiser and predictor are both absent: nothing would restore; give one of them")
        if self.residual_scale <= 0:
            raise ConfigError(f"residual_scale is {self.residual_scale}; it must be above 0")
        if self.predictor is None and self.residual_scale != 1.0:
            raise ConfigError("residual_scale applies to predict-and-refine only: give a predictor, or leave it at 1")
        if self.guidance is not None:
            for unet in (self.denoiser, self.predictor):
                fold = {1: 0, 2: 1, 4: 2}[self.patch_size]
                if unet is not None and max(self.guidance.scales) - fold >= len(unet.widths):
                    raise ConfigError(
                        f"guidance scale {max(self.guidance.scales)} has no level in a UNet of "
                        f"{len(unet.widths)} widths with patch_size {self.patch_size}"
                    )

    @property
    def size_multiple(self) -> int:
        """Both sides of every picture must be multiples of this, in pixels."""
        unets = [unet for unet in (self.denoiser, self.predictor) if unet is not None]
        coarsest = max(len(unet.widths) for unet in unets) - 1
        scales = self.guidance.scales if self.guidance else (0,)
        return max(self.patch_size * 2**coarsest, 2 ** max(scales))


def guidance_levels(guidance: GuidanceConfig | None, patch_size: int) -> dict[int, int]:
    """The encoder level that takes each h_k: {k: level}."""
    if guidance is None:
        return {}
    finest = int(math.log2(patch_size))
    return {k: max(0, k - finest) for k in guidance.scales}
