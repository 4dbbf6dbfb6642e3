"""The light side of a camera on batches of tensors: tone curves, clipped highlights and sensor noise."""

from __future__ import annotations

import torch

MID_GREY = 0.18  # linear light at which a noise level in encoded units is stated


class ToneCurve:
    """Per-sample encoding between linear light and pixel values: gamma 2.2 or the exact sRGB curve.

    is_srgb: (B,) bool. Images are (B, 3, H, W); 0 and 1 map to themselves.
    """

    def __init__(self, is_srgb: torch.Tensor):
        self._srgb = is_srgb[:, None, None, None]
        # Both curves have the form ((v + a) / (1 + a))^g above the toe.
        self._offset = self._srgb * 0.055
        self._power = torch.where(self._srgb, 2.4, 2.2)

    def to_linear(self, images: torch.Tensor) -> torch.Tensor:
        curve = ((images + self._offset) / (1 + self._offset)).pow(self._power)
        return torch.where(self._srgb & (images <= 0.04045), images / 12.92, curve)

    def to_encoded(self, light: torch.Tensor) -> torch.Tensor:
        curve = light.pow(1 / self._power) * (1 + self._offset) - self._offset
        return torch.where(self._srgb & (light <= 0.0031308), light * 12.92, curve)


def boost_highlights(light: torch.Tensor, encoded: torch.Tensor, gain: torch.Tensor, threshold: float) -> torch.Tensor:
    """Linear light (B, 3, H, W) with its brightest parts made up to 1 + gain times brighter, hue kept.

    Pixels whose largest encoded channel is below `threshold` stay; gain: (B,) at least 0.
    """
    brightness = encoded.amax(dim=1, keepdim=True)
    weight = ((brightness - threshold) / (1 - threshold)).clamp(0, 1).square()
    return light * (1 + gain[:, None, None, None] * weight)


def noise_variances(sigma: torch.Tensor, read_share: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Shot and read variance, (B,) each, in linear light for noise of encoded deviation `sigma` at mid grey.

    sigma: (B,). The variance at light v is shot * v + read; read_share (B,) is the read part of it at 0.18.
    """
    # Slope of the gamma 2.2 encoding at mid grey; sRGB's differs by 3 %.
    slope = MID_GREY ** (1 / 2.2 - 1) / 2.2
    variance = (sigma / slope).square()
    return variance * (1 - read_share) / MID_GREY, variance * read_share


def sensor_noise(
    light: torch.Tensor,
    shot: torch.Tensor,
    read: torch.Tensor,
    channel_correlation: torch.Tensor,
    generator: torch.Generator,
) -> torch.Tensor:
    """Linear light (B, 3, H, W) plus Gaussian noise of variance shot * light + read, not clipped.

    shot, read, channel_correlation: (B,); the last, in [0, 1], is the correlation between two colours' noise.
    """
    batch, channels, height, width = light.shape
    draw = torch.randn(batch, channels + 1, height, width, generator=generator, device=generator.device)
    draw = draw.to(light.device)
    common = channel_correlation[:, None, None, None]
    unit = (1 - common).sqrt() * draw[:, :-1] + common.sqrt() * draw[:, -1:]
    deviation = (shot[:, None, None, None] * light.clamp(min=0) + read[:, None, None, None]).sqrt()
    return light + deviation * unit
