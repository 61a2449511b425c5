"""`wayline journey retention`, `lifecycle`, `stickiness` and `churn`: who comes back, and who stays away."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

import re
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli import numbers, options
from engine.cli.commands.journey.calendar_options import Period, WeekStart
from engine.cli.commands.journey.log_options import of_log
from engine.cli.output import Output

if TYPE_CHECKING:
    from engine.workflows.event_logs import LogSource
    from engine.workflows.journey_cohorts import Periods

_SHOWN_IDS = 50
_SHOWN_CELLS = 12


class Cohort(StrEnum):
    """Which starts make a customer a member of a cohort."""

    FIRST = "first"
    FIRST_IN_RANGE = "first_in_range"
    RECURRING = "recurring"


class Mode(StrEnum):
    """Which returns count."""

    EXACT = "exact"
    UNBOUNDED = "unbounded"


class Clock(StrEnum):
    """How periods after the start are counted."""

    CALENDAR = "calendar"
    ROLLING = "rolling"


PeriodOption = Annotated[Period, typer.Option("--period", help="Count by day, week or month.")]
ZoneOption = Annotated[
    str | None,
    typer.Option(
        "--clock-zone",
        help="Time zone of days, weeks and months; by default the bank's for a workspace, else --zone, else UTC.",
    ),
]
WeekOption = Annotated[WeekStart, typer.Option("--week-start", help="The first day of a week.")]
Since = Annotated[str | None, typer.Option("--since", help="Show from the period of this day, such as 2026-01-01.")]
Until = Annotated[str | None, typer.Option("--until", help="Show up to the period of this day.")]
Active = Annotated[
    str | None, typer.Option("--active", help="Events that count as activity, divided by commas; by default any.")
]


@of_log
def retention(
    source: LogSource,
    *,
    period: PeriodOption = Period.WEEK,
    start: Annotated[
        str | None, typer.Option("--start", help="Events that start, divided by commas; by default any.")
    ] = None,
    returns: Annotated[
        str | None, typer.Option("--return", help="Events that count as coming back; by default any.")
    ] = None,
    cohort: Annotated[
        Cohort,
        typer.Option(
            "--cohort",
            help="first: by the first start ever; first_in_range: by the first since --since; "
            "recurring: every period with a start.",
        ),
    ] = Cohort.FIRST,
    mode: Annotated[
        Mode, typer.Option("--mode", help="exact: came back in that period; unbounded: in it or any later one.")
    ] = Mode.EXACT,
    clock: Annotated[
        Clock,
        typer.Option("--clock", help="calendar: local periods; rolling: 24 hours (times 7, times 30) from the start."),
    ] = Clock.CALENDAR,
    brackets: Annotated[
        str | None,
        typer.Option("--brackets", help="Spans of periods instead of single ones, such as 1-1,2-7,8-30."),
    ] = None,
    periods: Annotated[int, typer.Option("--periods", min=0, help="How many periods after the start to follow.")] = 60,
    by: Annotated[
        str | None, typer.Option("--by", help="Column to group by: its value at the event that started.")
    ] = None,
    members: Annotated[
        str | None,
        typer.Option(
            "--members", help="List the customers of a cell: COHORT:CELL, or COHORT:CELL:lost for the others."
        ),
    ] = None,
    since: Since = None,
    until: Until = None,
    clock_zone: ZoneOption = None,
    week_start: WeekOption = WeekStart.MONDAY,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show who comes back: customers by the period of their start, and how many return how many periods later.

    A cell that could not be seen in full yet is left open, not 0. Period 0 is the cohort itself.

    [bold]Examples[/]

      wayline journey retention --period month --start account_opened

      wayline journey retention log.parquet --case user --event action --time at --period week --json

      wayline journey retention log.csv --period day --brackets 1-1,2-7,8-30 --by channel
    """
    from engine.workflows import journey_cohorts as workflow
    from journeys import retention as core

    question = workflow.RetentionQuestion(
        periods=_periods(period, clock_zone, week_start, since, until),
        start=_names(start),
        returns=_names(returns),
        cohort=core.Cohort(cohort),
        mode=core.Mode(mode),
        clock=core.Clock(clock),
        follow=periods,
        brackets=_brackets(brackets),
        by=by,
        members=_cell(members),
    )
    output = Output(as_json, quiet)
    output.result(workflow.retained(source, question), lambda facts: _show_retention(output, facts))


def _show_retention(output: Output, facts: dict[str, Any]) -> None:
    _show_cohorts(output, facts, "")
    for name, group in (facts["by"] or {}).items():
        output.line("")
        _show_cohorts(output, group, name)
    output.line("An open cell could not be seen in full yet.")
    if facts["note"]:
        output.line(f"Note: {facts['note']}.")
    _show_members(output, facts)


