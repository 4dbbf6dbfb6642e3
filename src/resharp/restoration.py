"""From model and noise to a sharp image: padding, guidance once, sampling, clamping. Tensors in, tensors out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from resharp.diffusion.presets import Preset
from resharp.diffusion.process import to_x0
from resharp.diffusion.samplers import Denoise, sample
from resharp.models.icdpm import ICDPM

OnStep = Callable[[int, int], None]
OnPreview = Callable[[Tensor], None]
OnSample = Callable[[int, Tensor], None]
# Quarter turns, and whether a mirror image follows: identity and mirror, half turns of both, quarter turns of both.
_ORIENTATIONS = ((0, False), (0, True), (2, False), (2, True), (1, False), (1, True), (3, False), (3, True))


@dataclass(frozen=True)
class Restored:
    """What came out, and how it was made.

    image: (B, 3, H, W) float32 in [0, 1]; the mean when there are several samples.
    spread: (B, 1, H, W), the samples' standard deviation averaged over the colours; None with fewer than two.
    output: "input", "predictor" or "diffusion": which part of the model made the image; "diffusion" also where
        a fidelity mixed it with the predictor.
    settings: those that counted.
    """

    image: Tensor
    spread: Tensor | None
    output: str
    settings: Preset


@dataclass(frozen=True)
class Conditions:
    """What is computed once per image, before any noise: y, h and, with a predictor, g; all padded."""

    y: Tensor
    h: dict[int, Tensor]
    g: Tensor | None
    size: tuple[int, int]

    def cropped(self, image: Tensor) -> Tensor:
        """`image` without the padding."""
        return image[..., : self.size[0], : self.size[1]]


def pad_to_multiple(image: Tensor, multiple: int) -> Tensor:
    """(B, C, H, W) grown to the right and below until both sides are multiples, by reflection.

    Sides shorter than the padding are reflected back and forth, so 1x1 works too.
    """
    for dim in (2, 3):
        size = image.shape[dim]
        missing = -size % multiple
        if missing:
            period = max(1, 2 * (size - 1))
            index = torch.arange(size + missing, device=image.device) % period
            image = image.index_select(dim, torch.minimum(index, period - index) if size > 1 else index)
    return image


def condition(model: ICDPM, blurry: Tensor) -> Conditions:
    """Guide and predict, once for an image.

    Args:
        blurry: (B, 3, H, W) in [0, 1], any size.
    """
    y = pad_to_multiple(blurry * 2 - 1, model.size_multiple)
    h = model.guide(y)
    g = None if model.predictor is None else model.predict(y, h)
    return Conditions(y, h, g, (blurry.shape[2], blurry.shape[3]))


def predicted(conditions: Conditions) -> Tensor:
    """The initial prediction g(y), (B, 3, H, W) in [0, 1]."""
    assert conditions.g is not None
    return to_unit(conditions.cropped(conditions.g))


def turned(image: Tensor, orientation: int) -> Tensor:
    """`image` (..., H, W) in one of its 8 orientations; 0 is as it is. The first 1, 2, 4 or 8 form a group."""
    turns, mirrored = _ORIENTATIONS[orientation]
    image = image.rot90(turns, (-2, -1))
    return image.flip(-1) if mirrored else image


def turned_back(image: Tensor, orientation: int) -> Tensor:
    """The inverse of `turned`."""
    turns, mirrored = _ORIENTATIONS[orientation]
    return (image.flip(-1) if mirrored else image).rot90(-turns, (-2, -1))


def self_ensemble(
    model: ICDPM, blurry: Tensor, count: int, on_step: OnStep | None = None, on_preview: OnPreview | None = None
) -> Tensor:
    """The mean of g over `count` orientations of the picture, one after the other, (B, 3, H, W) in [0, 1].

    As the orientations form a group, the mean turns with the picture, whatever the network does.

    Args:
        blurry: (B, 3, H, W) in [0, 1].
        count: 1, 2 (the picture and its mirror image), 4 (flips of both axes) or 8 (quarter turns too).
        on_step: called with (orientations done, count).
        on_preview: called with the mean so far.
    """
    total = torch.zeros(())
    for orientation in range(count):
        # Padded after turning, so that every orientation meets the padding that it would meet by itself.
        restored = predicted(condition(model, turned(blurry, orientation)))
        restored = turned_back(restored, orientation)
        total = restored if orientation == 0 else total + restored
        if on_step is not None:
            on_step(orientation + 1, count)
        if on_preview is not None:
            on_preview(total / (orientation + 1))
    return total / count


class Moments:
    """Running mean and spread of samples, and the first one: K samples need the memory of four."""

    def __init__(self) -> None:
        self.count = 0
        self.first = self.mean = self._scatter = torch.zeros(())

    def add(self, sample: Tensor) -> None:
        """Welford's update with (B, C, H, W)."""
        self.count += 1
        if self.count == 1:
            self.first = self.mean = sample
            return
        offset = sample - self.mean
        self.mean = self.mean + offset / self.count
        self._scatter = self._scatter + offset * (sample - self.mean)

    def spread(self) -> Tensor | None:
        """The sample deviation averaged over the channels, (B, 1, H, W); None with fewer than two."""
        if self.count < 2:
            return None
        return (self._scatter / (self.count - 1)).sqrt().mean(dim=1, keepdim=True)

    def result(self, fidelity: float | None, g: Tensor | None) -> Tensor:
        """The mean of the samples, or with a fidelity the `mix` of g, or of their mean without g, and the first."""
        return self.mean if fidelity is None else mix(self.mean if g is None else g, self.first, fidelity)


