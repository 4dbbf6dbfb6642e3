"""What a training on an accelerator leaves: at most eight files, each small, and enough to judge and to go on from."""

from __future__ import annotations

import csv
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from resharp.data.blur_config import BlurConfig
from resharp.errors import ModelError, OutputError
from resharp.evaluate.pairs import Pair, paired_folder
from resharp.evaluate.protocols import out_of_domain_pairs
from resharp.evaluate.score import score_restorer, summarise
from resharp.evaluate.synthetic_pairs import in_domain_pairs
from resharp.files import atomic_path, write_text
from resharp.images.sheet import write_sheet
from resharp.pipeline import DeblurPipeline
from resharp.serialization import CONFIG, SCHEDULER, WEIGHTS, load_model

LIMIT_BYTES = 16 * 2**20
# A stage's run, and what its weights are called. The later ones hold all that the first one does.
WEIGHT_FILES = {
    "predictor": "predictor.safetensors",
    "denoiser": "diffusion.safetensors",
    "distil": "one_step.safetensors",
}
LOG, CURVES, SHEET, EVALUATION, SUMMARY = "log.jsonl", "curves.csv", "sheet.jpg", "evaluation.json", "summary.json"
SIDE_PX, SHEET_PX, SHEET_ROWS = 192, 160, 6
DIFFUSION_STEPS = 8


def export_model(folder: Path, out: Path) -> None:
    """Write a model folder as one safetensors file in half precision, with its configuration as metadata.

    Raises:
        OutputError: the file would reach 16 MiB.
    """
    model, _, _ = load_model(folder)
    state = {name: value.to(torch.float16).contiguous() for name, value in model.state_dict().items()}
    metadata = {name: (folder / name).read_text(encoding="utf-8") for name in (CONFIG, SCHEDULER)}
    with atomic_path(out) as temporary:
        save_file(state, temporary, metadata={"format": "pt", **metadata})
        if temporary.stat().st_size >= LIMIT_BYTES:
            raise OutputError(f"{out}: {model.parameter_count()} parameters take 16 MiB or more; train a smaller size")


def import_model(file: Path, folder: Path) -> None:
    """The inverse of `export_model`: a model folder that every command takes.

    Raises:
        ModelError: not such a file.
        OutputError: the folder cannot be written.
    """
    try:
        with safe_open(file, "pt") as opened:
            metadata = opened.metadata() or {}
            state = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - no dict
        texts = {name: metadata[name] for name in (CONFIG, SCHEDULER)}
    except (OSError, SafetensorError, KeyError) as error:
        raise ModelError(f"{file}: not weights written by `run` ({error}); fetch the file again") from error
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot make this folder ({error.strerror}); choose another") from error
    with atomic_path(folder / WEIGHTS) as temporary:
        save_file(state, temporary, metadata={"format": "pt"})
    for name, text in texts.items():
        write_text(folder / name, text)
    load_model(folder)


class Exports:
    """Keeps the weight files beside the runs up to date while these go on; a killed machine leaves the last ones."""

    def __init__(self, work: Path, out: Path, every_s: float = 60.0) -> None:
        self.work, self.out, self.every_s = work, out, every_s
        self._seen: dict[str, int] = {}
        self._next = time.monotonic() + every_s

    def __call__(self, stage: str) -> None:
        """Called often; works now and then."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + self.every_s
            self.update()

    def update(self) -> None:
        """Export what is new. The predictor's file goes once there is one that holds the predictor, too."""
        for stage, name in WEIGHT_FILES.items():
            weights = self.work / stage / "model" / WEIGHTS
            if not weights.is_file() or (stage == "predictor" and (self.out / WEIGHT_FILES["denoiser"]).is_file()):
                continue
            changed = weights.stat().st_mtime_ns
            if self._seen.get(stage) != changed or not (self.out / name).is_file():
                export_model(weights.parent, self.out / name)
                self._seen[stage] = changed
        if (self.out / WEIGHT_FILES["denoiser"]).is_file():
            (self.out / WEIGHT_FILES["predictor"]).unlink(missing_ok=True)


