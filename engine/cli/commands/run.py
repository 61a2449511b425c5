"""`wayline run`: everything, from the curated tables to the offers."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from typing import Annotated, Any

import typer

from engine.cli import faults, numbers, options
from engine.cli.output import Output
from engine.cli.plain import plain


def run(
    *,
    home: options.Home = options.HOME,
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of",
            help="Look from this instant; by default the latest one in the data. A date is the end of that day in UTC.",
        ),
    ] = None,
    seed: options.Seed = None,
    again: Annotated[bool, typer.Option("--again", help="Work it out again even when nothing has changed.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 5 when a stage had to be skipped.")] = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Work everything out: features, segments, risk, journeys, offers and experiments.

    A stage whose tables the bank does not have is skipped, and the reason told. The same tables, settings and seed
    give the same run again, byte for byte.

    [bold]Examples[/]

      wayline run

      wayline run --as-of 2026-06-30 --seed 7

      wayline run --json | jq .stages
    """
    moment = options.instant(as_of, "--as-of")
    from engine.workflows import run as workflow

    output = Output(as_json, quiet)
    with output.progress("Running") as progress:
        summary = workflow.run(home, moment, seed, again, progress)
    output.result(summary, lambda facts: show(output, facts))
    stages = plain(summary)["stages"]
    if strict and any(stage["status"] != "done" for stage in stages):
        raise typer.Exit(faults.PARTIAL)


def show(output: Output, facts: Any) -> None:
    """Show what a run did, stage by stage."""
    stages = [{**stage, "rows": _rows(stage.get("rows"))} for stage in facts["stages"]]
    output.table(stages, ("stage", "status", "seconds", "rows", "reason"))
    for stage in facts["stages"]:
        for note in stage.get("notes") or ():
            output.line(f"{stage['stage']}: {note}")
    output.facts(
        {
            "run": facts["run_id"] + (" (made before, nothing has changed)" if facts.get("reused") else ""),
            "as of": numbers.moment(facts["as_of"]),
            "took": numbers.duration(facts.get("seconds")),
            "peak memory": f"{numbers.count(facts.get('peak_memory_mb'))} MB",
            "results": str(facts.get("results", "")),
        }
    )


def _rows(rows: Any) -> int | None:
    return sum(rows.values()) if isinstance(rows, dict) else rows


def add_to(wayline: typer.Typer) -> None:
    """Add the command."""
    wayline.command("run")(run)
