"""`resharp gate`: measure a model's parts and decide which one `resharp deblur` uses by default."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from resharp import __version__
from resharp.cli.console import note, say
from resharp.cli.each_image import image_progress
from resharp.cli.options import PARTS, DebugOption, DeviceOption, JsonOption, check_part, pick_device
from resharp.cli.places import check_folder, make_folder
from resharp.errors import ConfigError

if TYPE_CHECKING:
    from resharp.cli.gate_scores import Scores
    from resharp.evaluate.gate import Check
    from resharp.pipeline import DeblurPipeline


def gate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model folder, or a Hub id.")],
    pairs: Annotated[
        str, typer.Option(metavar="FOLDER", help="Real pairs: NAME_blur.* and NAME_sharp.*, or blurry/ and sharp/.")
    ],
    sharp: Annotated[str, typer.Option(metavar="FOLDER", help="Sharp photos, blurred otherwise than in training.")],
    seeds: Annotated[int, typer.Option(help="Seeds of noise and blur, at least 3.")] = 3,
    lpips_weights: Annotated[
        str | None, typer.Option(metavar="FILE", help="AlexNet weights; without them SSIM stands in for LPIPS.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Denoising steps; default: the model's.")] = None,
    samples: Annotated[int | None, typer.Option(help="Samples to average; default: the model's.")] = None,
    part: Annotated[
        str | None, typer.Option(metavar="|".join(PARTS), help="Score this part alone; default: all there are.")
    ] = None,
    out: Annotated[str | None, typer.Option(metavar="FOLDER", help="Write all scores here, CSV and JSON.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Make the decision the model's default.")] = False,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Score a model's parts against the blurry input, and decide which is the default.

    A part must beat the input on the real pairs by more than two standard errors and not fall below it out of
    domain, in PSNR and in LPIPS (or SSIM); if none does, the input passes through.
    """
    _check_options(model, seeds, part, out, write)
    where = pick_device(device)
    from resharp.cli.gate_scores import Scorer
    from resharp.evaluate.gate import checks, decide, perceptual_metric
    from resharp.metrics.lpips import load_lpips

    pipeline = _pipeline(model, steps, samples).to(where)
    lpips = None if lpips_weights is None else load_lpips(lpips_weights).to(where)
    parts = _parts(pipeline, part)
    used = pipeline.defaults
    with image_progress() as on_image:
        options = {"steps": used.steps, "samples": used.samples, "lpips": lpips, "on_image": on_image}
        scores = Scorer(pipeline, pairs, sharp, seeds=range(seeds), **options)(parts)
    candidates = scores.candidates()
    results, decision = checks(candidates), decide(candidates)
    about = {"resharp": __version__, "model": model, "pairs": pairs, "sharp": sharp, "seeds": seeds}
    about |= {"steps": used.steps, "samples": used.samples, "sampler": used.sampler}
    report = {**about, "decision": decision, "perceptual_metric": perceptual_metric(candidates)}
    report["checks"] = [asdict(check) for check in results]
    text = _text(scores, results, decision)
    if out is not None:
        _write_scores(Path(out), scores, about, report, text)
    if write:
        from resharp.serialization import save_defaults

        save_defaults(model, replace(used, output=decision))
    say(json.dumps(report, indent=2) if as_json else text)
    if write:
        note(f"{model}: output {decision} is the default now")


def _check_options(model: str, seeds: int, part: str | None, out: str | None, write: bool) -> None:
    from resharp.evaluate.gate import MIN_SEEDS

    if seeds < MIN_SEEDS:
        raise ConfigError(f"--seeds is {seeds}; the decision needs at least {MIN_SEEDS}")
    check_part(part)
    if out is not None:
        check_folder(Path(out))
    if write and not Path(model).is_dir():
        raise ConfigError(f"--write changes a model folder, and {model} is none; download it first")


def _pipeline(model: str, steps: int | None, samples: int | None) -> DeblurPipeline:
    """The model with the settings to measure as its defaults, found acceptable to it."""
    import torch

    from resharp.pipeline import DeblurPipeline

    pipeline = DeblurPipeline.from_pretrained(model)
    pipeline.task.require_deblurring("resharp gate")
    pipeline.restore(torch.zeros(1, 3, 1, 1), steps=steps, samples=samples, output="input")
    given = {"steps": steps, "samples": samples}
    asked = {name: value for name, value in given.items() if value is not None}
    return DeblurPipeline(pipeline.model, pipeline.schedule, replace(pipeline.defaults, **asked))


def _parts(pipeline: DeblurPipeline, part: str | None) -> list[str]:
    parts = {"predictor": pipeline.model.predictor, "diffusion": pipeline.model.denoiser}
    there = [name for name in PARTS if parts[name] is not None]
    if part is not None and part not in there:
        raise ConfigError(f"this model has no {part} part; score --part {there[0]}")
    return there if part is None else [part]


def _text(scores: Scores, results: list[Check], decision: str) -> str:
    """Tables, requirements and decision, in Markdown."""
    from resharp.evaluate.tables import markdown_table

    named = {f"{part}, {kind}".replace("_", " "): table for (part, kind), table in scores.summaries().items()}
    lines = [markdown_table(named)]
    for check in results:
        what = f"{check.candidate}, {check.pairs}, {check.metric.upper()}".replace("_", " ")
        outcome = "passed" if check.passed else "failed"
        lines.append(f"- {what}: gain {check.gain:+.4f}, standard error {check.standard_error:.4f}: {outcome}")
    return "\n".join([*lines, "", f"decision: {decision}"])


def _write_scores(folder: Path, scores: Scores, about: dict[str, Any], report: dict[str, Any], text: str) -> None:
    from resharp.evaluate.tables import write_csv, write_json
    from resharp.files import write_text

    make_folder(folder)
    summaries = scores.summaries()
    for (part, kind), rows in scores.rows.items():
        write_csv(folder / f"{part}_{kind}.csv", rows)
        what = {**about, "part": part, "protocol": kind}
        write_json(folder / f"{part}_{kind}.json", rows, summaries[part, kind], what)
    write_text(folder / "gate.json", json.dumps(report, indent=2) + "\n")
    write_text(folder / "gate.md", text + "\n")
