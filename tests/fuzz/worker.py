"""A process that tries inputs, one after the other, within bounds of memory: `python -m fuzz.worker PLACE`.

It reads "FAMILY NUMBER" lines and answers each with a JSON list of what was wrong.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path

ADDRESS_SPACE_BYTES = 6 << 30  # on top of what the libraries take


def _prepare_once(model: Path) -> None:
    """What every start of the program does anew, and the same for every input, is done once for all of them."""
    import typer

    from resharp import pipeline
    from resharp.cli import main as program

    program.app = typer.main.get_command(program.app)
    load, loaded = pipeline.load_model, pipeline.load_model(model)
    pipeline.load_model = lambda folder: loaded if folder == model else load(folder)


def main() -> None:
    place = Path(sys.argv[1])
    os.chdir(place)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is said while the stock is made
    import torch

    from fuzz.families import Stock
    from fuzz.judging import judge

    torch.set_num_threads(1)
    stock = Stock(place / f"stock{os.getpid()}")
    _ = stock.photos, stock.model, stock.photo, stock.pairs, stock.shards, stock.result, stock.evaluation, stock.study
    _prepare_once(stock.model)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + ADDRESS_SPACE_BYTES, resource.RLIM_INFINITY))
    answers.write("ready\n")
    answers.flush()
    for line in sys.stdin:
        family, number = line.split()
        answers.write(json.dumps(judge(family, int(number), stock, place)) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