def write_logs(work: Path, out: Path, stages: Sequence[str]) -> None:
    """All stages' logs as one, and their numbers as a table: stage, step, name, value."""
    lines = []
    for stage in stages:
        path = work / stage / "log.jsonl"
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        lines += [{"stage": stage, **json.loads(line)} for line in text.splitlines()]
    write_text(out / LOG, "".join(json.dumps(line) + "\n" for line in lines))
    with atomic_path(out / CURVES) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("stage", "step", "name", "value"))
        for line in lines:
            numbers = ((name, value) for name, value in line.items() if isinstance(value, (int, float)))
            writer.writerows((line["stage"], line["step"], name, value) for name, value in numbers if name != "step")


class Restorers:
    """The parts of what has been trained so far, by name, each as (blurry (1, 3, H, W), seed) -> restored."""

    def __init__(self, work: Path, device: torch.device) -> None:
        found = {stage: work / stage / "model" for stage in WEIGHT_FILES}
        self.pipelines = {
            stage: DeblurPipeline.from_pretrained(folder).to(device)
            for stage, folder in found.items()
            if (folder / CONFIG).is_file()
        }

    def __call__(self) -> dict[str, Callable[[Tensor, int], Tensor]]:
        """Predictor, diffusion and one step, as far as they are there."""
        options: dict[str, tuple[str, dict[str, Any]]] = {
            "predictor": ("predictor", {"output": "predictor"}),
            "diffusion": ("denoiser", {"output": "diffusion", "steps": DIFFUSION_STEPS}),
            "one_step": ("distil", {"output": "diffusion", "steps": 1}),
        }

        def restorer(stage: str, how: dict[str, Any]) -> Callable[[Tensor, int], Tensor]:
            pipeline = self.pipelines[stage]
            return lambda blurry, seed: pipeline.restore(blurry, seed=seed, **how).image

        return {name: restorer(stage, how) for name, (stage, how) in options.items() if stage in self.pipelines}


def evaluate(
    restorers: dict[str, Callable[[Tensor, int], Tensor]],
    held_out: Path,
    blur: BlurConfig,
    pairs: str | None,
    sharp: str | None,
    until: float,
) -> dict[str, Any]:
    """PSNR and SSIM of every part, by set: held-out photos with training's blur, real pairs, and other blur.

    Args:
        pairs, sharp: folders; None leaves their set out.
        until: value of time.monotonic() after which no further set is begun; it is named in "left_out".
    """
    sets: dict[str, Callable[[], Sequence[Pair]]] = {
        "held_out": lambda: in_domain_pairs(held_out, blur, side_px=SIDE_PX)
    }
    if pairs is not None:
        sets["pairs"] = lambda: paired_folder(pairs)
    if sharp is not None:
        sets["sharp"] = lambda: out_of_domain_pairs(sharp)
    scores: dict[str, Any] = {}
    left_out = []
    for name, find in sets.items():
        found: Sequence[Pair] | None = None
        for part, restore in restorers.items():
            if time.monotonic() > until:
                left_out.append(f"{name}, {part}")
                continue
            found = find() if found is None else found
            rows = score_restorer(restore, found, [0])
            scores.setdefault(name, {})[part] = [_finite(asdict(summary)) for summary in summarise(rows)]
    return {"sets": scores, "left_out": left_out}


def write_pictures(
    restorers: dict[str, Callable[[Tensor, int], Tensor]], held_out: Path, blur: BlurConfig, out: Path
) -> None:
    """A sheet: blurry, each part, sharp; held-out photos, blurred otherwise than for the scores."""
    loaded = [pair.load() for pair in in_domain_pairs(held_out, blur, side_px=SHEET_PX, seed=1)]
    loaded = [pair for pair in loaded if pair[0].shape[-2:] == (SHEET_PX, SHEET_PX)][:SHEET_ROWS]
    if not loaded:
        return
    blurry, sharp = (torch.cat(images) for images in zip(*loaded, strict=True))
    columns = {name: restore(blurry, 0) for name, restore in restorers.items()}
    write_sheet(out / SHEET, {"blurry": blurry, **columns, "sharp": sharp}, rows=SHEET_ROWS)


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}
