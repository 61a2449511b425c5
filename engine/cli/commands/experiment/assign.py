"""`wayline experiment assign`: which variant a unit has, and why."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from engine.cli import numbers, options
from engine.cli.commands.experiment.past_units import weights_of
from engine.cli.output import Output

_SHOWN: Final = 20

Experiment = Annotated[str, typer.Argument(help="The experiment's id; without --weights one of the settings.")]
File = Annotated[
    Path | None,
    typer.Argument(metavar="FILE", help="CSV or Parquet, plain, .gz or .zip; a row for each unit, with headings."),
]
Units = Annotated[list[str] | None, typer.Option("--unit", help="The id of a unit; repeatable, in place of a file.")]
Column = Annotated[
    str | None, typer.Option("--column", help="Column of the ids; by default unit_id, customer_id, id and the like.")
]
Eligible = Annotated[str | None, typer.Option("--eligible", help="Column that says who may take part at all.")]
Weights = Annotated[
    str | None, typer.Option("--weights", help="The split, such as A=0.5,B=0.5; by default the experiment's own.")
]
Salt = Annotated[str | None, typer.Option("--salt", help="What is hashed with the id; by default the experiment's id.")]
Scheme = Annotated[
    str | None,
    typer.Option("--scheme", help="sha256, growthbook_v2 or growthbook_v1; by default that of the settings."),
]
Coverage = Annotated[float | None, typer.Option("--coverage", help="Share of the units that take part, from 0 to 1.")]
At = Annotated[
    str | None,
    typer.Option("--at", help="The day whose step of the ramp counts, such as 2026-06-30; by default the latest."),
]
Out = Annotated[
    Path | None, typer.Option("--out", help="Write the rows to this .csv or .parquet file: the way for many units.")
]


def assign(
    *,
    experiment_id: Experiment,
    file: File = None,
    unit: Units = None,
    column: Column = None,
    eligible: Eligible = None,
    weights: Weights = None,
    salt: Salt = None,
    scheme: Scheme = None,
    coverage: Coverage = None,
    at: At = None,
    out: Out = None,
    encoding: options.Encoding = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Say which variant each unit has, or why it has none; the same answer every time, and nothing is stored.

    [bold]Examples[/]

      wayline experiment assign card_onboarding --unit C00000007

      wayline experiment assign new_test customers.csv --weights A=0.9,B=0.1 --coverage 0.2 --json

      wayline experiment assign my-test ids.csv --weights A=0.5,B=0.5 --scheme growthbook_v2 --salt my-seed
    """
    from engine.workflows import experiment_assign as workflow

    output = Output(as_json, quiet)
    question = workflow.Question(
        experiment_id=experiment_id,
        path=file,
        units=tuple(unit or ()),
        column=column,
        eligible=eligible,
        weights=None if weights is None else weights_of(weights),
        salt=salt,
        scheme=scheme,
        coverage=coverage,
        at=options.instant(at, "--at"),
        out=out,
        encoding=encoding,
        home=home,
    )
    output.result(workflow.assign(question), lambda facts: _show(output, facts))


def _show(output: Output, facts: dict[str, Any]) -> None:
    rows = facts.get("units", [])
    shown = [{**row, "arm": row["arm"] or "none", "bucket": f"{row['bucket']:.4f}"} for row in rows[:_SHOWN]]
    if shown:
        output.table(shown, ("unit", "arm", "reason", "bucket"))
    if len(rows) > _SHOWN:
        output.line(f"{numbers.count(len(rows) - _SHOWN)} further units: write them to a file with --out.")
    if "written" in facts:
        output.line(f"{numbers.count(facts['written']['rows'])} units are in {facts['written']['path']}.")
    output.line("")
    output.line(f"By {facts['scheme']} with the salt {facts['salt']}:")
    counts = {arm: numbers.count(count) for arm, count in facts["counts"].items()}
    without = {why.replace("_", " "): numbers.count(n) for why, n in facts["reasons"].items() if why != "assigned"}
    output.facts(counts | without)
    if facts["left_out"]:
        output.line(f"{numbers.count(facts['left_out'])} rows have no id, or cannot be read, and are left out.")
    for note in facts["notes"]:
        output.line(note)


def add_to(experiment: typer.Typer) -> None:
    """Add the command."""
    experiment.command()(assign)
