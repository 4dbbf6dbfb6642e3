"""Blurry pictures from sharp ones, as a camera would make them: motion, clipped highlights, noise and JPEG.

The steps follow the light: the picture is decoded to linear light, its highlights are made brighter than
white, it moves while the frames are averaged, and the result is clipped, gets sensor noise, is encoded,
rounded to 8 bits and JPEG-compressed. The sharp output is the clipped picture at mid-exposure.
"""

from __future__ import annotations

import math

import torch

from resharp.data.blur_config import BlurConfig
from resharp.data.exposure import Motion, expose, frame_counts, random_blobs
from resharp.data.jpeg import jpeg
from resharp.data.sensor import ToneCurve, boost_highlights, noise_variances, sensor_noise
from resharp.data.trajectories import random_paths, resized

__all__ = ["BlurConfig", "BlurSynthesiser"]


class BlurSynthesiser:
    """Makes (blurry, sharp) pairs from sharp pictures; see the module's text for the steps."""

    def __init__(self, config: BlurConfig = BlurConfig()):
        self.config = config

    @property
    def margin_px(self) -> int:
        """How much larger than the wanted crop the input must be on each side, so that no border shows."""
        return math.ceil(self._max_reach_px + 2 * self.config.turn_max_px) + 2

    @property
    def _max_reach_px(self) -> float:
        # Mid-exposure need not be the middle of a shaken path: leave a quarter more than half its size.
        return 0.625 * self.config.extent_max_px

    @torch.no_grad()
    def __call__(self, sharp: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Pictures (B, 3, H + 2 m, W + 2 m) in [0, 1], m = margin_px -> blurry and sharp, both (B, 3, H, W).

        Both are float32 in [0, 1], gamma-encoded, blurry in 8-bit steps. Any device; the draws are made on
        the generator's. Raises ValueError where the input is no larger than its margins.
        """
        m, (height, width) = self.margin_px, sharp.shape[-2:]
        if sharp.ndim != 4 or sharp.shape[1] != 3 or min(height, width) <= 2 * m:
            raise ValueError(f"sharp: expected (B, 3, H + {2 * m}, W + {2 * m}), got {tuple(sharp.shape)}")
        sharp = sharp.float()
        count, device, config = sharp.shape[0], sharp.device, self.config
        curve = ToneCurve(self._chance(config.srgb_share, count, generator).to(device))
        light = curve.to_linear(sharp)
        boosted = self._chance(config.highlight_share, count, generator)
        gain = self._between(config.highlight_gain, count, generator) * boosted
        light = boost_highlights(light, sharp, gain.to(device), config.highlight_threshold)
        averaged, moved = self._move(light, generator)
        arrived, noisy = self._noise(averaged.clamp(0, 1), generator)
        # Decoding and encoding costs the last bits: a picture to which nothing happened keeps its own.
        crop = (..., slice(m, height - m), slice(m, width - m))
        bright = curve.to_encoded(light[crop].clamp(0, 1))
        target = torch.where((gain > 0).to(device)[:, None, None, None], bright, sharp[crop])
        changed = (moved | noisy.to(device))[:, None, None, None]
        blurry = torch.where(changed, curve.to_encoded(arrived.clamp(0, 1)), target)
        return self._store(blurry.mul(255).round().div(255), generator), target

    def _move(self, light: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """The exposed linear light without margins, (B, 3, H, W), and which samples moved, (B,) bool."""
        config, count, m = self.config, light.shape[0], self.margin_px
        size = (light.shape[-2], light.shape[-1])
        radius = math.hypot(size[0] - 2 * m, size[1] - 2 * m) / 2
        still = self._chance(config.still_share, count, generator)
        camera, part = (self._motion(still, radius, generator) for _ in range(2))
        has_part = self._chance(config.object_share, count, generator) & ~still
        cover = self._between(config.object_cover, count, generator)
        edge = self._between(config.object_edge_px, count, generator)
        chosen = has_part.nonzero()[:, 0]
        masks = light.new_zeros(count, 1, *size)
        if len(chosen):
            blobs = random_blobs(len(chosen), size, cover[chosen], edge[chosen], generator)
            masks[chosen.to(light.device)] = blobs.to(light.device)
        travel = camera.travel_px(radius)
        travel = torch.where(has_part, torch.maximum(travel, part.travel_px(radius)), travel)
        frames = frame_counts(travel, config.frame_spacing_px, config.max_frames)
        result = light[..., m : size[0] - m, m : size[1] - m].clone()
        for number in frames.unique().tolist():
            for with_part in (False, True):
                index = ((frames == number) & (has_part == with_part)).nonzero()[:, 0]
                if number == 1 or not len(index):
                    continue
                here = index.to(light.device)
                extra = (part[index].to(light.device), masks[here]) if with_part else ()
                result[here] = expose(light[here], camera[index].to(light.device), number, m, *extra)
        return result, (travel > 0).to(light.device)

    def _motion(self, still: torch.Tensor, radius_px: float, generator: torch.Generator) -> Motion:
        config, count, device = self.config, still.shape[0], generator.device
        linear = self._chance(config.linear_share, count, generator)
        wobble = self._log_normal(1.0, config.wobble_spread, count, generator)
        wobble = wobble * torch.where(linear, config.linear_wobble, config.shake_wobble)
        extent = self._log_normal(config.extent_median_px, config.extent_spread, count, generator)
        extent = extent.clamp(max=config.extent_max_px) * ~still
        shift = resized(random_paths(2, wobble, generator), extent, self._max_reach_px)
        centre = (torch.rand(count, 2, generator=generator, device=device) - 0.5) * radius_px
        # No corner moves further than the margin allows for.
        farthest = radius_px + centre.norm(dim=1)
        turns = []
        for deviation in (math.radians(config.rotation_deg), config.zoom):
            size = torch.randn(count, generator=generator, device=device).abs() * deviation * ~still
            paths = random_paths(1, wobble, generator)
            limit = config.turn_max_px / farthest
            turns.append(resized(paths, torch.minimum(size, limit), math.inf))
        return Motion(shift, turns[0], turns[1], centre)

    def _noise(self, light: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Adds sensor noise to some samples of linear light; also returns which, (B,) bool."""
        config, count = self.config, light.shape[0]
        noisy = ~self._chance(config.noise_free_share, count, generator)
        sigma = self._log_normal(config.noise_median, config.noise_spread, count, generator)
        sigma = sigma.clamp(max=config.noise_max)
        shot, read = noise_variances(sigma, self._between(config.noise_read_share, count, generator))
        correlation = self._between(config.noise_correlation, count, generator)
        index = noisy.nonzero()[:, 0]
        if len(index):
            here = index.to(light.device)
            settings = (part[index].to(light.device) for part in (shot, read, correlation))
            light[here] = sensor_noise(light[here], *settings, generator)
        return light, noisy

    def _store(self, blurry: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """JPEG on some samples of 8-bit pictures."""
        config, count = self.config, blurry.shape[0]
        stored = self._chance(config.jpeg_share, count, generator)
        quality = self._between(config.jpeg_quality, count, generator)
        subsampled = self._chance(config.jpeg_subsample_share, count, generator)
        for subsample in (False, True):
            index = (stored & (subsampled == subsample)).nonzero()[:, 0]
            if len(index):
                here = index.to(blurry.device)
                blurry[here] = jpeg(blurry[here], quality[index], subsample)
        return blurry

    @staticmethod
    def _chance(share: float, count: int, generator: torch.Generator) -> torch.Tensor:
        return torch.rand(count, generator=generator, device=generator.device) < share

    @staticmethod
    def _between(limits: tuple[float, float], count: int, generator: torch.Generator) -> torch.Tensor:
        return limits[0] + (limits[1] - limits[0]) * torch.rand(count, generator=generator, device=generator.device)

    @staticmethod
    def _log_normal(median: float, spread: float, count: int, generator: torch.Generator) -> torch.Tensor:
        return median * (spread * torch.randn(count, generator=generator, device=generator.device)).exp()
