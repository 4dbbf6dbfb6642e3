"""Blurry pictures from sharp ones, as a camera would make them: motion, clipped highlights, noise and JPEG.

The steps follow the light: the picture is decoded to linear light, its highlights are made brighter than
white or it becomes night, it moves while the frames are averaged, and the result is put out of focus, clipped,
gets sensor noise, is encoded, enlarged, sharpened, rounded to 8 bits and JPEG-compressed; each step for some of
the pictures. The sharp output is the clipped picture at mid-exposure, enlarged if the blurry one is.

Ingredients that came later draw from generators forked for them, and only where their share is not 0: so
pictures that do not have them are the same with and without.
"""

from __future__ import annotations

import math

import torch

from resharp.data.blur_config import BlurConfig
from resharp.data.distributions import between, chance, forked, log_normal
from resharp.data.exposure import Motion, expose, frame_counts, random_blobs
from resharp.data.jpeg import jpeg
from resharp.data.lights import random_lights
from resharp.data.optics import defocused, enlarged, sharpened
from resharp.data.parallax import with_parallax
from resharp.data.sensor import ToneCurve, boost_highlights, noise_variances, sensor_noise
from resharp.data.shutter import RollingMotion, within_reach
from resharp.data.trajectories import random_paths, resized

__all__ = ["BlurConfig", "BlurSynthesiser"]

# What forked generators are for.
_NIGHT, _PARALLAX, _SHUTTER, _DEFOCUS, _ENLARGE, _SHARPEN = range(6)


