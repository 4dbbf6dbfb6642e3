"""One optimiser step: losses, gradients summed over parts and processes, guards, moving average."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from resharp.data.draws import DROPOUT, NOISE, derived_seed, part_generator
from resharp.diffusion.loss import denoising_weight
from resharp.models.icdpm import ICDPM
from resharp.train.batches import Part
from resharp.train.config import TrainConfig
from resharp.train.distillation import Teacher
from resharp.train.muon import Muon, parameter_groups
from resharp.train.objective import Objective, trained_parts
from resharp.train.stops import Reason

if TYPE_CHECKING:
    from accelerate import Accelerator

_REASONS: tuple[Reason, ...] = ("", "time", "interrupt", "terminate")


def learning_rate(config: TrainConfig, step: int) -> float:
    """Linear warm-up to `lr`, then constant, or a cosine down to 1 % of it at the last step."""
    if step < config.lr_warmup_steps:
        return config.lr * (step + 1) / config.lr_warmup_steps
    if config.lr_decay == "none":
        return config.lr
    share = (step - config.lr_warmup_steps) / max(1, config.steps - config.lr_warmup_steps)
    return config.lr * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, share))))


def make_optimizer(model: ICDPM, trained: list[torch.nn.Parameter], config: TrainConfig) -> torch.optim.Optimizer:
    """Adam on all that is trained, or Muon with Adam for the rest."""
    betas = (config.beta_1, config.beta_2)
    if config.optimizer == "adam":
        return torch.optim.Adam(trained, lr=config.lr, betas=betas)
    return Muon(parameter_groups(model.named_parameters(), config.lr, config.lr_matrix), lr=config.lr, betas=betas)


class Stepped(NamedTuple):
    """What a step gave: this process's losses, the gradient's norm, whether it counted, and why to stop."""

    losses: dict[str, Tensor]
    gradient_norm: float
    finite: bool
    stop: Reason


class Engine:
    """The model in training: its weights, their moving average and the optimiser.

    Args:
        config: the run.
        model: on the training device.
        accelerator: of this process.
        parts: how many parts a step has, over all processes.
    """

    def __init__(self, config: TrainConfig, model: ICDPM, accelerator: Accelerator, parts: int) -> None:
        self.config, self.model, self.accelerator, self.parts = config, model, accelerator, parts
        self.trained = trained_parts(model, config.stage)
        self.optimizer = make_optimizer(model, self.trained, config)
        self.average = {name: value.detach().clone() for name, value in model.state_dict().items()}
        self.teacher = Teacher(model, config) if config.stage == "distil" else None
        if config.compile:
            taught = () if self.teacher is None else (self.teacher.model.denoiser,)
            for part in (model.guidance, model.predictor, model.denoiser, *taught):
                if part is not None:
                    part.compile()
        unets = (model.config.denoiser, model.config.predictor)
        self._dropout = any(unet is not None and unet.dropout > 0 for unet in unets)
        self.objective = accelerator.prepare_model(Objective(model, config, self.teacher, accelerator.device))

    def step(self, step: int, parts: Sequence[Part], stop: Reason = "") -> Stepped:
        """Train on this process's parts of a step.

        Losses are means over the batch, so its division into parts does not change them but for rounding. A
        gradient that is not finite changes nothing: neither the weights nor the optimiser's memory.

        Args:
            stop: what this process has been told; the result says what all of them together decide.
        """
        config = self.config
        self.model.train()
        weight = 0.0
        if config.stage != "predictor":
            weight = denoising_weight(step, config.warm_start_steps, config.ramp_steps)
        sums: dict[str, Tensor] = {}
        for i, part in enumerate(parts):
            last = i == len(parts) - 1
            with nullcontext() if last else self.accelerator.no_sync(self.objective), self._dropout_seeded(part):
                generator = part_generator(config.seed, step, part.part, NOISE, self.accelerator.device)
                losses = self.objective(part.x, part.y, weight, generator)
                # Processes' gradients are averaged, a process's own parts are added.
                self.accelerator.backward(losses["total"] / len(parts))
            for name, value in losses.items():
                sums[name] = sums.get(name, 0) + value.detach() / len(parts)
        norm = float(torch.nn.utils.clip_grad_norm_(self.trained, config.clip_norm))
        finite = math.isfinite(norm) and bool(torch.isfinite(sums["total"]))
        finite, agreed = self._agree(finite, stop)
        if finite:
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate(config, step) * group.get("share", 1.0)
            self.optimizer.step()
            self._update_average(step)
        self.optimizer.zero_grad(set_to_none=True)
        return Stepped(sums, norm, finite, agreed)

    def mean_losses(self, losses: dict[str, Tensor]) -> dict[str, float]:
        """Means over all processes, each of which must call this."""
        names = sorted(losses)
        values = self.accelerator.reduce(torch.stack([losses[name].float() for name in names]), reduction="mean")
        return dict(zip(names, values.tolist(), strict=True))

    def average_model(self) -> ICDPM:
        """A copy of the model with the moving average of its weights, for evaluation."""
        with torch.random.fork_rng(devices=[]):  # the initial weights, overwritten at once, are drawn
            model = ICDPM(self.model.config).to(self.accelerator.device)
        model.load_state_dict(self.average)
        return model.eval().requires_grad_(False)

    def _agree(self, finite: bool, stop: Reason) -> tuple[bool, Reason]:
        """Processes must skip and stop at the same step, or they would wait for each other for ever."""
        if self.accelerator.num_processes == 1:
            return finite, stop
        flags = torch.tensor([0 if finite else 1, _REASONS.index(stop)], device=self.accelerator.device)
        torch.distributed.all_reduce(flags, op=torch.distributed.ReduceOp.MAX)
        bad, reason = flags.tolist()
        return not bad, _REASONS[reason]

    def _dropout_seeded(self, part: Part) -> AbstractContextManager[None]:
        """Dropout draws from torch's global generator; lend it one that follows from the part."""
        if not self._dropout:
            return nullcontext()
        return _seeded(derived_seed(self.config.seed, part.step, part.part, DROPOUT), self.accelerator.device)

    @torch.no_grad()
    def _update_average(self, step: int) -> None:
        # Early on a long average would mostly remember the random start.
        decay = min(self.config.ema_decay, (1 + step) / (10 + step))
        own = self.model.state_dict()
        torch._foreach_lerp_(list(self.average.values()), [own[name] for name in self.average], 1 - decay)


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """torch's global generators seeded within the block, and as they were after it."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
