"""Guidance features h_k as pictures, and how far they follow edges (arXiv 2212.01789, its figure of h_k)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from resharp.errors import ConfigError, DataError, ModelError
from resharp.models.guidance import Guidance, gray, phi
from resharp.models.icdpm import ICDPM
from resharp.models.padding import pad_to_multiple

CHANNELS = 12  # as many as the paper shows of its 64
LEAST_PX = 16
# Where convolutions see the zeros beyond the border; left out of all numbers.
BORDER_PX = 4


@dataclass(frozen=True, eq=False)  # comparing arrays gives arrays, not an answer
class Channel:
    """One channel of h_k.

    values: (H_k, W_k).
    deviation: its standard deviation over the photo.
    edges_of_y, edges_of_regression: Pearson's correlation of `|values - median|` with the gradient magnitude of
        y_k and of R(h_k); None where one of the two is constant or there is no R.
    """

    number: int
    values: np.ndarray
    deviation: float
    edges_of_y: float | None
    edges_of_regression: float | None


@dataclass(frozen=True, eq=False)
class ScaleMaps:
    """What the guidance sees and makes at 1 / 2^k of the size; arrays are (H_k, W_k), pictures on [0, 1].

    y_k: phi_k(y), its luma where the model takes colours.
    regression: R(h_k), or None for a model without R.
    y_edges, regression_edges: gradient magnitudes by central differences.
    copy: the correlations a channel would have that is a copy of y_k; what a channel has above it is about edges.
    """

    k: int
    y_k: np.ndarray
    regression: np.ndarray | None
    y_edges: np.ndarray
    regression_edges: np.ndarray | None
    copy: tuple[float | None, float | None]
    channels: tuple[Channel, ...]


def guidance_of(model: ICDPM) -> Guidance:
    """The model's guidance.

    Raises:
        ModelError: it has none.
    """
    if model.guidance is None:
        raise ModelError("this model has no guidance, so there are no features h_k; choose one trained with guidance")
    return model.guidance


@torch.inference_mode()
def feature_maps(
    model: ICDPM,
    blurry: Tensor,
    count: int | None = None,
    channels: Sequence[int] | None = None,
    noise_seed: int | None = None,
    name: str = "the photo",
) -> list[ScaleMaps]:
    """y_k, h_k, R(h_k) and their edges at every scale, cut to the pixels that come wholly from the photo.

    Args:
        blurry: (1, 3, H, W) in [0, 1], on the model's device.
        count: how many channels to choose; None is 12, or all of a model that has fewer. See `choose_channels`.
        channels: these channels instead, in this order.
        noise_seed: add the noise of phi that training adds; None is without, as in restoration.
        name: of the photo, for errors.

    Raises:
        ModelError: no guidance.
        ConfigError: a channel, or a number of channels, that the model does not have.
        DataError: a photo so small that its coarsest scale has sides below 16 px.
    """
    guidance = guidance_of(model)
    config = guidance.config
    _check_request(config.features, count, channels)
    height, width = blurry.shape[-2:]
    least = LEAST_PX * 2 ** max(config.scales)
    if min(height, width) < least:
        raise DataError(f"{name}: is {width}x{height}; features at all scales need sides of at least {least} px")
    y = pad_to_multiple(blurry * 2 - 1, model.size_multiple)
    h = guidance(y, _noise(noise_seed))
    regressed = guidance.regress(h)
    generator = _noise(noise_seed)  # the same draws as above: the scales come in the same order
    seen = {k: phi(y, k, color=config.color, sigma_k=config.sigma_k, generator=generator) for k in config.scales}

    features = {k: _cut(h[k], height, width, k) for k in config.scales}
    if channels is None:
        spreads = {k: inside(maps).std(axis=(1, 2), dtype=np.float64) for k, maps in features.items()}
        chosen = choose_channels(spreads, min(count or CHANNELS, config.features), shared=config.shared)
    else:
        chosen = dict.fromkeys(config.scales, tuple(channels))
    found = []
    for k in config.scales:
        y_k = _picture(_cut(seen[k], height, width, k))
        regression = _picture(_cut(regressed[k], height, width, k)) if regressed else None
        found.append(_scale(k, y_k, regression, features[k], chosen[k]))
    return found


def choose_channels(spreads: Mapping[int, np.ndarray], count: int, *, shared: bool) -> dict[int, tuple[int, ...]]:
    """The `count` channels of the largest standard deviation, the largest first; of equals the lower number.

    Args:
        spreads: {k: (features,)}.
        shared: one H for all scales, so that a channel means the same at each of them: chosen once, by the mean
            over the scales.
    """
    if shared:
        mean = np.mean(list(spreads.values()), axis=0)
        spreads = dict.fromkeys(spreads, mean)
    order = {k: np.argsort(-values, kind="stable")[:count] for k, values in spreads.items()}
    return {k: tuple(int(number) for number in numbers) for k, numbers in order.items()}


def gradient_magnitude(image: np.ndarray) -> np.ndarray:
    """`sqrt(d_x^2 + d_y^2)` of (H, W) by central differences, one-sided at the border; per px."""
    down, across = np.gradient(image.astype(np.float64))
    return np.hypot(across, down)


def correlation(a: np.ndarray, b: np.ndarray) -> float | None:
    """Pearson's, of two arrays of one shape; None where one is constant."""
    a, b = (x.astype(np.float64) - x.mean(dtype=np.float64) for x in (a, b))
    scale = np.sqrt(np.square(a).sum() * np.square(b).sum())
    return float((a * b).sum() / scale) if scale > 1e-12 else None


