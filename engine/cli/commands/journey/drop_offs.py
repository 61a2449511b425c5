"""`wayline journey dropoff`: where a journey is left, for which reasons, and what that costs."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli import numbers, options
from engine.cli.commands.journey.funnel import Exclude, From, Optional, OrderOption, Steps, Window
from engine.cli.commands.journey.log_options import of_log
from engine.cli.output import Output

if TYPE_CHECKING:
    from engine.workflows.event_logs import LogSource

_SHOWN = 10

Journey = Annotated[
    str | None,
    typer.Option(
        "--journey", help="A journey of the settings; of the current run, with money, if nothing else is set."
    ),
]
By = Annotated[
    str | None,
    typer.Option(
        "--by", help="Break it down: a column of the log; of a run cluster, value_tier, risk_tier, age, channel."
    ),
]
Errors = Annotated[
    list[str] | None,
    typer.Option(
        "--errors",
        help="Pattern of events that are errors, or COLUMN=PATTERN; repeatable. [*error*, *failed*, *rejected*]",
    ),
]
Silence = Annotated[
    str | None, typer.Option("--silence", help="Nothing for so long is silence, such as 3d. [a tenth of the window]")
]
Open = Annotated[int, typer.Option("--open", min=0, help="Open journeys to list, the likeliest to be dropped first.")]


@of_log
def dropoff(
    source: LogSource,
    *,
    steps: Steps = None,
    journey: Journey = None,
    window: Window = None,
    window_from: From = None,
    order: OrderOption = None,
    exclude: Exclude = None,
    optional: Optional = None,
    by: By = None,
    errors: Errors = None,
    silence: Silence = None,
    open_journeys: Open = _SHOWN,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show where customers leave, after how long, which friction goes along with it, what if, and who may be next.

    [bold]Examples[/]

      wayline journey dropoff --journey credit_card

      wayline journey dropoff --journey personal_loan --by risk_tier --json | jq .by

      wayline journey dropoff log.csv --steps view,apply,open --window 30d --errors "status=*refused*"
    """
    from engine.workflows import journey_drop_offs as workflow
    from engine.workflows.journey_funnel import journey_named
    from journeys import notation, signals, spec

    output = Output(as_json, quiet)
    set_here = (steps, window, window_from, order, exclude, optional, errors, silence, source.path, source.as_of)
    if journey and not any(set_here):
        facts = workflow.of_run(source.home, journey, by)
    else:
        chosen = journey_named(source.home, journey) if journey else None
        funnel = notation.funnel(
            spec.of(chosen) if chosen else None,
            written=steps,
            window=window,
            window_from=window_from,
            order=order,
            exclude=exclude or (),
            optional=optional or (),
        )
        question = workflow.Question(
            funnel=funnel,
            products=chosen.products if chosen else (),
            by=by,
            errors=tuple(errors) if errors else signals.ERRORS,
            silence_seconds=notation.seconds(silence, "--silence") if silence else None,
        )
        facts = workflow.of_log(source, question, journey)
    facts["open"]["journeys"] = facts["open"]["journeys"][:open_journeys]
    output.result(facts, lambda told: _show(output, told))


_STEPS = (
    "step", "customers", "continued", "dropped", "in_progress", "drop_rate", "interval_95", "last_seen",
    "left_from", "next_event", "converters", "gross", "expected_loss", "net",
)  # fmt: skip
_FRICTION = ("step", "signal", "met", "chance_with", "chance_without", "odds_ratio", "interval_95", "q_value", "lost")


def _show(output: Output, facts: dict[str, Any]) -> None:
    output.table([_step(row) for row in facts["steps"]], _STEPS)
    reasons = {row["no_value_reason"] for row in facts["steps"] if row["no_value_reason"]}
    for reason in sorted(reasons):
        output.line(reason)
    for sentence in (_worth(row) for row in facts["steps"][:1] if row["net_minor"] is not None):
        output.line(sentence)
    for group, rows in (facts["by"] or {}).items():
        output.line("")
        output.table([_step(row) for row in rows], _STEPS, title=group)
    _friction(output, facts["friction"])
    _what_if(output, facts["what_if"])
    _open(output, facts)


