"""Knowledge distillation of the sampler (arXiv 2101.02388): one step that does the work of many."""

from __future__ import annotations

import copy
import hashlib

import torch
from torch import Tensor

from resharp.diffusion.loss import prediction_loss
from resharp.diffusion.samplers import sample
from resharp.models.icdpm import ICDPM
from resharp.restoration import Conditions, clamped_x0, estimated_x0
from resharp.train.config import TrainConfig

# Deterministic, so that a noise has one answer; and what `resharp deblur` uses unless told otherwise.
SAMPLER = "dpm++"


class Teacher:
    """The model as it is now, frozen, with the noise levels of its steps.

    It is no part of the checkpoints: it comes from `init`, which a resumed run reads again.

    Args:
        model: copied.
        config: noise schedule and `teacher_steps`.
    """

    def __init__(self, model: ICDPM, config: TrainConfig) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.alpha_bars = config.schedule.grid(config.teacher_steps)

    def __call__(self, conditions: Conditions, x_T: Tensor) -> Tensor:  # noqa: N803 - the field's name
        """x0 at the end of the teacher's way from `x_T`: the image or the scaled residual, (B, 3, H, W).

        Args:
            x_T: standard normal noise, of the size of the padded image.
        """
        return sample(clamped_x0(self.model, conditions), x_T, self.alpha_bars, SAMPLER)

    def fingerprint(self) -> str:
        """Changes whenever a weight does."""
        digest = hashlib.blake2b(digest_size=16)
        for name, value in sorted(self.model.state_dict().items()):
            digest.update(name.encode())
            digest.update(value.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()


def distillation_loss(
    student: ICDPM, teacher: Teacher, conditions: Conditions, kind: str, generator: torch.Generator
) -> Tensor:
    """How far the student's one call from pure noise is from where the teacher's steps lead.

    Args:
        student: its denoiser learns; guidance and predictor are the teacher's.
        conditions: of the batch, without gradients.
        kind: as for `prediction_loss`.
        generator: draws the noise that both begin with.
    """
    y = conditions.y
    x_T = torch.randn(y.shape, generator=generator, device=generator.device).to(y)  # noqa: N806
    # Every sampler's first level: all that there is to a sampler of one step.
    alpha_bar = teacher.alpha_bars[-1].expand(len(y))
    return prediction_loss(estimated_x0(student, conditions, x_T, alpha_bar), teacher(conditions, x_T), kind)
