"""`wayline journey funnel`: how many get from step to step, and where they stop."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli import numbers, options
from engine.cli.commands.journey.calendar_options import Period, WeekStart
from engine.cli.commands.journey.log_options import of_log
from engine.cli.output import Output

if TYPE_CHECKING:
    from engine.workflows.event_logs import LogSource

_SHOWN_IDS = 50


class Order(StrEnum):
    """How the steps must follow each other."""

    ORDERED = "ordered"
    STRICT = "strict"
    ANY = "any"


class WindowFrom(StrEnum):
    """What the window runs from."""

    FIRST = "first"
    PREVIOUS = "previous"


class Effect(StrEnum):
    """What an excluded event does."""

    DROP_CUSTOMER = "drop_customer"
    END_ATTEMPT = "end_attempt"


class Reentry(StrEnum):
    """Which attempts of a customer count."""

    ANY = "any"
    FIRST = "first"
    EVERY = "every"


Steps = Annotated[
    str | None,
    typer.Option(
        "--steps",
        help="Events divided by commas; A|B is either, * any event. A backslash makes , | : part of a name.",
        show_default=False,
    ),
]
Journey = Annotated[
    str | None, typer.Option("--journey", help="Take the steps and the window of a journey of the settings instead.")
]
Window = Annotated[
    str | None,
    typer.Option("--window", help="Time allowed, as elapsed time, its edge included: 30s, 15m, 12h, 14d, 2w. (14d)"),
]
From = Annotated[WindowFrom | None, typer.Option("--window-from", help="The window runs from this step (first).")]
OrderOption = Annotated[
    Order | None, typer.Option("--order", help="strict: at the very next event; any: in whatever order (ordered).")
]
Exclude = Annotated[
    list[str] | None,
    typer.Option("--exclude", help="EVENT:FROM-TO: must not happen between these steps, numbered from 1; repeatable."),
]
EffectOption = Annotated[
    Effect, typer.Option("--exclude-effect", help="Such an event drops the customer, or only ends the attempt.")
]
Optional = Annotated[list[str] | None, typer.Option("--optional", help="Number of a step one may leave out, or 2,4.")]
ReentryOption = Annotated[
    Reentry | None,
    typer.Option("--reentry", help="any: the attempt that gets deepest; first: the first; every: all (any)."),
]
By = Annotated[
    str | None,
    typer.Option(
        "--by", help="Column to break the funnel down by; in a workspace also cluster, value_tier or risk_tier."
    ),
]
AttributionOption = Annotated[
    str,
    typer.Option(
        "--attribution",
        help="Whose value counts when it changes: first, last, step:K, or all (held constant on the way).",
    ),
]
Limit = Annotated[int, typer.Option("--limit", min=1, help="Groups shown by name; the rest is `other`.")]
Compare = Annotated[
    str | None,
    typer.Option("--compare", help="Test the difference of two groups of --by: A,B; A alone against all others; *."),
]
Times = Annotated[bool, typer.Option("--times", help="Tell how long each step takes, with those still on the way.")]
TrendOption = Annotated[Period | None, typer.Option("--trend", help="Count by the period of the entry.")]
ClockZone = Annotated[
    str | None,
    typer.Option(
        "--clock-zone",
        help="Time zone of its periods; by default the bank's for a workspace, else --zone, else UTC.",
    ),
]
WeekStartOption = Annotated[WeekStart, typer.Option("--week-start", help="First day of its weeks.")]
Correlate = Annotated[
    str | None, typer.Option("--correlate", help="Columns, divided by commas: which values go with converting?")
]
CorrelateEvents = Annotated[
    bool, typer.Option("--correlate-events", help="Which other events on the way go with converting?")
]
CorrelateAt = Annotated[
    int | None,
    typer.Option("--correlate-at", help="From this step to the next; by default from the first to the last."),
]
Members = Annotated[
    str | None,
    typer.Option(
        "--members",
        help="STEP:STATUS or STEP:STATUS:GROUP: the customers behind a count (reached, converted, dropped, "
        "in_progress, excluded).",
    ),
]
Next = Annotated[int | None, typer.Option("--next", help="What those who reached this step did next.")]


@of_log
def funnel(
    source: LogSource,
    *,
    steps: Steps = None,
    journey: Journey = None,
    window: Window = None,
    window_from: From = None,
    order: OrderOption = None,
    exclude: Exclude = None,
    exclude_effect: EffectOption = Effect.DROP_CUSTOMER,
    optional: Optional = None,
    reentry: ReentryOption = None,
    by: By = None,
    attribution: AttributionOption = "first",
    limit: Limit = 25,
    compare: Compare = None,
    times: Times = False,
    trend: TrendOption = None,
    clock_zone: ClockZone = None,
    week_start: WeekStartOption = WeekStart.MONDAY,
    correlate: Correlate = None,
    correlate_events: CorrelateEvents = False,
    correlate_at: CorrelateAt = None,
    members: Members = None,
    next_step: Next = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Count how many get from step to step within the window, and ask what lies behind the counts.

    [bold]Examples[/]

      wayline journey funnel log.csv --steps view,apply,open --window 30d

      wayline journey funnel log.csv --steps "view,apply|call,open" --by channel --compare web,branch

      wayline journey funnel --journey credit_card --times --trend week

      wayline journey funnel log.csv --steps view,apply,open --members 2:dropped --json | jq .members.customers
    """
    from engine.workflows import journey_funnel as workflow
    from journeys import notation, spec

    chosen = workflow.journey_named(source.home, journey) if journey else None
    asked = notation.funnel(
        spec.of(chosen) if chosen else None,
        written=steps,
        window=window,
        window_from=window_from,
        order=order,
        reentry=reentry,
        exclude=exclude or (),
        effect=exclude_effect,
        optional=optional or (),
    )
    n_steps = len(asked.steps)
    question = workflow.Question(
        funnel=asked,
        journey=chosen,
        by=notation.breakdown(by, attribution, n_steps) if by else None,
        limit=limit,
        compare=notation.listed(compare or ""),
        times=times,
        trend=workflow.Trend(unit=trend, zone=clock_zone, week_start=week_start) if trend else None,
        correlate=notation.listed(correlate or ""),
        correlate_events=correlate_events,
        correlate_at=notation.step_number("--correlate-at", correlate_at, n_steps),
        members=notation.members(members, n_steps) if members else None,
        next_step=notation.step_number("--next", next_step, n_steps),
    )
    output = Output(as_json, quiet)
    output.result(workflow.study(source, question), lambda facts: _show(output, facts))