def mix(mean: Tensor, sample: Tensor, fidelity: float) -> Tensor:
    """fidelity * mean + (1 - fidelity) * sample; the ends are exact.

    With the posterior mean and the estimator of least squared error among those that are distributed as sharp
    images are, this line has the least squared error for its Wasserstein-2 distance from the sharp images
    (arXiv 2107.02555). A posterior sample is so distributed, but its error is in general not the least; and
    networks give neither end exactly. See docs/quality.md.
    """
    return fidelity * mean + (1 - fidelity) * sample


def diffused(
    model: ICDPM,
    conditions: Conditions,
    alpha_bars: Tensor,
    sampler: str,
    generator: torch.Generator,
    on_step: OnStep | None = None,
    noise: float = 1.0,
    on_preview: OnPreview | None = None,
) -> Tensor:
    """One sample of the diffusion model, (B, 3, H, W) in [0, 1].

    noise: deviation of what sampling starts from; sqrt(1 - alpha_bar) for a grid that starts below full noise,
        where 1 would be too much. It takes what is diffused to be around 0, as a residual is.
    on_preview: called at each step with x0_hat as a picture, (B, 3, H, W) in [0, 1].

    x0 is clamped at every step so that the image stays in [-1, 1]; a residual is clamped through its image.
    """
    y, g = conditions.y, conditions.g
    x_T = torch.randn(y.shape, generator=generator, device=generator.device).to(y) * noise  # noqa: N806
    denoise = clamped_x0(model, conditions)

    def picture(x0: Tensor) -> Tensor:
        return to_unit(conditions.cropped(x0 if g is None else g + x0 / model.config.residual_scale))

    def shown(x_t: Tensor, alpha_bar: Tensor) -> Tensor:
        x0_hat = denoise(x_t, alpha_bar)
        if on_preview is not None:
            on_preview(picture(x0_hat))
        return x0_hat

    return picture(sample(shown, x_T, alpha_bars, sampler, generator, on_step))


def estimated_x0(model: ICDPM, conditions: Conditions, x_t: Tensor, alpha_bar: Tensor) -> Tensor:
    """What one call of the denoiser takes for x0: the image or, with a predictor, the scaled residual.

    Args:
        x_t: (B, 3, H, W), of the size of the padded image.
        alpha_bar: (B,) float64, the noise level of x_t.
    """
    y = conditions.y
    # Samplers give back the type of what they are given: under autocast it would lose x_t's precision.
    output = model(x_t, y, alpha_bar.float().to(y.device), conditions.h, conditions.g).to(x_t)
    return to_x0(output, x_t, alpha_bar, model.config.prediction_type)


def clamped_x0(model: ICDPM, conditions: Conditions) -> Denoise:
    """`estimated_x0` with the image it stands for kept in [-1, 1], as samplers want it."""
    g, scale = conditions.g, model.config.residual_scale

    def denoise(x_t: Tensor, alpha_bar: Tensor) -> Tensor:
        x0_hat = estimated_x0(model, conditions, x_t, alpha_bar)
        return x0_hat.clamp(-1, 1) if g is None else scale * ((g + x0_hat / scale).clamp(-1, 1) - g)

    return denoise


def to_unit(image: Tensor) -> Tensor:
    """[-1, 1] to [0, 1], clamped."""
    return ((image + 1) / 2).clamp(0, 1)
