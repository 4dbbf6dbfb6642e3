"""`resharp analyze ...`: what a model and its data are like."""

from __future__ import annotations

import typer

from resharp.cli.analyze_ablations import ablations
from resharp.cli.analyze_blur_gap import blur_gap
from resharp.cli.analyze_cost import cost
from resharp.cli.analyze_curve import pd_curve
from resharp.cli.analyze_domain import domain_distance
from resharp.cli.analyze_failures import failures
from resharp.cli.analyze_features import features
from resharp.cli.analyze_flicker import flicker
from resharp.cli.analyze_memorisation import memorisation

analyze = typer.Typer(name="analyze", help="Look into a model and its data.", no_args_is_help=True)
for command in (ablations, cost, pd_curve, features, domain_distance, failures, blur_gap, memorisation, flicker):
    analyze.command()(command)
