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
_PAIR: Final = ("first", "second", "both", "jaccard", "first_share", "second_share", "lift")
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


def overlap(
    *,
    names: Annotated[list[str], typer.Argument(metavar="AUDIENCE AUDIENCE ...", help="Two audiences or more, by id.")],
    run: options.RunId = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Tell what audiences share: sizes, and of each pair how many belong to both and how far beyond chance.

    [bold]Examples[/]

      wayline audience overlap mortgage_lookers savers
    """
    from engine.workflows import audience_overlap

    output = Output(as_json, quiet)
    output.result(audience_overlap.shared(home, names, run), lambda facts: _show_overlap(output, facts))


def _show_overlap(output: Output, facts: dict[str, Any]) -> None:
    whole = ("run_id", "customers", "in_any", "in_all")
    output.facts({numbers.heading(one): numbers.cell(one, facts[one]) for one in whole})
    output.table(facts["audiences"], ("audience", "members", "in_no_other"))
    output.table(facts["pairs"], _PAIR)


def lookalike(
    *,
    seed: Annotated[
        str,
        typer.Argument(metavar="AUDIENCE|FILE", help="Whose like to look for: an audience, or a CSV of customer_id."),
    ],
    size: Annotated[int | None, typer.Option("--size", min=1, help="How many to choose.")] = None,
    share: Annotated[
        float | None, typer.Option("--share", min=0, max=1, help="What part of all who are no seeds to choose, 0 to 1.")
    ] = None,
    by: Annotated[str, typer.Option("--by", help="Who answers for the audience that is made, by name.")],
    name: Annotated[str | None, typer.Option("--name", help="Its id; by default like_ and the seed's.")] = None,
    draw: Annotated[int, typer.Option("--draw", min=0, help="What the model's random draws descend from.")] = 1,
    run: options.RunId = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Save an audience of customers like those of another, or of a list; it is learned anew on every run.

    A model learns what the seeds have in common, without protected attributes. It is refused with fewer than 50 seeds,
    or when seeds that it has not seen cannot be told from others.

    [bold]Examples[/]

      wayline audience lookalike best_customers --share 0.05 --by ann
    """
    from engine.workflows import audience_like

    output = Output(as_json, quiet)
    made = audience_like.like(home, seed, size=size, share=share, owner=by, name=name, draw=draw, run_id=run)
    output.result(made, lambda facts: output.facts(_cells(facts)))


def _cells(facts: dict[str, Any]) -> dict[str, str]:
    return {
        numbers.heading(name): ", ".join(value) if isinstance(value, list) else numbers.cell(name, value)
        for name, value in facts.items()
    }


def _show_reach(output: Output, facts: dict[str, Any]) -> None:
    whole = ("audience", "run_id", "members", "reachable", "reachable_share")
    output.facts({numbers.heading(one): numbers.cell(one, facts[one]) for one in whole})
    output.table(facts["steps"], _STEP)
    output.table([{"step": step["step"], **one} for step in facts["steps"] for one in step["reasons"]], _REASON)
    if facts["by_channel"]:
        output.table(facts["by_channel"], _CHANNEL)
    for note in facts["notes"]:
        output.say(note)


COMMANDS: Final = (reach, overlap, lookalike)
