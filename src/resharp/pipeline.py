"""The front door for Python: load a model, give it a blurry picture, get a sharp one."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from resharp.diffusion.samplers import SAMPLERS
from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ConfigError
from resharp.hub import locate_model
from resharp.inputs import to_tensor
from resharp.models.icdpm import ICDPM
from resharp.progress import progress_after_a_second
from resharp.restoration import condition, diffused, predicted
from resharp.serialization import Defaults, load_model, save_model

MAX_SAMPLES = 1000


@dataclass(frozen=True)
class Restored:
    """What came out, and how it was made.

    image: (B, 3, H, W) float32 in [0, 1]; the mean when there are several samples.
    spread: (B, 1, H, W), the samples' standard deviation averaged over the colours; None with fewer than two.
    output: "input", "predictor" or "diffusion": which part of the model made the image.
    """

    image: Tensor
    spread: Tensor | None
    output: str


class DeblurPipeline:
    """A trained model with its noise schedule and its defaults.

    Example:
        >>> pipeline = DeblurPipeline.from_pretrained()
        >>> sharp = pipeline("photo.jpg")  # doctest: +SKIP
    """

    def __init__(self, model: ICDPM, schedule: NoiseSchedule, defaults: Defaults) -> None:
        if defaults.output == "predictor" and model.predictor is None:
            raise ConfigError("the default output is 'predictor', but this model has no initial predictor")
        if defaults.output == "diffusion" and model.denoiser is None:
            raise ConfigError("the default output is 'diffusion', but this model is a regression and has no denoiser")
        self.model, self.schedule, self.defaults = model, schedule, defaults

    @classmethod
    def from_pretrained(cls, source: str | os.PathLike[str] | None = None) -> DeblurPipeline:
        """Load a model.

        Args:
            source: a folder made by `save_pretrained`, the id of a model on the Hugging Face Hub ("owner/name"),
                or None for the model that ships with resharp.

        Raises:
            ModelError: it is not there, not readable, or not a model of resharp.
        """
        return cls(*load_model(locate_model(source)))

    def save_pretrained(self, folder: str | os.PathLike[str], dtype: torch.dtype = torch.float32) -> None:
        """Write config.json, model.safetensors and scheduler_config.json into `folder`."""
        save_model(folder, self.model, self.schedule, self.defaults, dtype=dtype)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device

    def to(self, device: str | torch.device) -> DeblurPipeline:
        """Move the model; returns the pipeline itself."""
        self.model.to(device)
        return self

    def __call__(
        self,
        image: Any,
        *,
        steps: int | None = None,
        samples: int | None = None,
        seed: int = 0,
        sampler: str | None = None,
        final_variance: float | None = None,
        output: str | None = None,
        return_spread: bool = False,
        progress: bool = True,
    ) -> Any:
        """Restore one picture.

        Args:
            image: a path, a PIL image, an array or a tensor; see `resharp.inputs.to_tensor`.
            steps: denoising steps, 1 to 10,000.
            samples: how many are drawn and averaged (the papers' "SA"); more favour PSNR.
            seed: the same seed on the same device gives the same bytes.
            sampler: "dpm++", "ddim", "ddpm" or "unipc".
            final_variance: last beta of the sampling schedule; None takes the training schedule's grid.
            output: "diffusion", "predictor" or "input". None takes the model's default, or "diffusion" as soon
                as steps, samples, sampler or final_variance is given.
            return_spread: return (picture, spread), the spread an (H, W) float array; needs samples >= 2.
            progress: show a bar when the work takes longer than a second.

        Returns:
            A picture of the kind and size given; a PIL image for a path.
        """
        blurry, back = to_tensor(image)
        with progress_after_a_second("deblurring", enabled=progress) as on_step:
            restored = self.restore(
                blurry,
                steps=steps,
                samples=samples,
                seed=seed,
                sampler=sampler,
                final_variance=final_variance,
                output=output,
                on_step=on_step,
            )
        result = back(restored.image)
        if not return_spread:
            return result
        if restored.spread is None:
            raise ConfigError("the spread needs at least two diffusion samples: give samples=2 or more")
        return result, restored.spread[0, 0].numpy()

    @torch.inference_mode()
    def restore(
        self,
        blurry: Tensor,
        *,
        steps: int | None = None,
        samples: int | None = None,
        seed: int = 0,
        sampler: str | None = None,
        final_variance: float | None = None,
        output: str | None = None,
        on_step: Callable[[int, int], None] | None = None,
    ) -> Restored:
        """As `__call__`, on a tensor (B, 3, H, W) in [0, 1] of any device; the result is on the CPU.

        on_step: called with (network calls done, network calls in all).
        """
        asked = any(value is not None for value in (steps, samples, sampler, final_variance))
        output = output or ("diffusion" if asked else self.defaults.output)
        # All settings are checked before any work is done.
        steps = self.defaults.steps if steps is None else steps
        samples = self.defaults.samples if samples is None else samples
        sampler = self.defaults.sampler if sampler is None else sampler
        self._check(output, samples, sampler)
        grid = self.schedule.grid(steps, final_variance)
        if output == "input":
            return Restored(blurry.float().cpu(), None, output)
        conditions = condition(self.model, blurry.to(self.device, torch.float32))
        if output == "predictor":
            return Restored(predicted(conditions).cpu(), None, output)
        mean: Tensor | None = None
        scatter = torch.zeros(())
        for i in range(samples):
            generator = sample_generator(seed, i)
            step = None if on_step is None else (lambda done, n, i=i: on_step(i * n + done, samples * n))
            drawn = diffused(self.model, conditions, grid, sampler, generator, step).cpu()
            # Welford's running moments: K samples need the memory of three.
            if mean is None:
                mean = drawn
            else:
                offset = drawn - mean
                mean = mean + offset / (i + 1)
                scatter = scatter + offset * (drawn - mean)
        assert mean is not None
        spread = (scatter / (samples - 1)).sqrt().mean(dim=1, keepdim=True) if samples > 1 else None
        return Restored(mean, spread, output)

    def _check(self, output: str, samples: int, sampler: str) -> None:
        if output not in ("diffusion", "predictor", "input"):
            raise ConfigError(f"unknown output {output!r}; allowed: diffusion, predictor, input")
        if output == "predictor" and self.model.predictor is None:
            raise ConfigError("this model has no initial predictor; use output 'diffusion'")
        if output == "diffusion" and self.model.denoiser is None:
            raise ConfigError("this model is a regression and cannot draw samples; use output 'predictor'")
        if not 1 <= samples <= MAX_SAMPLES:
            raise ConfigError(f"samples is {samples}; allowed: 1 to {MAX_SAMPLES}")
        if sampler not in SAMPLERS:
            raise ConfigError(f"unknown sampler {sampler!r}; allowed: {', '.join(SAMPLERS)}")


def sample_generator(seed: int, index: int) -> torch.Generator:
    """The generator of one sample, on the CPU so that every device starts from the same noise.

    Sample i of a seed does not depend on how many samples are drawn.

    Raises:
        ConfigError: a negative seed, or one of more than 48 bits.
    """
    if not 0 <= seed < 2**48:
        raise ConfigError(f"seed is {seed}; allowed: 0 to 2^48 - 1")
    return torch.Generator().manual_seed(seed * MAX_SAMPLES + index)
