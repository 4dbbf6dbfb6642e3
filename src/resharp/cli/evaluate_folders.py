"""`resharp evaluate`: score any method's pictures against the sharp photos, or restore a test set and score it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from resharp.cli.each_image import image_progress
from resharp.cli.evaluate_report import Setup, check_places, report
from resharp.cli.options import PARTS, DebugOption, DeviceOption, JsonOption, check_part
from resharp.cli.places import make_folder
from resharp.errors import ConfigError

KINDS = "gopro|hide|realblur-j|realblur-r|reds|pairs"


def evaluate(
    restored: Annotated[
        str | None, typer.Argument(metavar="RESTORED", help="A folder of any method's pictures; or give --data.")
    ] = None,
    sharp: Annotated[str | None, typer.Argument(metavar="SHARP", help="The sharp photos, by the same names.")] = None,
    data: Annotated[
        str | None, typer.Option(metavar=f"{KINDS}:PATH", help="A test set, whose blurry photos are restored.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", metavar="MODEL", help="With --data: a model's name, folder or Hub id; repeatable."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="What to call the method; default: the folder's name.")] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option(
            "--peer",
            metavar="NAME=FOLDER|folder:DIR|spandrel:CHECKPOINT",
            help="Another method's pictures, or with --data a network that spandrel runs; repeatable.",
        ),
    ] = None,
    peer_python: Annotated[
        str | None, typer.Option(metavar="PATH", help="The python of an environment that has spandrel.")
    ] = None,
    split: Annotated[str | None, typer.Option(metavar="test|val|train|all", help="Of the test set.")] = None,
    limit: Annotated[int | None, typer.Option(metavar="N", help="The first N photos of the test set.")] = None,
    steps: Annotated[int | None, typer.Option(help="Denoising steps; default: the model's.")] = None,
    samples: Annotated[int | None, typer.Option(help="Samples to average; default: the model's.")] = None,
    sampler: Annotated[str | None, typer.Option(metavar="dpm++|ddim|ddpm|unipc", help="Default: the model's.")] = None,
    part: Annotated[
        str | None, typer.Option(metavar="|".join(PARTS), help="Which part of the model makes the pictures.")
    ] = None,
    metrics: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="Which figures; default: psnr,ssim,lpips-alex,niqe.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Networks' weights; see tools/metrics_weights.py.")
    ] = None,
    published: Annotated[
        str | None, typer.Option(metavar="SET", help="Print what was published on gopro, hide, realblur-j or reds.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap, and of the diffusion's noise.")] = 0,
    out: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Write evaluate.csv, .md, .tex and .json; stopped, go on.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Score pictures against the sharp photos: any method's folder, or models and peers on a test set.

    Photos belong together by name, apart from the suffix and _blur, _sharp or .deblurred at the end.
    """
    check_part(part)
    of_sets = {"--model": model, "--split": split, "--limit": limit, "--steps": steps, "--samples": samples}
    of_sets |= {"--sampler": sampler, "--part": part, "--peer-python": peer_python}
    folder = None if out is None else Path(out)
    _check_options(data, restored, sharp, {"--name": name, "--published": published}, of_sets)
    check_places(folder, overwrite)
    setup = Setup(folder, metrics, None if weights is None else Path(weights), seed, as_json)
    if data is None:
        _folders(setup, _methods(name, str(restored), peer or []), str(sharp), published)
        return
    if folder is None:
        raise ConfigError("restored pictures need a place; give --out FOLDER")
    settings = {"steps": steps, "samples": samples, "sampler": sampler, "output": part}
    _set(setup, folder, data, split, limit, (model, peer, peer_python, settings, seed, device))


def _check_options(
    data: str | None, restored: str | None, sharp: str | None, of_folders: dict[str, Any], of_sets: dict[str, Any]
) -> None:
    """Refuse options that do not go together."""
    wrong = [option for option, value in (of_sets if data is None else of_folders).items() if value]
    if data is None and (restored is None or sharp is None):
        raise ConfigError(f"nothing to evaluate; give RESTORED and SHARP, or --data {KINDS}:PATH")
    if data is None and wrong:
        raise ConfigError(f"{wrong[0]} is for test sets; give --data, and RESTORED as --peer folder:RESTORED")
    if data is not None and restored is not None:
        raise ConfigError("--data brings its own sharp photos; give RESTORED as --peer folder:RESTORED")
    if data is not None and wrong:
        raise ConfigError(f"{wrong[0]} is for RESTORED and SHARP; leave it out, or leave out --data")


def _folders(setup: Setup, methods: dict[str, str], sharp: str, published: str | None) -> None:
    from resharp.evaluate.published_figures import SETS, published_on
    from resharp.evaluate.trios import find_trios

    if published is not None and published not in SETS:
        raise ConfigError(f"--published {published}: nothing is known; choose from {', '.join(SETS)}")
    metrics = setup.metrics()
    trios = {method: find_trios(place, sharp, None) for method, place in methods.items()}
    rows = [] if published is None else published_on(published)
    about = {"sharp": sharp, "methods": methods}
    with image_progress() as on_image:
        report(setup, metrics, trios, about, rows, [], on_image)


def _set(setup: Setup, folder: Path, data: str, split: str | None, limit: int | None, asked: tuple[Any, ...]) -> None:
    from resharp.cli.evaluate_set import Asked, restore_methods
    from resharp.evaluate.photo_sets import open_photo_set
    from resharp.evaluate.published_figures import SETS, published_on

    models, peers, *others = asked
    photo_set = open_photo_set(data, split, limit)
    metrics = setup.metrics(realblur=photo_set.kind.startswith("realblur"))
    make_folder(folder)
    sources = models or ([] if peers else ["default"])
    rows, remarks = [], []
    if photo_set.kind in SETS and photo_set.complete:
        rows = published_on(photo_set.kind)
    elif photo_set.official is not None:
        remarks.append(
            f"{photo_set.title} has {photo_set.official} official test images and {len(photo_set.photos)} are measured "
            "here, so published figures are not printed beside them"
        )
    about: dict[str, Any] = {"data": data, "layout": photo_set.layout, "split": photo_set.split}
    with image_progress() as on_image:
        trios, made = restore_methods(Asked(sources, peers or [], *others), photo_set, folder, on_image)
        report(setup, metrics, trios, {**about, "methods": made}, rows, remarks, on_image)


def _methods(name: str | None, restored: str, peers: list[str]) -> dict[str, str]:
    """Folders by method, the first one ours."""
    from resharp.evaluate.peers import FolderPeer, peers_of

    found = {name or Path(restored).resolve().name: restored}
    for word, peer in zip(peers, peers_of(peers, None), strict=True):
        if not isinstance(peer, FolderPeer):
            raise ConfigError(f"--peer {word}: a network needs blurry photos; give --data")
        if peer.name in found:
            raise ConfigError(f"--peer {word}: there is a method {peer.name} already; choose another name")
        found[peer.name] = str(peer.folder)
    return found
