"""`wayline journey prepare`: a log sorted and coded once, for many questions."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli import numbers, options
from engine.cli.commands.journey.log_options import of_log
from engine.cli.output import Output

if TYPE_CHECKING:
    from engine.workflows.event_logs import LogSource


@of_log
def prepare(
    source: LogSource,
    *,
    into: Annotated[Path, typer.Option("--into", metavar="DIR", help="Folder of the prepared log.")],
    append: Annotated[
        bool, typer.Option("--append", help="FILE is a batch, such as a day's events, for the log that lies in DIR.")
    ] = False,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            "--keep", metavar="COL", help="Take this column along; may be repeated. By default those of few values."
        ),
    ] = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Sort and code a log once: every other command takes DIR for its FILE and answers several times faster.

    A batch is sorted in wherever its events fall, late ones too. A log whose file has changed since is refused.

    [bold]Examples[/]

      wayline journey prepare events.parquet --into log

      wayline journey prepare 2026-06-30.csv --into log --append

      wayline journey prepare --into log --json
    """
    from engine.workflows import journey_prepare as workflow

    output = Output(as_json, quiet)
    if append:
        summary, _ = workflow.append(source, into)
    else:
        summary = workflow.prepare(source, into, tuple(keep or ()))
    output.result(summary, lambda facts: _show(output, facts))


def _show(output: Output, facts: Any) -> None:
    told = {
        "events": numbers.count(facts["events"]),
        "customers": numbers.count(facts["customers"]),
        "at one instant": f"{numbers.count(facts['tied_events'])} events share theirs with another of the customer",
        "attributes": ", ".join(facts["attributes"]) or "none",
        "as of": numbers.moment(facts["as_of"]),
        "size": f"{numbers.count(facts['size_mb'])} MB",
    }
    if facts["changed_customers"] is not None:
        told["added"] = (
            f"{numbers.count(facts['added_events'])} events of {numbers.count(facts['changed_customers'])} customers"
        )
    output.facts({**told, "prepared log": str(facts["folder"])})


def add_to(journey: typer.Typer) -> None:
    """Add the command."""
    journey.command("prepare")(prepare)
