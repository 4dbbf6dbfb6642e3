"""What a stage of training trains, and towards what."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor, nn

from resharp.diffusion.loss import Denoised, denoising_loss, regression_loss
from resharp.models.icdpm import ICDPM
from resharp.restoration import Conditions
from resharp.train.config import TrainConfig
from resharp.train.distillation import Teacher, distillation_loss
from resharp.train.perceptual import PerceptualLoss
from resharp.train.prediction import PredictorLoss


def trained_parts(model: ICDPM, stage: str) -> list[nn.Parameter]:
    """The parameters of a stage; the others are frozen in place."""
    frozen: tuple[nn.Module | None, ...] = (model.denoiser,) if stage == "predictor" else ()
    if conditions_are_given(model, stage):
        frozen = (model.guidance, model.predictor)
    for part in frozen:
        if part is not None:
            part.requires_grad_(False)
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def conditions_are_given(model: ICDPM, stage: str) -> bool:
    """Whether guidance and predictor are used as they are in `init`."""
    # Without a predictor the guidance has not been trained yet when the denoiser's turn comes.
    return stage == "distil" or (stage == "denoiser" and model.predictor is not None)


class Objective(nn.Module):
    """The model with its losses behind one `forward`, which is all that data-parallel training looks at.

    L = sum_k || R(H(phi_k(y))) - phi_k(x) ||_2 + weight || eps_hat - eps ||_1 (arXiv 2212.01789), with
    the predictor's own loss beside it for predict-and-refine. With a teacher the last term is the distance to
    what the teacher makes of the same noise.
    """

    def __init__(
        self, model: ICDPM, config: TrainConfig, teacher: Teacher | None = None, device: torch.device | None = None
    ) -> None:
        super().__init__()
        device = device or torch.device("cpu")
        self.predictor_loss = PredictorLoss(config, device)
        self.perceptual = PerceptualLoss(config, device) if config.denoising_perceptual_weight > 0 else None
        self.model, self.config, self.teacher = model, config, teacher

    def forward(self, x: Tensor, y: Tensor, weight: float, generator: torch.Generator) -> dict[str, Tensor]:
        """The losses of a batch, as scalars; "total" is the one to minimise.

        Args:
            x, y: sharp and blurry images, (B, 3, H, W) in [-1, 1].
            weight: of the denoising or distillation loss; at 0 the denoiser does not run.
            generator: of the noise in phi, the noise level and eps, or the noise that teacher and student begin with.
        """
        model, config = self.model, self.config
        losses: dict[str, Tensor] = {}
        total = x.new_zeros(())
        given = conditions_are_given(model, config.stage)
        with torch.no_grad() if given else nullcontext():
            # Frozen guidance is used as it will be at inference, without noise.
            h = model.guide(y, None if given else generator)
            g = None if model.predictor is None else model.predict(y, h)
        if model.guidance is not None and not given and model.config.guidance.regression:
            losses["regression"] = regression_loss(model.guidance.regress(h), model.guidance.targets(x))
            total = total + config.regression_weight * losses["regression"]
        if g is not None and not given:
            for name, (part, value) in self.predictor_loss(g, x).items():
                losses[name] = value
                total = total + part * value
        if self.teacher is not None and weight > 0:
            conditions = Conditions(y, h, g, (y.shape[2], y.shape[3]))
            losses["distillation"] = distillation_loss(
                model, self.teacher, conditions, config.prediction_loss, generator
            )
            total = total + weight * losses["distillation"]
        elif config.stage != "predictor" and weight > 0:
            # The residual's gradient must not reach g: DvSR's g is what is left over, ours is a regression.
            x0 = x if g is None else model.config.residual_scale * (x - g.detach())
            seen = None if g is None else g.detach()
            denoised = denoising_loss(
                model, config.schedule, x0, y, h, seen, model.config.prediction_type, generator, config.noise_levels
            )
            losses["denoising"] = denoised.loss
            total = total + weight * denoised.loss
            if self.perceptual is not None:
                losses["denoising_perceptual"] = self._perceptual(denoised, seen, x)
                total = total + weight * config.denoising_perceptual_weight * losses["denoising_perceptual"]
        losses["total"] = total
        return losses

    def _perceptual(self, denoised: Denoised, g: Tensor | None, x: Tensor) -> Tensor:
        """LPIPS of the image that x0_hat stands for. Each counts by alpha_bar: in pure noise nothing can be seen."""
        assert self.perceptual is not None
        image = denoised.x0_hat if g is None else g + denoised.x0_hat / self.model.config.residual_scale
        return self.perceptual(image, x, denoised.alpha_bar)
