"""`resharp deblur` of videos: where each goes, and what is told of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from resharp.cli.console import note, say
from resharp.cli.places import check_folder
from resharp.cli.restore_jobs import failed
from resharp.data.frames import VIDEO_SUFFIXES
from resharp.engines.orders import Orders, already_done
from resharp.errors import ConfigError, DataError, OutputError
from resharp.images.formats import RESULT_MARK
from resharp.picture import Result
from resharp.pipeline import DeblurPipeline
from resharp.progress import progress_after_a_second
from resharp.receipt import Origin
from resharp.video.clip import is_video
from resharp.video.done import is_clip_done
from resharp.video.restoring import restore_clip


def plan_videos(inputs: Sequence[str], output: str | None) -> list[tuple[Path, Path]]:
    """Each video, once, and its target; nothing is made or written.

    Raises:
        ConfigError: photos or folders among them.
        OutputError: a target that is an input or another's target, that is no video's name, or that cannot be written.
    """
    other = next((given for given in inputs if not is_video(given)), None)
    if other is not None:
        raise ConfigError(f"{other}: is no video; restore videos by themselves, and photos and folders too")
    sources = [Path(given) for given in dict.fromkeys(inputs)]
    jobs: list[tuple[Path, Path]] = []
    for source in sources:
        name = f"{source.stem}{RESULT_MARK}{source.suffix}"
        if output is None:
            target = source.with_name(name)
        elif len(sources) > 1 or os.path.isdir(output) or output.endswith(("/", os.sep)) or not Path(output).suffix:
            target = Path(output) / name
        else:
            target = Path(output)
        if target.suffix.lower() not in VIDEO_SUFFIXES:
            raise OutputError(f"{target}: is no video's name; end it in {source.suffix}, .mp4 or .mkv")
        if any(target.resolve() == each.resolve() for each in sources):
            raise OutputError(f"{target}: is an input, which is never overwritten; choose another place")
        if any(target == taken for _, taken in jobs):
            raise OutputError(f"{target}: two videos would go here; restore them one by one")
        check_folder(target.parent)
        jobs.append((source, target))
    return jobs


def deblur_videos(
    pipeline: DeblurPipeline,
    jobs: Sequence[tuple[Path, Path]],
    orders: Orders,
    origin: Origin | None,
    crf: int | None,
    *,
    quiet: bool,
    debug: bool,
) -> list[Result]:
    """Restore one after the other; a failure is told and does not stop the rest."""
    results: list[Result] = []
    for i, (source, target) in enumerate(jobs, start=1):
        try:
            if not source.exists():
                raise DataError(f"{source}: no such file; check the name")
            if already_done(pipeline, origin, source, target, orders, str(target), partial(is_clip_done, crf=crf)):
                results.append(Result(str(source), str(target), skipped=True))
                continue
            with progress_after_a_second(f"deblurring video {i} of {len(jobs)}") as on_step:
                result = restore_clip(
                    pipeline,
                    source,
                    target,
                    dict(orders.settings),
                    guarded=orders.guard,
                    crf=crf,
                    strip_gps=orders.strip_gps,
                    origin=origin,
                    on_step=on_step,
                )
        except Exception as error:
            results.append(failed(str(source), error, debug))
            continue
        results.append(result)
        if not quiet:
            size = f"{result.frames} frames of {result.width}x{result.height}, {result.seconds:.1f} s"
            say(f"{source} -> {target} ({size})")
            if result.dropped:
                note(f"{source}: left out of the result: {', '.join(result.dropped)}")
            if result.remark is not None:
                note(f"{source}: {result.remark}")
    return results
