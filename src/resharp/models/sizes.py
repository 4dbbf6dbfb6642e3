"""The named sizes: two of the paper's, guided or not, one for laptops, and one for an hour on an accelerator."""

from __future__ import annotations

from resharp.errors import ConfigError
from resharp.models.config import GuidanceConfig, ModelConfig, UNetConfig

# icDPM-S and -L: widths c, 2c, 3c, 4c with c = 32 and 64 match the sizes published for arXiv 2112.02475.
_SMALL = UNetConfig(widths=(32, 64, 96, 128))
_LARGE = UNetConfig(widths=(64, 128, 192, 256))
# The cost that the paper gives for icDPM-L with Guide-L fits a shared H of about 25 M parameters; how they are
# divided between width and depth is not known. Guide-S is our choice.
_GUIDE_SMALL = GuidanceConfig(width=128, blocks=10)
_GUIDE_LARGE = GuidanceConfig(width=256, blocks=21)

SIZES: dict[str, ModelConfig] = {
    "icdpm-s": ModelConfig(guidance=None, denoiser=_SMALL),
    "icdpm-l": ModelConfig(guidance=None, denoiser=_LARGE),
    "msgd-s": ModelConfig(guidance=_GUIDE_SMALL, denoiser=_SMALL),
    "msgd-l": ModelConfig(guidance=_GUIDE_LARGE, denoiser=_LARGE),
    "msgd-fast": ModelConfig(
        guidance=GuidanceConfig(features=16, width=16, blocks=1),
        # 12 channels of noise arrive beside 24 of y and g(y).
        denoiser=UNetConfig(widths=(32, 48, 64, 96), encoder_blocks=1, decoder_blocks=2, middle_blocks=1),
        predictor=UNetConfig(widths=(16, 32, 48, 64), encoder_blocks=1, decoder_blocks=2, middle_blocks=4),
        # x0 went further astray after short training, the more so with many steps (docs/recipes.md).
        prediction_type="v",
        patch_size=2,
        residual_scale=4.0,
    ),
    # In half precision below 16 MiB.
    "msgd-wide": ModelConfig(
        guidance=GuidanceConfig(features=32, width=32, blocks=2),
        denoiser=UNetConfig(widths=(32, 64, 96, 128), encoder_blocks=1, decoder_blocks=2, middle_blocks=1),
        predictor=UNetConfig(widths=(32, 64, 96, 128), encoder_blocks=1, decoder_blocks=2, middle_blocks=1),
        prediction_type="v",
        patch_size=2,
        residual_scale=4.0,
    ),
}


def size(name: str) -> ModelConfig:
    """The configuration of a named size.

    Raises:
        ConfigError: no such size.
    """
    if name not in SIZES:
        raise ConfigError(f"unknown model size {name!r}; allowed: {', '.join(SIZES)}")
    return SIZES[name]