def _step(row: dict[str, Any]) -> dict[str, Any]:
    currency = row["currency"] or ""
    return {
        "step": f"{row['step']} to {row['next_step']}",
        **{name: row[name] for name in ("customers", "continued", "dropped", "in_progress", "left_from", "next_event")},
        "drop_rate": numbers.share(row["drop_rate"]),
        "interval_95": numbers.span(row["drop_rate_lower"], row["drop_rate_upper"], numbers.share),
        "last_seen": numbers.duration(row["last_seen_seconds"]),
        "converters": numbers.number(row["converters"] and round(row["converters"], 1)),
        "gross": numbers.amount(row["gross_minor"], currency),
        "expected_loss": numbers.amount(row["expected_loss_minor"], currency),
        "net": numbers.amount(row["net_minor"], currency),
    }


def _worth(row: dict[str, Any]) -> str:
    """What the costliest drop-off is about, in a sentence."""
    converters = numbers.number(round(row["converters"], 1))
    told = (
        f"Fixing {row['step']} to {row['next_step']} would add {converters} converters "
        f"and {numbers.amount(row['gross_minor'], row['currency'] or '')} of margin a year, of which "
        f"{numbers.share(row['loss_share'], 0)} would be expected loss."
    )
    if row["unvalued"]:
        told += f" {numbers.count(row['unvalued'])} customers of unknown value are in no amount."
    return told


def _friction(output: Output, found: list[dict[str, Any]]) -> None:
    rows = [
        {
            **{name: row[name] for name in ("step", "signal", "met", "odds_ratio", "note")},
            "chance_with": numbers.share(row["chance_with"]),
            "chance_without": numbers.share(row["chance_without"]),
            "interval_95": numbers.span(row["odds_ratio_lower"], row["odds_ratio_upper"], numbers.number),
            "q_value": numbers.cell("p_value", row["q_value"]),
            "lost": numbers.number(row["lost"] and round(row["lost"], 1)),
        }
        for row in found
        if row["p_value"] is not None or row["structural"]
    ]
    output.line("")
    if not rows:
        output.line("No signal of friction was met often enough to say anything.")
        return
    output.table(rows[:_SHOWN], _FRICTION, title="Friction, the costliest first")
    for note in sorted({row["note"] for row in rows[:_SHOWN]}):
        output.line(note)


def _what_if(output: Output, found: list[dict[str, Any]]) -> None:
    rows = [
        {
            "step": row["step"],
            "as_in": f"{row['breakdown']} = {row['benchmark']}",
            "rate": numbers.share(row["rate"]),
            "of_the_best": numbers.share(row["benchmark_rate"]),
            "more_converters": numbers.number(round(row["more_converters"], 1)),
            "interval_95": numbers.span(row["more_converters_lower"], row["more_converters_upper"], _rounded),
        }
        for row in sorted(found, key=lambda row: -row["more_converters"])
    ]
    if rows:
        output.line("")
        output.table(rows[:_SHOWN], list(rows[0]), title="What if others went on as often as the best group")


def _rounded(value: float | None) -> str:
    return numbers.number(None if value is None else round(value, 1))


def _open(output: Output, facts: dict[str, Any]) -> None:
    found = facts["open"]
    output.line("")
    output.line("1 journey is open." if found["count"] == 1 else f"{numbers.count(found['count'])} journeys are open.")
    for note in sorted({row["note"] for row in facts["validation"]}):
        output.line(note)
    if found["journeys"]:
        columns = ("customer_id", "step", "next_step", "reached_at", "closes_at", "drop_probability", "friction_met")
        output.table(found["journeys"], columns, title="The likeliest to be dropped")


def add_to(journey: typer.Typer) -> None:
    """Add the command."""
    journey.command()(dropoff)
