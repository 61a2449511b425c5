"""`wayline journey compare`: two groups, or two periods, side by side."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli import numbers, options
from engine.cli.commands.journey.funnel import Journey, Steps, Window
from engine.cli.commands.journey.log_options import of_log
from engine.cli.output import Output

if TYPE_CHECKING:
    from engine.workflows.event_logs import LogSource

By = Annotated[str | None, typer.Option("--by", help="Column whose first value puts a customer into a group.")]
Groups = Annotated[
    str | None, typer.Option("--groups", help="Two values of --by, the base first: A,B; A alone against all others.")
]
Before = Annotated[
    str | None, typer.Option("--before", help="Events before this date against those from it on, as long either way.")
]
BeganBefore = Annotated[
    str | None,
    typer.Option("--began-before", help="Journeys that began before this date against later ones, each followed."),
]
Follow = Annotated[str, typer.Option("--follow", help="With --began-before: for how long each journey is followed.")]
Days = Annotated[float | None, typer.Option("--days", help="Length of either period; by default as long as both can.")]
Types = Annotated[bool, typer.Option("--types", help="Compare the shares of journey types too.")]
Top = Annotated[int, typer.Option("--top", min=1, help="Rows shown of each table; --json has all.")]
Seed = Annotated[int | None, typer.Option("--seed", help="For what --types draws. [0]")]


@of_log
def compare(
    source: LogSource,
    *,
    by: By = None,
    groups: Groups = None,
    before: Before = None,
    began_before: BeganBefore = None,
    follow: Follow = "30d",
    days: Days = None,
    steps: Steps = None,
    journey: Journey = None,
    window: Window = None,
    with_types: Types = False,
    top: Top = 10,
    seed: Seed = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show what differs between two groups or two periods, and what of it chance alone would bring about.

    [bold]Examples[/]

      wayline journey compare log.csv --by channel --groups web,app --steps view,apply,sign --window 30d

      wayline journey compare --before 2026-03-01 --journey credit_card

      wayline journey compare log.parquet --began-before 2026-03-01 --follow 14d --types --json
    """
    from engine.workflows import journey_compare as workflow
    from engine.workflows.journey_funnel import journey_named
    from journeys import notation, spec

    chosen = journey_named(source.home, journey) if journey else None
    funnel = None
    if steps or chosen:
        funnel = notation.funnel(
            spec.of(chosen) if chosen else None,
            written=steps,
            window=window,
            window_from=None,
            order=None,
            reentry=None,
            exclude=(),
            effect=spec.Effect.DROP_CUSTOMER,
            optional=(),
        )
    question = workflow.Question(
        by=by,
        groups=notation.listed(groups or ""),
        before=before,
        began_before=began_before,
        follow_seconds=notation.seconds(follow, "--follow"),
        days=days,
        journey=chosen,
        funnel=funnel,
        with_types=with_types,
        seed=seed or 0,
    )
    output = Output(as_json, quiet)
    output.result(workflow.study(source, question), lambda facts: _show(output, facts, top))


_TABLES = {
    "steps": ("Going on from step to step", " to "),
    "types": ("Types of journeys", ""),
    "transitions": ("Customers with a transition", " > "),
    "variants": ("Customers with just this path", " > "),
}


def _show(output: Output, facts: dict[str, Any], top: int) -> None:
    output.line(
        f"{facts['base']}: {numbers.count(facts['base_customers'])} customers. "
        f"{facts['other']}: {numbers.count(facts['other_customers'])}. On both sides: {numbers.count(facts['shared'])}."
    )
    for key, (title, between) in _TABLES.items():
        if facts[key]:
            rows = [_row(one, between, numbers.share, numbers.points) for one in facts[key]]
            output.line("")
            output.table(rows if key == "steps" else rows[:top], _columns(rows), title=title)
    rows = [_row(one, "", *_measures(one)) for one in facts["durations"]]
    output.line("")
    output.table(rows, _columns(rows), title="Medians")
    output.line("")
    output.line(
        f"{numbers.count(facts['compared'])} comparisons, p adjusted for all of them (Benjamini and Hochberg). "
        f"Compared of {numbers.count(facts['transitions_seen'])} transitions {len(facts['transitions'])}, of "
        f"{numbers.count(facts['variants_seen'])} variants {len(facts['variants'] or ())}: those of most customers."
    )
    if facts["variants_reason"]:
        output.line(f"No variants: {facts['variants_reason']} (--began-before).")
    if facts["types_reason"] and not facts["types"]:
        output.line(f"No types: {facts['types_reason']}")
    for note in facts["notes"]:
        output.line(f"Note: {note}")


def _row(one: dict[str, Any], between: str, show: Any, gap: Any) -> dict[str, Any]:
    return {
        "compared": _short([str(name) for name in one["what"]], between),
        "base": show(one["base"]),
        "other": show(one["other"]),
        "difference": gap(one["difference"]),
        "interval_95": numbers.span(one["lower"], one["upper"], gap),
        "p_adjusted": numbers.cell("p_value", one["p_adjusted"]),
        "why_not": one["reason"],
    }


def _columns(rows: list[dict[str, Any]]) -> list[str]:
    return [name for name in rows[0] if name != "why_not" or any(row["why_not"] for row in rows)]


def _measures(one: dict[str, Any]) -> tuple[Any, Any]:
    """Return how to show the medians of a measure, and their difference."""
    if one["what"][0].startswith("seconds"):
        return numbers.duration, _longer
    return numbers.number, numbers.number


def _longer(seconds: float | None) -> str:
    if seconds is None:
        return numbers.duration(None)
    return ("-" if seconds < 0 else "+") + numbers.duration(abs(seconds))


_LONGEST = 8  # events of a path that fit on a line


def _short(names: list[str], between: str) -> str:
    if len(names) > _LONGEST:
        half = _LONGEST // 2
        names = [*names[:half], f"({len(names) - 2 * half} more)", *names[-half:]]
    return between.join(names)


def add_to(journey: typer.Typer) -> None:
    """Add the command."""
    journey.command()(compare)
