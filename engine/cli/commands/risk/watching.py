"""`wayline risk monitor`, `watch`, `due`, `review`: what drifted, whom to look at, who is due, who was looked at."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from engine.cli import numbers, options
from engine.cli.output import Output

Lang = Annotated[options.Language, typer.Option("--lang", help="English or Chinese, for the sentences shown.")]
_WATCHED: Final = ("customer_id", "status", "severity", "entered_at", "left_at", "next_review_at", "triggers")
_DUE: Final = ("customer_id", "risk_tier", "last_assessed_at", "reassess_at", "cause")
_MOST: Final = 40


def monitor(
    *,
    run_id: options.RunId = None,
    language: Lang = options.Language.EN,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show what has drifted, since when, and what the gate does about it; with --json, every figure and curve.

    Each month's applicants and customers are compared with those before, the score and every characteristic of it; and
    matured loans with what was predicted. A drift must pass both what chance allows and what matters.

    [bold]Examples[/]

      wayline risk monitor

      wayline risk monitor --lang zh

      wayline risk monitor --json | jq .cautions
    """
    from engine.workflows import risk_watch as workflow

    output = Output(as_json, quiet)
    suffix = "_zh" if language is options.Language.ZH else ""
    output.result(workflow.monitor(home, run_id), lambda facts: _show_monitor(output, facts, f"text{suffix}"))


def watch(
    *,
    severity: Annotated[
        str | None, typer.Option("--severity", help="Only this severity or a graver one: low, medium, high.")
    ] = None,
    left: Annotated[bool, typer.Option("--left", help="Also who left the list in the last 90 days.")] = False,
    run_id: options.RunId = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """List the customers on the watch list: since when, why, and by when a person looks.

    [bold]Examples[/]

      wayline risk watch

      wayline risk watch --severity high

      wayline risk watch --left --json | jq '.customers[] | select(.status == "left")'
    """
    from engine.workflows import risk_watch as workflow

    output = Output(as_json, quiet)
    found = workflow.watch(home, run_id, severity=severity, left=left)
    output.result(found, lambda facts: _show_watch(output, facts))


def due(
    *,
    on: Annotated[
        str | None, typer.Option("--on", help="Due on this day or before; by default the date of the run.")
    ] = None,
    run_id: options.RunId = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """List whose risk is due to be assessed again: by the tier, or sooner by the watch list. Asking changes nothing.

    [bold]Examples[/]

      wayline risk due

      wayline risk due --on 2026-09-30 --json | jq '.due | length'
    """
    moment = options.instant(on, "--on")
    from engine.workflows import risk_watch as workflow

    output = Output(as_json, quiet)
    output.result(workflow.due(home, run_id, on=moment), lambda facts: _show_due(output, facts))


def review(
    *,
    customer_id: Annotated[str, typer.Argument(metavar="CUSTOMER", help="The bank's id of the customer.")],
    outcome: Annotated[str, typer.Option("--outcome", help="What was found: no_concern, keep_watching or act.")],
    run_id: options.RunId = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Keep that a person has looked at a customer; the next review is counted from now, and the audit log says who.

    [bold]Examples[/]

      wayline risk review C00000042 --outcome keep_watching
    """
    from engine.workflows import risk_watch as workflow

    output = Output(as_json, quiet)
    found = workflow.review(home, customer_id, outcome, run_id=run_id)
    output.result(found, lambda facts: output.facts({name: str(value) for name, value in facts.items()}))


def _show_monitor(output: Output, facts: dict[str, Any], text: str) -> None:
    cautions = facts["cautions"]
    if not cautions:
        output.line("Nothing has drifted beyond its limit; the gate is as usual.")
    for caution in cautions:
        output.line(f"Caution: {caution[text]}")
    output.line("")
    columns = ("population", "what", "measure", "value", "limit", "decided_by", "verdict", "since", "rows")
    shown = [
        row
        for row in facts["latest"]
        if row["what"] == "score" or row["verdict"] != "stable"
        if row["measure"] != "missing_share" or row["verdict"] != "stable"
    ]
    output.table(shown, columns, title="Latest periods: the score, and what is not stable")
    moves = [row for row in facts["moves"] if row["kind"] == "tier" and row["count"]]
    if moves:
        output.line("")
        output.table(moves, ("origin", "target", "count", "share"), title="Moves between tiers")
    for code, reason in facts["silent_triggers"].items():
        output.line(f"Trigger {code}: {reason}.")


def _show_watch(output: Output, facts: dict[str, Any]) -> None:
    rows = facts["customers"]
    output.table(rows[:_MOST], _WATCHED)
    if len(rows) > _MOST:
        output.line(f"... and {numbers.count(len(rows) - _MOST)} more: see --json.")
    output.line(f"{numbers.count(len(rows))} customers as of {numbers.moment(facts['as_of'])}.")
    for code, reason in facts["silent_triggers"].items():
        output.line(f"Trigger {code}: {reason}.")


def _show_due(output: Output, facts: dict[str, Any]) -> None:
    rows = facts["due"]
    output.table(rows[:_MOST], _DUE)
    if len(rows) > _MOST:
        output.line(f"... and {numbers.count(len(rows) - _MOST)} more: see --json.")
    later = numbers.count(facts["due_later"])
    output.line(f"{numbers.count(len(rows))} due on {numbers.moment(facts['on'])}; {later} later.")


def add_to(risk: typer.Typer) -> None:
    """Add the commands."""
    risk.command("monitor")(monitor)
    risk.command("watch")(watch)
    risk.command("due")(due)
    risk.command("review")(review)
