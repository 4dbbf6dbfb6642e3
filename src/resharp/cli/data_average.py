"""`resharp data average`: blurry and sharp pairs from high-frame-rate video."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from resharp import __version__
from resharp.cli.console import note, say
from resharp.cli.options import DebugOption, JsonOption
from resharp.cli.places import check_folder, make_folder
from resharp.errors import ConfigError, DataError, OutputError

if TYPE_CHECKING:
    from resharp.data.averaging import AveragedPair, Curve, Window
    from resharp.data.frames import Frame, FrameSequence

FORMATS = ("png", "jpg")
RECORD = "pairs.json"
_MARK = "resharp data average"


def average(
    frames: Annotated[
        str, typer.Argument(metavar="FRAMES", help="A folder of frames, a folder of such folders, or a video file.")
    ],
    frames_per_pair: Annotated[
        str, typer.Option("-n", "--frames-per-pair", metavar="N|N..M", help="Frames to average; odd, drawn if a range.")
    ],
    out: Annotated[str, typer.Option("-o", "--out", metavar="OUT", help="Where the pairs go: OUT/blurry, OUT/sharp.")],
    stride: Annotated[
        int | None, typer.Option(min=1, help="Frames from one pair's start to the next; default: no overlap.")
    ] = None,
    curve: Annotated[
        str,
        typer.Option(metavar="gamma|linear|srgb", help="How light becomes pixel values: power 2.2, not at all, sRGB."),
    ] = "gamma",
    seed: Annotated[int, typer.Option(help="Decides the numbers drawn from a range.")] = 0,
    format: Annotated[
        str, typer.Option(metavar="|".join(FORMATS), help="png is lossless; jpg has quality 95.")
    ] = "png",
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Make pairs as the GoPro data set was made: consecutive sharp frames averaged, the middle one sharp.

    The same command goes on with what was interrupted.
    """
    from resharp.data.averaging import CURVES, frame_counts
    from resharp.data.frames import find_sequences

    counts = frame_counts(frames_per_pair)
    for option, value, allowed in (("curve", curve, CURVES), ("format", format, FORMATS)):
        if value not in allowed:
            raise ConfigError(f"unknown {option} {value!r}; allowed: {', '.join(allowed)}")
    settings = {"frames_per_pair": list(counts), "stride": stride, "curve": curve, "seed": seed, "format": format}
    place = Path(out)
    sequences = find_sequences(frames)
    lengths = [sequence.length() for sequence in sequences]
    prints = {sequence.name: sequence.fingerprint() for sequence in sequences}
    pairs = PairSet.open(place, settings, prints)
    if not pairs.complete():
        from resharp.progress import progress_after_a_second

        total = sum(lengths) if all(lengths) else 0
        with progress_after_a_second("averaging frames", enabled=not as_json) as on_step:
            _make_all(pairs, sequences, lambda done: on_step(min(done, total), total) if total else None)
    for name, length in pairs.too_short.items():
        note(f"{name}: skipped, its {length} frames are too few for its first pair")
    if not pairs.rows:
        raise DataError(f"{frames}: no pair was made, since no sequence has frames enough; choose a smaller -n")
    _report(pairs, len(sequences), as_json)


