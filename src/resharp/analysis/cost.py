"""What every network costs for a picture of each size: counted, and timed where that is possible."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from resharp.analysis.cost_count import Count, Size, calls, counted, for_image
from resharp.analysis.cost_time import Job, NotMeasured, Timing, timed
from resharp.diffusion.presets import Preset
from resharp.models.config import ModelConfig
from resharp.models.sizes import size
from resharp.serialization import load_model
from resharp.settings import to_dict

# What a process holds before a network runs, and how much more than its tensors a network needs: measured on a CPU
# with torch 2.13, see docs/cost.md. Meant to refuse what cannot work, so on the small side.
PROCESS_BYTES = 300 * 10**6
OVERHEAD = 1.2


@dataclass(frozen=True)
class Subject:
    """A network and how a picture is made with it.

    settings: decide how often each part runs for a picture.
    """

    name: str
    config: ModelConfig
    settings: Preset


@dataclass(frozen=True)
class Timings:
    """How to time; see `Job`."""

    device: str
    threads: int
    repeats: int
    limit_s: float
    free_bytes: int


@dataclass(frozen=True)
class Row:
    """One network and one picture.

    timing: None where nothing was timed, and `not_run` says why.
    """

    subject: Subject
    size: Size
    count: Count
    timing: Timing | None = None
    not_run: str = ""

    @property
    def image_macs(self) -> int:
        """Of a whole picture."""
        return round(for_image(self.count.macs, self.subject.settings))

    @property
    def image_bytes(self) -> int | None:
        """Peak memory of a whole picture: the most of the parts that run; None where that is not known."""
        if self.timing is None:
            return None
        times = calls(self.subject.settings, has_predictor="predictor" in self.count.macs)
        ran = [name for name in self.count.macs if times[name]]
        if self.timing.peak_bytes is None:
            return self.timing.most_bytes if len(ran) == len(self.count.macs) else None
        return max([self.timing.base_bytes, *(self.timing.peak_bytes[name] for name in ran)])

    @property
    def image_s(self) -> float | None:
        """Seconds of a whole picture: the sum of its parts, each as often as it runs; no files are read or written."""
        return None if self.timing is None else for_image(self.timing.seconds, self.subject.settings)


def named_size(name: str, steps: int | None = None) -> Subject:
    """A size of `SIZES`, which has no weights and no defaults: 50 steps an image.

    Args:
        steps: of the diffusion instead.

    Raises:
        ConfigError: no such size, or a number of steps that is not allowed.
    """
    return _subject(name, size(name), Preset(), steps)


def saved_model(name: str, folder: Path, steps: int | None = None) -> Subject:
    """A model in a folder, an image restored by its default settings.

    Args:
        name: for the table.
        steps: of the diffusion instead, which they ask for; a regression has none.

    Raises:
        ConfigError: a number of steps that is not allowed.
        ModelError: not a model.
    """
    model, _, defaults = load_model(folder)
    return _subject(name, model.config, defaults.preset(), steps)


def _subject(name: str, config: ModelConfig, settings: Preset, steps: int | None) -> Subject:
    if steps is not None and config.denoiser is not None:
        settings = settings.choose({"steps": steps}, has_predictor=config.predictor is not None)
    return Subject(name, config, settings)


def count_rows(subjects: Sequence[Subject], sizes: Sequence[Size]) -> list[Row]:
    """Every network with every picture, counted only."""
    return [Row(each, size, counted(each.config, size), not_run="not asked for") for each in subjects for size in sizes]


def time_rows(rows: Sequence[Row], how: Timings, on_row: Callable[[int, int], None]) -> list[Row]:
    """The rows with timings, one after the other; those that cannot be timed say why.

    Args:
        on_row: called with (rows done, rows in all).
    """
    done = []
    for number, row in enumerate(rows):
        on_row(number, len(rows))
        done.append(_timed(row, how))
    return done


def _timed(row: Row, how: Timings) -> Row:
    need = needed_bytes(row.count)
    if need > how.free_bytes:
        return replace(row, not_run=f"needs about {need / 1e9:.1f} GB, {how.free_bytes / 1e9:.1f} GB are free")
    picture = (row.size.width, row.size.height, how.threads, how.device, how.repeats, how.limit_s)
    try:
        return replace(row, timing=timed(Job(to_dict(row.subject.config), *picture)), not_run="")
    except NotMeasured as error:
        return replace(row, not_run=str(error))


def needed_bytes(count: Count) -> int:
    """About how much memory a row needs at the least: process, weights in float32, tensors."""
    weights = 4 * sum(count.parameters.values())
    return round(PROCESS_BYTES + weights + OVERHEAD * max(count.tensor_bytes.values()))


def free_bytes(device: str) -> int:
    """Memory that can be had now."""
    if device == "cuda":
        import torch

        return torch.cuda.mem_get_info()[0]
    import psutil

    return psutil.virtual_memory().available