def _show(output: Output, facts: dict[str, Any]) -> None:
    output.table(_rows(facts, facts["standing"]), _COLUMNS)
    output.line(_summary(facts))
    for name, group in (facts["by"] or {}).items():
        output.line("")
        output.table(_rows(group, []), _COLUMNS, title=f"{name} ({numbers.count(group['cases'])} customers)")
    if facts.get("groups_overlap"):
        output.line("A customer can stand in several of these groups: they add up to more than the whole.")
    for key, show in _SECTIONS.items():
        if key in facts:
            output.line("")
            show(output, facts[key])


_COLUMNS = (
    "step",
    "customers",
    "share_of_first",
    "share_of_previous",
    "median_seconds",
    "went_on",
    "dropped",
    "in_progress",
)


def _rows(facts: dict[str, Any], standing: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = []
    for number, step in enumerate(facts["steps"], start=1):
        row = {
            "step": f"{number} {step['name']}",
            "customers": step["count"],
            "share_of_first": numbers.share(step["share_of_first"]),
            "share_of_previous": numbers.share(step["share_of_previous"]),
            "median_seconds": step["median_seconds_from_previous"],
        }
        if standing:
            went = standing[number - 1]
            row["step"] += " (optional)" if went["optional"] else ""
            row |= {"went_on": went["converted"], "dropped": went["dropped"], "in_progress": went["in_progress"]}
        rows.append(row)
    return rows


def _summary(facts: dict[str, Any]) -> str:
    told = f"{numbers.count(facts['cases'])} customers in the log"
    if facts["in_progress"]:
        told += f"; {numbers.count(facts['in_progress'])} still on the way, who have not dropped"
    if facts["excluded"]:
        told += f"; {numbers.count(facts['excluded'])} excluded, who count at no step"
    return told + "."


def _comparisons(output: Output, facts: dict[str, Any]) -> None:
    rows = [
        {
            "compared": f"{one['group']} with {one['base']}",
            "from_to": one["compared"],
            "share": numbers.share(one["share"]),
            "base": numbers.share(one["base_share"]),
            "difference": numbers.points(one["difference"]),
            "interval_95": numbers.span(one["lower"], one["upper"], numbers.points),
            "p_value": one["p_value"],
            "p_holm": _probability(one["p_holm"]),
            "p_false_discovery": _probability(one["p_benjamini_hochberg"]),
            "why_not": one["reason"],
        }
        for one in facts["differences"]
    ]
    kept = [name for name in rows[0] if name != "why_not" or any(row["why_not"] for row in rows)]
    output.table(rows, kept, title="Differences")
    output.line(
        f"{facts['comparisons_made']} comparisons, p adjusted for all of them (Holm; Benjamini and Hochberg). "
        f"Only those whose time is over are compared: {numbers.count(facts['still_open_left_out'])} left out."
    )
    if facts["note"]:
        output.line(f"Note: {facts['note']}.")


def _probability(value: float | None) -> str:
    return numbers.cell("p_value", value)


def _times(output: Output, facts: list[dict[str, Any]]) -> None:
    rows = [
        {
            "from_to": f"{one['from_name']} to {one['to_name']}",
            "went_on": one["converted"],
            **{f"{percent} %": numbers.duration(seconds) for percent, seconds in one["percentiles"].items()},
            "share_within_window": numbers.share(one["expected"]["share"]),
            "interval_95": numbers.span(one["expected"]["lower"], one["expected"]["upper"], numbers.share),
            "counted_so_far": numbers.share(one["expected"]["naive_share"]),
            "half_within": numbers.duration(one["expected"]["median_seconds"]),
            "why_not": one["expected"]["share_reason"] or one["expected"]["median_reason"],
        }
        for one in facts
    ]
    shown = max((list(row) for row in rows), key=len)
    kept = [name for name in shown if name != "why_not" or any(row["why_not"] for row in rows)]
    output.table(rows, kept, title="Time from step to step")


def _trend(output: Output, facts: list[dict[str, Any]]) -> None:
    rows = [
        {
            "period": one["period"],
            "entered": one["counts"][0],
            "completed": one["counts"][-1],
            "share": numbers.share(one["share"]),
            "complete": one["complete"],
        }
        for one in facts
    ]
    output.table(rows, list(rows[0]) if rows else (), title="By when they entered")


def _correlation(output: Output, facts: dict[str, Any]) -> None:
    rows = [
        {
            "signal": f"{one['attribute']} = {one['value']}" if one["attribute"] else f"did {one['value']}",
            "with_it": one["with_it"],
            "of_those_who_went_on": numbers.share(one["share_of_converted"]),
            "of_the_others": numbers.share(one["share_of_others"]),
            "odds_ratio": one["odds_ratio"],
            "interval_95": numbers.span(one["lower"], one["upper"], numbers.number),
            "risk_difference": numbers.points(one["risk_difference"]),
            "p_adjusted": _probability(one["p_benjamini_hochberg"]),
            "structural": one["structural"],
        }
        for one in facts["signals"]
    ]
    output.line(f"What goes with getting from {facts['from_step']} to {facts['to_step']}")
    if rows:
        output.table(rows, list(rows[0]))
    output.line(
        f"{numbers.count(facts['converted'])} went on, {numbers.count(facts['others'])} did not, "
        f"{numbers.count(facts['left_out'])} too rare to say. What goes together need not be cause and effect."
    )
    for note in (facts["warning"], facts["note"]):
        if note:
            output.line(f"Note: {note}.")


def _members(output: Output, facts: dict[str, Any]) -> None:
    of_group = f" of {facts['group']}" if "group" in facts else ""
    output.line(f"{numbers.count(facts['count'])}{of_group} {facts['status']} at step {facts['step']} {facts['name']}:")
    for customer in facts["customers"][:_SHOWN_IDS]:
        output.line(customer)
    if facts["count"] > _SHOWN_IDS:
        output.line(f"and {numbers.count(facts['count'] - _SHOWN_IDS)} more; --json lists all of them.")


def _next(output: Output, facts: dict[str, Any]) -> None:
    for status, events in facts["after"].items():
        rows = [
            {
                "next_event": one["event"] or "(nothing)",
                "customers": one["count"],
                "share": numbers.share(one["share"]),
                "median_seconds": one["median_seconds"],
            }
            for one in events
        ]
        if rows:
            output.table(rows, list(rows[0]), title=f"After step {facts['step']} {facts['name']}: {status}")


_SECTIONS: dict[str, Callable[[Output, Any], None]] = {
    "comparisons": _comparisons,
    "times": _times,
    "trend": _trend,
    "correlation": _correlation,
    "members": _members,
    "next": _next,
}


def add_to(journey: typer.Typer) -> None:
    """Add the command."""
    journey.command()(funnel)
