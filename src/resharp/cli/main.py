"""The `resharp` program: its commands, and one place where every error becomes one line.

torch takes seconds to import, so commands import it, and what imports it, when they run: --help and
--version answer at once.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from resharp import __version__
from resharp.cli.ablate import ablate
from resharp.cli.adapt import adapt
from resharp.cli.analyze import analyze
from resharp.cli.bench import bench
from resharp.cli.console import (
    accept_any_file_name,
    complain,
    report_error,
    say,
    terminate_as_interrupt,
    without_remarks_of_pillow,
)
from resharp.cli.data import data
from resharp.cli.deblur import deblur
from resharp.cli.evaluate_folders import evaluate
from resharp.cli.export import export
from resharp.cli.gate import gate
from resharp.cli.info import info
from resharp.cli.push import push
from resharp.cli.score import score
from resharp.cli.study import study
from resharp.cli.train import train
from resharp.cli.verify import verify
from resharp.cli.web import web

app = typer.Typer(name="resharp", pretty_exceptions_enable=False)
for command in (deblur, verify, web, info, train, adapt, evaluate, gate, score, ablate, push, export):
    app.command()(command)
app.command("restore", help="As deblur, for models of something else; see docs/restorations.md.")(deblur)
app.add_typer(analyze)
app.add_typer(data)
app.add_typer(bench)
app.add_typer(study)

# Typer brings its own copy of click from 0.20 or so on; either way these are the base classes.
_UsageError = typer.BadParameter.__bases__[0]
INTERRUPTED = 130


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"resharp {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _program(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Sharp photos from blurry ones: multiscale structure guided diffusion (arXiv 2212.01789)."""
    if context.invoked_subcommand is None:
        print(context.get_help(), end="")


def run(argv: list[str] | None = None) -> int:
    """Run the program.

    Args:
        argv: the words after `resharp`; None takes them from the command line.

    Returns:
        The exit code: 0 all is well, 1 something failed, 2 the command was not understood, 130 interrupted.
    """
    accept_any_file_name()
    debug = "--debug" in (sys.argv[1:] if argv is None else argv)
    came: list[int] = []
    try:
        with terminate_as_interrupt() as came, without_remarks_of_pillow():
            code = app(args=argv, prog_name="resharp", standalone_mode=False)
        code = INTERRUPTED if came and code else code
        sys.stdout.flush()
    except _UsageError as error:
        place = f"; see {error.ctx.command_path} --help" if error.ctx else ""
        complain(error.format_message().rstrip(".") + place)
        return 2
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:
        _forget_stdout()
        return 1
    except Exception as error:
        if not came:
            report_error(error, debug=debug)
            return 1
        code = INTERRUPTED
    if code == INTERRUPTED:
        complain("interrupted")
    return code or 0


def _forget_stdout() -> None:
    """Nobody reads on: let the flush at the interpreter's end go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(run())
