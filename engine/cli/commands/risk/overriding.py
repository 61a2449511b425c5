"""`wayline risk override`: depart from a lending decision, agree to a departure, take one back, list them."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from engine.cli import numbers, options
from engine.cli.groups import group
from engine.cli.output import Output

override = group("override", "Depart from a lending decision: one person may tighten it, freeing anything takes two.")
_LISTED: Final = (
    "override_id",
    "customer_id",
    "family",
    "kind",
    "limit_minor",
    "owner",
    "second",
    "expires_at",
    "status",
)
By = Annotated[str, typer.Option("--by", help="Who does it, by name; stands in the audit log.")]
Number = Annotated[int, typer.Argument(metavar="NUMBER", help="The number of the override.")]


@override.command()
def add(
    *,
    customer_id: Annotated[str, typer.Argument(metavar="CUSTOMER", help="The bank's id of the customer.")],
    kind: Annotated[str, typer.Option("--kind", help="approve, decline, limit, or hold (no offers at all).")],
    by: By,
    note: Annotated[str, typer.Option("--note", help="Why; kept beside the override, in no log.")],
    until: Annotated[datetime, typer.Option("--until", help="The day on which it ends, UTC.", formats=["%Y-%m-%d"])],
    family: Annotated[str | None, typer.Option("--family", help="Family of credit; by default all of them.")] = None,
    limit_minor: Annotated[
        int | None, typer.Option("--limit-minor", help="The limit, in minor units of the base currency.")
    ] = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Make an override; the next run goes by it. Approving, or raising a limit, waits for a second person to agree.

    [bold]Examples[/]

      wayline risk override add C00000042 --kind decline --family loan --by ann --note "file 17" --until 2026-12-31
    """
    from engine.store import NewOverride
    from engine.workflows import risk_overrides as workflow

    output = Output(as_json, quiet)
    wanted = NewOverride(
        customer_id=customer_id,
        family=family,
        kind=kind,
        limit_minor=limit_minor,
        note=note,
        expires_at=until.replace(tzinfo=UTC),
    )
    output.result(workflow.add(home, wanted, by), lambda facts: _show(output, facts))


@override.command()
def agree(
    *,
    number: Number,
    by: By,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Agree to another person's override.

    [bold]Examples[/]

      wayline risk override agree 3 --by bob
    """
    from engine.workflows import risk_overrides as workflow

    output = Output(as_json, quiet)
    output.result(workflow.agree(home, number, by), lambda facts: _show(output, facts))


@override.command()
def revoke(
    *,
    number: Number,
    by: By,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Take an override back; it stays on record.

    [bold]Examples[/]

      wayline risk override revoke 3 --by ann
    """
    from engine.workflows import risk_overrides as workflow

    output = Output(as_json, quiet)
    output.result(workflow.revoke(home, number, by), lambda facts: _show(output, facts))


@override.command("list")
def listing(
    *,
    customer_id: Annotated[str | None, typer.Option("--customer", help="Of one customer only.")] = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """List every override ever made and how it stands.

    [bold]Examples[/]

      wayline risk override list
    """
    from engine.workflows import risk_overrides as workflow

    output = Output(as_json, quiet)
    output.result(workflow.listed(home, customer_id), lambda rows: output.table(rows, _LISTED))


def _show(output: Output, facts: dict[str, Any]) -> None:
    output.facts({numbers.heading(name): numbers.cell(name, value) for name, value in facts.items()})


def add_to(risk: typer.Typer) -> None:
    """Add the group."""
    risk.add_typer(override)
