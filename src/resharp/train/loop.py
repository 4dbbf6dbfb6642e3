"""The training loop: steps, and what is done on their intervals."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from accelerate.utils import gather_object

from resharp.data.source import Batching, Sample, Source
from resharp.errors import ConfigError, ModelError, OutputError, TrainingError
from resharp.models.icdpm import ICDPM
from resharp.serialization import load_model
from resharp.train.batches import Part, Parts
from resharp.train.checkpoint import remove_leftovers
from resharp.train.config import TrainConfig
from resharp.train.engine import Engine
from resharp.train.logs import Report, RunLog, duration, memory_gb, usable_tracker
from resharp.train.processes import accelerator, is_main, world_size
from resharp.train.resume import restore, save
from resharp.train.run_folder import forget_after, lock, quarantine, write_facts
from resharp.train.stops import Reason, Stops
from resharp.train.validation import Validation

OnStep = Callable[[int, float], None]


def _silent(text: str) -> None:
    pass


class Trainer:
    """One run in one folder; see docs/training.md for what is in it. A checkpoint in it is resumed.

    Args:
        config: the run.
        source: photographs to train on.
        validation: photographs to validate on; none does without.
        folder: where the run lives; shared by all processes, on all machines.
        device: the kind of device for the network and, unless it is the CPU, for the blur.
        workers: processes that prepare batches, for each process that trains.
        report: gets one line of text at a time.
        on_step: called after each step with the number of steps done and crops a second.
        accept_changed_data: resume although the data set is not the one that the run began with.

    Raises:
        ConfigError, DataError, ModelError, OutputError: settings, data, checkpoint or folder that cannot be used.
    """

    def __init__(
        self,
        config: TrainConfig,
        source: Source,
        validation: Sequence[Sample],
        folder: Path,
        *,
        device: torch.device,
        workers: int = 0,
        report: Report = print,
        on_step: OnStep | None = None,
        accept_changed_data: bool = False,
    ) -> None:
        self.config, self.source, self.folder = config, source, folder
        # All processes come to the same conclusions; one of them tells.
        self.report = report = report if is_main() else _silent
        self.on_step = on_step if on_step is not None and is_main() else (lambda done, crops_per_s: None)
        model = initial_model(config)
        batching = Batching(config.batch_size, part_count(config), config.seed)
        tracker = usable_tracker(config.tracker, report)
        precision = config.precision
        if precision == "auto":
            precision = "bf16" if device.type == "cuda" else "float32"
        self.accelerator = accelerator(device, precision, [tracker] if tracker else [], str(folder))
        self.device = self.accelerator.device
        self.main = self.accelerator.is_main_process
        model = model.to(self.device, memory_format=torch.channels_last)
        self.engine = Engine(config, model, self.accelerator, batching.parts)
        mine = range(self.accelerator.process_index, batching.parts, self.accelerator.num_processes)
        self.parts = Parts(config, source, batching, self.device, mine, workers)
        self.validation = Validation(config, validation) if validation else None
        self.step, self.skipped = restore(folder, self.engine, source, report, accept_changed_data)
        self.log = RunLog(folder, self.accelerator, report, config.steps)

    def run(self, minutes: float | None = None, until: int | None = None) -> Reason:
        """Train to the configured number of steps; save and validate at the end.

        Args:
            minutes: stop after this long, with a checkpoint.
            until: stop after this many steps, counted from the run's beginning, with a checkpoint.

        Returns:
            Why it stopped: "" when the work is done, else "time", "interrupt" or "terminate".

        Raises:
            TrainingError: more steps than `max_skipped_steps` had no finite loss and gradient.
            DataError: hardly any photograph can be read.
            OutputError: the last checkpoint could not be written.
        """
        last_step = self.config.steps if until is None else min(until, self.config.steps)
        clock = deque([(time.monotonic(), self.step)], maxlen=51)
        with self._recorded(), Stops(minutes) as stops:
            for parts in self.parts(self.step, last_step):
                result = self.engine.step(self.step, parts, stops.reason)
                self._look_after(parts, result.finite)
                self.step += 1
                clock.append((time.monotonic(), self.step))
                (since, from_step), (now, _) = clock[0], clock[-1]
                crops_per_s = (self.step - from_step) * self.config.batch_size / max(now - since, 1e-9)
                self.on_step(self.step, crops_per_s)
                ending = self.step == last_step or bool(result.stop)
                if self.step % self.config.log_every == 0 or self.step == last_step:
                    self._log_step(result.losses, result.gradient_norm, crops_per_s)
                # Who sends a signal does not wait long: save, and leave the scores for later.
                self._at_intervals(ending, validating=ending and result.stop in ("", "time"))
                if result.stop and self.step < last_step:
                    self.report(f"stopped at step {self.step} of {self.config.steps}; the same command goes on")
                    return result.stop
        return ""

    @contextmanager
    def _recorded(self) -> Iterator[None]:
        """The run folder claimed and its facts written; trackers running."""
        count = self.accelerator.num_processes
        self.folder.mkdir(parents=True, exist_ok=True)
        with lock(self.folder) if self.main else nullcontext():
            if self.main:
                remove_leftovers(self.folder)
                write_facts(self.folder, self.config, self.source, count, self.device)
                quarantine(self.folder, self.source.left_out)
                forget_after(self.folder, self.step)
            purge = {"tensorboard": {"purge_step": self.step + 1}}
            self.accelerator.init_trackers("curves", init_kwargs=purge)
            parameters = f"{self.engine.model.parameter_count() / 1e6:.2f} M parameters"
            self.report(f"{parameters}, {f'{count} processes, ' if count > 1 else ''}{self.source.describe()}")
            try:
                yield
                # The first process may still be scoring; the others must not take the group down under it.
                self.accelerator.wait_for_everyone()
            finally:
                self.accelerator.end_training()

    def _look_after(self, parts: Sequence[Part], finite: bool) -> None:
        """Quarantine unusable photographs; count steps without a finite gradient."""
        failures = [line for part in parts for line in part.failures]
        if failures:
            for line in quarantine(self.folder, failures, self.accelerator.process_index):
                self.log.event(self.step, f"left out: {line}")
        if finite:
            return
        self.skipped += 1
        batch = gather_object([name for part in parts for name in part.names])
        names = ", ".join(dict.fromkeys(batch))
        where = f"step {self.step}: loss or gradient is not finite; the step is skipped"
        self.log.event(self.step, f"{where} ({self.skipped} so far), batch: {names}")
        if self.skipped > self.config.max_skipped_steps:
            raise TrainingError(
                f"step {self.step}: loss or gradient was not finite in {self.skipped} steps, more than "
                f"max_skipped_steps = {self.config.max_skipped_steps}; lower lr, or look at this batch: {names}"
            )

    def _log_step(self, losses: dict[str, torch.Tensor], norm: float, crops_per_s: float) -> None:
        values = self.engine.mean_losses(losses)
        left = (self.config.steps - self.step) * self.config.batch_size / crops_per_s
        values |= {"gradient_norm": norm, "skipped": self.skipped, "crops_per_s": crops_per_s}
        values["memory_gb"] = memory_gb(self.device)
        self.log(self.step, values, "train")
        if self.main and self.step < self.config.steps:
            self.report(f"  about {duration(left)} to go")

    def _at_intervals(self, ending: bool, validating: bool) -> None:
        if not self.main:
            return
        config = self.config
        try:
            if self.step % config.checkpoint_every == 0 or ending:
                save(self.folder, self.engine, self.source, self.step, self.skipped)
            if self.validation is not None and (self.step % config.validate_every == 0 or validating):
                sheet = self.folder / "samples" / f"{self.step:07d}.jpg"
                self.log(
                    self.step, self.validation(self.engine.average_model(), sheet, self.engine.teacher), "validation"
                )
        except OutputError as error:
            if ending:
                raise
            self.log.event(self.step, f"{error}; the last complete checkpoint is kept")


def initial_model(config: TrainConfig) -> ICDPM:
    """The model that a run starts from: `init`, or random weights that follow from the seed.

    Raises:
        ConfigError: `init` has another shape, or the stage needs one.
        ModelError: `init` cannot be read.
    """
    # Initial weights come from torch's global generator; fork it so that nobody else's draws are changed.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = ICDPM(config.model_config())
    distil = config.stage == "distil"
    if config.init is not None:
        try:
            loaded, schedule, _ = load_model(config.init)
        except ModelError as error:
            raise ModelError(
                f"{error} (stage 'distil' needs its teacher to go on, too)" if distil else error
            ) from error
        if loaded.config != model.config:
            raise ConfigError(f"init: {config.init} holds a model of another shape than this run's; match them")
        if distil and schedule != config.schedule:
            raise ConfigError(f"init: {config.init} has another noise schedule than this run's; set [schedule] to its")
        model.load_state_dict(loaded.state_dict())
    elif distil:
        raise ConfigError("stage is 'distil': give init, a saved model whose denoiser is trained: the teacher")
    elif config.stage == "denoiser" and model.predictor is not None:
        raise ConfigError("stage is 'denoiser': give init, a saved model whose predictor is trained")
    return model


def part_count(config: TrainConfig) -> int:
    """Parts of a step over all processes.

    Raises:
        ConfigError: they cannot be shared out equally.
    """
    processes = world_size()
    parts = processes if config.micro_batch_size is None else config.batch_size // config.micro_batch_size
    if config.batch_size % parts or parts % processes:
        raise ConfigError(
            f"batch_size {config.batch_size} in parts of {config.micro_batch_size or 'equal size'} cannot be shared "
            f"equally by {processes} processes; choose batch_size = micro_batch_size * processes * a whole number"
        )
    return parts
