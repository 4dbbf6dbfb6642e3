"""The distribution of synthetic blur, as numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from resharp.errors import ConfigError


@dataclass(frozen=True)
class BlurConfig:
    """What the synthesiser draws from. Shares are probabilities; pairs are a lowest and a highest value.

    Log-normal sizes have a median and a spread, the standard deviation of their logarithm. A value outside
    what is allowed raises ConfigError.
    """

    # Camera motion
    still_share: float = 0.05  # pictures without any camera or object motion
    extent_median_px: float = 17.0  # log-normal size of a path: the diagonal of its bounding box
    extent_spread: float = 0.9
    extent_max_px: float = 48.0  # sizes above this are cut to it
    linear_share: float = 0.5  # paths nearly straight at nearly constant speed; the rest are hand shake
    linear_wobble: float = 0.1  # median variation of the speed against its mean, straight paths
    shake_wobble: float = 0.85  # the same for hand shake
    wobble_spread: float = 0.4  # of both
    rotation_deg: float = 0.5  # deviation of the in-plane rotation over the exposure
    zoom: float = 0.004  # deviation of the relative change of size over the exposure
    turn_max_px: float = 4.0  # most that rotation and zoom each move a corner of the crop
    max_frames: int = 48  # most warped frames averaged
    frame_spacing_px: float = 1.2  # distance between frames while their number is below `max_frames`
    # Object motion
    object_share: float = 0.3  # pictures of which a part moves along its own path
    object_cover: tuple[float, float] = (0.1, 0.5)  # share of the picture that the part covers
    object_edge_px: tuple[float, float] = (1.0, 6.0)  # width of its soft edge
    # Depth and shutter
    parallax_share: float = 0.08  # pictures with a nearer part, which the same camera path moves further
    parallax_ratio: tuple[float, float] = (0.3, 0.85)  # motion of what lies behind it, against its own
    shutter_share: float = 0.08  # pictures behind a rolling shutter
    shutter_readout: tuple[float, float] = (0.1, 1.5)  # time from the first row to the last, in exposures
    # Light
    srgb_share: float = 0.5  # pictures decoded with the sRGB curve; the rest with gamma 2.2
    highlight_share: float = 0.3  # pictures whose highlights are brighter than white
    highlight_gain: tuple[float, float] = (0.5, 8.0)  # how much brighter their brightest pixels become
    highlight_threshold: float = 0.9  # pixel value above which a pixel is a highlight
    night_share: float = 0.04  # dark pictures with small bright lights, which leave streaks
    night_exposure: tuple[float, float] = (0.03, 0.3)  # what is left of the light of the picture
    night_lights: tuple[float, float] = (1.0, 12.0)  # number of lights
    night_light_gain: tuple[float, float] = (3.0, 60.0)  # their brightness, white being 1; log-uniform
    night_light_px: tuple[float, float] = (0.6, 3.0)  # their radius; log-uniform
    defocus_share: float = 0.08  # pictures of which the blurry one is out of focus too
    defocus_radius_px: tuple[float, float] = (0.5, 2.0)  # radius of the disc
    # Noise, on the blurry picture
    noise_free_share: float = 0.35  # pictures without noise
    noise_median: float = 0.003  # log-normal deviation at mid grey, in pixel values of [0, 1]
    noise_spread: float = 0.8
    noise_max: float = 0.03  # deviations above this are cut to it
    noise_read_share: tuple[float, float] = (0.0, 0.1)  # signal-independent part of the variance at mid grey
    noise_correlation: tuple[float, float] = (0.0, 0.5)  # correlation of the noise of two colours
    # Camera software
    enlarge_share: float = 0.08  # pairs of which the middle is enlarged after the exposure
    enlarge_factor: tuple[float, float] = (1.0, 1.5)  # at most 4
    sharpen_share: float = 0.08  # pictures of which the blurry one is sharpened by unsharp masking
    sharpen_amount: tuple[float, float] = (0.2, 1.0)  # how much of its detail is added
    sharpen_radius_px: tuple[float, float] = (0.5, 1.5)  # deviation of the Gaussian that tells what is detail
    # JPEG, on the blurry picture
    jpeg_share: float = 0.5  # pictures that are compressed
    jpeg_quality: tuple[float, float] = (60.0, 100.0)  # libjpeg quality
    jpeg_subsample_share: float = 0.5  # share of those with chroma at half resolution (4:2:0)

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(field.default, tuple):
                _check_pair(field.name, value)
                object.__setattr__(self, field.name, tuple(value))  # TOML gives lists
            else:
                _check_number(field.name, value)
        if not isinstance(self.max_frames, int):
            raise ConfigError(f"max_frames: expected a whole number, got {self.max_frames!r}")


# Shares of ingredients that have a generator of their own: at 0 they leave everything else as it is.
EXTRA_SHARES = ("parallax_share", "shutter_share", "night_share", "defocus_share", "enlarge_share", "sharpen_share")

# Lowest and highest value where they are not 0 and infinity, or 0 and 1 for a share.
_ALLOWED = {
    "extent_median_px": (0.01, 400.0),
    "extent_max_px": (0.0, 400.0),
    "rotation_deg": (0.0, 45.0),
    "zoom": (0.0, 0.1),
    "max_frames": (1, 1000),
    "frame_spacing_px": (0.05, math.inf),
    "object_cover": (0.0, 1.0),
    "object_edge_px": (0.1, math.inf),
    "parallax_ratio": (0.0, 1.0),
    "shutter_readout": (0.0, 20.0),
    "highlight_threshold": (0.0, 0.999),
    "night_exposure": (0.0, 1.0),
    "night_lights": (0.0, 1000.0),
    "night_light_gain": (0.01, math.inf),
    "night_light_px": (0.1, 100.0),
    "defocus_radius_px": (0.1, 20.0),
    "enlarge_factor": (1.0, 4.0),
    "sharpen_radius_px": (0.1, 10.0),
    "noise_max": (0.0, 1.0),
    "noise_correlation": (0.0, 1.0),
    "jpeg_quality": (1.0, 100.0),
}


def _check_number(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigError(f"{name}: expected a number, got {value!r}")
    lowest, highest = _ALLOWED.get(name, (0.0, 1.0 if name.endswith("_share") else math.inf))
    if not lowest <= value <= highest:
        raise ConfigError(f"{name}: {value!r} is outside {lowest:g} to {highest:g}")


def _check_pair(name: str, value: object) -> None:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ConfigError(f"{name}: expected a lowest and a highest value, got {value!r}")
    for each in value:
        _check_number(name, each)
    if value[0] > value[1]:
        raise ConfigError(f"{name}: the lowest value comes first, got {value!r}")
