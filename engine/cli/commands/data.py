"""`wayline data`: a bank's own tables, checked, loaded and described."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from engine.cli import faults, options
from engine.cli.groups import group
from engine.cli.output import Output, write
from engine.cli.plain import plain

data = group("data", "Check, load and describe a bank's own tables.")

Mapping = Annotated[
    Path | None, typer.Argument(help="The mapping file; by default mapping.toml in the workspace.", show_default=False)
]


class Language(StrEnum):
    """The languages of the data dictionary."""

    EN = "en"
    ZH = "zh"


@data.command()
def check(
    *,
    mapping: Mapping = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Read the sources as `load` would and report, but keep nothing; exit with 3 when a row would be quarantined.

    [bold]Examples[/]

      wayline data check mapping.toml

      wayline data check mapping.toml --json | jq .tables
    """
    from engine.workflows import load as workflow

    output = Output(as_json, quiet)
    with output.progress("Checking"):
        report = workflow.check(mapping or home / "mapping.toml", home)
    output.result(report, lambda facts: show_report(output, facts))
    if quarantined(plain(report)):
        raise typer.Exit(faults.CHECK_FAILED)


@data.command()
def load(
    *,
    mapping: Mapping = None,
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
    with output.progress("Loading"):
        report = workflow.load(home, mapping or home / "mapping.toml")
    output.result(report, lambda facts: show_report(output, facts))
    if strict and quarantined(plain(report)):
        raise typer.Exit(faults.PARTIAL)


@data.command()
def report(
    *,
    home: options.Home = options.HOME,
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
    output.result(workflow.report(home), lambda facts: show_report(output, facts))


@data.command()
def dictionary(
    *,
    language: Annotated[Language, typer.Option("--lang", help="English or Chinese.")] = Language.EN,
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
    """Show an intake report: a line for each table, then what was repaired or refused, and why."""
    tables = _tables(facts)
    output.table(tables, ("table", "source", "read", "kept", "repaired", "quarantined"))
    rules = [{"table": table["table"], **rule} for table in tables for rule in _rules(table)]
    if rules:
        output.line("")
        output.table(rules, ("table", "rule", "code", "column", "rows", "expected", "expectation", "meaning"))
    for note in facts.get("notes") or ():
        output.line(str(note))


def quarantined(facts: dict[str, Any]) -> int:
    """Return how many rows an intake report refused."""
    return sum(int(table.get("quarantined") or 0) for table in _tables(facts))


def _tables(facts: dict[str, Any]) -> list[dict[str, Any]]:
    tables = facts.get("tables") or []
    if isinstance(tables, dict):
        return [{"table": name, **table} for name, table in tables.items()]
    return [{"table": table.get("name"), **table} for table in tables]


def _rules(table: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for kind in ("rules", "repairs", "refusals", "reasons"):
        rules = table.get(kind) or []
        if isinstance(rules, dict):
            found += [{"rule": name, "rows": rows} for name, rows in rules.items()]
        else:
            found += [rule for rule in rules if isinstance(rule, dict)]
    return [rule for rule in found if rule.get("rows")]


def add_to(wayline: typer.Typer) -> None:
    """Add the group."""
    wayline.add_typer(data)
