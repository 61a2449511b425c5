"""`wayline journey list` and `show`: the funnels that a run has worked out."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from itertools import groupby
from typing import Annotated, Any

import typer

from engine.cli import options
from engine.cli.output import Output

_STEPS = (
    "step_index",
    "step",
    "stage",
    "customers",
    "continued",
    "dropped",
    "in_progress",
    "rate_from_first",
    "rate_from_previous",
    "median_seconds_from_previous",
)


def listing(
    *,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """List the journeys of the current run.

    [bold]Examples[/]

      wayline journey list

      wayline journey list --json
    """
    from engine.workflows import journey as workflow

    output = Output(as_json, quiet)
    output.result(workflow.listing(home), lambda rows: output.table(rows, tuple(rows[0]) if rows else ()))


def show(
    *,
    name: Annotated[str, typer.Argument(metavar="JOURNEY", help="The journey, as `wayline journey list` names it.")],
    by: Annotated[
        str, typer.Option("--by", help="Break it down: all, cluster, value_tier, risk_tier or channel.")
    ] = "all",
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show the funnel of one journey: who reached each step, went on, dropped off, or is still on the way.

    [bold]Examples[/]

      wayline journey show credit_card

      wayline journey show credit_card --by risk_tier

      wayline journey show credit_card --json | jq '.[].dropped'
    """
    from engine.workflows import journey as workflow

    output = Output(as_json, quiet)
    output.result(workflow.show(home, name, by), lambda facts: _show(output, facts))


def _show(output: Output, rows: list[dict[str, Any]]) -> None:
    for title, steps in groupby(rows, key=lambda row: row.get("group")):
        output.table(list(steps), _STEPS, title="" if title in (None, "all") else str(title))
        output.line("")


def add_to(journey: typer.Typer) -> None:
    """Add the commands."""
    journey.command("list")(listing)
    journey.command("show")(show)