def inside(maps: np.ndarray) -> np.ndarray:
    """(..., H, W) without the border that numbers leave out."""
    return maps[..., BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX]


def _scale(
    k: int, y_k: np.ndarray, regression: np.ndarray | None, maps: np.ndarray, numbers: Sequence[int]
) -> ScaleMaps:
    y_edges = gradient_magnitude(y_k)
    regression_edges = None if regression is None else gradient_magnitude(regression)
    channels = []
    for number in numbers:
        deviation = float(inside(maps[number]).std(dtype=np.float64))
        channels.append(Channel(number, maps[number], deviation, *_follows(maps[number], y_edges, regression_edges)))
    copy = _follows(y_k, y_edges, regression_edges)
    return ScaleMaps(k, y_k, regression, y_edges, regression_edges, copy, tuple(channels))


def _follows(
    values: np.ndarray, y_edges: np.ndarray, regression_edges: np.ndarray | None
) -> tuple[float | None, float | None]:
    # A channel rests at any value, which the convolution after it can take off.
    strength = np.abs(inside(values) - np.median(inside(values)))
    of_regression = None if regression_edges is None else correlation(strength, inside(regression_edges))
    return correlation(strength, inside(y_edges)), of_regression


def _check_request(features: int, count: int | None, channels: Sequence[int] | None) -> None:
    if count is not None and channels is not None:
        raise ConfigError("give the number of channels or the channels, not both")
    if count is not None and not 1 <= count <= features:
        raise ConfigError(f"{count} channels were asked for; this model's h_k has {features}")
    for number in channels or ():
        if not 0 <= number < features:
            raise ConfigError(f"no channel {number}; this model's h_k has channels 0 to {features - 1}")


def _noise(seed: int | None) -> torch.Generator | None:
    return None if seed is None else torch.Generator().manual_seed(seed)


def _cut(maps: Tensor, height: int, width: int, k: int) -> np.ndarray:
    """(1, C, H', W') without padding, as (C, H // 2^k, W // 2^k) float32."""
    return maps[0, :, : height // 2**k, : width // 2**k].float().cpu().numpy()


def _picture(maps: np.ndarray) -> np.ndarray:
    """Structure, (C, H, W) in [-1, 1], as (H, W) on [0, 1]: its only or its gray channel, or the luma of RGB."""
    one = maps[0] if len(maps) < 3 else gray(torch.from_numpy(maps)[None])[0, 0].numpy()
    return (one + 1) / 2
