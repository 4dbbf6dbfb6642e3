"""What the fine-tune is shown: sharp pictures with the photos' own blur, and some with training's ordinary blur."""

from __future__ import annotations

import torch

from resharp.adapt.blurs import MARGIN_PX, Blurs
from resharp.data.crops import CropBatches, turned
from resharp.data.draws import BLUR, derived_seed, part_generator
from resharp.data.source import Batching, Source
from resharp.data.synthetic import BlurSynthesiser
from resharp.train.batches import Part
from resharp.train.config import TrainConfig

# Beside the purposes of `resharp.data.draws`.
OWN_BLUR = 100


class ReblurBatches:
    """The batch of a step; it follows from the seed and the step alone.

    Pictures are turned before they are blurred, so that the photos' blur keeps its directions.

    Args:
        config: seed, batch, crop and the ordinary blur.
        blurs: found in the photos that are not held out.
        source: sharp pictures.
        ordinary_share: of each batch, with training's ordinary blur; 0 to 1.
    """

    def __init__(
        self, config: TrainConfig, blurs: Blurs, source: Source, ordinary_share: float, device: torch.device
    ) -> None:
        self.config, self.blurs, self.device = config, blurs, device
        self.ordinary = round(ordinary_share * config.batch_size)
        self.synthesiser = BlurSynthesiser(config.blur)
        self.margin_px = margin_px(config)
        batching = Batching(config.batch_size, 1, config.seed)
        self.crops = CropBatches(source, batching, config.crop_px + 2 * self.margin_px, config.scale_min)

    def __call__(self, step: int) -> Part:
        """Raises DataError where hardly any sharp picture can be read."""
        config = self.config
        crops = self.crops[step, 0]
        (sharp,) = turned([crops.sharp.float() / 255], config.seed, step, 0)
        sharp = sharp.to(self.device)
        own, ordinary = sharp[self.ordinary :], sharp[: self.ordinary]
        pairs = []
        if len(ordinary):
            generator = part_generator(config.seed, step, 0, BLUR, self.device)
            pairs.append(self.synthesiser(_inner(ordinary, self.synthesiser.margin_px, config.crop_px), generator))
        if len(own):
            generator = torch.Generator(self.device).manual_seed(derived_seed(config.seed, step, OWN_BLUR))
            index = torch.randint(len(self.blurs), (len(own),), generator=generator, device=self.device).cpu()
            pairs.append(self.blurs.apply(_inner(own, MARGIN_PX, config.crop_px), index, generator))
        y, x = (torch.cat(images) * 2 - 1 for images in zip(*pairs, strict=True))
        y, x = (image.contiguous(memory_format=torch.channels_last) for image in (y, x))
        return Part(step, 0, y, x, crops.names, crops.failures)


def margin_px(config: TrainConfig) -> int:
    """How much larger than a crop a sharp picture must be on each side."""
    return max(MARGIN_PX, BlurSynthesiser(config.blur).margin_px)


def _inner(images: torch.Tensor, margin: int, crop_px: int) -> torch.Tensor:
    """The middle of (B, 3, S, S) with a margin of `margin` around `crop_px`."""
    side = crop_px + 2 * margin
    start = (images.shape[-1] - side) // 2
    return images[..., start : start + side, start : start + side]
