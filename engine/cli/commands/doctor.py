"""`wayline doctor`: whether this machine and this workspace are fit to run."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from typing import Any

import typer

from engine.cli import faults, options
from engine.cli.output import Output
from engine.cli.plain import plain


def doctor(
    *,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Check versions, memory, disk, time zones, the workspace and the database; exit with 3 when one fails.

    [bold]Examples[/]

      wayline doctor

      wayline doctor --json | jq '.[] | select(.status != "ok")'
    """
    from engine.workflows import doctor as workflow

    output = Output(as_json, quiet)
    checks = workflow.diagnose(home)
    output.result(checks, lambda rows: _show(output, rows))
    failed = [check for check in plain(checks) if check["status"] == "fail"]
    if failed:
        output.say(f"{len(failed)} of {len(checks)} checks failed.")
        raise typer.Exit(faults.CHECK_FAILED)


def _show(output: Output, rows: list[dict[str, Any]]) -> None:
    output.table([_without_remedy(row) for row in rows], ("name", "status", "detail", "remedy"))


def _without_remedy(row: dict[str, Any]) -> dict[str, Any]:
    return row if row["status"] != "ok" else {**row, "remedy": ""}


def add_to(wayline: typer.Typer) -> None:
    """Add the command."""
    wayline.command("doctor")(doctor)