class BlurSynthesiser:
    """Makes (blurry, sharp) pairs from sharp pictures; see the module's text for the steps.

    Example:
        >>> synthesiser = BlurSynthesiser(BlurConfig(extent_max_px=8.0, turn_max_px=1.0))
        >>> generator = torch.Generator().manual_seed(0)
        >>> side = 32 + 2 * synthesiser.margin_px
        >>> blurry, sharp = synthesiser(torch.rand(2, 3, side, side, generator=generator), generator)
        >>> blurry.shape, sharp.shape
        (torch.Size([2, 3, 32, 32]), torch.Size([2, 3, 32, 32]))
    """

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
        curve = ToneCurve(chance(config.srgb_share, count, generator).to(device))
        light = curve.to_linear(sharp)
        boosted = chance(config.highlight_share, count, generator)
        gain = between(config.highlight_gain, count, generator) * boosted
        light = boost_highlights(light, sharp, gain.to(device), config.highlight_threshold)
        light, dark = self._night(light, generator)
        averaged, moved = self._move(light, generator)
        averaged, soft = self._defocus(averaged, generator)
        arrived, noisy = self._noise(averaged.clamp(0, 1), generator)
        # Decoding and encoding costs the last bits: a picture to which nothing happened keeps its own.
        crop = (..., slice(m, height - m), slice(m, width - m))
        bright = curve.to_encoded(light[crop].clamp(0, 1))
        target = torch.where(((gain > 0) | dark).to(device)[:, None, None, None], bright, sharp[crop])
        changed = (moved | (noisy | soft).to(device))[:, None, None, None]
        blurry = torch.where(changed, curve.to_encoded(arrived.clamp(0, 1)), target)
        blurry, target = self._process(blurry, target, generator)
        return self._store(blurry.mul(255).round().div(255), generator), target

    def _night(self, light: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Darkens some samples of linear light, and puts lights into them; also returns which, (B,) bool."""
        config, count = self.config, light.shape[0]
        if not config.night_share:
            return light, torch.zeros(count, dtype=torch.bool, device=generator.device)
        own = forked(generator, _NIGHT)
        dark = chance(config.night_share, count, own)
        exposure = between(config.night_exposure, count, own)
        numbers = between(config.night_lights, count, own).round().to(torch.int64)
        index = dark.nonzero()[:, 0]
        if len(index):
            here, size = index.to(light.device), (light.shape[-2], light.shape[-1])
            lights = random_lights(numbers[index], size, config.night_light_gain, config.night_light_px, own)
            left = exposure[index].to(light.device)[:, None, None, None]
            light = light.index_copy(0, here, light[here] * left + lights.to(light.device))
        return light, dark

    def _move(self, light: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """The exposed linear light without margins, (B, 3, H, W), and which samples moved, (B,) bool."""
        config, count, m = self.config, light.shape[0], self.margin_px
        size = (light.shape[-2], light.shape[-1])
        radius = math.hypot(size[0] - 2 * m, size[1] - 2 * m) / 2
        still = chance(config.still_share, count, generator)
        camera, part = (self._motion(still, radius, generator) for _ in range(2))
        has_part = chance(config.object_share, count, generator) & ~still
        cover = between(config.object_cover, count, generator)
        edge = between(config.object_edge_px, count, generator)
        masks = light.new_zeros(count, 1, *size)
        self._put_blobs(masks, has_part, cover, edge, generator)
        if config.parallax_share:
            own = forked(generator, _PARALLAX)
            near = chance(config.parallax_share, count, own) & ~still
            camera, part = with_parallax(camera, part, near, between(config.parallax_ratio, count, own))
            self._put_blobs(masks, near, cover, edge, own)
            has_part = has_part | near
        rolling, readout = torch.zeros_like(still), torch.zeros(count, device=generator.device)
        if config.shutter_share:
            own = forked(generator, _SHUTTER)
            rolling = chance(config.shutter_share, count, own)
            readout = between(config.shutter_readout, count, own) * rolling
            camera, part = (within_reach(motion, readout, self._max_reach_px) for motion in (camera, part))
        travel = camera.travel_px(radius)
        travel = torch.where(has_part, torch.maximum(travel, part.travel_px(radius)), travel)
        frames = frame_counts(travel, config.frame_spacing_px, config.max_frames)
        result = light[..., m : size[0] - m, m : size[1] - m].clone()
        # Samples of one kind go through together.
        kinds = set(zip(frames.tolist(), has_part.tolist(), rolling.tolist(), strict=True))
        for number, with_part, with_rows in sorted(kinds):
            index = ((frames == number) & (has_part == with_part) & (rolling == with_rows)).nonzero()[:, 0]
            if number == 1:
                continue
            here = index.to(light.device)
            motions = [motion[index] for motion in ((camera, part) if with_part else (camera,))]
            views = [RollingMotion(motion, readout[index]) if with_rows else motion for motion in motions]
            extra = (views[1].to(light.device), masks[here]) if with_part else ()
            result[here] = expose(light[here], views[0].to(light.device), number, m, *extra)
        return result, (travel > 0).to(light.device)

    @staticmethod
    def _put_blobs(
        masks: torch.Tensor, wanted: torch.Tensor, cover: torch.Tensor, edge: torch.Tensor, generator: torch.Generator
    ) -> None:
        """Draws the shapes of moving parts into masks (B, 1, H, W), in place, where they are wanted."""
        chosen = wanted.nonzero()[:, 0]
        if len(chosen):
            size = (masks.shape[-2], masks.shape[-1])
            blobs = random_blobs(len(chosen), size, cover[chosen], edge[chosen], generator)
            masks[chosen.to(masks.device)] = blobs.to(masks.device)

    def _defocus(self, light: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Puts some samples of linear light out of focus; also returns which, (B,) bool."""
        config, count = self.config, light.shape[0]
        if not config.defocus_share:
            return light, torch.zeros(count, dtype=torch.bool, device=generator.device)
        own = forked(generator, _DEFOCUS)
        soft, radius = chance(config.defocus_share, count, own), between(config.defocus_radius_px, count, own)
        index = soft.nonzero()[:, 0]
        if len(index):
            here = index.to(light.device)
            light[here] = defocused(light[here], radius[index].to(light.device))
        return light, soft

    def _process(
        self, blurry: torch.Tensor, target: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Enlarges some pairs, and sharpens some blurry pictures."""
        config, count = self.config, blurry.shape[0]
        if config.enlarge_share:
            own = forked(generator, _ENLARGE)
            larger, factor = chance(config.enlarge_share, count, own), between(config.enlarge_factor, count, own)
            for i in larger.nonzero()[:, 0].tolist():
                pair = torch.cat((blurry[i : i + 1], target[i : i + 1]))
                blurry[i], target[i] = enlarged(pair, float(factor[i]))
        if config.sharpen_share:
            own = forked(generator, _SHARPEN)
            index = chance(config.sharpen_share, count, own).nonzero()[:, 0]
            amount, radius = (
                between(limits, count, own) for limits in (config.sharpen_amount, config.sharpen_radius_px)
            )
            if len(index):
                here = index.to(blurry.device)
                blurry[here] = sharpened(blurry[here], amount[index].to(blurry.device), radius[index].to(blurry.device))
        return blurry, target

    def _motion(self, still: torch.Tensor, radius_px: float, generator: torch.Generator) -> Motion:
        config, count, device = self.config, still.shape[0], generator.device
        linear = chance(config.linear_share, count, generator)
        wobble = log_normal(1.0, config.wobble_spread, count, generator)
        wobble = wobble * torch.where(linear, config.linear_wobble, config.shake_wobble)
        extent = log_normal(config.extent_median_px, config.extent_spread, count, generator)
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
        noisy = ~chance(config.noise_free_share, count, generator)
        sigma = log_normal(config.noise_median, config.noise_spread, count, generator)
        sigma = sigma.clamp(max=config.noise_max)
        shot, read = noise_variances(sigma, between(config.noise_read_share, count, generator))
        correlation = between(config.noise_correlation, count, generator)
        index = noisy.nonzero()[:, 0]
        if len(index):
            here = index.to(light.device)
            settings = (part[index].to(light.device) for part in (shot, read, correlation))
            light[here] = sensor_noise(light[here], *settings, generator)
        return light, noisy

    def _store(self, blurry: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """JPEG on some samples of 8-bit pictures."""
        config, count = self.config, blurry.shape[0]
        stored = chance(config.jpeg_share, count, generator)
        quality = between(config.jpeg_quality, count, generator)
        subsampled = chance(config.jpeg_subsample_share, count, generator)
        for subsample in (False, True):
            index = (stored & (subsampled == subsample)).nonzero()[:, 0]
            if len(index):
                here = index.to(blurry.device)
                blurry[here] = jpeg(blurry[here], quality[index], subsample)
        return blurry
