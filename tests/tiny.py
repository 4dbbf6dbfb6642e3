"""A tiny model with every part, for tests of all folders."""

from __future__ import annotations

import torch

from resharp.models.config import GuidanceConfig, ModelConfig, UNetConfig

TINY_UNET = UNetConfig(widths=(8, 8), encoder_blocks=1, decoder_blocks=2, middle_blocks=1)
TINY = ModelConfig(
    guidance=GuidanceConfig(scales=(1, 2), features=4, width=4, blocks=1),
    denoiser=TINY_UNET,
    predictor=TINY_UNET,
    prediction_type="x0",
    patch_size=2,
    residual_scale=2.0,
)


def awake(model: torch.nn.Module, seed: int = 0, deviation: float = 0.05) -> torch.nn.Module:
    """The model with small random numbers everywhere, so that no zero-initialised layer hides a mistake."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += deviation * torch.randn(parameter.shape, generator=generator)
    return model.eval()
