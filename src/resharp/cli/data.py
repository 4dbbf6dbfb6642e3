"""`resharp data ...`: look at data sets, make them, pack them."""

from __future__ import annotations

import typer

from resharp.cli.data_average import average
from resharp.cli.data_check import check
from resharp.cli.data_pack import pack

data = typer.Typer(name="data", help="Check, make and pack data sets for training.", no_args_is_help=True)
data.command()(average)
data.command()(check)
data.command()(pack)
