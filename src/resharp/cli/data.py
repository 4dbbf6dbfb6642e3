"""`resharp data ...`: look at data sets, make them, pack them."""

from __future__ import annotations

import typer

data = typer.Typer(name="data", help="Check, make and pack data sets for training.", no_args_is_help=True)
