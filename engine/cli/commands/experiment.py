"""`wayline experiment`: what was tested, and whether it worked."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from typing import Annotated, Any

import typer

from engine.cli import faults, numbers, options
from engine.cli.groups import group
from engine.cli.output import Output
from engine.cli.plain import plain

experiment = group("experiment", "Read experiments: who got what, and whether it worked.")


@experiment.command("list")
def listing(
    *,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """List the experiments of the current run.

    [bold]Examples[/]

      wayline experiment list

      wayline experiment list --json | jq -r '.[].experiment_id'
    """
    from engine.workflows import experiment as workflow

    output = Output(as_json, quiet)
    output.result(workflow.listing(home), lambda rows: output.table(rows, tuple(rows[0]) if rows else ()))


@experiment.command()
def report(
    *,
    experiment_id: Annotated[str, typer.Argument(help="The experiment, as `wayline experiment list` names it.")],
    show_withheld: Annotated[
        bool, typer.Option("--show-withheld", help="Show numbers that a failed check withholds; do not decide on them.")
    ] = False,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Report one experiment: its checks, then each metric with its interval; exit with 3 when a check stops it.

    [bold]Examples[/]

      wayline experiment report card_onboarding

      wayline experiment report loan_reminder --show-withheld
    """
    from engine.workflows import experiment as workflow

    output = Output(as_json, quiet)
    found = workflow.report(home, experiment_id, show_withheld)
    output.result(found, lambda facts: _show(output, facts))
    if any(check.get("status") == "stop" for check in plain(found).get("health") or ()):
        raise typer.Exit(faults.CHECK_FAILED)


def _show(output: Output, facts: dict[str, Any]) -> None:
    output.table(facts.get("health") or [], ("check", "status", "p_value", "detail"), title="Checks")
    output.line("")
    rows = [_readable(row) for row in facts.get("results") or []]
    columns = ("metric", "role", "variant", "units", "control", "mean", "difference", "interval", "p", "verdict")
    output.table(rows, columns, title="Results")
    for reason in dict.fromkeys(row["withheld_reason"] for row in facts.get("results") or [] if row["withheld_reason"]):
        output.line(reason)


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    def value(name: str) -> str:
        return (numbers.share if row.get("metric_kind") == "proportion" else numbers.number)(row.get(name))

    bounded = row.get("lower") is not None and row.get("upper") is not None
    return {
        "metric": row["metric"],
        "role": row.get("role"),
        "variant": row["variant"],
        "units": f"{numbers.count(row.get('control_units'))} / {numbers.count(row.get('variant_units'))}",
        "control": value("control_mean"),
        "mean": value("variant_mean"),
        "difference": value("difference"),
        "interval": f"{value('lower')} to {value('upper')}" if bounded else None,
        "p": numbers.cell("p_value", row.get("p_value")),
        "verdict": str(row.get("verdict") or "").replace("_", " "),
    }


def add_to(wayline: typer.Typer) -> None:
    """Add the group."""
    wayline.add_typer(experiment)
