"""Scores and a picture sheet on photographs kept out of training, blurred once and for all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from resharp.data.crops import cropped, stacked
from resharp.data.draws import BLUR, CROP, part_generator
from resharp.data.source import Sample
from resharp.images.sheet import write_sheet
from resharp.metrics.full_reference import psnr, ssim
from resharp.models.icdpm import ICDPM
from resharp.restoration import condition, diffused, predicted
from resharp.train.config import TrainConfig
from resharp.train.degradation import degradation_of
from resharp.train.distillation import SAMPLER, Teacher

CROP_PX = 128
CROPS_PER_PHOTO = 2
# A crop that the synthesiser left alone has infinite PSNR; it should count as good, not outweigh all others.
PSNR_LIMIT_DB = 50.0


class Validation:
    """PSNR and SSIM of the blurry input, the initial prediction and a diffusion sample; or teacher and student.

    Args:
        config: seed and noise schedule.
        samples: photographs kept out of training, all with a blurry partner or all without.

    Where the blur is made, it is made as in training: validation is in domain.
    """

    def __init__(self, config: TrainConfig, samples: Sequence[Sample]) -> None:
        self.config = config
        synthesiser = degradation_of(config)
        paired = samples[0].blurry is not None
        size_px = CROP_PX + (0 if paired else 2 * synthesiser.margin_px)
        # Step -1 is one that training does not take.
        generator = part_generator(config.seed, -1, 0, CROP)
        chosen = [sample for sample in samples for _ in range(CROPS_PER_PHOTO)]
        crops = stacked([cropped(sample, size_px, 1.0, generator) for sample in chosen])
        sharp = crops.sharp.float() / 255
        if crops.blurry is not None:
            self.blurry, self.sharp = crops.blurry.float() / 255, sharp
        else:
            self.blurry, self.sharp = synthesiser(sharp, part_generator(config.seed, -1, 0, BLUR))

    @torch.no_grad()
    def __call__(self, model: ICDPM, sheet: Path, teacher: Teacher | None = None) -> dict[str, float]:
        """Scores by name, in dB (PSNR) and [-1, 1] (SSIM); writes blurry | restored... | sharp to `sheet`.

        With a teacher the diffusion sample is the model's one step, beside what the teacher makes of the same noise.
        """
        device = next(model.parameters()).device
        conditions = condition(model, self.blurry.to(device))
        columns = {"blurry": self.blurry}
        if model.predictor is not None:
            columns["predictor"] = predicted(conditions)
        if self.config.stage != "predictor" and model.denoiser is not None:
            grid = self.config.schedule.grid(1 if teacher else min(8, self.config.schedule.train_steps))
            if teacher is not None:
                columns["teacher"] = diffused(
                    teacher.model, conditions, teacher.alpha_bars, SAMPLER, [self._generator()]
                )
            columns["diffusion"] = diffused(model, conditions, grid, SAMPLER, [self._generator()])
        columns = {name: images.cpu() for name, images in columns.items()}
        scores = {}
        for name, images in columns.items():
            scores[f"psnr_{name}"] = float(psnr(images, self.sharp).clamp(max=PSNR_LIMIT_DB).mean())
            scores[f"ssim_{name}"] = float(ssim(images, self.sharp).mean())
        sheet.parent.mkdir(parents=True, exist_ok=True)
        write_sheet(sheet, {**columns, "sharp": self.sharp}, rows=8)
        return scores

    def _generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(self.config.seed)
