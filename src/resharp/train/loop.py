"""The training loop: batches in, one optimiser step each; logs, validation and checkpoints on their intervals."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import Tensor

from resharp.data.crops import SharpCrops, step_generator
from resharp.data.synthetic import BlurSynthesiser
from resharp.diffusion.loss import denoising_weight
from resharp.errors import ConfigError, DataError
from resharp.files import write_text
from resharp.models.icdpm import ICDPM
from resharp.serialization import Defaults, load_model, save_model
from resharp.settings import to_dict
from resharp.train.checkpoint import load_checkpoint, save_checkpoint
from resharp.train.config import TrainConfig
from resharp.train.objective import objective, trained_parts
from resharp.train.validation import Validation

Report = Callable[[str], None]


def learning_rate(config: TrainConfig, step: int) -> float:
    """Linear warm-up to `lr`, then constant, or a cosine down to 1 % of it at the last step."""
    if step < config.lr_warmup_steps:
        return config.lr * (step + 1) / config.lr_warmup_steps
    if config.lr_decay == "none":
        return config.lr
    share = (step - config.lr_warmup_steps) / max(1, config.steps - config.lr_warmup_steps)
    return config.lr * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, share))))


class Trainer:
    """One run in one folder: `config.json`, `log.jsonl`, `checkpoint.pt`, `model/`, `samples/`.

    A batch, its blur and its noise follow from (seed, step) alone, so a resumed run repeats the run that was
    not interrupted.

    Args:
        config: the run.
        photos: sharp photographs, uint8 (3, H, W).
        folder: where the run lives; a checkpoint in it is resumed.
        device: where the network and, unless it is the CPU, the blur synthesis run.
        workers: processes that prepare batches on the CPU.
        report: gets one line of text at a time.
    """

    def __init__(
        self,
        config: TrainConfig,
        photos: Sequence[Tensor],
        folder: Path,
        *,
        device: torch.device,
        workers: int = 0,
        report: Report = print,
    ) -> None:
        if len(photos) <= config.validation_photos:
            raise DataError(
                f"{len(photos)} usable photographs, of which validation_photos = {config.validation_photos} are kept "
                "out of training: give more photographs, or lower validation_photos"
            )
        self.config, self.folder, self.device, self.workers, self.report = config, folder, device, workers, report
        self.synthesiser = BlurSynthesiser(config.blur)
        held_out = photos[:: max(1, len(photos) // config.validation_photos)][: config.validation_photos]
        held = {id(photo) for photo in held_out}
        self.photos = [photo for photo in photos if id(photo) not in held]
        self.validation = Validation(config, held_out, self.synthesiser)
        self.model = self._initial_model().to(device, memory_format=torch.channels_last)
        self.trained = trained_parts(self.model, config.stage)
        self.optimizer = torch.optim.Adam(self.trained, lr=config.lr, betas=(config.beta_1, config.beta_2))
        self.average = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        self.step = 0
        self._resume()

    def _initial_model(self) -> ICDPM:
        config = self.config
        # Initial weights come from torch's global generator; fork it so that nobody else's draws are changed.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            model = ICDPM(config.model_config())
        if config.init is not None:
            loaded, _, _ = load_model(config.init)
            if loaded.config != model.config:
                raise ConfigError(f"init: {config.init} holds a model of another shape than this run's; match them")
            model.load_state_dict(loaded.state_dict())
        elif config.stage == "denoiser" and model.predictor is not None:
            raise ConfigError("stage is 'denoiser': give init, a saved model whose predictor is trained")
        return model

    def _resume(self) -> None:
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            return
        state = load_checkpoint(path)
        if state["config"] != json.dumps(to_dict(self.config), sort_keys=True):
            raise ConfigError(f"{path}: made with other settings; continue with those, or choose another folder")
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average = {name: value.to(self.device) for name, value in state["average"].items()}
        self.step = state["step"]
        self.report(f"resumed at step {self.step}")

    def _batches(self) -> Iterator[Tensor | tuple[Tensor, Tensor]]:
        config = self.config
        size = config.crop_px + 2 * self.synthesiser.margin_px
        crops = SharpCrops(self.photos, config.batch_size, size, config.steps, config.seed, config.scale_min)
        dataset = crops if self.device.type != "cpu" else _Synthesised(crops, self.synthesiser, config.seed)
        return iter(
            torch.utils.data.DataLoader(
                dataset,
                batch_size=None,
                sampler=range(self.step, config.steps),
                num_workers=self.workers,
                prefetch_factor=4 if self.workers else None,
                pin_memory=self.device.type == "cuda",
                worker_init_fn=_single_thread,
            )
        )

    def _pair(self, batch: Tensor | tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """(blurry, sharp) in [-1, 1] on the device."""
        if isinstance(batch, Tensor):
            generator = device_generator(self.device, self.config.seed, self.step, stream=1)
            batch = self.synthesiser(batch.to(self.device, non_blocking=True).float() / 255, generator)
        y, x = (part.to(self.device) * 2 - 1 for part in batch)
        options = {"memory_format": torch.channels_last}
        return y.contiguous(**options), x.contiguous(**options)

    def train_step(self, batch: Tensor | tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """One optimiser step; returns the losses as tensors, so that a GPU is not waited for."""
        config, step = self.config, self.step
        y, x = self._pair(batch)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(config, step)
        generator = device_generator(self.device, config.seed, step, stream=2)
        mixed = torch.autocast("cuda", torch.bfloat16) if self.device.type == "cuda" else nullcontext()
        with mixed:
            weight = denoising_weight(step, config.warm_start_steps, config.ramp_steps)
            losses = objective(self.model, config, x, y, weight, generator)
        self.optimizer.zero_grad(set_to_none=True)
        losses["total"].backward()
        norm = torch.nn.utils.clip_grad_norm_(self.trained, config.clip_norm)
        self.optimizer.step()
        self._update_average()
        self.step += 1
        return {name: value.detach() for name, value in losses.items()} | {"gradient_norm": norm}

    @torch.no_grad()
    def _update_average(self) -> None:
        # Early on a long average would mostly remember the random start.
        decay = min(self.config.ema_decay, (1 + self.step) / (10 + self.step))
        own = self.model.state_dict()
        torch._foreach_lerp_(list(self.average.values()), [own[name] for name in self.average], 1 - decay)

    def run(self, minutes: float | None = None) -> None:
        """Train to the configured number of steps, or until `minutes` have passed; save and validate at the end."""
        config, started = self.config, time.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(self.folder / "config.json", json.dumps(to_dict(config), indent=2) + "\n")
        self.report(f"{self.model.parameter_count() / 1e6:.2f} M parameters, {len(self.photos)} photographs")
        since, since_step = started, self.step
        self.model.train()
        for batch in self._batches():
            losses = self.train_step(batch)
            last = self.step >= config.steps
            out_of_time = minutes is not None and time.monotonic() - started > 60 * minutes
            if self.step % config.log_every == 0 or last:
                now = time.monotonic()
                crops_per_s = (self.step - since_step) * config.batch_size / (now - since)
                since, since_step = now, self.step
                self._log({"crops_per_s": crops_per_s, **{name: float(value) for name, value in losses.items()}})
            if self.step % config.checkpoint_every == 0 or last or out_of_time:
                self.save()
            if self.step % config.validate_every == 0 or last or out_of_time:
                self._log(self.validation(self.average_model(), self.folder / "samples" / f"{self.step:07d}.jpg"))
            if out_of_time and not last:
                self.report(f"time is up at step {self.step} of {config.steps}; the same command goes on from here")
                break

    def average_model(self) -> ICDPM:
        """A copy of the model with the moving average of its weights, for evaluation."""
        model = ICDPM(self.model.config).to(self.device)
        model.load_state_dict(self.average)
        return model.eval().requires_grad_(False)

    def save(self) -> None:
        """Write the checkpoint and, from the moving average, the model folder."""
        state = {
            "step": self.step,
            "config": json.dumps(to_dict(self.config), sort_keys=True),
            "model": self.model.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        save_checkpoint(self.folder / "checkpoint.pt", state)
        output = "predictor" if self.config.stage == "predictor" else "diffusion"
        defaults = Defaults(output=output, steps=8 if self.model.predictor is not None else 50)
        save_model(self.folder / "model", self.model, self.config.schedule, defaults, weights=self.average)

    def _log(self, values: dict[str, float]) -> None:
        line = {"step": self.step, **{name: round(value, 6) for name, value in values.items()}}
        with open(self.folder / "log.jsonl", "a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        shown = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
        self.report(f"step {self.step}/{self.config.steps}  {shown}")


class _Synthesised(torch.utils.data.Dataset):
    """Blurry and sharp crops made on the CPU, beside the network's own work when there are workers."""

    def __init__(self, crops: SharpCrops, synthesiser: BlurSynthesiser, seed: int) -> None:
        self.crops, self.synthesiser, self.seed = crops, synthesiser, seed

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        generator = step_generator(self.seed, step, stream=1)
        return self.synthesiser(self.crops[step].float() / 255, generator)


def device_generator(device: torch.device, seed: int, step: int, stream: int) -> torch.Generator:
    """As `step_generator`, on the device where its draws are used."""
    on_cpu = step_generator(seed, step, stream)
    return on_cpu if device.type == "cpu" else torch.Generator(device).manual_seed(on_cpu.initial_seed())


def _single_thread(_worker: int) -> None:
    # Workers run beside the trainer; threads of their own would fight it for the cores.
    torch.set_num_threads(1)
