"""Blurry pictures from sharp ones, as a camera would make them: motion, clipped highlights, noise and JPEG.

The steps follow the light: the picture is decoded to linear light, its highlights are made brighter than white,
it moves while the frames are averaged, and the result is clipped, gets sensor noise, is encoded, rounded to
8 bits and JPEG-compressed. The sharp output is the clipped picture at mid-exposure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch

from resharp.data.exposure import Motion, expose, frame_counts, random_blobs
from resharp.data.jpeg import jpeg
from resharp.data.sensor import ToneCurve, boost_highlights, noise_variances, sensor_noise
from resharp.data.trajectories import random_paths, resized
from resharp.errors import ConfigError


@dataclass(frozen=True)
class BlurConfig:
    """What the synthesiser draws from. Shares are probabilities; pairs of numbers are lowest and highest value."""

    still_share: float = 0.05  # pictures without any camera or object motion
    extent_median_px: float = (
        15.0  # median of the log-normal size of the camera's path (diagonal of its bounding box)
    )
    extent_spread: float = 0.9  # standard deviation of the logarithm of that size
    extent_max_px: float = 48.0  # sizes above this are cut to it
    linear_share: float = (
        0.5  # paths that are nearly straight at nearly constant speed; the rest are hand shake
    )
    linear_wobble: float = 0.1  # median strength of the speed's variation against its mean, straight paths
    shake_wobble: float = 0.85  # the same for hand shake
    wobble_spread: float = 0.4  # standard deviation of the logarithm of that strength
    rotation_deg: float = 0.5  # deviation of the in-plane rotation over the exposure
    zoom: float = 0.004  # deviation of the relative change of size over the exposure
    turn_max_px: float = 4.0  # most that rotation and zoom each move a corner of the crop
    max_frames: int = 40  # most warped frames averaged
    frame_spacing_px: float = 1.4  # distance between frames while their number is below `max_frames`
    object_share: float = 0.3  # pictures of which a part moves along its own path
    object_cover: tuple[float, float] = (0.1, 0.5)  # share of the picture that the part covers
    object_edge_px: tuple[float, float] = (1.0, 6.0)  # width of its soft edge
    srgb_share: float = 0.5  # pictures decoded with the sRGB curve; the rest with gamma 2.2
    highlight_share: float = 0.3  # pictures whose highlights are brighter than white
    highlight_gain: tuple[float, float] = (
        0.5,
        8.0,
    )  # how much brighter than white their brightest pixels become
    highlight_threshold: float = 0.9  # pixel value above which a pixel is a highlight
    noise_free_share: float = 0.35  # blurry pictures without noise
    noise_median: float = (
        0.003  # median of the log-normal noise deviation at mid grey, pixel values in [0, 1]
    )
    noise_spread: float = 0.8  # standard deviation of its logarithm
    noise_max: float = 0.03  # deviations above this are cut to it
    noise_read_share: tuple[float, float] = (0.0, 0.1)  # signal-independent part of the variance at mid grey
    noise_correlation: tuple[float, float] = (0.0, 0.5)  # correlation of the noise of two colours
    jpeg_share: float = 0.5  # blurry pictures that are JPEG-compressed
    jpeg_quality: tuple[float, float] = (60.0, 100.0)  # libjpeg quality
    jpeg_subsample_share: float = 0.5  # share of those with chroma at half resolution (4:2:0)

    def __post_init__(self):
        for field in fields(self):
            _check_setting(field.name, getattr(self, field.name))
            if isinstance(getattr(self, field.name), list):  # as read from TOML
                object.__setattr__(self, field.name, tuple(getattr(self, field.name)))


# Largest value of a setting; shares, whatever the name, go up to 1. All settings are at least 0.
_LIMITS = {
    "object_cover": 1.0,
    "noise_read_share": 1.0,
    "noise_correlation": 1.0,
    "noise_max": 1.0,
    "highlight_threshold": 0.999,
    "jpeg_quality": 100.0,
    "zoom": 0.1,
    "rotation_deg": 45.0,
}
_ABOVE_ZERO = (
    "extent_median_px",
    "noise_median",
    "frame_spacing_px",
    "max_frames",
    "jpeg_quality",
    "object_edge_px",
)
_PAIRS = (
    "object_cover",
    "object_edge_px",
    "highlight_gain",
    "noise_read_share",
    "noise_correlation",
    "jpeg_quality",
)


def _check_setting(name: str, value: object) -> None:
    is_pair = name in _PAIRS
    values = list(value) if isinstance(value, list | tuple) else [value]
    if len(values) != 1 + is_pair or not all(isinstance(v, int | float) and math.isfinite(v) for v in values):
        raise ConfigError(f"{name}: expected {'two numbers' if is_pair else 'a number'}, got {value!r}")
    highest = _LIMITS.get(name, 1.0 if name.endswith("_share") else math.inf)
    if min(values) < 0 or max(values) > highest or (name in _ABOVE_ZERO and min(values) <= 0):
        raise ConfigError(f"{name}: {value!r} is outside what is allowed (0 to {highest:g})")
    if is_pair and values[0] > values[1]:
        raise ConfigError(f"{name}: the lowest value comes first, got {value!r}")
    if name == "max_frames" and not isinstance(value, int):
        raise ConfigError(f"max_frames: expected a whole number, got {value!r}")


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
        """Pictures (B, 3, H + 2 m, W + 2 m), m = margin_px, float in [0, 1] -> blurry and sharp, both (B, 3, H, W).

        Both are float32 in [0, 1], gamma-encoded, blurry in 8-bit steps. Any device; the draws are made on the
        generator's. Raises ValueError where the input is no larger than its margins.
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
        noisy = self._noise(averaged.clamp(0, 1), generator)
        unchanged = (~moved & ~noisy[1].to(device))[:, None, None, None]
        target = torch.where(
            (gain > 0).to(device)[:, None, None, None], curve.to_encoded(light.clamp(0, 1)), sharp
        )[..., m : height - m, m : width - m].contiguous()
        # Decoding and encoding costs the last bits; a picture to which nothing happened keeps them.
        blurry = torch.where(unchanged, target, curve.to_encoded(noisy[0].clamp(0, 1)))
        return self._store(blurry.mul(255).round().div(255), generator), target

    def _move(self, light: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Averages the exposure: linear light (B, 3, H, W) without margins, and which samples moved, (B,) bool."""
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
        return limits[0] + (limits[1] - limits[0]) * torch.rand(
            count, generator=generator, device=generator.device
        )

    @staticmethod
    def _log_normal(median: float, spread: float, count: int, generator: torch.Generator) -> torch.Tensor:
        return median * (spread * torch.randn(count, generator=generator, device=generator.device)).exp()
