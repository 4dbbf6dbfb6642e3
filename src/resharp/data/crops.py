"""Random crops of photographs: what one part of one step is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from resharp.data.draws import CROP, TURN, part_generator
from resharp.data.source import Batching, Sample, Source


class Crops(NamedTuple):
    """Crops of one part of a step.

    sharp: (B, 3, S, S) uint8; S includes the synthesiser's margin where the blur is still to be made.
    blurry: (B, 3, S, S) uint8, or None where the blur is still to be made.
    names: of the photographs.
    failures: a line for each photograph that could not be used and was replaced.
    """

    sharp: Tensor
    blurry: Tensor | None
    names: list[str]
    failures: list[str]


class CropBatches(torch.utils.data.Dataset):
    """Item (step, part): the crops of that part of that step, the same for the same settings, whoever asks.

    Args:
        source: the photographs.
        batching: how they are dealt out.
        size_px: side of a crop.
        scale_min: smallest factor of the random resize of sharp photographs, in (0, 1]. Shrinking makes soft
            photographs sharper and shows more of each. Pairs are not resized: that would change their blur.
    """

    def __init__(self, source: Source, batching: Batching, size_px: int, scale_min: float) -> None:
        self.source, self.batching, self.size_px, self.scale_min = source, batching, size_px, scale_min

    def __getitem__(self, key: tuple[int, int]) -> Crops:
        step, part = key
        samples, failures = self.source.draw(self.batching, step, part)
        generator = part_generator(self.batching.seed, step, part, CROP)
        return stacked([cropped(sample, self.size_px, self.scale_min, generator) for sample in samples], failures)


def cropped(sample: Sample, size_px: int, scale_min: float, generator: torch.Generator) -> Sample:
    """A random square of side `size_px` of a photograph at least as large, at the same place in both partners."""
    height, width = sample.sharp.shape[1:]
    draw = torch.rand(3, generator=generator).tolist()
    taken = size_px
    if sample.blurry is None:
        scale = max(scale_min + (1 - scale_min) * draw[0], size_px / min(height, width))
        taken = min(round(size_px / min(scale, 1.0)), height, width)
    top, left = int(draw[1] * (height - taken + 1)), int(draw[2] * (width - taken + 1))
    place = (slice(None), slice(top, top + taken), slice(left, left + taken))
    sharp, blurry = sample.sharp[place], None if sample.blurry is None else sample.blurry[place]
    if taken != size_px:
        small = F.interpolate(sharp[None].float(), size=(size_px,) * 2, mode="bicubic", antialias=True)
        sharp = small[0].clamp(0, 255).round().byte()
    return Sample(sample.name, sharp, blurry)


def stacked(samples: Sequence[Sample], failures: Sequence[str] = ()) -> Crops:
    """Samples of one size as a batch; all have a blurry partner, or none has."""
    blurry = [sample.blurry for sample in samples if sample.blurry is not None]
    sharp = torch.stack([sample.sharp for sample in samples])
    names = [sample.name for sample in samples]
    return Crops(sharp, torch.stack(blurry) if blurry else None, names, list(failures))


def turned(images: Sequence[Tensor], seed: int, step: int, part: int) -> list[Tensor]:
    """Flips and quarter turns, at random for each sample, the same in all of `images`, (B, C, S, S) each.

    The eight are made of three independent choices: mirrored, upside down, transposed.
    """
    count, device = images[0].shape[0], images[0].device
    chosen = torch.rand(3, count, generator=part_generator(seed, step, part, TURN)).to(device) < 0.5
    mirrored, upside_down, transposed = (choice[:, None, None, None] for choice in chosen)
    result = []
    for image in images:
        image = torch.where(mirrored, image.flip(3), image)
        image = torch.where(upside_down, image.flip(2), image)
        result.append(torch.where(transposed, image.transpose(2, 3), image))
    return result
