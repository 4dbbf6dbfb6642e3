"""The image-conditioned diffusion model: guidance, optional initial predictor, and denoiser."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from resharp.models.config import ModelConfig
from resharp.models.guidance import Guidance
from resharp.models.unet import Prepared, UNet


class ICDPM(nn.Module):
    """icDPM with multiscale structure guidance (arXiv 2212.01789), or any of its ablations.

    All images are (B, 3, H, W) in [-1, 1] with sides that are multiples of `size_multiple`.
    The network knows tensors only: padding, noise schedules and files are others' business.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        options: dict[str, Any] = {"guidance": config.guidance, "patch_size": config.patch_size}
        self.guidance = None if config.guidance is None else Guidance(config.guidance)
        self.predictor = None
        if config.predictor is not None:
            self.predictor = UNet(config.predictor, 3, noise_level=False, **options)
        # The denoiser of a residual sees x_t, y and g(y); that of an image x_t and y.
        self.denoiser = None
        if config.denoiser is not None:
            self.denoiser = UNet(config.denoiser, 6 if config.predictor is None else 9, **options)

    @property
    def size_multiple(self) -> int:
        """Both sides of every input must be multiples of this, in pixels."""
        return self.config.size_multiple

    def guide(self, y: Tensor, generator: torch.Generator | None = None) -> dict[int, Tensor]:
        """h_k for every scale; {} without guidance. Once per image: h depends on y alone."""
        return {} if self.guidance is None else self.guidance(y, generator)

    def predict(self, y: Tensor, h: dict[int, Tensor]) -> Tensor:
        """The initial prediction g(y) = y + UNet(y), (B, 3, H, W); an untrained g is the identity."""
        if self.predictor is None:
            raise ValueError("this model has no initial predictor")
        return y + self.predictor(y, h=h)

    def prepare(self, y: Tensor, h: dict[int, Tensor], g: Tensor | None = None) -> Prepared:
        """What the denoiser makes of y, h and g alone; once per image, for all its steps."""
        if self.denoiser is None:
            raise ValueError("this model is a regression and has no denoiser")
        return self.denoiser.prepare(y if g is None else torch.cat([y, g], dim=1), h)

    def forward(
        self,
        x_t: Tensor,
        y: Tensor,
        alpha_bar: Tensor,
        h: dict[int, Tensor],
        g: Tensor | None = None,
        prepared: Prepared | None = None,
    ) -> Tensor:
        """The denoiser's output, (B, 3, H, W): eps_hat, v_hat or x0_hat after `config.prediction_type`.

        Args:
            x_t: the noisy image, or the noisy scaled residual when there is a predictor.
            y: the blurry image.
            alpha_bar: (B,) in (0, 1), the noise level of x_t.
            h: from `guide(y)`.
            g: from `predict(y, h)`; needed exactly when there is a predictor.
            prepared: from `prepare(y, h, g)`, which are not looked at then; the result is the same.
        """
        if self.denoiser is None:
            raise ValueError("this model is a regression and has no denoiser")
        if prepared is not None:
            return self.denoiser(x_t, alpha_bar, prepared=prepared)
        parts = [x_t, y] if self.predictor is None else [x_t, y, g]
        return self.denoiser(torch.cat(parts, dim=1), alpha_bar, h)  # type: ignore[arg-type]

    def parameter_count(self) -> int:
        """All trainable numbers."""
        return sum(parameter.numel() for parameter in self.parameters())
