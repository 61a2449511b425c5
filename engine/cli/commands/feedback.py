"""`wayline feedback`: what campaign tools report, whom not to contact, and what came of the contacts."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from engine.cli import faults, numbers, options
from engine.cli.groups import group
from engine.cli.output import Output

feedback = group("feedback", "Take in what campaign tools report: sends, answers, withdrawals, conversions.")

Customer = Annotated[str, typer.Argument(help="The bank's id of the customer.")]
Channel = Annotated[
    str | None, typer.Option("--channel", help="email, sms, phone, push or post; by default every channel.")
]
By = Annotated[str, typer.Option("--by", help="Who says so: a person's name.")]
Note = Annotated[str, typer.Option("--note", help="Why.")]


@feedback.command()
def load(
    *,
    file: Annotated[Path, typer.Argument(help="CSV, JSON lines or Parquet.")],
    preset: Annotated[
        str,
        typer.Option(
            "--from", help="How the file is written: generic, braze, sfmc, hubspot, mailchimp, klaviyo, customerio."
        ),
    ] = "generic",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be taken, and enter nothing.")] = False,
    errors: Annotated[
        Path | None,
        typer.Option("--errors", help="Where rejected rows are listed; by default under feedback/ in the workspace."),
    ] = None,
    encoding: options.Encoding = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Take in a file of feedback; loading it again changes nothing. Exit with 5 when a row was rejected.

    Who unsubscribes, complains or has an address that bounces hard is contacted no more from the next decision on.

    [bold]Examples[/]

      wayline feedback load sent.csv

      wayline feedback load currents.jsonl --from braze --dry-run

      wayline feedback load Unsubs.csv --from sfmc --errors rejected.csv --json
    """
    from engine.workflows import feedback_file as workflow

    output = Output(as_json, quiet)
    with output.progress("Loading") as progress:
        made = workflow.load(home, file, preset, dry_run=dry_run, errors=errors, encoding=encoding, progress=progress)
    output.result(made, lambda facts: _show(output, facts))
    if made.rejected:
        raise typer.Exit(faults.PARTIAL)


@feedback.command()
def status(
    *,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show what was received from which tool, who is not contacted and why, and the newest deliveries.

    [bold]Examples[/]

      wayline feedback status

      wayline feedback status --json | jq .suppressed
    """
    from engine.workflows import feedback as workflow

    output = Output(as_json, quiet)
    output.result(workflow.status(home), lambda facts: _show_status(output, facts))


@feedback.command()
def funnel(
    *,
    audience: Annotated[str | None, typer.Option("--audience", help="Only what is of this audience.")] = None,
    run_id: Annotated[str | None, typer.Option("--run", help="Only what is of this run.")] = None,
    days: Annotated[
        int, typer.Option("--days", min=1, help="After a run, within which an opened product counts.")
    ] = 30,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show who was sent, reached, opened, clicked and converted, by audience, run and tool, beside the control group.

    Opens by mail programmes stand apart. Rates have their 95 % intervals; the comparison is of products opened.

    [bold]Examples[/]

      wayline feedback funnel

      wayline feedback funnel --audience savers --json | jq '.groups[0].rates.click'
    """
    from engine.workflows import feedback_funnel as workflow

    output = Output(as_json, quiet)
    told = workflow.funnel(home, audience=audience, run_id=run_id, days=days)
    output.result(told, lambda facts: _show_funnel(output, facts))


@feedback.command()
def suppress(
    *,
    customer: Customer,
    by: By,
    note: Note,
    channel: Channel = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Enter that a customer must not be contacted, on a channel or on any.

    [bold]Examples[/]

      wayline feedback suppress C00000042 --by ann --note "asked in the branch"

      wayline feedback suppress C00000042 --channel sms --by ann --note "wrong number"
    """
    from engine.workflows import suppressed as workflow

    output = Output(as_json, quiet)
    workflow.suppress(home, customer, channel, by, note)
    output.result({"suppressed": True, "channel": channel}, lambda _: output.line("Entered; the next decision obeys."))


@feedback.command()
def lift(
    *,
    customer: Customer,
    by: By,
    note: Note,
    channel: Channel = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Lift what keeps a customer from being contacted on a channel, or what does so on every one. It is audited.

    [bold]Examples[/]

      wayline feedback lift C00000042 --channel email --by ann --note "signed a new consent on 2026-07-02"
    """
    from engine.workflows import suppressed as workflow

    output = Output(as_json, quiet)
    lifted = workflow.lift(home, customer, channel, by, note)
    output.result(
        {"lifted": lifted, "channel": channel},
        lambda facts: output.line(f"{facts['lifted']} lifted. A consent is needed all the same."),
    )


def _show(output: Output, facts: dict[str, Any]) -> None:
    told = {name: value for name, value in facts.items() if name != "codes" and value is not None}
    output.facts({numbers.heading(name): numbers.cell(name, value) for name, value in told.items()})
    if facts["codes"]:
        output.line("")
        rows = [{"code": code, "rows": rows} for code, rows in facts["codes"].items()]
        output.table(rows, ("code", "rows"), title="Rejected")


def _show_funnel(output: Output, facts: dict[str, Any]) -> None:
    names = ("audience", "run_id", "source")
    for one in facts["groups"]:
        output.facts({numbers.heading(name): str(one[name] or "none named") for name in names})
        output.facts({numbers.heading(step): numbers.cell(step, count) for step, count in one["customers"].items()})
        rows = [{"rate_of": name, **rate} for name, rate in one["rates"].items()]
        output.table(rows, ("rate_of", "rate", "lower", "upper", "of", "reason"))
        for currency, minor in one["converted_minor"].items():
            output.line(f"Converted: {minor} minor units of {currency}.")
        output.line("")
    columns = ("run_id", "days", "control", "advised", "advised_opened", "control_customers", "control_opened")
    output.table(
        facts["comparisons"], (*columns, "difference", "lower", "upper", "reason"), title="Against the control group"
    )


def _show_status(output: Output, facts: dict[str, Any]) -> None:
    output.table(facts["received"], ("source", "type", "events", "received_at"), title="Received")
    output.line("")
    output.table(facts["suppressed"], ("reason", "channel", "customers"), title="Not to be contacted")
    output.line("")
    output.table(
        facts["deliveries"],
        ("job", "source", "status", "started_at", "accepted", "duplicate", "ignored", "rejected"),
        title="Deliveries",
    )


def add_to(wayline: typer.Typer) -> None:
    """Add the group."""
    wayline.add_typer(feedback)
