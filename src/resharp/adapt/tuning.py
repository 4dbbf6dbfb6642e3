"""The short fine-tune: Adam with a small rate from the given weights, their moving average, and going on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from resharp.data.draws import DROPOUT, NOISE, derived_seed, part_generator
from resharp.errors import ConfigError, TrainingError
from resharp.models.icdpm import ICDPM
from resharp.train.batches import Part
from resharp.train.checkpoint import checkpoint_paths, load_checkpoint, save_checkpoint
from resharp.train.config import TrainConfig
from resharp.train.engine import learning_rate
from resharp.train.objective import Objective, trained_parts

OnStep = Callable[[int, int], None]
CHECKPOINT_EVERY = 50
LOG_EVERY = 10


class ExtraLoss(nn.Module):
    """A loss beside the usual ones, with parameters of its own; none by default."""

    def forward(self, model: ICDPM, part: Part, step: int) -> dict[str, Tensor]:
        """Its terms by name, to be added to the total as they are."""
        return {}


class Tuner:
    """A model in fine-tuning.

    Args:
        model: changed in place, on the device to compute on.
        config: the stage says which parts are trained.
        batches: the batch of a step, which must follow from the step alone.
        extra: a further loss.
        work: a folder for checkpoints, from which the same call goes on; None keeps none.
        identity: what the run depends on, in words; a checkpoint with another one is refused.
    """

    def __init__(
        self,
        model: ICDPM,
        config: TrainConfig,
        batches: Callable[[int], Part],
        extra: ExtraLoss | None = None,
        work: Path | None = None,
        identity: str = "",
    ) -> None:
        self.model, self.config, self.batches = model, config, batches
        self.device = next(model.parameters()).device
        self.extra = (ExtraLoss() if extra is None else extra).to(self.device)
        self.work, self.identity = work, identity
        model.requires_grad_(True)
        self.trained = [*trained_parts(model, config.stage), *self.extra.parameters()]
        betas = (config.beta_1, config.beta_2)
        self.optimizer = torch.optim.Adam(self.trained, lr=config.lr, betas=betas)
        self.objective = Objective(model, config, None, self.device)
        self.average = {name: value.detach().clone() for name, value in model.state_dict().items()}
        self.step, self.skipped = 0, 0
        self.log: list[dict[str, float]] = []
        self._restore()

    def run(self, on_step: OnStep | None = None) -> dict[str, Tensor]:
        """Train to the last step; returns the moving average of the weights.

        Raises:
            TrainingError: too many steps had no finite loss.
            DataError: hardly any sharp picture can be read.
        """
        config = self.config
        while self.step < config.steps:
            losses = self._take()
            self.step += 1
            if self.step % LOG_EVERY == 0 or self.step in (1, config.steps):
                self.log.append({"step": self.step, **losses})
            if on_step is not None:
                on_step(self.step, config.steps)
            if self.work is not None and (self.step % CHECKPOINT_EVERY == 0 or self.step == config.steps):
                self._save(self.work)
        return self.average

    def _take(self) -> dict[str, float]:
        config, step = self.config, self.step
        self.model.train()
        part = self.batches(step)
        with _seeded(derived_seed(config.seed, step, DROPOUT), self.device):
            generator = part_generator(config.seed, step, 0, NOISE, self.device)
            losses = self.objective(part.x, part.y, 1.0, generator)
            extra = self.extra(self.model, part, step)
            total = losses["total"] + sum(extra.values(), losses["total"].new_zeros(()))
        total.backward()
        norm = float(nn.utils.clip_grad_norm_(self.trained, config.clip_norm))
        if math.isfinite(norm) and bool(torch.isfinite(total)):
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate(config, step)
            self.optimizer.step()
            self._update_average()
        else:
            self.skipped += 1
            if self.skipped > config.max_skipped_steps:
                raise TrainingError(f"step {step}: no finite loss in {self.skipped} steps; lower --lr")
        self.optimizer.zero_grad(set_to_none=True)
        return {name: float(value.detach()) for name, value in {**losses, **extra}.items()}

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.config.ema_decay, (1 + self.step) / (10 + self.step))
        own = self.model.state_dict()
        torch._foreach_lerp_(list(self.average.values()), [own[name] for name in self.average], 1 - decay)

    def _save(self, work: Path) -> None:
        state: dict[str, Any] = {"step": self.step, "skipped": self.skipped, "config": self.identity}
        state |= {"data": "", "parts": 1, "teacher": self.log, "average": self.average}
        state["model"] = {"model": self.model.state_dict(), "extra": self.extra.state_dict()}
        save_checkpoint(work, state | {"optimizer": self.optimizer.state_dict()}, keep=1)

    def _restore(self) -> None:
        paths = [] if self.work is None else checkpoint_paths(self.work)
        if not paths:
            return
        state = load_checkpoint(paths[0])
        if state["config"] != self.identity:
            raise ConfigError(
                f"{paths[0]}: made with another model, other photos or settings; choose another --work, or delete it"
            )
        self.model.load_state_dict(state["model"]["model"])
        self.extra.load_state_dict(state["model"]["extra"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average = {name: value.to(self.device) for name, value in state["average"].items()}
        self.step, self.skipped, self.log = state["step"], state["skipped"], state["teacher"]


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """torch's global generators, which dropout draws from, seeded within the block."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
