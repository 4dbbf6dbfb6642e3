"""What `resharp evaluate` measures and writes, wherever the pictures came from."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resharp import __version__
from resharp.cli.console import note, say
from resharp.cli.places import check_file, check_folder, make_folder

if TYPE_CHECKING:
    from resharp.evaluate.folder_scores import OnImage
    from resharp.evaluate.folder_table import Metric
    from resharp.evaluate.published_figures import Published
    from resharp.evaluate.trios import Trio

NAME = "evaluate"
SUFFIXES = (".csv", ".md", ".tex", ".json")


@dataclass(frozen=True)
class Setup:
    """How to measure, and where results go.

    folder: None writes nothing.
    asked: names of metrics, separated by commas; None takes the usual ones.
    weights: where networks' weights are; None looks in torch hub's cache.
    seed: of the bootstrap.
    """

    folder: Path | None
    asked: str | None
    weights: Path | None
    seed: int
    as_json: bool

    def metrics(self, *, realblur: bool = False) -> list[Metric]:
        """The metrics; RealBlur's own PSNR and SSIM are the usual ones for it. Raises ConfigError, DataError."""
        from resharp.metrics.catalogue import DEFAULT_METRICS, choose_metrics

        names = list(DEFAULT_METRICS)
        if self.asked is not None:
            names = [word.strip() for word in self.asked.split(",")]
        elif realblur:
            names = [f"{name}-realblur" if name in ("psnr", "ssim") else name for name in names]
        return choose_metrics(names, self.weights)


def check_places(folder: Path | None, overwrite: bool) -> None:
    """OutputError where results cannot go."""
    if folder is None:
        return
    check_folder(folder)
    for suffix in SUFFIXES:
        check_file(folder / (NAME + suffix), overwrite=overwrite)


def report(
    setup: Setup,
    metrics: Sequence[Metric],
    trios: Mapping[str, Sequence[Trio]],
    about: Mapping[str, Any],
    published: Sequence[Published],
    remarks: Sequence[str],
    on_image: OnImage | None,
) -> None:
    """Measure every method; only when all is measured, write the tables and say one."""
    from resharp.evaluate.folder_scores import FeaturesOf, evaluate_folder
    from resharp.evaluate.folder_table import image_rows, latex, markdown
    from resharp.evaluate.score_store import ScoreStore
    from resharp.evaluate.tables import write_csv
    from resharp.files import write_text

    folder, seed = setup.folder, setup.seed
    if folder is not None:
        make_folder(folder)
    store = ScoreStore(None if folder is None else folder / f"{NAME}.scores.jsonl")
    of_sharp: FeaturesOf = {}
    results = {
        method: evaluate_folder(method, found, metrics, store, seed, on_image, of_sharp)
        for method, found in trios.items()
    }
    images = len(next(iter(trios.values())))
    table = markdown(metrics, results, images, published, remarks)
    found: dict[str, Any] = {"resharp": __version__, "command": shlex.join(["resharp", *sys.argv[1:]])}
    found |= {**about, "images": images, "seed": seed, "remarks": list(remarks)}
    found["protocols"] = {each.name: getattr(each, "protocol", None) for each in metrics}
    found["results"] = {method: [asdict(column) for column in columns] for method, columns in results.items()}
    found["published"] = [asdict(row) for row in published]
    text = json.dumps(found, indent=2, allow_nan=False)
    if folder is not None:
        heading, rows = image_rows(metrics, results)
        write_csv(folder / f"{NAME}.csv", rows, heading)
        write_text(folder / f"{NAME}.md", table)
        write_text(folder / f"{NAME}.tex", latex(metrics, results, images, published, remarks))
        write_text(folder / f"{NAME}.json", text + "\n")
        note(f"written: {folder / NAME}.csv, .md, .tex, .json")
    say(text if setup.as_json else table.rstrip())
