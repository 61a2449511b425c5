"""`wayline audience`: groups of customers by rules, kept with an owner, built on every run, compared, explained."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from engine.cli import numbers, options
from engine.cli.commands import audience_sizes
from engine.cli.groups import group
from engine.cli.output import Output

_LISTED: Final = (
    "audience",
    "owner",
    "schedule",
    "version",
    "is_verified",
    "members",
    "before",
    "as_of",
    "retires_on",
    "retired_by",
)
_MARK: Final = {True: "✓", False: "✗"}

By = Annotated[str, typer.Option("--by", help="Who does it, by name; stands in the audit log.")]
Name = Annotated[str, typer.Argument(metavar="AUDIENCE", help="The audience's id.")]
File = Annotated[
    Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="The audience in TOML: see the example.")
]


def list_audiences(
    *, home: options.Home = options.HOME, as_json: options.Json = False, quiet: options.Quiet = False
) -> None:
    """List the audiences: owner, version, size on the latest date that they were built for, and the size before.

    [bold]Examples[/]

      wayline audience list --json
    """
    from engine.workflows import audiences

    output = Output(as_json, quiet)
    output.result(audiences.listed(home), lambda facts: _show_list(output, facts))


def save(
    *,
    file: File,
    by: Annotated[str | None, typer.Option("--by", help="Who saves it, by name; by default its owner.")] = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Keep the audience that a file defines; a changed definition becomes its next version, the old ones stay.

    [bold]Examples[/]

      wayline audience save mortgage_lookers.toml
    """
    from engine.workflows import audiences

    output = Output(as_json, quiet)
    output.result(audiences.save(home, file, by), lambda facts: output.facts(_cells(facts)))


def verify(
    *,
    name: Name,
    by: By,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Enter that a second person found the rule right; exit with 4 when it is the owner or who saved it.

    An edited rule, or one that names an edited audience, is no longer verified.

    [bold]Examples[/]

      wayline audience verify mortgage_lookers --by bob
    """
    from engine.workflows import audiences

    output = Output(as_json, quiet)
    output.result(audiences.verify(home, name, by), lambda facts: output.facts(_cells(facts)))


def retire(
    *,
    name: Name,
    by: By,
    note: Annotated[str, typer.Option("--note", help="Why; kept beside the audience, in no log.")],
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Take an audience out of use: no run builds it any more. Saving a changed definition brings it back.

    [bold]Examples[/]

      wayline audience retire mortgage_lookers --by ann --note "the campaign is over"
    """
    from engine.workflows import audiences

    output = Output(as_json, quiet)
    output.result(audiences.retire(home, name, by, note), lambda facts: output.facts(_cells(facts)))


def count(
    *,
    file: File,
    run: options.RunId = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Count whom an audience in a file would have, and show a few of them; nothing is kept.

    [bold]Examples[/]

      wayline audience count mortgage_lookers.toml
    """
    from engine.workflows import audiences

    output = Output(as_json, quiet)
    output.result(audiences.count(home, file, run), lambda facts: _show(output, facts))


def build(
    *,
    name: Name,
    run: options.RunId = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write who belongs to an audience on a run, due or not; exit with 4 when it had been retired by then.

    Every run builds the audiences that are due by their `schedule`; this is for one that is not, or for an older run.

    [bold]Examples[/]

      wayline audience build mortgage_lookers
    """
    from engine.workflows import audiences

    output = Output(as_json, quiet)
    output.result(audiences.build(home, name, run), lambda facts: _show(output, facts))


def diff(
    *,
    name: Name,
    run: options.RunId = None,
    against: Annotated[
        str | None, typer.Option("--against", help="The earlier run's id; by default the snapshot before.")
    ] = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Tell who entered and who left an audience between two runs that it was built on.

    [bold]Examples[/]

      wayline audience diff mortgage_lookers --json
    """
    from engine.workflows import audiences

    output = Output(as_json, quiet)
    output.result(audiences.diff(home, name, run, against), lambda facts: _show_diff(output, facts))


def explain(
    *,
    name: Name,
    customer_id: Annotated[str, typer.Argument(metavar="CUSTOMER", help="The bank's id of the customer.")],
    run: options.RunId = None,
    language: Annotated[
        options.Language, typer.Option("--lang", help="English or Chinese, for the sentences shown.")
    ] = options.Language.EN,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Tell why a customer is in an audience or not: every part of its rule, and whether it holds.

    [bold]Examples[/]

      wayline audience explain mortgage_lookers C00000001
    """
    from engine.workflows import audiences

    output = Output(as_json, quiet)
    output.result(audiences.explain(home, name, customer_id, run), lambda facts: _show_why(output, facts, language))


def _show_list(output: Output, facts: dict[str, Any]) -> None:
    output.table(facts["audiences"], _LISTED)
    for note in facts["notes"]:
        output.say(note)


def _show(output: Output, facts: dict[str, Any]) -> None:
    output.facts(_cells(facts, without=("notes", "sample")))
    if facts.get("sample"):
        output.line(f"Some of them: {', '.join(facts['sample'])}")
    for note in facts["notes"]:
        output.say(note)


def _cells(facts: dict[str, Any], without: Sequence[str] = ()) -> dict[str, str]:
    return {
        numbers.heading(name): ", ".join(value) if isinstance(value, list) else numbers.cell(name, value)
        for name, value in facts.items()
        if name not in without
    }


def _show_diff(output: Output, facts: dict[str, Any]) -> None:
    output.facts(_cells({name: len(value) if isinstance(value, list) else value for name, value in facts.items()}))


def _show_why(output: Output, facts: dict[str, Any], language: options.Language) -> None:
    output.facts(_cells(facts, without=("why",)))
    for part in facts["why"]:
        output.line(f"{'  ' * part['depth']}{_MARK[part['holds']]} {part[f'text_{language.value}']}")


def add_to(wayline: typer.Typer) -> None:
    """Add the group."""
    audience = group("audience", "Define groups of customers by rules, build them on a run, and tell why who is in.")
    audience.command("list")(list_audiences)
    for command in (save, verify, retire, count, build, diff, explain, *audience_sizes.COMMANDS):
        audience.command()(command)
    wayline.add_typer(audience)
