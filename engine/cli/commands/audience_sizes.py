"""`wayline audience reach`, `overlap`, `lookalike`: how many are reached, shared by several, or like a few."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from engine.cli import numbers, options
from engine.cli.output import Output

_STEP: Final = ("step", "removed", "remaining")
_REASON: Final = ("step", "reason_code", "removed", "refused", "text_en")
_CHANNEL: Final = ("channel", "members", "reachable", "reachable_share")
Name = Annotated[str, typer.Argument(metavar="AUDIENCE", help="The audience's id.")]


def reach(
    *,
    name: Name,
    channel: Annotated[
        str | None, typer.Option("--channel", help="One of its channels; by default any of them counts.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write each member with the first reason and the mask of all, CSV."),
    ] = None,
    run: options.RunId = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Tell how many of an audience are left after consent, suppression, contact policy and risk gate, and why not all.

    Everybody removed has one first reason; `refused` counts those to whom a reason applies at all.

    [bold]Examples[/]

      wayline audience reach mortgage_lookers --channel email
    """
    from engine.workflows import audience_reach

    output = Output(as_json, quiet)
    output.result(audience_reach.reach(home, name, channel, run, out), lambda facts: _show_reach(output, facts))


def _show_reach(output: Output, facts: dict[str, Any]) -> None:
    whole = ("audience", "run_id", "members", "reachable", "reachable_share")
    output.facts({numbers.heading(one): numbers.cell(one, facts[one]) for one in whole})
    output.table(facts["steps"], _STEP)
    output.table([{"step": step["step"], **one} for step in facts["steps"] for one in step["reasons"]], _REASON)
    if facts["by_channel"]:
        output.table(facts["by_channel"], _CHANNEL)
    for note in facts["notes"]:
        output.say(note)


COMMANDS: Final = (reach,)
