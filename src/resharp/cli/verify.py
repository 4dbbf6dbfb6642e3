"""`resharp verify`: is this picture what resharp makes of that photo?"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from resharp.cli.console import say
from resharp.cli.options import DebugOption, DeviceOption, JsonOption
from resharp.errors import ResharpError


def verify(
    result: Annotated[str, typer.Argument(metavar="RESULT", help="A picture made by resharp deblur.")],
    photo: Annotated[
        str | None, typer.Option(metavar="PATH", help="The blurry photo; default: the one of its name beside RESULT.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="NAME|PATH|ID", help="The model it was made with; default: a shipped one.")
    ] = None,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Make a result again from the receipt in it, and compare.

    The exit code is 0 if it is verified, and 1 if it is not or cannot be. Device auto is the kind that made it.
    """
    from resharp.cli.verification import verify_result
    from resharp.progress import progress_after_a_second

    source = None if photo is None else Path(photo)
    try:
        with progress_after_a_second("restoring again") as on_step:
            found = verify_result(Path(result), source, model, device, on_step)
    except ResharpError as error:
        if as_json:
            say(json.dumps({"result": result, "verified": False, "verdict": "not checked", "reason": str(error)}))
        raise
    if as_json:
        say(json.dumps(asdict(found), indent=2, allow_nan=False))
    else:
        word = "verified" if found.verified else "not verified"
        say(f"{found.result}: {word}: {found.verdict}; {found.reason}")
    return 0 if found.verified else 1
