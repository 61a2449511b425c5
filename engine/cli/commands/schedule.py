"""`wayline schedule`: loads, runs, exports and feedback at set times, one at a time, caught up with after a crash."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

import logging
import os
import signal
import threading
from typing import Annotated, Any

import typer

from engine.cli import faults, numbers, options
from engine.cli.groups import group
from engine.cli.output import Output

schedule = group("schedule", "Load, run, export and take in feedback at set times, one at a time.")

Name = Annotated[str, typer.Argument(help="The name of the schedule.")]
By = Annotated[str, typer.Option("--by", help="Who answers for it: a person's name.")]


@schedule.command()
def add(
    *,
    name: Name,
    cron: Annotated[
        str, typer.Option("--cron", help="When, in the bank's time zone: minute hour day month weekday, or @daily.")
    ],
    job: Annotated[str, typer.Option("--job", help="load, run, export, feedback or webhooks.")],
    by: By,
    mapping: Annotated[str | None, typer.Option("--mapping", help="load: the mapping file.")] = None,
    file: Annotated[str | None, typer.Option("--file", help="feedback: the file to take in.")] = None,
    audience: Annotated[str | None, typer.Option("--audience", help="export: the audience.")] = None,
    preset: Annotated[str | None, typer.Option("--preset", help="export, feedback: the campaign tool.")] = None,
    mode: Annotated[str | None, typer.Option("--mode", help="export: full, delta or mirror.")] = None,
    file_format: Annotated[str | None, typer.Option("--format", help="export: csv, jsonl, parquet, ...")] = None,
    channel: Annotated[str | None, typer.Option("--channel", help="export: the contact channel.")] = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Schedule a job. `wayline schedule run` has to run for it to be made.

    [bold]Examples[/]

      wayline schedule add nightly --cron "30 2 * * *" --job run --by ann

      wayline schedule add load --cron "0 1 * * 1-5" --job load --mapping mapping.toml --by ann

      wayline schedule add crm --cron "0 6 * * *" --job export --audience savers --preset braze_cdi --by ann
    """
    from engine.workflows import schedule as workflow

    output = Output(as_json, quiet)
    arguments = {"mapping": mapping, "file": file, "audience": audience, "preset": preset, "mode": mode}
    arguments |= {"format": file_format, "channel": channel, "by": by if job == "export" else None}
    made = workflow.add(home, workflow.Planned(name=name, cron=cron, job=job, by=by, arguments=arguments))
    output.result(made, lambda facts: _show([facts], output))


@schedule.command(name="list")
def list_(
    *,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """List the schedules with their next time and what came of the last.

    [bold]Examples[/]

      wayline schedule list
    """
    from engine.workflows import schedule as workflow

    output = Output(as_json, quiet)
    output.result(workflow.listed(home), lambda facts: _show(facts, output))


@schedule.command()
def remove(
    *,
    name: Name,
    by: By,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Take a schedule out of force; what it made stays on record.

    [bold]Examples[/]

      wayline schedule remove nightly --by ann
    """
    from engine.workflows import schedule as workflow

    output = Output(as_json, quiet)
    output.result(workflow.remove(home, name, by), lambda facts: output.line(f"{facts['name']} is removed."))


@schedule.command()
def run(
    *,
    once: Annotated[bool, typer.Option("--once", help="Make what is due now, and end.")] = False,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Make what is due, one at a time, until told to stop (SIGTERM or Ctrl-C).

    What was missed while nobody ran this is made once, the newest time of each schedule. A job that fails is tried
    again, then somebody is told: [schedule] in wayline.toml. With --once exit with 5 when a job failed.

    [bold]Examples[/]

      wayline schedule run

      wayline schedule run --once --json
    """
    from engine.workflows import scheduler as workflow

    output = Output(as_json, quiet)
    with workflow.opened(home) as opened:
        if not once:
            _until_told(opened, output)
            return
        made = opened.make_due()
    output.result(made, lambda facts: _show_made(facts, output))
    if any(one.status != "done" for one in made):
        raise typer.Exit(faults.PARTIAL)


def _until_told(opened: Any, output: Output) -> None:
    logging.basicConfig(level=logging.WARNING if output.quiet else logging.INFO, format="%(asctime)s %(message)s")
    for noisy in ("alembic", "apscheduler", "httpx"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    stop = threading.Event()

    def told(*_: object) -> None:
        if stop.is_set():
            os._exit(faults.INTERRUPTED)  # told twice: at once, which the next scheduler makes good
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told)
    output.say("Waiting for what is due. Stop with Ctrl-C.")
    if not opened.run_forever(stop):
        os._exit(faults.PARTIAL)  # its thread cannot be stopped, and what it leaves is never half done


@schedule.command()
def status(
    *,
    seen_by: Annotated[
        str | None, typer.Option("--seen-by", help="Enter that this person has looked at all alerts.")
    ] = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show what is scheduled, what came of it, and alerts; exit with 3 while there are any that nobody looked at.

    [bold]Examples[/]

      wayline schedule status

      wayline schedule status --seen-by ann
    """
    from engine.workflows import schedule as workflow

    output = Output(as_json, quiet)
    if seen_by is not None:
        workflow.acknowledge(home, seen_by)
    told = workflow.status(home)
    output.result(told, lambda facts: _show_status(facts, output))
    if told["alerts"]:
        raise typer.Exit(faults.CHECK_FAILED)


def _show(facts: list[dict[str, Any]], output: Output) -> None:
    rows = [{**one, "last": one["last"]["status"] if one["last"] else None} for one in facts]
    output.table(rows, ("name", "job", "cron", "time_zone", "next_at", "last", "by"))


def _show_made(facts: list[dict[str, Any]], output: Output) -> None:
    rows = [{**one, "came_of_it": _came_of_it(one["result"])} for one in facts]
    output.table(rows, ("schedule", "due_at", "status", "missed", "attempts", "came_of_it"), title="Made")


def _came_of_it(result: dict[str, Any] | None) -> str | None:
    if not result:
        return None
    return result.get("error") or ", ".join(f"{name} {numbers.cell(name, value)}" for name, value in result.items())


def _show_status(facts: dict[str, Any], output: Output) -> None:
    _show(facts["schedules"], output)
    output.line("")
    _show_made(facts["turns"], output)
    if facts["alerts"]:
        output.line("")
        output.table(facts["alerts"], ("number", "at", "subject", "sentence", "told"), title="Alerts")


def add_to(wayline: typer.Typer) -> None:
    """Add the group."""
    wayline.add_typer(schedule)
