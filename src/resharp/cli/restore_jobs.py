"""What `resharp deblur` does with its photos: one after the other, each told, a failure not stopping the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from resharp.cli.console import complain, describe, note, report_error, say
from resharp.errors import ResharpError

if TYPE_CHECKING:
    from resharp.cli.plan import Job
    from resharp.engines.orders import Orders
    from resharp.picture import Result
    from resharp.pipeline import DeblurPipeline
    from resharp.receipt import Origin
    from resharp.runtime.pipeline import GraphPipeline

_MADE_BY = {
    "predictor": "made by the initial predictor, this model's default; --part diffusion draws samples",
    "input": "this model passes photos through unchanged: no part of it has been shown to help; see --part",
}


def restore_all(
    pipeline: DeblurPipeline | GraphPipeline | None,
    jobs: Sequence[Job],
    orders: Orders,
    origin: Origin | None,
    spread: Path | None,
    *,
    quiet: bool,
    debug: bool,
) -> list[Result]:
    """Restore one after the other; a failure is told and does not stop the rest."""
    from resharp.progress import progress_after_a_second

    results: list[Result] = []
    settings = orders.settings
    doing = "restoring" if pipeline is not None and not pipeline.task.deblurs else "deblurring"
    told = settings["output"] is not None
    if pipeline is not None and not pipeline.task.deblurs:
        note(f"this model restores {pipeline.task.words}; motion blur is not looked for, and nothing is held back")
        told = True
    chosen = any(settings[name] is not None for name in ("quality", "fidelity", "ensemble"))
    for i, job in enumerate(jobs, start=1):
        try:
            # File names stay out of the bar: brackets in them would be read as its markup.
            with progress_after_a_second(f"{doing} {i} of {len(jobs)}") as on_step:
                result = _restore_one(pipeline, job, orders, origin, spread, on_step)
        except Exception as error:
            results.append(failed(str(job.source), error, debug))
            continue
        results.append(result)
        if result.skipped:
            continue
        if not quiet:
            size = f"{result.width}x{result.height}, {result.seconds:.1f} s"
            say(f"{job.source} -> {job.target} ({size})")
            if result.spread_maximum is not None:
                say(f"{spread}: spread over {result.samples} samples; white is {result.spread_maximum:.4f} of 1")
            if result.dropped:
                note(f"{job.source}: left out of the result: {', '.join(result.dropped)}")
            if result.remark is not None:
                note(f"{job.source}: {result.remark}")
        if not told and (
            (result.part == "input" and result.remark is None) or (result.part == "predictor" and not chosen)
        ):
            note(_MADE_BY[result.part])
        told = True
    return results


def _restore_one(
    pipeline: DeblurPipeline | GraphPipeline | None,
    job: Job,
    orders: Orders,
    origin: Origin | None,
    spread: Path | None,
    on_step: Callable[[int, int], None],
) -> Result:
    from resharp.engines.orders import already_done
    from resharp.picture import Result, restore_file

    if already_done(pipeline, origin, job.source, job.target, orders, str(job.target)):
        return Result(str(job.source), str(job.target), skipped=True)
    return restore_file(
        pipeline,
        job.source,
        job.target,
        dict(orders.settings),
        spread=spread,
        origin=origin,
        guard=orders.guard,
        strip_gps=orders.strip_gps,
        on_step=on_step,
    )


def failed(source: str, error: Exception, debug: bool) -> Result:
    """Tell the user, and keep it for the summary."""
    from resharp.picture import Result

    if isinstance(error, ResharpError):
        report_error(error, debug=debug)
    else:  # the line does not name the file by itself
        if debug:
            report_error(error, debug=True)
        complain(f"{source}: {describe(error)}")
    return Result(source, error=describe(error))
