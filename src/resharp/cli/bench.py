"""`resharp bench ...`: how fast this machine is at what resharp asks of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from resharp.cli.bench_backends import backends
from resharp.cli.bench_deblur import LARGE, deblur
from resharp.cli.bench_growth import growth
from resharp.cli.bench_peers import peers
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
from resharp.cli.options import DebugOption, JsonOption, pick_device
from resharp.errors import ConfigError

if TYPE_CHECKING:
    import torch
    from rich.table import Table

    from resharp.bench.spec import Spec

bench = typer.Typer(name="bench", help="Measure how fast this machine is.", no_args_is_help=True)


bench.command()(backends)
bench.command()(peers)
bench.command()(deblur)
bench.command()(growth)


@bench.command()
def train(
    sizes: Annotated[
        list[str] | None,
        typer.Option(
            "--size",
            metavar="NAME",
            help="A named size, may be given several times; default: all, on a CPU all but the large ones.",
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Crops a step of each process.")] = 8,
    crop_px: Annotated[int, typer.Option(help="Side of a crop.")] = 128,
    steps: Annotated[int, typer.Option(min=1, help="Timed steps with data, and as many without.")] = 10,
    processes: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            help="Processes that train together, may be given several times; default: 1 and 2, on"
            " GPUs 1 and all of them.",
        ),
    ] = None,
    device: Annotated[
        str, typer.Option("--device", metavar="auto|cpu|cuda|mps", help="Where to compute; auto takes a GPU if any.")
    ] = "auto",
    workers: Annotated[int, typer.Option(min=0, help="Helpers of each process that prepare batches.")] = 1,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1, help="Threads of each process; default: the cores, shared by the most processes asked for."
        ),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(metavar="PLACE", help="Photos to train on, as for `resharp train`; default: made up in memory."),
    ] = None,
    out: OutOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Measure training: crops a second, against what the machine's matrix products allow, and with real data."""
    check_out(out, overwrite=overwrite)
    from resharp.bench.spec import Spec, usable_cores

    where = pick_device(device)
    counts = _process_counts(where, processes)
    threads = threads or max(1, usable_cores() // max(counts))
    # All are made before the first is measured, so that a wrong one is refused at once.
    specs = [
        Spec(name, count, batch_size, crop_px, steps, where.type, workers, threads, tuple(data or ()))
        for name in _size_names(where, sizes)
        for count in counts
    ]
    report(_measured(specs), out, as_json, _print)


def _size_names(device: torch.device, names: Sequence[str] | None) -> list[str]:
    """The sizes asked for, each once."""
    from resharp.models.sizes import SIZES

    if names:
        return list(dict.fromkeys(names))
    return [name for name in SIZES if device.type != "cpu" or name not in LARGE]


def _process_counts(device: torch.device, counts: Sequence[int] | None) -> list[int]:
    """The numbers of processes asked for, ascending.

    Raises:
        ConfigError: more than there are GPUs.
    """
    import torch

    most = {"cpu": None, "cuda": torch.cuda.device_count(), "mps": 1}[device.type]
    if not counts:
        return [1, 2] if most is None else sorted({1, most})
    if most is not None and max(counts) > most:
        raise ConfigError(f"--processes {max(counts)}: each needs a GPU, and there are {most}; or take --device cpu")
    return sorted(set(counts))


def _measured(specs: Sequence[Spec]) -> dict[str, Any]:
    """All rows, what could not be measured, and what they depend on."""
    from dataclasses import asdict

    from resharp.bench.figures import compared
    from resharp.bench.launch import launched

    facts = machine_facts()
    rows, lost = measured_rows(specs, lambda spec: launched(spec))
    failed = [{"size": spec.size, "processes": spec.processes, "reason": reason} for spec, reason in lost]
    for environment in [row.pop("environment") for row in rows][:1]:
        facts |= without_command(environment)
    settings = asdict(specs[0])
    settings["data"] = rows[0]["data"] if rows else None
    for name in ("size", "processes"):  # of each row
        settings.pop(name)
    return {"environment": facts, "settings": settings, "rows": compared(rows), "failed": failed}


def _print(found: Mapping[str, Any]) -> None:
    facts, settings = found["environment"], found["settings"]
    load, versions = load_words(facts), f"torch {facts['torch']}, resharp {facts['resharp']}"
    say(f"{facts['device']}, {facts['cores']} cores{load}; {versions}")
    say(
        f"{settings['batch_size']} crops of {settings['crop_px']} px a step and process, {settings['threads']} threads "
        f"and {settings['workers']} workers a process; {settings['data']}"
    )
    print_table(_table(found["rows"]))
    say("share: of the rate of matrix products, measured in the same run; data ratio: step with data / without")


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("size", no_wrap=True)
    for name in (
        *("processes", "step s", "crops/s", "x one", "with data", "data ratio"),
        *("GFLOP/crop", "products GFLOP/s", "share", "peak GB"),
    ):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        once = row["times_one_process"]
        table.add_row(
            row["size"],
            str(row["processes"]),
            f"{row['step_s']:.3g}",
            f"{row['crops_per_s']:.3g}",
            "-" if once is None else f"{once:.2f}",
            f"{row['crops_per_s_with_data']:.3g}",
            f"{row['data_ratio']:.2f}",
            f"{row['flops_per_crop'] / 1e9:.3g}",
            f"{row['matrix_rate_flops'] / 1e9:,.0f}",
            f"{100 * row['share_of_matrix_rate']:.0f} %",
            f"{row['peak_memory_bytes'] / 1e9:.2f}",
        )
    return table
