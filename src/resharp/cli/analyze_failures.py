"""`resharp analyze failures`: the worst images of any method, and what they have in common."""

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
from resharp.cli.options import DebugOption, DeviceOption, JsonOption, pick_device
from resharp.cli.places import check_file, check_folder, make_folder
from resharp.errors import ConfigError

NAME = "failures"


def failures(
    restored: Annotated[str, typer.Argument(metavar="RESTORED", help="A folder of any method's pictures.")],
    sharp: Annotated[str, typer.Argument(metavar="SHARP", help="The sharp photos, by the same names.")],
    out: Annotated[str, typer.Option(metavar="FOLDER", help="Write failures.png, .md, .csv and .json here.")],
    blurry: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="The blurry photos; for gains, blur and noise.")
    ] = None,
    scores: Annotated[
        str | None, typer.Option("--csv", metavar="FILE", help="Scores of each image, in place of measuring them.")
    ] = None,
    lpips_weights: Annotated[
        str | None, typer.Option(metavar="FILE", help="AlexNet weights; without them there is no LPIPS.")
    ] = None,
    worst: Annotated[int, typer.Option(min=1, metavar="N", help="How many images to show for each metric.")] = 3,
    crop: Annotated[
        int | None, typer.Option(min=16, metavar="PX", help="Show the window with the largest error only.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Show the worst images by each metric with their darkness, saturation and blur, on a contact sheet.

    The table has rank correlations of each metric with each condition over all images.
    """
    folder = Path(out)
    check_folder(folder)
    for suffix in (".png", ".md", ".csv", ".json"):
        check_file(folder / (NAME + suffix), overwrite=overwrite)
    if scores is not None and lpips_weights is not None:
        raise ConfigError("--csv brings its own scores; leave --lpips-weights out")
    where = pick_device(device)

    from resharp.analysis import failures as found_by
    from resharp.analysis.failure_sheet import write_failures
    from resharp.analysis.failure_table import caption, failure_rows, failures_table, ranks_of
    from resharp.evaluate.tables import write_csv
    from resharp.evaluate.trios import find_trios
    from resharp.files import write_text
    from resharp.metrics.lpips import load_lpips

    trios = find_trios(restored, sharp, blurry)
    given = None if scores is None else found_by.read_scores(scores, [trio.name for trio in trios])
    lpips = None if lpips_weights is None else load_lpips(lpips_weights).to(where)
    with image_progress() as on_image:
        images = found_by.judge(trios, lpips, given, on_image)
    ranked = found_by.worst(images, worst)
    correlations = found_by.correlations(images, seed)
    table = failures_table(images, ranked, correlations)
    rows = failure_rows(images, ranked)
    about: dict[str, Any] = {"resharp": __version__, "command": shlex.join(["resharp", *sys.argv[1:]])}
    about |= {"restored": restored, "sharp": sharp, "blurry": blurry, "csv": scores, "seed": seed}
    about |= {"worst": ranked, "images": rows, "correlations": [asdict(each) for each in correlations]}
    report = json.dumps(about, indent=2, allow_nan=False)
    by = {image.name: (trio, image) for trio, image in zip(trios, images, strict=True)}
    shown = ranks_of(ranked)
    make_folder(folder)
    captions = [caption(by[name][1], ranks) for name, ranks in shown.items()]
    write_failures(folder / f"{NAME}.png", [by[name][0] for name in shown], captions, crop)
    write_csv(folder / f"{NAME}.csv", [tuple(row.values()) for row in rows], list(rows[0]))
    write_text(folder / f"{NAME}.md", table)
    write_text(folder / f"{NAME}.json", report + "\n")
    note(f"written: {folder / NAME}.png, .md, .csv, .json")
    say(report if as_json else table.rstrip())
