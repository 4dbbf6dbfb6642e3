"""`resharp analyze cost`: parameters, multiply-accumulates, seconds and memory of every network."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from resharp import __version__
from resharp.cli.console import note, say
from resharp.cli.options import DebugOption, DeviceOption, JsonOption, pick_device
from resharp.cli.places import check_folder, make_folder
from resharp.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from resharp.analysis.cost import Row, Subject, Timings
    from resharp.analysis.cost_count import Size

DEFAULT_SIZES = ("256x256", "1280x720")
# With less of its core than this, a row's seconds say more about the other programs.
BUSY = 0.9


def cost(
    sizes: Annotated[
        str | None,
        typer.Option(metavar="NAME,...", help="Named sizes, shipped models or model folders; default: all of them."),
    ] = None,
    size: Annotated[
        list[str] | None,
        typer.Option(metavar="WxH", help="Of the picture, several times for several; default: 256x256, 1280x720."),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Denoising steps of an image; default: the model's own, 50 for a named size.")
    ] = None,
    no_time: Annotated[bool, typer.Option("--no-time", help="Count only: neither seconds nor memory.")] = False,
    repeats: Annotated[int, typer.Option(min=1, help="Timings of each part; the median counts.")] = 3,
    limit: Annotated[float, typer.Option(metavar="S", help="Give up a row after so many seconds.")] = 180.0,
    threads: Annotated[int | None, typer.Option(min=1, help="Of a CPU; default: its cores.")] = None,
    device: DeviceOption = "auto",
    out: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Write cost.csv, .json, .md, .tex and the figure.")
    ] = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Count parameters and MACs of every network, guidance apart, and time one step and one image.

    Each row is timed in a process of its own, so that its peak memory is its own.
    """
    pictures = [_picture(text) for text in dict.fromkeys(size or DEFAULT_SIZES)]
    if not limit > 0:
        raise ConfigError(f"--limit is {limit:g}; it must be above 0")
    folder = None if out is None else Path(out)
    if folder is not None:
        check_folder(folder)
    where = pick_device(device)

    from resharp.analysis.cost import count_rows, time_rows
    from resharp.analysis.cost_figure import check_matplotlib, draw_costs
    from resharp.analysis.cost_reference import compared
    from resharp.analysis.cost_table import latex, markdown, report, write_tables
    from resharp.progress import progress_after_a_second

    if folder is not None:
        check_matplotlib()
    rows = count_rows([_subject(name, steps) for name in _names(sizes)], pictures)
    how = None if no_time else _timings(where.type, threads, repeats, limit)
    if how is not None:
        with progress_after_a_second("measuring") as on_row:
            rows = time_rows(rows, how, on_row)
    differences = compared({(row.subject.name, row.size): row.count for row in rows})
    about = _about(how)
    text = markdown(rows, differences, _caption(rows, about))
    content = report(rows, differences, about)
    if folder is not None:
        make_folder(folder)
        write_tables(folder, text, content, latex(rows))
        drawn = draw_costs(folder, rows)
        note(f"written: {folder / 'cost.md'}, .csv, .json, .tex, {', '.join(path.suffix for path in drawn)}")
    say(json.dumps(content, indent=1, allow_nan=False) if as_json else text)


def _picture(text: str) -> Size:
    from resharp.analysis.cost_count import Size

    found = re.fullmatch(r"(\d{1,9})[x×](\d{1,9})", text)
    if found is None:
        raise ConfigError(f"--size {text}: expected WIDTHxHEIGHT in px, such as 1280x720")
    return Size(int(found[1]), int(found[2]))


def _names(asked: str | None) -> list[str]:
    """Those asked for, each once; by default every named size, and the shipped default where there is one."""
    from resharp.hub import SHIPPED_NAMES, shipped_models
    from resharp.models.sizes import SIZES

    if asked is None:
        return [*SIZES, *(name for name in SHIPPED_NAMES[:1] if name in shipped_models())]
    return list(dict.fromkeys(name.strip() for name in asked.split(",")))


def _subject(name: str, steps: int | None) -> Subject:
    from resharp.analysis.cost import named_size, saved_model
    from resharp.hub import locate_model
    from resharp.models.sizes import SIZES

    if name in SIZES:
        return named_size(name, steps)
    try:
        return saved_model(name, locate_model(name), steps)
    except ModelError as error:
        raise ModelError(f"{error}; named sizes: {', '.join(SIZES)}") from error


def _timings(device: str, threads: int | None, repeats: int, limit_s: float) -> Timings:
    from resharp.analysis.cost import Timings, free_bytes
    from resharp.bench.spec import usable_cores

    return Timings(device, threads or usable_cores(), repeats, limit_s, free_bytes(device))


def _about(how: Timings | None) -> dict[str, Any]:
    """How it was made; the load before tells whether something else was running."""
    import torch

    about: dict[str, Any] = {"resharp": __version__, "torch": torch.__version__, "command": sys.argv}
    if how is None:
        return {**about, "timed": False}
    name = torch.cuda.get_device_name() if how.device == "cuda" else how.device
    about |= {"timed": True, "device": name, "threads": how.threads, "cores": os.cpu_count(), "precision": "float32"}
    if hasattr(os, "getloadavg"):  # not on Windows
        about["load_before"] = round(os.getloadavg()[0], 2)
    about |= {"repeats": how.repeats, "limit_s": how.limit_s, "free_bytes": how.free_bytes}
    return about


def _caption(rows: list[Row], about: dict[str, Any]) -> list[str]:
    lines = [
        "M: millions of parameters. MAC: multiply-accumulates of convolutions and dense layers, half of what torch's "
        "counter calls FLOP. Guidance and predictor run once an image, a step as often as the last column says."
    ]
    if not about["timed"]:
        return lines
    load = f", load {about['load_before']} before" if "load_before" in about else ""
    lines.append(
        f"{about['device']}, {about['threads']} of {about['cores']} cores{load}, {about['precision']}, torch "
        f"{about['torch']}. Seconds: median of up to {about['repeats']} runs; an image is the sum of its parts."
    )
    if about["device"] == "cpu":
        lines.append(
            "GB: the most the process held in main memory during a part, interpreter, torch and weights in it."
        )
    else:
        lines.append("GB: the most that tensors held on the device during a part.")
    shares = [row.timing.cpu_share for row in rows if row.timing is not None and row.timing.cpu_share is not None]
    if about["threads"] == 1 and min(shares, default=1.0) < BUSY:
        lines.append(f"Other programs were running: rows had {min(shares):.0%} to {max(shares):.0%} of their core.")
    missing = sum(row.timing is None for row in rows)
    return lines + ([f"{missing} of {len(rows)} rows were not run; the table says why."] if missing else [])