def _show_cohorts(output: Output, facts: dict[str, Any], title: str) -> None:
    rows = [
        {"cohort": row["cohort"], "customers": row["customers"]}
        | {_span(cell): numbers.share(cell["share"]) for cell in row["cells"][1 : _SHOWN_CELLS + 1]}
        for row in [*facts["cohorts"], facts["overall"]]
    ]
    widest = max(rows, key=len)
    output.table(rows, list(widest), title=title)


def _span(cell: dict[str, Any]) -> str:
    if cell["to"] is None:
        return f"{cell['from']} or later"
    return str(cell["from"]) if cell["from"] == cell["to"] else f"{cell['from']} to {cell['to']}"


@of_log
def lifecycle(
    source: LogSource,
    *,
    period: PeriodOption = Period.WEEK,
    active: Active = None,
    members: Annotated[
        str | None,
        typer.Option("--members", help="List customers: PERIOD:STATUS, such as 2026-03-02:dormant."),
    ] = None,
    since: Since = None,
    until: Until = None,
    clock_zone: ZoneOption = None,
    week_start: WeekOption = WeekStart.MONDAY,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show who is new, returning, resurrecting or dormant in every period.

    New is created in the period; dormant is active in the period before and not in this one, so it is told once.

    [bold]Examples[/]

      wayline journey lifecycle --period month

      wayline journey lifecycle log.csv --period week --active payment,transfer --json
    """
    from engine.workflows import journey_cohorts as workflow

    question = workflow.LifecycleQuestion(
        periods=_periods(period, clock_zone, week_start, since, until), active=_names(active), members=_status(members)
    )
    output = Output(as_json, quiet)
    output.result(workflow.phases(source, question), lambda facts: _show_lifecycle(output, facts))


def _show_lifecycle(output: Output, facts: dict[str, Any]) -> None:
    rows = facts["periods"]
    output.table(rows, list(rows[0]) if rows else ())
    output.line(f"Created by: {facts['created_by']}.")
    _show_members(output, facts)


@of_log
def stickiness(
    source: LogSource,
    *,
    period: PeriodOption = Period.DAY,
    active: Active = None,
    every: Annotated[int, typer.Option("--every", min=1, help="How many periods make a bucket.")] = 1,
    members: Annotated[
        int | None, typer.Option("--members", min=1, help="List the customers active in exactly so many buckets.")
    ] = None,
    since: Since = None,
    until: Until = None,
    clock_zone: ZoneOption = None,
    week_start: WeekOption = WeekStart.MONDAY,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show in how many days, weeks or months customers are active, and what share of a month's come on a day.

    [bold]Examples[/]

      wayline journey stickiness --since 2026-06-01 --until 2026-06-30

      wayline journey stickiness log.csv --period week --json
    """
    from engine.workflows import journey_cohorts as workflow

    question = workflow.StickinessQuestion(
        periods=_periods(period, clock_zone, week_start, since, until),
        active=_names(active),
        every=every,
        members=members,
    )
    output = Output(as_json, quiet)
    output.result(workflow.habits(source, question), lambda facts: _show_stickiness(output, facts))


def _show_stickiness(output: Output, facts: dict[str, Any]) -> None:
    rows = [
        {"buckets": place, "customers": exactly, "so_many_or_more": at_least}
        for place, (exactly, at_least) in enumerate(zip(facts["exactly"], facts["at_least"], strict=True), start=1)
        if at_least
    ]
    output.table(rows, ("buckets", "customers", "so_many_or_more"))
    rates = facts["rates"]
    output.facts(
        {
            "range": f"{facts['from']} to {facts['to']}, {facts['buckets']} buckets",
            "active in, on average": numbers.number(facts["mean_buckets"]),
            "DAU / WAU": numbers.share(rates["dau_of_wau"]),
            "DAU / MAU": numbers.share(rates["dau_of_mau"]),
            "WAU / MAU": numbers.share(rates["wau_of_mau"]),
            "rates": rates["reason"] or f"{rates['definition']}; {rates['days']} days",
        }
    )
    _show_members(output, facts)


@of_log
def churn(
    source: LogSource,
    *,
    inactive: Annotated[
        float, typer.Option("--inactive", min=0, help="Days without an event after which a customer has churned.")
    ] = 90,
    active: Active = None,
    every: Annotated[float, typer.Option("--every", min=0.01, help="Length in days of a stretch of the hazard.")] = 30,
    stretches: Annotated[int, typer.Option("--stretches", min=1, max=1000, help="How many stretches.")] = 12,
    by: Annotated[
        str | None, typer.Option("--by", help="Column to group by: its value at the customer's first event.")
    ] = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show how customers churn: when they fall silent, counted from their first event.

    The last days, as many as --inactive says, cannot tell yet: customers are watched until then.

    [bold]Examples[/]

      wayline journey churn --inactive 90

      wayline journey churn log.csv --inactive 30 --by channel --json
    """
    from engine.workflows import journey_cohorts as workflow

    question = workflow.ChurnQuestion(
        inactivity_days=inactive, active=_names(active), every_days=every, stretches=stretches, by=by
    )
    output = Output(as_json, quiet)
    output.result(workflow.lost(source, question), lambda facts: _show_churn(output, facts))


def _show_churn(output: Output, facts: dict[str, Any]) -> None:
    _show_hazards(output, facts, "")
    for name, group in (facts["by"] or {}).items():
        output.line("")
        _show_hazards(output, group, name)
    if facts["pairs"]:
        rows = [
            {
                "compared": f"{pair['one']} with {pair['other']}",
                "p_value": pair["p_value"],
                "p_holm": numbers.cell("p_value", pair["adjusted_p_value"]),
                "why_not": pair["reason"],
            }
            for pair in facts["pairs"]
        ]
        output.line("")
        output.table(rows, list(rows[0]), title="Log-rank test of the groups")


def _show_hazards(output: Output, group: dict[str, Any], title: str) -> None:
    rows = [
        {
            "days": f"{one['from_days']:g} to {one['to_days']:g}",
            "watched": one["n"],
            "churned": one["churned"],
            "hazard": numbers.share(one["hazard"]),
            "interval_95": numbers.span(one["low"], one["high"], numbers.share),
            "still_customers": numbers.share(one["still_customers"]),
            "why_not": one["reason"],
        }
        for one in group["hazards"]
    ]
    kept = [name for name in rows[0] if name != "why_not" or any(row["why_not"] for row in rows)]
    output.table(rows, kept, title=title)
    median = group["median_days"]
    output.line(
        f"{numbers.count(group['watched'])} watched, {numbers.count(group['churned'])} churned, of whom "
        f"{numbers.count(group['came_back'])} came back; {numbers.count(group['too_new'])} too new to tell. "
        + (f"Half churn within {median:.1f} days." if median is not None else f"No median: {group['median_reason']}.")
    )


def _show_members(output: Output, facts: dict[str, Any]) -> None:
    if "members" not in facts:
        return
    found = facts["members"]
    output.line("")
    output.line(f"{numbers.count(found['count'])} customers:")
    for customer in found["customers"][:_SHOWN_IDS]:
        output.line(customer)
    if found["count"] > _SHOWN_IDS:
        output.line(f"and {numbers.count(found['count'] - _SHOWN_IDS)} more; --json lists all of them.")


def _names(text: str | None) -> tuple[str, ...]:
    from journeys import notation
    from journeys.activity import ANY

    return ANY if text is None else notation.listed(text)


def _periods(period: Period, zone: str | None, week_start: WeekStart, since: str | None, until: str | None) -> Periods:
    from engine.workflows import journey_cohorts as workflow

    return workflow.Periods(
        unit=period.value,
        zone=zone,
        week_start=week_start.value,
        since=_day(since, "--since"),
        until=_day(until, "--until"),
    )


def _day(text: str | None, option: str) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f'"{text}" is no day. Write it like 2026-06-30.', param_hint=option) from None


def _brackets(text: str | None) -> tuple[tuple[int, int], ...]:
    spans = [re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", word) for word in text.split(",")] if text is not None else []
    if not all(spans):
        raise typer.BadParameter(f'"{text}": expected spans of periods such as 1-1,2-7,8-30.', param_hint="--brackets")
    return tuple((int(span[1]), int(span[2] or span[1])) for span in spans if span)


def _cell(text: str | None) -> tuple[str, int, bool] | None:
    if text is None:
        return None
    words = text.split(":")
    if len(words) not in (2, 3) or not words[1].isdigit() or words[2:] not in ([], ["lost"]):
        raise typer.BadParameter(
            f'"{text}": expected COHORT:CELL or COHORT:CELL:lost, such as 2026-03-02:1.', param_hint="--members"
        )
    return words[0], int(words[1]), len(words) == 2


def _status(text: str | None) -> tuple[str, Any] | None:
    from journeys.lifecycle import Status

    if text is None:
        return None
    label, _, status = text.partition(":")
    if status not in {one.value for one in Status}:
        raise typer.BadParameter(
            f'"{text}": expected PERIOD:STATUS with one of {", ".join(Status)}.', param_hint="--members"
        )
    return label, Status(status)


def add_to(journey: typer.Typer) -> None:
    """Add the commands."""
    for command in (retention, lifecycle, stickiness, churn):
        journey.command()(command)
