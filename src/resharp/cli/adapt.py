"""`resharp adapt`: a model fitted to one's own blurry photos, and written only if a held-out check finds it better."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from resharp import __version__
from resharp.cli.console import complain, note, say
from resharp.cli.each_image import image_progress
from resharp.cli.options import DebugOption, DeviceOption, JsonOption, pick_device
from resharp.cli.places import check_folder, make_folder
from resharp.errors import ConfigError, OutputError

if TYPE_CHECKING:
    from resharp.adapt.run import Adapted

REPORT = "adapt"


def adapt(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model's name, folder or Hub id.")],
    photos: Annotated[str, typer.Argument(metavar="BLURRY_DIR", help="Your blurry photos; no sharp ones needed.")],
    out: Annotated[str, typer.Option(metavar="FOLDER", help="The adapted model, if it is better, and a report.")],
    method: Annotated[
        str, typer.Option(metavar="reblur|adversarial", help="The paper found adversarial to make results worse.")
    ] = "reblur",
    sharp: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Sharp photos to blur like yours; default: yours at half their size."),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(metavar="PLACE", help="Adversarial only: the model's training photos, as for resharp train."),
    ] = None,
    steps: Annotated[int, typer.Option(help="Steps of the fine-tune.")] = 300,
    batch_size: Annotated[int, typer.Option(metavar="N", help="Crops a step.")] = 8,
    lr: Annotated[float, typer.Option(help="Learning rate.")] = 5e-5,
    ordinary_share: Annotated[
        float, typer.Option(metavar="SHARE", help="Of each batch, with training's ordinary blur.")
    ] = 0.5,
    hold_out: Annotated[float, typer.Option(metavar="SHARE", help="Of your photos, those that judge.")] = 0.25,
    window: Annotated[int, typer.Option(metavar="PX", help="Side of the square looked at in each photo.")] = 512,
    domain_weight: Annotated[
        float, typer.Option(metavar="W", help="Adversarial only: of the reversed gradient.")
    ] = 0.1,
    config: Annotated[
        str | None, typer.Option(metavar="FILE", help="Losses and [blur] of this training configuration.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Replaces a setting of --config.")
    ] = None,
    lpips_weights: Annotated[
        str | None, typer.Option(metavar="FILE", help="AlexNet weights; without them SSIM stands in for LPIPS.")
    ] = None,
    work: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Keep checkpoints here; the same command goes on.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 0,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Adapt a model to your own blurry photos, without sharp partners.

    A part of the photos judges: unless they and pictures made with their blur come out better than before, by more
    than two standard errors, no model is written and the exit code is 1.
    """
    folder = Path(out)
    _check_out(folder)
    if settings and config is None:
        raise ConfigError("--set replaces settings of --config; give a training configuration with it")
    where = pick_device(device)
    from resharp.adapt.run import Inputs, Watch
    from resharp.adapt.run import adapt as run_adaptation
    from resharp.adapt.settings import DEFAULTS, AdaptSettings
    from resharp.analysis.scoring import file_digest
    from resharp.hub import locate_model
    from resharp.metrics.lpips import load_lpips
    from resharp.pipeline import DeblurPipeline
    from resharp.serialization import WEIGHTS
    from resharp.train.config_file import load_config

    wanted = AdaptSettings(
        method=method,  # type: ignore[arg-type]
        steps=steps,
        batch_size=batch_size,
        lr=lr,
        ordinary_share=ordinary_share,
        held_out_share=hold_out,
        window_px=window,
        domain_weight=domain_weight,
        seed=seed,
    )
    place = locate_model(model)
    pipeline = DeblurPipeline.from_pretrained(place).to(where)
    pipeline.task.require_deblurring("resharp adapt")
    base = DEFAULTS if config is None else load_config(config, settings or (), warm_start_steps=0, ramp_steps=0)
    lpips = None if lpips_weights is None else load_lpips(lpips_weights).to(where)
    if wanted.method == "adversarial":
        note("the paper found adversarial adaptation to make results worse; the check decides here (docs/adapt.md)")
    digest = file_digest(place / WEIGHTS)
    inputs = Inputs(photos, sharp, tuple(data or ()), None if work is None else Path(work))
    with image_progress() as on_image:
        watch = Watch(_sparse(on_image, None), _sparse(on_image, "fine-tuning"), note)
        adapted = run_adaptation(pipeline, inputs, wanted, base=base, lpips=lpips, identity=digest, watch=watch)
    about = {"resharp": __version__, "command": sys.argv, "model": model, "weights": digest, "input": photos}
    _write(folder, adapted, about, as_json)
    if not adapted.accepted:
        raise typer.Exit(1)


def _check_out(folder: Path) -> None:
    check_folder(folder)
    if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder}: exists already and is kept; choose another --out")


def _sparse(on_image: Any, what: str | None) -> Callable[..., None]:
    """Every call on a terminal; elsewhere a line where the work is done and, for steps, one in fifty."""

    def steps(done: int, total: int) -> None:
        if sys.stderr.isatty() or done % 50 == 0 or done == total:
            on_image(what, done, total, "")

    def photos(doing: str, done: int, total: int, name: str) -> None:
        if sys.stderr.isatty():
            on_image(doing, done, total, name)
        elif done == total:
            note(f"{doing}: {total}")

    return photos if what is None else steps


def _write(folder: Path, adapted: Adapted, about: dict[str, Any], as_json: bool) -> None:
    """The folder comes into being whole: made beside its place, then renamed."""
    from resharp.adapt.report import decision_line, finite, markdown
    from resharp.files import write_text

    report = finite({**about, **adapted.report})
    text = json.dumps(report, indent=2, allow_nan=False)
    make_folder(folder.parent)
    try:
        temporary = Path(tempfile.mkdtemp(prefix=".resharp-", dir=folder.parent))
    except OSError as error:
        raise OutputError(f"{folder}: cannot write here ({error.strerror}); choose another place") from error
    try:
        write_text(temporary / f"{REPORT}.json", text + "\n")
        write_text(temporary / f"{REPORT}.md", markdown(report))
        if adapted.accepted:
            adapted.pipeline.save_pretrained(temporary)
        temporary.chmod(0o755)
        with suppress(FileNotFoundError):
            folder.rmdir()  # empty: it was looked at before the work began
        temporary.rename(folder)
    except OSError as error:
        raise OutputError(f"{folder}: cannot write it ({error.strerror or error})") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    say(text if as_json else markdown(report))
    if adapted.accepted:
        note(f"{decision_line(report)}; use it: resharp deblur photo.jpg --model {folder}")
    else:
        complain(f"{decision_line(report)}; no model is written, the report is {folder / f'{REPORT}.md'}")
