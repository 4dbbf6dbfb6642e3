"""From model and noise to a sharp image: padding, guidance once, sampling, clamping. Tensors in, tensors out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from resharp.diffusion.choices import noise_seed
from resharp.diffusion.presets import Preset
from resharp.diffusion.process import to_x0
from resharp.diffusion.samplers import Denoise, sample
from resharp.models.icdpm import ICDPM
from resharp.models.padding import laid_out, pad_to_multiple
from resharp.models.unet import Prepared
from resharp.tile_choice import Tiles
from resharp.tiled import blended, crop, features_in_tiles, predict_in_tiles
from resharp.tiling import Plan, Tile

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
    tile: the most that a tile measured, height and width in px; None where the picture was made as a whole.
    batch: the most samples drawn in one network call.
    remark: a line for the user where memory ran out.
    """

    image: Tensor
    spread: Tensor | None
    output: str
    settings: Preset
    tile: tuple[int, int] | None = None
    batch: int = 1
    remark: str | None = None


@dataclass(frozen=True)
class Conditions:
    """What is computed once per image, before any noise: y, h and, with a predictor, g; all padded.

    layout: the tiles in which the denoiser is to be run; None runs it on the whole.
    prepared: what the denoiser makes of them alone; None lets each step make it, as those in tiles do.
    """

    y: Tensor
    h: dict[int, Tensor]
    g: Tensor | None
    size: tuple[int, int]
    layout: Plan | None = None
    prepared: Prepared | None = None

    def cropped(self, image: Tensor) -> Tensor:
        """`image` without the padding."""
        return image[..., : self.size[0], : self.size[1]]

    def part(self, tile: Tile, device: torch.device) -> Conditions:
        """Those of a tile."""
        y, g = (None if each is None else each[(..., *tile.box)].to(device) for each in (self.y, self.g))
        assert y is not None
        return Conditions(y, crop(self.h, tile, device), g, tile.size)

    def repeated(self, count: int) -> Conditions:
        """Those of `count` samples drawn together: of all pictures once for each sample, one sample after the other."""
        if count == 1:
            return self
        h = {k: _repeated(h_k, count) for k, h_k in self.h.items()}
        g = None if self.g is None else _repeated(self.g, count)
        return replace(self, y=_repeated(self.y, count), h=h, g=g)


def condition(model: ICDPM, blurry: Tensor, tiles: Tiles | None = None) -> Conditions:
    """Guide and predict, once for an image.

    Args:
        blurry: (B, 3, H, W) in [0, 1], any size; with tiles it may be a photo's samples, and all is in main memory.
    """
    if tiles is not None:
        y, h, g, layout = features_in_tiles(model, blurry.cpu().numpy(), tiles)
        return Conditions(y, h, g, (blurry.shape[2], blurry.shape[3]), layout)
    y = laid_out(pad_to_multiple(blurry * 2 - 1, model.size_multiple))
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
    model: ICDPM,
    blurry: Tensor,
    count: int,
    on_step: OnStep | None = None,
    on_preview: OnPreview | None = None,
    tiles: Tiles | None = None,
) -> Tensor:
    """The mean of g over `count` orientations of the picture, one after the other, (B, 3, H, W) in [0, 1].

    As the orientations form a group, the mean turns with the picture, whatever the network does.

    Args:
        blurry: (B, 3, H, W) in [0, 1].
        count: 1, 2 (the picture and its mirror image), 4 (flips of both axes) or 8 (quarter turns too).
        on_step: called with (orientations done, count), in tiles with (tiles done, tiles of all orientations).
        on_preview: called with the mean so far; in tiles not called.
        tiles: in which to work; blurry may then be a photo's samples, and the mean is in main memory.
    """
    if tiles is not None:
        return predict_in_tiles(model, blurry.cpu().numpy(), tiles, _ORIENTATIONS[:count], on_step)
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


def diffused(
    model: ICDPM,
    conditions: Conditions,
    alpha_bars: Tensor,
    sampler: str,
    generators: Sequence[torch.Generator],
    on_step: OnStep | None = None,
    noise: float = 1.0,
    on_preview: OnPreview | None = None,
) -> Tensor:
    """Samples of the diffusion model drawn together, one for each generator, (samples B, 3, H, W) in [0, 1].

    The pictures of the first sample come first.

    generators: a sample's noise is that which it has alone, whatever it is drawn with.
    noise: deviation of what sampling starts from; sqrt(1 - alpha_bar) for a grid that starts below full noise,
        where 1 would be too much. It takes what is diffused to be around 0, as a residual is.
    on_preview: called at each step with x0_hat of the first sample as a picture, (B, 3, H, W) in [0, 1].

    x0 is clamped at every step so that the image stays in [-1, 1]; a residual is clamped through its image.
    """
    pictures, shape = len(conditions.y), conditions.y.shape
    conditions = conditions.repeated(len(generators))
    y, h, g = conditions.y, conditions.h, conditions.g
    if conditions.layout is None:
        conditions = replace(conditions, prepared=model.prepare(y, h, g))
    drawn = torch.cat([torch.randn(shape, generator=each, device=each.device) for each in generators])
    x_T = laid_out(drawn.to(y) * noise)  # noqa: N806
    denoise = clamped_x0(model, conditions)

    def picture(x0: Tensor) -> Tensor:
        return to_unit(conditions.cropped(x0 if g is None else g + x0 / model.config.residual_scale))

    def shown(x_t: Tensor, alpha_bar: Tensor) -> Tensor:
        x0_hat = denoise(x_t, alpha_bar)
        if on_preview is not None:
            on_preview(picture(x0_hat)[:pictures])
        return x0_hat

    return picture(sample(shown, x_T, alpha_bars, sampler, generators, on_step))


def estimated_x0(model: ICDPM, conditions: Conditions, x_t: Tensor, alpha_bar: Tensor) -> Tensor:
    """What one call of the denoiser takes for x0: the image or, with a predictor, the scaled residual.

    Args:
        x_t: (B, 3, H, W), of the size of the padded image.
        alpha_bar: (B,) float64, the noise level of x_t.
    """
    if conditions.layout is not None:
        device = next(model.parameters()).device

        def answer(tile: Tile) -> Tensor:
            return estimated_x0(model, conditions.part(tile, device), x_t[(..., *tile.box)].to(device), alpha_bar)

        return blended(conditions.layout, x_t, answer)
    y, h, g = conditions.y, conditions.h, conditions.g
    # Samplers give back the type of what they are given: under autocast it would lose x_t's precision.
    output = model(x_t, y, alpha_bar.float().to(y.device), h, g, conditions.prepared).to(x_t)
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


def sample_generator(seed: int, index: int) -> torch.Generator:
    """The generator of one sample, on the CPU so that every device starts from the same noise.

    Sample i of a seed does not depend on how many samples are drawn.

    Raises:
        ConfigError: a negative seed, or one of more than 48 bits.
    """
    return torch.Generator().manual_seed(noise_seed(seed, index))


def _repeated(image: Tensor, count: int) -> Tensor:
    return laid_out(image.repeat(count, 1, 1, 1))
