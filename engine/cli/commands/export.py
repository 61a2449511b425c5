"""`wayline export`: bundles for campaign tools, and the check that a bundle is whole."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from engine.cli import numbers, options
from engine.cli.groups import group
from engine.cli.output import Output

export = group("export", "Hand results to campaign tools, with a manifest and checksums.")


class FileFormat(StrEnum):
    """The files that a bundle can hold."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


@export.command()
def recommendations(
    *,
    run_id: options.RunId = None,
    file_format: Annotated[FileFormat, typer.Option("--format", help="The files to write.")] = FileFormat.CSV,
    destination: Annotated[
        Path | None, typer.Option("--to", help="A folder for the bundle; by default under exports/ in the workspace.")
    ] = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Export every offer of a run as a bundle: files, manifest, checksums. The same run gives the same bytes.

    [bold]Examples[/]

      wayline export recommendations

      wayline export recommendations --format parquet --to outbox/june
    """
    from engine.workflows import export as workflow

    output = Output(as_json, quiet)
    with output.progress("Exporting"):
        made = workflow.recommendations(home, run_id, file_format.value, destination)
    output.result(made, lambda facts: _show(output, facts))


@export.command()
def verify(
    *,
    folder: Annotated[Path, typer.Argument(help="The bundle's folder.")],
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Check a bundle against its manifest: files, sizes, checksums, rows; exit with 3 when anything differs.

    [bold]Examples[/]

      wayline export verify workspace/exports/recommendations/20260630

      wayline export verify outbox/june --json
    """
    from engine.workflows import export as workflow

    output = Output(as_json, quiet)
    output.result(workflow.verify(folder), lambda facts: _show(output, facts))


def _show(output: Output, facts: dict[str, Any]) -> None:
    output.facts({numbers.heading(name): numbers.cell(name, value) for name, value in facts.items()})


def add_to(wayline: typer.Typer) -> None:
    """Add the group."""
    wayline.add_typer(export)
