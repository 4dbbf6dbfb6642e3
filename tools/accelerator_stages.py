"""The three stages of training within a fixed time, in pieces if need be."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerator_plan import Plan, allotted, seconds_of_stages

from resharp.data.source import Sample, Source
from resharp.train.config import TrainConfig
from resharp.train.config_file import load_config
from resharp.train.loop import Trainer

# The student starts from a trained denoiser, so it takes smaller steps.
LR_SHARES = {"predictor": 1.0, "denoiser": 1.0, "distil": 0.3}
TEACHER_STEPS = 8
# Part of the memory that a batch may fill, and the greatest batch.
MEMORY_SHARE, MAX_BATCH = 0.6, 128
# Trained ahead of each stage to learn how fast it is: this share of its time, within these limits in seconds.
PROBE_SHARE, PROBE_S = 0.08, (2.0, 25.0)
PROBE_BATCH = 16
NOTE_EVERY_S = 15.0
# Of its time, for a stage that has no model yet when all time is used.
LEAST_SHARE = 0.3
VALIDATE_FROM_S = 90.0

Report = Callable[[str], None]


class _StoppedError(Exception):
    """Asked to stop while the speed was measured; the text is the reason."""


class Stages:
    """Trains the stages in turn.

    Args:
        work: folder of the runs, one for each stage, and of the plan.
        plan: as opened.
        config: TOML file with what all stages share; stage, steps, batch and start are set here.
        settings: replace the configuration's, as for `resharp train --set`.
        init: a model to begin with; None begins with random weights.
        source, validation: photographs.
        device: for network and blur.
        compile: torch.compile the networks.
        report: gets lines for people.
        on_progress: called after every step; may write out what there is.
    """

    def __init__(
        self,
        work: Path,
        plan: Plan,
        *,
        config: Path,
        settings: Sequence[str],
        init: str | None,
        source: Source,
        validation: Sequence[Sample],
        device: torch.device,
        compile: bool = False,
        report: Report = print,
        on_progress: Callable[[str], None] = lambda stage: None,
    ) -> None:
        self.work, self.plan, self.config, self.settings, self.init = work, plan, config, list(settings), init
        self.source, self.validation, self.device, self.compile = source, validation, device, compile
        self.report, self.on_progress = report, on_progress
        self.workers = 0 if device.type == "cpu" else max(1, min(12, (os.cpu_count() or 2) - 2))

    def run(self, ends: float, until: float) -> str:
        """Train until all is done, or stop earlier.

        Args:
            ends: value of time.monotonic() at which training must be over; the stages divide the time up to it.
            until: the same for this call.

        Returns:
            "" when all stages are done, else why training stopped: "time", "interrupt" or "terminate".
        """
        budgets = seconds_of_stages(self.plan.minutes)
        for stage, budget in budgets.items():
            if stage in self.plan.done:
                continue
            before, started = self.plan.used_s.get(stage, 0.0), time.monotonic()
            waiting = {name: seconds for name, seconds in budgets.items() if name not in self.plan.done}
            mine = allotted(waiting, self.plan.used_s, stage, ends - started)
            left = until - started
            if until == ends and not self._usable(stage):
                # Earlier stages took longer to stop than they should. Results can wait a little.
                least = min(LEAST_SHARE * budget, 0.5 * (60 * self.plan.minutes - sum(budgets.values())))
                mine, left = max(mine, least), max(left, least)
            try:
                reason = self._stage(stage, budget, min(mine, left)) if left > 1 else "time"
            except _StoppedError as stopped:
                reason = str(stopped)
            self._note_time(stage, before, started)
            over = reason == "time" and mine <= left
            if self._usable(stage) and (reason == "" or over):
                self.plan.done.append(stage)
            self.plan.save(self.work)
            if stage not in self.plan.done:
                return reason or "time"
        return ""

    def stage_config(self, stage: str, steps: int, batch_size: int) -> TrainConfig:
        """The configuration of a stage. The rate falls to its end at the last step."""
        earlier = {"predictor": self.init, "denoiser": self._model("predictor"), "distil": self._model("denoiser")}
        base = load_config(self.config, self.settings)
        changes: dict[str, Any] = {
            "stage": stage,
            "init": earlier[stage],
            "steps": steps,
            "batch_size": batch_size,
            "lr": base.lr * LR_SHARES[stage],
            "lr_decay": "cosine",
            "lr_warmup_steps": min(base.lr_warmup_steps, max(1, steps // 20)),
            "warm_start_steps": 0,
            "ramp_steps": 0,
            "teacher_steps": TEACHER_STEPS,
            "compile": self.compile,
            "tracker": "none",
            "log_every": max(1, steps // 200),
            "validate_every": max(1, steps // 3),
            "checkpoint_every": max(1, steps // 20),
        }
        settings = [f"{key}={json.dumps(value)}" for key, value in changes.items() if value is not None]
        return load_config(self.config, [*self.settings, *settings])

    def _usable(self, stage: str) -> bool:
        return (self.work / stage / "model" / "config.json").is_file()

    def _note_time(self, stage: str, before: float, started: float) -> None:
        self.plan.used_s[stage] = before + time.monotonic() - started

    def _model(self, stage: str) -> str:
        return str(self.work / stage / "model")

    def _stage(self, stage: str, budget: float, left: float) -> str:
        """Train one stage for `left` seconds at most; why it stopped."""
        plan, ends = self.plan, time.monotonic() + left
        if stage not in plan.steps:
            probe_s = min(max(PROBE_SHARE * budget, PROBE_S[0]), PROBE_S[1], left / 3)
            if not plan.batch_size:
                plan.batch_size = self._batch_size(stage, probe_s)
            rate = self._probe(stage, plan.batch_size, probe_s)[0]
            # A little less than would fit, so that the rate of learning has fallen when the time is up.
            plan.steps[stage] = max(20, int(0.95 * rate * (ends - time.monotonic()) / plan.batch_size))
            plan.crops_per_s[stage] = rate
            plan.save(self.work)
            self.report(f"{stage}: {plan.steps[stage]} steps of {plan.batch_size} crops, {rate:.3g} crops/s")
        return self._train(stage, (ends - time.monotonic()) / 60)

    def _train(self, stage: str, minutes: float) -> str:
        config = self.stage_config(stage, self.plan.steps[stage], self.plan.batch_size)
        used, began = self.plan.used_s.get(stage, 0.0), time.monotonic()
        noted = began

        def on_step(done: int, crops_per_s: float) -> None:
            nonlocal noted
            self.plan.taken[stage] = done
            self.on_progress(stage)
            if time.monotonic() - noted > NOTE_EVERY_S:  # a killed call has used its time, too
                noted = time.monotonic()
                self._note_time(stage, used, began)
                self.plan.save(self.work)

        # Scores of a minute's training are not worth their time; there are others at the end.
        validation = self.validation if 60 * minutes > VALIDATE_FROM_S else []
        trainer = self._trainer(config, self.work / stage, validation, on_step)
        first = trainer.step
        reason = trainer.run(max(minutes - (time.monotonic() - began) / 60, 0.01))
        self.plan.crops_per_s[stage] = (trainer.step - first) * config.batch_size / (time.monotonic() - began)
        return reason

    def _batch_size(self, stage: str, seconds: float) -> int:
        """On a GPU the greatest power of two that fits, up to `MAX_BATCH`; else the configuration's."""
        if self.device.type != "cuda":
            return load_config(self.config, self.settings).batch_size
        peak = self._probe(stage, PROBE_BATCH, seconds)[1]
        free = torch.cuda.get_device_properties(self.device).total_memory * MEMORY_SHARE
        fits = max(1, int(free / (peak / PROBE_BATCH)))
        return min(MAX_BATCH, 1 << (fits.bit_length() - 1))

    def _probe(self, stage: str, batch_size: int, seconds: float) -> tuple[float, int]:
        """Crops a second, and the most bytes that a GPU held, of a short training that is thrown away."""
        config = self.stage_config(stage, 10**6, batch_size)
        folder = self.work / "probe"
        shutil.rmtree(folder, ignore_errors=True)
        times: list[float] = []
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        trainer = self._trainer(config, folder, [], lambda done, rate: times.append(time.monotonic()), quiet=True)
        began = time.monotonic()
        reason = trainer.run(seconds / 60)
        if reason != "time":
            raise _StoppedError(reason)
        shutil.rmtree(folder, ignore_errors=True)
        # The first steps start workers and compile.
        times = [began, *times][-(len(times) // 2 + 2) :]
        peak = torch.cuda.max_memory_allocated(self.device) if self.device.type == "cuda" else 0
        return (len(times) - 1) * batch_size / max(times[-1] - times[0], 1e-9), peak

    def _trainer(
        self, config: TrainConfig, folder: Path, validation: Sequence[Sample], on_step: Any, quiet: bool = False
    ) -> Trainer:
        report = (lambda line: None) if quiet else self.report
        options = {"device": self.device, "workers": self.workers, "report": report, "on_step": on_step}
        return Trainer(config, self.source, validation, folder, **options)
