"""`resharp bench deblur`: seconds, share of the matrix rate and memory, by model, sampler and steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from resharp.cli.bench_report import (
    OutOption,
    OverwriteOption,
    check_out,
    load_words,
    machine_facts,
    measured_rows,
    print_table,
    report,
    without_command,
)
from resharp.cli.console import say
from resharp.cli.options import DebugOption, DeviceOption, JsonOption, pick_device

if TYPE_CHECKING:
    from rich.table import Table

    from resharp.bench.restoring_spec import RestoringSpec

# Minutes to hours a row on a CPU: there they are measured only when named.
LARGE = ("icdpm-l", "msgd-l")
MODULE = "resharp.bench.restoring"


def deblur(
    sizes: Annotated[
        list[str] | None,
        typer.Option(
            "--size",
            metavar="NAME",
            help="default, or a named size, may be given several times; all, on a CPU without the large.",
        ),
    ] = None,
    samplers: Annotated[
        list[str] | None, typer.Option("--sampler", metavar="NAME", help="May be given several times; default: dpm++.")
    ] = None,
    steps: Annotated[
        list[int] | None, typer.Option(min=1, help="Steps, may be given several times; default: 2.")
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="Samples of the diffusion.")] = 1,
    width: Annotated[int, typer.Option(help="Of the photo, px.")] = 1280,
    height: Annotated[int, typer.Option(help="Of the photo, px.")] = 720,
    repeats: Annotated[int, typer.Option(min=1, help="Times each is measured; the median counts.")] = 3,
    memory: Annotated[str | None, typer.Option(metavar="SIZE", help="As for deblur.")] = None,
    backends: Annotated[
        list[str] | None,
        typer.Option(
            "--backend",
            metavar="torch|onnx|openvino",
            help="May be given several times; default: torch, which runs all sizes.",
        ),
    ] = None,
    device: DeviceOption = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="Threads; default: the cores.")] = None,
    out: OutOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Measure restoring a photo, file to file: seconds, against what the machine's matrix products allow, memory."""
    check_out(out, overwrite=overwrite)
    from resharp.bench.restoring_spec import SHIPPED, RestoringSpec, has_predictor
    from resharp.bench.spec import usable_cores
    from resharp.models.sizes import SIZES

    where = pick_device(device).type
    names = list(dict.fromkeys(sizes or [SHIPPED, *(n for n in SIZES if where != "cpu" or n not in LARGE)]))
    common = {"samples": samples, "width": width, "height": height, "repeats": repeats, "memory": memory}
    common |= {"device": where, "threads": threads or usable_cores()}
    specs = []
    ways = [(name, backend) for backend in dict.fromkeys(backends or ["torch"]) for name in names]
    for name, backend in ways:
        if backend != "torch" and not sizes and name != SHIPPED:
            continue  # of what nobody named, those with graphs
        each = common | {"backend": backend}
        specs += [RestoringSpec(name, **each)] * has_predictor(name)
        for sampler in samplers or ["dpm++"]:
            specs += [RestoringSpec(name, "diffusion", sampler, count, **each) for count in steps or [2]]
    report(_measured(specs), out, as_json, _print)


def _measured(specs: Sequence[RestoringSpec]) -> dict[str, Any]:
    """The figures of each, what could not be measured, and what they depend on."""
    from dataclasses import asdict

    from resharp.bench.launch import launched

    facts = {**machine_facts(), "threads": specs[0].threads}
    rows, failed = measured_rows(specs, lambda spec: launched(spec, MODULE))
    for environment in [row.pop("environment") for row in rows]:
        facts = {**without_command(environment), **facts}
    return {"environment": facts, "rows": rows, "failed": [asdict(spec) | {"reason": why} for spec, why in failed]}


def _print(found: Mapping[str, Any]) -> None:
    facts = found["environment"]
    threads = f"{facts['threads']} threads of {facts['cores']} cores"
    say(f"{facts['device']}, {threads}{load_words(facts)}; torch {facts['torch']}")
    print_table(_table(found["rows"]))
    say("share: of the rate of matrix products, measured in the same run, file to file and of the networks alone")
    say("processor: processor time over wall time and threads; below 100 % other programs took part of it")


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("model", no_wrap=True)
    table.add_column("run by", no_wrap=True)
    table.add_column("made by", no_wrap=True)
    for name in ("px", "file s", "networks s", "GMAC", "products GFLOP/s", "share", "networks", "processor", "peak GB"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        way = f"{row['steps']} of {row['sampler']}, {row['samples']} samples" if row["sampler"] else "predictor"
        table.add_row(
            row["size"],
            row["backend"],
            way,
            f"{row['width']}x{row['height']}",
            f"{row['seconds']:.3g}",
            "-" if row["restore_s"] is None else f"{row['restore_s']:.3g}",
            f"{row['multiply_adds'] / 1e9:.3g}",
            f"{row['matrix_rate_flops'] / 1e9:,.0f}",
            f"{100 * row['share_of_matrix_rate']:.0f} %",
            "-" if row["restore_share"] is None else f"{100 * row['restore_share']:.0f} %",
            "-" if row["processor_share"] is None else f"{100 * row['processor_share']:.0f} %",
            f"{row['peak_memory_bytes'] / 1e9:.2f}",
        )
    return table
