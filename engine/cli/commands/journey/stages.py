"""`wayline journey stages`: where customers stand as of any date, and how they moved."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from engine.cli import numbers, options
from engine.cli.output import Output

_SHOWN = 50


class By(StrEnum):
    """What customers are counted by."""

    STAGE = "stage"
    STEP = "step"


def stages(
    *,
    journey: Annotated[str | None, typer.Option("--journey", help="One journey alone; by default all.")] = None,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", help="Look from this instant, nothing later counts; a date is the end of that day in "
                     "UTC. By default the end of what was loaded."),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="Tell also how customers moved from stage to stage since then.")
    ] = None,
    by: Annotated[By, typer.Option("--by", help="Count customers by stage or by step.")] = By.STAGE,
    members: Annotated[
        str | None, typer.Option("--members", metavar="STAGE", help="List the customers in a stage, longest first.")
    ] = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:  # fmt: skip
    """Show where customers stand: their stage, how long they have been in it, and the step expected next.

    [bold]Examples[/]

      wayline journey stages

      wayline journey stages --journey mortgage --as-of 2026-03-31 --since 2025-12-31

      wayline journey stages --journey credit_card --members decision --json
    """
    from engine.workflows import journey_stages as workflow
    from engine.workflows.event_logs import LogSource

    output = Output(as_json, quiet)
    source = LogSource(home=home, as_of=options.instant(as_of, "--as-of"), say=output.say)
    asked = workflow.Question(
        journey=journey, since=options.instant(since, "--since"), by_step=by is By.STEP, members=members
    )
    output.result(workflow.study(source, asked), lambda facts: _show(output, facts))


def _show(output: Output, facts: dict[str, Any]) -> None:
    output.table(facts["stages"], list(facts["stages"][0]), title=f"As of {numbers.moment(facts['as_of'])}")
    if "movements" in facts:
        output.line("")
        rows = facts["movements"]
        title = f"Moved since {numbers.moment(facts['since'])}"
        output.table(rows, list(rows[0]) if rows else (), title=title)
    if "members" in facts:
        output.line("")
        rows = facts["members"]
        output.table(rows[:_SHOWN], list(rows[0]) if rows else ())
        if len(rows) > _SHOWN:
            output.line(f"and {numbers.count(len(rows) - _SHOWN)} more; --json lists all of them.")


def add_to(journey: typer.Typer) -> None:
    """Add the command."""
    journey.command()(stages)
