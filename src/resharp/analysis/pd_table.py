"""A perception-distortion curve as files: CSV that a later run goes on from, JSON, and Markdown for people."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from resharp.analysis.pd_curve import Point, Score
from resharp.analysis.pd_points import best, marks, noisy_end, unlike_noise
from resharp.diffusion.presets import Preset
from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ConfigError, DataError, OutputError
from resharp.evaluate.paired import HIGHER_IS_BETTER
from resharp.files import write_text
from resharp.settings import from_dict

NAME = "pd_curve"
METRICS = tuple(HIGHER_IS_BETTER)
_SETTINGS = [field.name for field in fields(Preset)]
_SCORES = [f"{metric}_{field.name}" for metric in METRICS for field in fields(Score)]
_COLUMNS = ["set", "preset", "best", *_SETTINGS, "noisy_end_alpha_bar", "images", "seeds", *_SCORES]
_DECIMALS = {"psnr": 2, "ssim": 4, "lpips": 4}


class CurveFiles:
    """pd_curve.csv, .json and .md in a folder.

    Args:
        folder: exists.
        depends: plain values that points depend on: model, seeds, and pairs by set. Points of an earlier run
            with the same values are read back; a set may be new.
        made: plain values that say how it was made and may differ from run to run.
        names: the model's presets.
        schedule: the model's, on which the start of a schedule with a final variance depends.

    Raises:
        ConfigError: the folder holds a curve that depends on other values.
        DataError: it holds one that cannot be read.
    """

    def __init__(
        self,
        folder: Path,
        depends: dict[str, Any],
        made: dict[str, Any],
        names: Mapping[str, Preset],
        schedule: NoiseSchedule = NoiseSchedule(),
    ) -> None:
        self.folder, self.depends, self.made, self.names, self.schedule = folder, depends, made, names, schedule
        self.points: list[Point] = []
        if self._path("json").exists():
            self._check_same()
            self.points = self._read()

    def missing(self, name: str, wanted: Iterable[Preset]) -> list[Preset]:
        """Those of `wanted` that the set `name` has no point for yet."""
        there = {point.settings for point in self.points if point.set == name}
        return [settings for settings in wanted if settings not in there]

    def add(self, points: Iterable[Point]) -> None:
        """Write these too; OutputError where that cannot be done."""
        points = [*self.points, *points]
        sets = list(panels(points))
        self.points = sorted(points, key=lambda point: (sets.index(point.set), _order(point.settings)))
        flat = self._flat()
        content = {"depends": self.depends, "made": self.made, "points": flat}
        # The JSON file first: points in the CSV file without what they depend on would belong to nothing.
        write_text(self._path("json"), json.dumps(_finite(content), indent=1, allow_nan=False) + "\n")
        table = io.StringIO()
        writer = csv.DictWriter(table, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(flat)
        write_text(self._path("csv"), table.getvalue())
        write_text(self._path("md"), self.markdown())

    def markdown(self) -> str:
        """One row for each point and set."""
        metrics = [metric for metric in METRICS if any(metric in point.scores for point in self.points)]
        arrows = [f"{metric.upper()} {'↑' if HIGHER_IS_BETTER[metric] else '↓'}" for metric in metrics]
        lines = [_row("set", "how", "called", *arrows), "|" + "---|" * (3 + len(metrics))]
        for points in panels(self.points).values():
            called = marks(points, self.names, metrics)
            for point in points:
                cells = [_cell(metric, point.scores[metric]) for metric in metrics]
                lines.append(_row(point.set, point.settings, ", ".join(called.get(point.settings, [])), *cells))
        images = {point.set: point.images for point in self.points}
        counts = ", ".join(f"{count} of {name}" for name, count in images.items())
        lines += ["", f"Mean over photos ± standard error ({counts}); in brackets the gain over the blurry photo, and"]
        lines += ["its standard error, photo by photo."]
        doubtful = unlike_noise(self.points, self.schedule)
        if doubtful:
            starts = [f"{steps} steps, {variance:g}: {end:.2g}" for (steps, variance), end in doubtful.items()]
            lines += ["", "Schedules that do not begin with noise alone, and alpha_bar there (0 noise, 1 picture):"]
            lines += [f"{'; '.join(starts)}. Sampling begins with noise all the same, so these points are too noisy."]
        return "\n".join(lines) + "\n"

    def _path(self, kind: str) -> Path:
        return self.folder / f"{NAME}.{kind}"

    def _flat(self) -> list[dict[str, Any]]:
        """Every point as plain values, in order."""
        winners = {name: best(points) for name, points in panels(self.points).items()}
        rows = []
        for point in self.points:
            named = [name for name, preset in self.names.items() if preset == point.settings]
            won = [metric for metric, winner in winners[point.set].items() if winner is point]
            flat: dict[str, Any] = {"set": point.set, "preset": " ".join(named), "best": " ".join(won)}
            flat |= {name: getattr(point.settings, name) for name in _relevant(point.settings)}
            flat["noisy_end_alpha_bar"] = noisy_end(self.schedule, point.settings)
            flat |= {"images": point.images, "seeds": point.seeds}
            for metric, score in point.scores.items():
                flat |= {f"{metric}_{name}": value for name, value in asdict(score).items()}
            rows.append(flat)
        return rows

    def _check_same(self) -> None:
        path = self._path("json")
        try:
            found = dict(json.loads(path.read_text(encoding="utf-8"))["depends"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path}: not a curve that can be gone on with; choose another --out") from error
        # Through JSON, where tuples are lists.
        wanted = json.loads(json.dumps(self.depends))
        other = [name for name in wanted if name in found and found[name] != wanted[name]]
        if other:
            raise ConfigError(f"{path}: measured with other {', '.join(other)}; choose another --out")
        self.depends = {**found, **wanted}

    def _read(self) -> list[Point]:
        path = self._path("csv")
        try:
            if not path.exists():  # interrupted before the first points were written
                return []
            with path.open(newline="", encoding="utf-8") as file:
                return [_point(row, str(path)) for row in csv.DictReader(file)]
        except OSError as error:
            raise OutputError(f"{path}: cannot be read ({error.strerror}); choose another --out") from error
        except (ValueError, KeyError, TypeError, ConfigError) as error:
            raise DataError(f"{path}: not a table of this command ({error}); choose another --out") from error


def _relevant(settings: Preset) -> list[str]:
    """The settings that a point of this output has."""
    if settings.output == "diffusion":
        return [name for name in _SETTINGS if name != "ensemble" or settings.fidelity is not None]
    return ["output", "ensemble"] if settings.output == "predictor" else ["output"]


def _order(settings: Preset) -> tuple[Any, ...]:
    kind = ("input", "predictor", "diffusion").index(settings.output)
    numbers = (settings.final_variance, settings.start, settings.steps, settings.fidelity, settings.samples)
    rest = (settings.sampler, settings.spacing, settings.ensemble)
    return (kind, *(-1 if number is None else number for number in numbers), *rest)


def _point(row: dict[str, str], where: str) -> Point:
    given = {name: row[name] for name in _SETTINGS if row[name] != ""}
    numbers: dict[str, Any] = {name: int(given[name]) for name in ("steps", "samples", "ensemble") if name in given}
    numbers |= {name: float(given[name]) for name in ("fidelity", "final_variance", "start") if name in given}
    settings = from_dict(Preset, {**given, **numbers}, where)
    names = [field.name for field in fields(Score)]
    scores = {
        # A standard error is missing where there is one photo.
        metric: Score(*(float(row[f"{metric}_{name}"] or "nan") for name in names))
        for metric in METRICS
        if row[f"{metric}_mean"] != ""
    }
    return Point(row["set"], settings, int(row["images"]), int(row["seeds"]), scores)


def _finite(value: Any) -> Any:
    """None for numbers that are not finite, which JSON does not know."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cell(metric: str, score: Score) -> str:
    digits = _DECIMALS[metric]

    def error(value: float) -> str:
        return f" ± {value:.{digits}f}" if math.isfinite(value) else ""

    gain = f"{score.gain:+.{digits}f}{error(score.gain_error)}"
    return f"{score.mean:.{digits}f}{error(score.error)} ({gain})"


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def panels(points: Sequence[Point]) -> dict[str, list[Point]]:
    """The points by set, in the order of their first."""
    found: dict[str, list[Point]] = {}
    for point in points:
        found.setdefault(point.set, []).append(point)
    return found
