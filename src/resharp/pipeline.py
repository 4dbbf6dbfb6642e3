"""The front door for Python: load a model, give it a blurry picture, get a sharp one."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from resharp.diffusion.choices import Choices, check_batch, rounds
from resharp.diffusion.presets import Preset
from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ConfigError
from resharp.fitting import choose_portions, empty_caches
from resharp.hub import locate_model
from resharp.images.tensors import as_tensor, as_unit
from resharp.inputs import to_tensor
from resharp.model_card import CardFacts
from resharp.models.icdpm import ICDPM
from resharp.moments import Moments
from resharp.progress import progress_after_a_second
from resharp.publishing import publish_model
from resharp.restoration import (
    Conditions,
    OnPreview,
    OnSample,
    OnStep,
    Restored,
    condition,
    diffused,
    predicted,
    sample_generator,
    self_ensemble,
)
from resharp.serialization import Defaults, load_model, load_task, save_model
from resharp.smaller_tiles import made_to_fit
from resharp.task import Task
from resharp.tile_choice import Portions


class DeblurPipeline:
    """A trained model with its noise schedule, its defaults and what it restores: motion blur unless it says otherwise.

    Example:
        >>> import torch
        >>> pipeline = DeblurPipeline.from_pretrained()
        >>> blurry = torch.rand(1, 3, 40, 56, generator=torch.Generator().manual_seed(0))
        >>> pipeline(blurry).shape  # a path, a PIL image or an array comes back as such
        torch.Size([1, 3, 40, 56])
        >>> mean, spread = pipeline(blurry, steps=1, samples=2, return_spread=True)
        >>> spread.shape
        (40, 56)
        >>> print(pipeline.choose("best"))
        predictor, ensemble of 8
    """

    def __init__(self, model: ICDPM, schedule: NoiseSchedule, defaults: Defaults, task: Task = Task()) -> None:
        self.model, self.schedule, self.defaults, self.task = model, schedule, defaults, task
        self.choices = Choices(schedule, defaults, model.predictor is not None, model.denoiser is not None)

    # What ran the networks, as receipts name it; exported graphs have others.
    backend, version, precision = "torch", torch.__version__, "float32"

    @classmethod
    def from_pretrained(cls, source: str | os.PathLike[str] | None = None) -> DeblurPipeline:
        """Load a model.

        Args:
            source: a folder made by `save_pretrained`, the name of a model that ships with resharp ("default",
                "one-step"), the id of one on the Hugging Face Hub ("owner/name"), or None for "default".

        Raises:
            ModelError: it is not there, not readable, or not a model of resharp.
        """
        folder = locate_model(source)
        return cls(*load_model(folder), load_task(folder))

    def save_pretrained(self, folder: str | os.PathLike[str], dtype: torch.dtype = torch.float32) -> None:
        """Write config.json, model.safetensors and scheduler_config.json into `folder`."""
        save_model(folder, self.model, self.schedule, self.defaults, dtype=dtype, task=self.task)

    def push_to_hub(self, repo_id: str, facts: CardFacts, *, private: bool = False, token: str | None = None) -> str:
        """Upload the model with a card to the Hugging Face Hub; see `resharp.publishing.publish_model`."""
        model = (self.model, self.schedule, self.defaults, self.task)
        return publish_model(*model, repo_id, facts, private=private, token=token)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device

    def to(self, device: str | torch.device) -> DeblurPipeline:
        """Move the model; returns the pipeline itself."""
        self.model.to(device)
        return self

    def presets(self) -> dict[str, Preset]:
        """What "draft", "standard" and "best" mean for this model."""
        return self.choices.presets()

    def choose(self, quality: str | None = None, **asked: Any) -> Preset:
        """The settings of a restoration: a preset, or the model's default, with single settings replaced.

        Args:
            quality: "draft", "standard", "best" or None.
            asked: fields of `Preset`: output, steps, samples, sampler, final_variance, ensemble, fidelity, and
                also spacing and start; None is not asked.

        Raises:
            ConfigError: a value that is not allowed, that does not go with another, or that this model cannot.
        """
        return self.choices.choose(quality, **asked)

    def __call__(
        self,
        image: Any,
        *,
        quality: str | None = None,
        steps: int | None = None,
        samples: int | None = None,
        seed: int = 0,
        sampler: str | None = None,
        final_variance: float | None = None,
        output: str | None = None,
        ensemble: int | None = None,
        fidelity: float | None = None,
        memory: int | str | None = None,
        batch: int | None = None,
        return_spread: bool = False,
        progress: bool = True,
    ) -> Any:
        """Restore one picture.

        Args:
            image: a path, a PIL image, an array or a tensor; see `resharp.inputs.to_tensor`.
            quality: "draft", "standard" or "best", a preset of the model's; the other settings replace single
                ones of it. None starts from the model's default.
            steps: denoising steps, 1 to 10,000.
            samples: how many are drawn and averaged (the papers' "SA"); more favour PSNR.
            seed: the same seed on the same device gives the same bytes.
            sampler: "dpm++", "ddim", "ddpm" or "unipc".
            final_variance: last beta of the sampling schedule; None takes the training schedule's grid.
            output: "diffusion", "predictor" or "input". None takes that of the quality or default; but the
                diffusion as soon as steps, samples, sampler, final_variance or fidelity is given, and the
                predictor with an ensemble.
            ensemble: 1, 2, 4 or 8 flips and quarter turns over which the predictor is averaged.
            fidelity: 0 to 1. 1 is the predictor, 0 the first sample of the diffusion, and between them lies
                their weighted mean. Without a predictor 1 is the mean of the samples, of which there must be two.
            memory: the most memory that may be held, in bytes or as "2GB"; on a GPU, of the GPU's. A picture that
                needs more is made in tiles. None is what is free, less a fifth.
            batch: the most samples drawn in one network call, 1 to 1,000. None is 1 on the CPU, and on a GPU as many
                as fit. Sample i of a seed has its own noise, whatever is drawn with it; rounding may differ.
            return_spread: return (picture, spread), the spread an (H, W) float array; needs samples >= 2.
            progress: show a bar when the work takes longer than a second.

        Returns:
            A picture of the kind and size given, or larger by `task.scale`; a PIL image for a path.
        """
        asked: dict[str, Any] = {"quality": quality, "seed": seed, "memory": memory, "batch": batch}
        asked |= {"steps": steps, "samples": samples, "sampler": sampler, "final_variance": final_variance}
        asked |= {"output": output, "ensemble": ensemble, "fidelity": fidelity}
        blurry, back = to_tensor(image)
        doing = "deblurring" if self.task.deblurs else "restoring"
        with progress_after_a_second(doing, enabled=progress) as on_step:
            restored = self.restore(blurry, on_step=on_step, **asked)
        if restored.remark is not None:
            warnings.warn(restored.remark, RuntimeWarning, stacklevel=2)
        result = back(restored.image)
        if not return_spread:
            return result
        if restored.spread is None:
            raise ConfigError("the spread needs at least two diffusion samples: give samples=2 or more")
        return result, restored.spread[0, 0].numpy()

    @torch.inference_mode()
    def restore(
        self,
        blurry: Any,
        *,
        quality: str | None = None,
        seed: int = 0,
        memory: int | str | None = None,
        tile: tuple[int, int] | None = None,
        batch: int | None = None,
        on_step: OnStep | None = None,
        on_preview: OnPreview | None = None,
        on_sample: OnSample | None = None,
        **asked: Any,
    ) -> Restored:
        """As `__call__`, on a tensor or array (B, 3, H, W), floats or a photo's samples; the result is on the CPU.

        What the task asks of a picture is done here: it is enlarged before the network, and known pixels around holes
        are put back after it.

        tile: the most that a tile may measure, height and width, whatever the memory; see `Restored.tile`.
        asked: see `choose`.
        on_step: called with (network calls done, network calls in all); a mix of an ensemble and the diffusion
            counts the one, then the other.
        on_preview: called with the picture as far as it is known, (B, 3, H, W) in [0, 1]: x0_hat after each step,
            of the first of samples drawn together; the mean so far after each orientation of an ensemble.
        on_sample: called with each sample's number, from 0, and the sample, (B, 3, H, W) in [0, 1], after its batch.
        """
        settings = self.choose(quality, **asked)  # all are checked before any work is done
        check_batch(batch)
        blurry = as_tensor(blurry)
        if self.task.scale > 1 or "holes" in self.task.restores:
            blurry = self.task.prepared(as_unit(blurry))
        if settings.output == "input":
            return Restored(as_unit(blurry).float().cpu(), None, "input", settings)
        given = (self.model, settings, blurry.shape, memory, self.device)
        portions = choose_portions(*given, tile=tile, batch=batch)
        made = partial(self._made, blurry, settings, seed, (on_step, on_preview, on_sample))
        return made_to_fit(made, self.model.config, (blurry.shape[2], blurry.shape[3]), portions, empty_caches)

    def _made(
        self, blurry: Tensor, settings: Preset, seed: int, watching: tuple[Any, Any, Any], portions: Portions
    ) -> Restored:
        """`restore` with its settings decided."""
        (on_step, on_preview, on_sample), tiles = watching, portions.tiles
        g, blurry = None, blurry if tiles else as_unit(blurry).to(self.device, torch.float32)
        if settings.output == "predictor" or settings.ensemble > 1:
            g = self_ensemble(self.model, blurry, settings.ensemble, on_step, on_preview, tiles)
            g = self.task.finished(blurry, g).cpu().contiguous()
        if settings.output == "predictor":
            assert g is not None
            return Restored(g, None, "predictor", settings)
        conditions = condition(self.model, blurry, tiles)
        moments = Moments()
        for numbers, on_own in rounds(settings.samples, portions.batch, on_step):
            together = self.draw(conditions, settings, seed, numbers, on_own, on_preview)
            for i, drawn in zip(numbers, together.chunk(len(numbers)), strict=True):
                moments.add(finished := self.task.finished(blurry, drawn))
                if on_sample is not None:
                    on_sample(i, finished)
        if settings.fidelity is not None and g is None and conditions.g is not None:
            g = self.task.finished(blurry, predicted(conditions)).cpu().contiguous()
        return Restored(moments.result(settings.fidelity, g), moments.spread(), "diffusion", settings)

    @torch.inference_mode()
    def draw(
        self,
        conditions: Conditions,
        settings: Preset,
        seed: int,
        numbers: Sequence[int] = (0,),
        on_step: OnStep | None = None,
        on_preview: OnPreview | None = None,
    ) -> Tensor:
        """Samples of a seed by their numbers, drawn together, (samples B, 3, H, W) in [0, 1] on the CPU."""
        grid = torch.from_numpy(self.choices.levels(settings))
        generators = [sample_generator(seed, i) for i in numbers]
        noise = 1.0 if settings.start is None else math.sqrt(1 - settings.start)
        drawn = diffused(self.model, conditions, grid, settings.sampler, generators, on_step, noise, on_preview)
        return drawn.cpu().contiguous()