@dataclass
class PairSet:
    """The pairs in OUT and their record, OUT/pairs.json, from which the set can be made again.

    The record is written before the first pair, with the settings, and again as sequences are done. A pair is
    complete when both its photographs are there, since neither is ever there in part.
    """

    folder: Path
    settings: dict[str, Any]
    # The name of each sequence, and the fingerprint of its files.
    sequences: dict[str, str]
    rows: list[dict[str, Any]] = field(default_factory=list)
    # Sequences without a pair, and how many frames each has.
    too_short: dict[str, int] = field(default_factory=dict)
    finished: bool = False
    made: int = 0

    @classmethod
    def open(cls, folder: Path, settings: dict[str, Any], sequences: dict[str, str]) -> PairSet:
        """The set to be made in `folder`, or the one begun there; nothing is written yet.

        Raises:
            OutputError: the folder holds something else, or pairs made otherwise, or cannot be written to.
        """
        check_folder(folder)
        new = cls(folder, settings, sequences)
        # Names with a dot: what a crash may have left, and what file managers leave.
        if not folder.is_dir() or all(entry.name.startswith(".") for entry in folder.iterdir()):
            return new
        old = _read_record(folder / RECORD)
        for key, value in settings.items():
            if old["settings"].get(key) != value:
                was = json.dumps(old["settings"].get(key))
                raise OutputError(
                    f"{folder}: holds pairs made with {key} {was}, not {json.dumps(value)}; choose another place"
                )
        if old["sequences"] != sequences:
            raise OutputError(f"{folder}: holds pairs made from other frames; choose another place")
        if old["finished"]:
            new.rows, new.too_short, new.finished = old["pairs"], old["too_short"], True
        return new

    def complete(self) -> bool:
        """Whether every pair is there."""
        return self.finished and all(self.has(row["name"]) for row in self.rows)

    def has(self, name: str) -> bool:
        """Whether this pair is there."""
        return all(path.is_file() for path in self._paths(name))

    def write(self, name: str, pair: AveragedPair) -> None:
        """Put the pair's photographs in their places; makes the folders for the first one."""
        import numpy as np

        from resharp.images.photo import Photo
        from resharp.images.writing import write_photo

        paths = self._paths(name)
        if not self.made:
            for path in paths:
                make_folder(path.parent)
            self.save()
        for path, pixels in zip(paths, pair, strict=True):
            write_photo(Photo(pixels.astype(np.float32) / np.float32(255)), path)
        self.made += 1

    def save(self) -> None:
        """Write the record."""
        from resharp.files import write_text

        record = {"made_by": _MARK, "resharp": __version__, "settings": self.settings, "sequences": self.sequences}
        record |= {"finished": self.finished, "too_short": self.too_short, "pairs": self.rows}
        write_text(self.folder / RECORD, json.dumps(record, indent=1) + "\n")

    def _paths(self, name: str) -> tuple[Path, Path]:
        file = f"{name}.{self.settings['format']}"
        return self.folder / "blurry" / file, self.folder / "sharp" / file


def _make_all(pairs: PairSet, sequences: Iterable[FrameSequence], on_frame: Callable[[int], None]) -> None:
    """Make what is missing; whatever ends this early, the record tells what is there."""
    seen = 0

    def counted(frames: Iterator[Frame]) -> Iterator[Frame]:
        nonlocal seen
        for frame in frames:
            yield frame
            seen += 1
            on_frame(seen)

    pairs.rows, pairs.too_short, pairs.finished = [], {}, False
    try:
        for sequence in sequences:
            before, rows = seen, len(pairs.rows)
            _make(pairs, sequence, counted(sequence.frames()))
            if len(pairs.rows) == rows:
                pairs.too_short[sequence.name] = seen - before
        pairs.finished = True
    except BaseException:
        with suppress(OutputError):
            _save(pairs)
        raise
    _save(pairs)


def _make(pairs: PairSet, sequence: FrameSequence, frames: Iterator[Frame]) -> None:
    from resharp.data.averaging import average_windows, windows

    settings = pairs.settings
    curve: Curve = settings["curve"]
    planned = windows(settings["frames_per_pair"], settings["stride"], settings["seed"], sequence.name)

    def name(window: Window) -> str:
        return f"{sequence.name}_{window.index:06d}_n{window.count}"

    for window, pair in average_windows(frames, planned, curve, lambda window: not pairs.has(name(window))):
        if pair is not None:
            pairs.write(name(window), pair)
        row = {"name": name(window), "sequence": sequence.name, "first_frame": window.first, "frames": window.count}
        pairs.rows.append(row | {"sharp_frame": window.middle, "curve": curve})


def _save(pairs: PairSet) -> None:
    """Not where nothing was made: no folder should be left then."""
    if pairs.rows:
        pairs.rows.sort(key=lambda row: row["name"])
        pairs.save()


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        whole = {"settings", "sequences", "finished", "pairs", "too_short"} <= record.keys()
        if whole and record["made_by"] == _MARK and isinstance(record["settings"], dict):
            return record
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    raise OutputError(f"{path.parent}: holds other things, and no {RECORD} of this command; choose a new folder")


def _report(pairs: PairSet, sequences: int, as_json: bool) -> None:
    total = len(pairs.rows)
    if as_json:
        counts = {"pairs": total, "made": pairs.made, "there_before": total - pairs.made, "sequences": sequences}
        say(json.dumps({"out": str(pairs.folder), **counts, "too_short": sorted(pairs.too_short)}, indent=2))
        return
    used = sequences - len(pairs.too_short)
    before = f", {total - pairs.made} there before" if pairs.made < total else ""
    say(f"{pairs.folder}: {total} pair{'s'[: total > 1]} from {used} sequence{'s'[: used > 1]}{before}")
