"""`wayline data`: a bank's own tables, checked, loaded and described."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from engine.cli import faults, numbers, options
from engine.cli.groups import group
from engine.cli.output import Output, write
from engine.cli.plain import plain

data = group("data", "Check, load and describe a bank's own tables.")

Mapping = Annotated[Path, typer.Argument(help="The mapping file: which file is which table.")]


Errors = Annotated[
    Path | None,
    typer.Option("--errors", help="Write the rows to mend to this CSV file: row, column, code, the value masked."),
]


@data.command()
def check(
    *,
    mapping: Mapping,
    home: options.Home = options.HOME,
    errors: Errors = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Read the sources as `load` would and report, but keep nothing; exit with 3 when a row would be quarantined.

    [bold]Examples[/]

      wayline data check mapping.toml

      wayline data check mapping.toml --errors errors.csv

      wayline data check mapping.toml --json | jq .tables
    """
    from engine.workflows import load as workflow

    output = Output(as_json, quiet)
    with output.progress("Checking") as progress:
        report = workflow.check(mapping, home, progress=progress, errors=errors)
    output.result(report, lambda facts: show_report(output, facts))
    if quarantined(plain(report)):
        raise typer.Exit(faults.CHECK_FAILED)


@data.command()
def load(
    *,
    mapping: Mapping,
    home: options.Home = options.HOME,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 5 when a row was quarantined.")] = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Load the sources into the workspace, all or nothing; bad rows go to quarantine, each with its reason.

    [bold]Examples[/]

      wayline data load mapping.toml

      wayline data load mapping.toml --home work --strict
    """
    from engine.workflows import load as workflow

    output = Output(as_json, quiet)
    with output.progress("Loading") as progress:
        report = workflow.load(home, mapping, progress=progress)
    output.result(report, lambda facts: show_report(output, facts))
    if strict and quarantined(plain(report)):
        raise typer.Exit(faults.PARTIAL)


@data.command()
def report(
    *,
    home: options.Home = options.HOME,
    errors: Errors = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show what the last load read, kept, repaired and quarantined, and why.

    [bold]Examples[/]

      wayline data report

      wayline data report --json | jq '.tables[] | select(.quarantined > 0)'
    """
    from engine.workflows import load as workflow

    output = Output(as_json, quiet)
    if errors is not None:
        workflow.errors(home, errors)
    output.result(workflow.report(home), lambda facts: show_report(output, facts))


@data.command()
def dictionary(
    *,
    language: Annotated[options.Language, typer.Option("--lang", help="English or Chinese.")] = options.Language.EN,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write the data dictionary as Markdown: every table and column that can be loaded, its type, unit and meaning.

    [bold]Examples[/]

      wayline data dictionary > dictionary.md

      wayline data dictionary --lang zh
    """
    from engine.workflows import load as workflow

    text = workflow.dictionary(language.value)
    Output(as_json, quiet).result(
        {"language": language.value, "markdown": text}, lambda facts: write(facts["markdown"])
    )


def show_report(output: Output, facts: dict[str, Any]) -> None:
    """Show an intake report: a line for each table, then what was refused and repaired, and why."""
    tables = facts["tables"]
    rows = [{**table, "repaired": sum(one["rows"] for one in table["repairs"])} for table in tables]
    output.table(rows, ("table", "read", "kept", "quarantined", "repaired", "seconds"))
    for kind, columns in (
        ("faults", ("table", "code", "column", "expected", "rows")),
        ("repairs", ("table", "rule", "column", "effect", "rows")),
    ):
        found = [{"table": table["table"], **one} for table in tables for one in table[kind]]
        if found:
            output.line("")
            output.table(found, columns, title=kind.capitalize())
    masks = [
        {"table": table["table"], "column": one["column"], "kind": kind, "masked": number}
        for table in tables
        for one in table.get("masks", ())
        for kind, number in [*one["kinds"].items(), *([("cut", one["cut_rows"])] if one["cut_rows"] else [])]
    ]
    if masks:
        output.line("")
        output.table(masks, ("table", "column", "kind", "masked"), title="Masked in free text")
    output.line("")
    for sentence in _notes(facts):
        output.line(sentence)


def _notes(facts: dict[str, Any]) -> list[str]:
    notes = [
        f"{table['table']}: kept aside, since the contract does not know them: {', '.join(table['unknown_columns'])}."
        for table in facts["tables"]
        if table["unknown_columns"]
    ]
    identity = facts.get("identity")
    if identity:
        customers, persons = numbers.count(identity["customers"]), numbers.count(identity["persons"])
        notes.append(f"{customers} customers are {persons} persons.")
    return notes


def quarantined(facts: dict[str, Any]) -> int:
    """Return how many rows an intake report refused."""
    return sum(table["quarantined"] for table in facts["tables"])


def add_to(wayline: typer.Typer) -> None:
    """Add the group."""
    wayline.add_typer(data)
