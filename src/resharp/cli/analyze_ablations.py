"""`resharp analyze ablations`: the paper's ablation tables from one's own runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from resharp.cli.console import note, say
from resharp.cli.options import DebugOption, JsonOption
from resharp.cli.places import check_file


def ablations(
    root: Annotated[
        str, typer.Argument(metavar="ROOT", help="What resharp evaluate --out wrote: ROOT/ROW/in and ROOT/ROW/out.")
    ],
    out: Annotated[str | None, typer.Option(metavar="FILE.md", help="Write the tables here.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that exists.")] = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Print the paper's ablation tables, one's own figures beside the paper's; missing runs are marked as not run.

    ROW is the name of a configuration, such as msgd-l; `in` is the set of the training domain, `out` another one.
    """
    if out is not None:
        check_file(Path(out), overwrite=overwrite)

    from resharp.analysis import paper_ablations
    from resharp.files import write_text

    found = paper_ablations.read_runs(Path(root))
    text = paper_ablations.tables(found)
    if out is not None:
        write_text(out, text)
        note(f"written: {out}")
    say(json.dumps(paper_ablations.as_json(found), indent=2, allow_nan=False) if as_json else text.rstrip())
