"""`wayline simulate`: a simulated bank as files."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from engine.cli import numbers, options
from engine.cli.output import Output


class FileFormat(StrEnum):
    """The files that a bank can be simulated as."""

    PARQUET = "parquet"
    CSV = "csv"


def simulate(
    *,
    out: Annotated[Path, typer.Option("--out", help="An empty or new folder for the files.")],
    customers: Annotated[int, typer.Option("--customers", "-n", min=1, max=10_000_000, help="How many.")] = 20_000,
    seed: options.Seed = None,
    file_format: Annotated[FileFormat, typer.Option("--format", help="The files to write.")] = FileFormat.PARQUET,
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="Processes that work side by side.")] = 1,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write a simulated bank as files, with the truth that no bank knows beside it.

    [bold]Examples[/]

      wayline simulate --out bank

      wayline simulate -n 1000000 --seed 7 --workers 2 --out bank

      wayline simulate -n 300 --format csv --out sample
    """
    from engine.workflows import simulate as workflow

    output = Output(as_json, quiet)
    with output.progress("Simulating customers") as progress:
        summary = workflow.simulate(
            customers, seed, out, file_format=file_format.value, workers=workers, progress=progress
        )
    output.result(summary, lambda facts: _show(output, facts))
    output.say(f"Load it with `wayline init --from simulated {out}`.")


def _show(output: Output, facts: Any) -> None:
    rows = facts.get("rows")
    if isinstance(rows, dict):
        output.table([{"table": name, "rows": number} for name, number in rows.items()], ("table", "rows"))
    known = {name: value for name, value in facts.items() if not isinstance(value, (dict, list))}
    output.facts({numbers.heading(name): numbers.cell(name, value) for name, value in known.items()})


def add_to(wayline: typer.Typer) -> None:
    """Add the command."""
    wayline.command("simulate")(simulate)
