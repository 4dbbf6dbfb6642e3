"""`resharp deblur` over places beyond this disk, over Parquet, or with Ray."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from resharp.cli.console import complain, note, say
from resharp.cli.scale import Outcome, Scale
from resharp.engines.orders import Orders
from resharp.engines.ray_data import run_ray
from resharp.engines.run import Done, folders_of, run_here
from resharp.engines.stores import sweep
from resharp.engines.tasks import Columns, plan_tasks
from resharp.engines.worker import Worker
from resharp.errors import ConfigError
from resharp.picture import Result
from resharp.pipeline import DeblurPipeline
from resharp.progress import progress_after_a_second
from resharp.provenance import origin_of
from resharp.receipt import Origin


def deblur_many(
    inputs: Sequence[str],
    output: str | None,
    model: str | None,
    load: Callable[[str], DeblurPipeline],
    device: str,
    orders: Orders,
    scale: Scale,
    *,
    receipts: bool,
    quiet: bool,
) -> Outcome:
    """Do it all, in any order.

    Args:
        load: gives the pipeline on a device; it is called here once, to find mistakes, and once in each worker.

    Raises:
        ConfigError: options that do not go together, or Ray is missing.
        OutputError: two results in one place.
        ModelError: the model is not there.
    """
    ray = scale.engine == "ray"
    _check(inputs, output, orders, scale, receipts)
    load("cpu" if ray else device)
    origin = origin_of(model) if receipts else None
    tasks, failures = plan_tasks(inputs, output, Columns(scale.image_column, scale.name_column))
    outcome = Outcome.of([Result(given, error=str(error)) for given, error in failures])
    token = secrets.token_hex(4)
    make = partial(Worker, partial(_loaded, load, device, origin), orders, token)
    _tell(outcome.results, quiet)
    try:
        with progress_after_a_second("deblurring") as on_step:
            run = run_ray(tasks, make, workers=scale.workers, device=device) if ray else run_here(tasks, make)
            for done, found in enumerate(_closing(run), start=1):
                on_step(done, len(tasks))
                _tell(found[1], quiet)
                for result in found[1]:
                    outcome.add(result, keep=quiet)
    finally:
        sweep(folders_of(tasks), token)
    return outcome


def _closing(run: Iterator[Done]) -> Iterator[Done]:
    """So that Ray ends before what its workers left is removed, on Ctrl-C too."""
    try:
        yield from run
    finally:
        run.close()  # type: ignore[attr-defined]


def _loaded(load: Callable[[str], DeblurPipeline], device: str, origin: Origin | None) -> tuple[Any, Origin | None]:
    return load(device), origin


def _check(inputs: Sequence[str], output: str | None, orders: Orders, scale: Scale, receipts: bool) -> None:
    if scale.engine == "ray" and not receipts and not orders.overwrite:
        raise ConfigError("with Ray, what is done already is known by receipts; leave out --no-receipt")
    in_memory = any(place.startswith("memory://") for place in (*inputs, output or ""))
    if scale.engine == "ray" and in_memory:
        raise ConfigError("memory:// is inside one process; with --engine ray give another place")


def _tell(results: Sequence[Result], quiet: bool) -> None:
    for result in results:
        if result.error is not None:
            complain(result.error if result.input in result.error else f"{result.input}: {result.error}")
        elif not quiet and not result.skipped:
            say(f"{result.input} -> {result.output} ({result.width}x{result.height}, {result.seconds:.1f} s)")
            if result.remark is not None:
                note(f"{result.input}: {result.remark}")
