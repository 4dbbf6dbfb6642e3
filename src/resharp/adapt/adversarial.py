"""The paper's adversarial adaptation, on guidance features, which the paper found to make results worse.

arXiv 2212.01789 trained the guidance towards features that a discriminator cannot tell the domain of. How is known
to us from a summary alone; discriminator, loss, weight and schedule are our choices, after the gradient reversal of
arXiv 1409.7495.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resharp.adapt.tuning import ExtraLoss
from resharp.data.draws import CROP, NOISE, derived_seed, part_generator
from resharp.errors import ModelError
from resharp.models.icdpm import ICDPM
from resharp.train.batches import Part
from resharp.train.config import TrainConfig

WIDTH = 32
# Beside the purposes of `resharp.data.draws`.
_TARGET = 200


class _Reversed(torch.autograd.Function):
    """The identity, whose gradient is multiplied by -weight."""

    @staticmethod
    def forward(context: torch.autograd.function.FunctionCtx, features: Tensor, weight: float) -> Tensor:
        context.weight = weight  # type: ignore[attr-defined]
        return features.view_as(features)

    @staticmethod
    def backward(context: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return -context.weight * gradient, None  # type: ignore[attr-defined]


def reversed_gradient(features: Tensor, weight: float) -> Tensor:
    """`features`; what is behind them learns against the loss that is before them (arXiv 1409.7495)."""
    return _Reversed.apply(features, weight)


def reversal_weight(step: int, steps: int, full: float) -> float:
    """From 0 to nearly `full`: 2 / (1 + exp(-10 p)) - 1 of it, p the share of the steps done (arXiv 1409.7495)."""
    return full * (2 / (1 + math.exp(-10 * step / max(1, steps - 1))) - 1)


class Discriminator(nn.Module):
    """Tells source from target, patch by patch, by h_k; a network of its own for each scale."""

    def __init__(self, features: int, scales: Sequence[int]) -> None:
        super().__init__()
        self.nets = nn.ModuleDict(
            {
                str(k): nn.Sequential(
                    nn.Conv2d(features, WIDTH, 3, padding=1),
                    nn.LeakyReLU(0.2),
                    nn.Conv2d(WIDTH, WIDTH, 3, stride=2, padding=1),
                    nn.LeakyReLU(0.2),
                    nn.Conv2d(WIDTH, 1, 3, padding=1),
                )
                for k in scales
            }
        )

    def forward(self, h: dict[int, Tensor]) -> dict[int, Tensor]:
        """Logits for "target", {k: (B, 1, H_k / 2, W_k / 2)}, from {k: (B, features, H_k, W_k)}."""
        return {k: self.nets[str(k)](features) for k, features in h.items()}


class DomainLoss(ExtraLoss):
    """Cross-entropy of the discriminator, against which the guidance learns.

    Args:
        model: with guidance.
        config: seed, batch and crop.
        targets: pictures of the target domain, (1, 3, H, W) in [0, 1], at least a crop in size.
        weight: of the reversed gradient at the end.

    Raises:
        ModelError: the model has no guidance.
    """

    def __init__(self, model: ICDPM, config: TrainConfig, targets: Sequence[Tensor], weight: float) -> None:
        super().__init__()
        if model.config.guidance is None:
            raise ModelError("--method adversarial acts on guidance features, and this model has no guidance")
        self.config, self.weight = config, weight
        self.targets = list(targets)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derived_seed(config.seed, _TARGET))
            self.discriminator = Discriminator(model.config.guidance.features, model.config.guidance.scales)

    def forward(self, model: ICDPM, part: Part, step: int) -> dict[str, Tensor]:
        """{"domain": the cross-entropy, a mean over scales, domains and patches}."""
        device = part.y.device
        both = torch.cat([part.y, self.target_crops(step, len(part.y)).to(device) * 2 - 1])
        generator = part_generator(self.config.seed, step, _TARGET, NOISE, device)
        weight = reversal_weight(step, self.config.steps, self.weight)
        h = {k: reversed_gradient(f, weight) for k, f in model.guide(both, generator).items()}
        is_target = torch.arange(len(both), device=device) >= len(part.y)
        terms = []
        for logits in self.discriminator(h).values():
            wanted = is_target[:, None, None, None].expand_as(logits).to(logits)
            terms.append(F.binary_cross_entropy_with_logits(logits, wanted))
        return {"domain": torch.stack(terms).mean()}

    def target_crops(self, step: int, count: int) -> Tensor:
        """(count, 3, crop_px, crop_px) in [0, 1]; they follow from seed and step."""
        generator = part_generator(self.config.seed, step, _TARGET, CROP)
        side = self.config.crop_px
        crops = []
        for draw in torch.rand(count, 3, generator=generator).tolist():
            image = self.targets[int(draw[0] * len(self.targets))][0]
            top, left = (int(part * (size - side + 1)) for part, size in zip(draw[1:], image.shape[1:], strict=True))
            crops.append(image[:, top : top + side, left : left + side])
        return torch.stack(crops)
