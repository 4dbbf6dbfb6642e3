"""`resharp evaluate`: score any method's pictures against the sharp photos."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from resharp import __version__
from resharp.cli.console import note, say
from resharp.cli.each_image import image_progress
from resharp.cli.options import DebugOption, JsonOption
from resharp.cli.places import check_file, check_folder, make_folder
from resharp.errors import ConfigError

NAME = "evaluate"


def evaluate(
    restored: Annotated[str, typer.Argument(metavar="RESTORED", help="A folder of any method's pictures.")],
    sharp: Annotated[str, typer.Argument(metavar="SHARP", help="The sharp photos, by the same names.")],
    name: Annotated[str | None, typer.Option(help="What to call the method; default: the folder's name.")] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option("--peer", metavar="NAME=FOLDER", help="Another method's pictures; several times for several."),
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
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 0,
    out: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Write evaluate.csv, .md, .tex and .json; stopped, go on.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Score pictures against the sharp photos; no model is needed.

    Photos belong together by name, apart from the suffix and _blur, _sharp or .deblurred at the end.
    """
    folder = None if out is None else Path(out)
    if folder is not None:
        check_folder(folder)
        for suffix in (".csv", ".md", ".tex", ".json"):
            check_file(folder / (NAME + suffix), overwrite=overwrite)
    methods = _methods(name, restored, peer or [])

    from resharp.evaluate.folder_scores import evaluate_folder
    from resharp.evaluate.folder_table import image_rows, latex, markdown
    from resharp.evaluate.published_figures import SETS, published_on
    from resharp.evaluate.score_store import ScoreStore
    from resharp.evaluate.tables import write_csv
    from resharp.evaluate.trios import find_trios
    from resharp.files import write_text
    from resharp.metrics.catalogue import DEFAULT_METRICS, choose_metrics

    if published is not None and published not in SETS:
        raise ConfigError(f"--published {published}: nothing is known; choose from {', '.join(SETS)}")
    asked = DEFAULT_METRICS if metrics is None else tuple(word.strip() for word in metrics.split(","))
    chosen = choose_metrics(asked, None if weights is None else Path(weights))
    trios = {method: find_trios(place, sharp, None) for method, place in methods.items()}
    if folder is not None:
        make_folder(folder)
    store = ScoreStore(None if folder is None else folder / f"{NAME}.scores.jsonl")
    with image_progress() as on_image:
        results = {
            method: evaluate_folder(method, found, chosen, store, seed, on_image) for method, found in trios.items()
        }
    beside = [] if published is None else published_on(published)
    images = len(next(iter(trios.values())))
    table = markdown(chosen, results, images, beside)
    about: dict[str, Any] = {"resharp": __version__, "command": shlex.join(["resharp", *sys.argv[1:]])}
    about |= {"sharp": sharp, "methods": methods, "images": images, "seed": seed}
    about["protocols"] = {each.name: getattr(each, "protocol", None) for each in chosen}
    about["results"] = {method: [asdict(column) for column in columns] for method, columns in results.items()}
    about["published"] = [asdict(row) for row in beside]
    report = json.dumps(about, indent=2, allow_nan=False)
    if folder is not None:
        heading, rows = image_rows(chosen, results)
        write_csv(folder / f"{NAME}.csv", rows, heading)
        write_text(folder / f"{NAME}.md", table)
        write_text(folder / f"{NAME}.tex", latex(chosen, results, images, beside))
        write_text(folder / f"{NAME}.json", report + "\n")
        note(f"written: {folder / NAME}.csv, .md, .tex, .json")
    say(report if as_json else table.rstrip())


def _methods(name: str | None, restored: str, peers: list[str]) -> dict[str, str]:
    """Folders by method, the first one ours."""
    found = {name or Path(restored).resolve().name: restored}
    for peer in peers:
        called, sign, place = peer.partition("=")
        if not (called and sign and place):
            raise ConfigError(f"--peer {peer}: expected NAME=FOLDER")
        if called in found:
            raise ConfigError(f"--peer {peer}: there is a method {called} already; choose another name")
        found[called] = place
    return found
