"""`wayline api keys`: who may reach the API, for what, and until when."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from engine.cli import numbers, options
from engine.cli.groups import group
from engine.cli.output import Output

keys = group("keys", "Keys of the API: what each allows, and until when. A secret is shown once and kept nowhere.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The key's name: whose it is.")]
By = Annotated[str, typer.Option("--by", help="Who does it, by name; stands in the audit log.")]
Days = Annotated[int, typer.Option("--days", min=1, max=3_650, help="After how many days it ends.")]
_LISTED: Final = (
    *("name", "key_id", "status", "scopes", "audiences", "destination", "channel", "row_cap"),
    *("expires_at", "last_used_at"),
)


@keys.command()
def create(
    *,
    name: Name,
    by: By,
    scope: Annotated[list[str], typer.Option("--scope", help="What it opens; give it once for each scope.")],
    destination: Annotated[str, typer.Option("--destination", help="The campaign tool that holds it.")] = "generic",
    audience: Annotated[
        list[str] | None, typer.Option("--audience", help="An audience it may see; by default all of them.")
    ] = None,
    channel: Annotated[str | None, typer.Option("--channel", help="The one channel it is for; by default any.")] = None,
    row_cap: Annotated[
        int | None, typer.Option("--row-cap", min=1, help="The most rows that may leave with it in a day (UTC).")
    ] = None,
    requests_per_minute: Annotated[
        int | None, typer.Option("--requests-per-minute", min=1, help="By default that of the settings.")
    ] = None,
    days: Days = 365,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Make a key. What it prints under "key" is shown this once: put it where the campaign tool keeps its secrets.

    [bold]Examples[/]

      wayline api keys create crm --scope audiences:read --scope exports:ack --destination braze --by ann

      wayline api keys create bi --scope recommendations:read --channel email --row-cap 100000 --days 30 --by ann
    """
    from engine.workflows import api_keys as workflow

    output = Output(as_json, quiet)
    made = workflow.create(
        home,
        name,
        by,
        scopes=scope,
        destination=destination,
        days=days,
        audiences=audience or None,
        channel=channel,
        row_cap=row_cap,
        requests_per_minute=requests_per_minute,
    )
    output.result(made, lambda facts: _show(output, facts))


@keys.command("list")
def list_keys(
    *,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """List every key ever made: what it allows, until when, when it was last used.

    [bold]Examples[/]

      wayline api keys list
    """
    from engine.workflows import api_keys as workflow

    output = Output(as_json, quiet)
    output.result(workflow.listed(home), lambda facts: output.table([_plain(one) for one in facts["keys"]], _LISTED))


@keys.command()
def rotate(
    *,
    name: Name,
    by: By,
    overlap_hours: Annotated[
        float, typer.Option("--overlap-hours", min=0, max=720, help="For how long the old one still opens.")
    ] = 24,
    days: Days = 365,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Replace a key by a new one that allows the same; both open until the overlap ends.

    [bold]Examples[/]

      wayline api keys rotate crm --by ann --overlap-hours 48
    """
    from engine.workflows import api_keys as workflow

    output = Output(as_json, quiet)
    made = workflow.rotate(home, name, by, days=days, overlap_hours=overlap_hours)
    output.result(made, lambda facts: _show(output, facts))


@keys.command()
def revoke(
    *,
    name: Name,
    by: By,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """End a key at once, with those that it replaced; a running server notices within two seconds.

    [bold]Examples[/]

      wayline api keys revoke crm --by ann
    """
    from engine.workflows import api_keys as workflow

    output = Output(as_json, quiet)
    output.result(workflow.revoke(home, name, by), lambda facts: _show(output, facts))


def _show(output: Output, facts: dict[str, Any]) -> None:
    output.facts({numbers.heading(name): numbers.cell(name, value) for name, value in _plain(facts).items()})


def _plain(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the facts with lists as text, and without what is not set."""
    return {
        name: ", ".join(value) if isinstance(value, (list, tuple)) else value
        for name, value in facts.items()
        if value is not None
    }


def add_to(api: typer.Typer) -> None:
    """Add the group."""
    api.add_typer(keys)
