"""`wayline webhooks`: addresses of the bank's own that are told, signed, when something is new."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final

import typer

from engine.cli import faults, numbers, options
from engine.cli.groups import group
from engine.cli.output import Output

webhooks = group("webhooks", "Tell addresses of the bank's own that something is new: signed, and tried again.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The webhook's name.")]
By = Annotated[str, typer.Option("--by", help="Who does it, by name; stands in the audit log.")]
_HOOKS: Final = ("name", "url", "events", "added_by", "added_at")
_DELIVERIES: Final = ("message_id", "webhook", "status", "attempts", "last_outcome", "due_at", "ended_at")


class Status(StrEnum):
    """How a delivery stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


@webhooks.command()
def add(
    *,
    name: Name,
    url: Annotated[str, typer.Argument(metavar="URL", help="https; http for this machine alone.")],
    by: By,
    event: Annotated[
        list[str] | None, typer.Option("--event", help="An event it is told of; by default of all of them.")
    ] = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Add an address, or give one that is there a new secret. The secret is shown this once.

    The secret before signs beside the new one for a day, so that the receiver can change over.

    [bold]Examples[/]

      wayline webhooks add crm https://crm.example/hook --event run_published --by ann
    """
    from engine.workflows import webhooks as workflow

    output = Output(as_json, quiet)
    output.result(workflow.add(home, name, url, by, event or ()), lambda facts: _show(output, facts))


@webhooks.command()
def remove(
    *,
    name: Name,
    by: By,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Tell an address nothing more, also not what is still pending.

    [bold]Examples[/]

      wayline webhooks remove crm --by ann
    """
    from engine.workflows import webhooks as workflow

    output = Output(as_json, quiet)
    output.result(workflow.remove(home, name, by), lambda facts: _show(output, facts))


@webhooks.command("list")
def list_webhooks(
    *,
    status: Annotated[Status | None, typer.Option("--status", help="Deliveries of that standing alone.")] = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """List the webhooks and their newest deliveries; those that were given up are dead letters.

    [bold]Examples[/]

      wayline webhooks list

      wayline webhooks list --status dead
    """
    from engine.workflows import webhooks as workflow

    output = Output(as_json, quiet)

    def show(facts: dict[str, Any]) -> None:
        output.table([_plain(one) for one in facts["webhooks"]], _HOOKS, "Webhooks")
        output.table([_plain(one) for one in facts["deliveries"]], _DELIVERIES, "Deliveries")

    output.result(workflow.listed(home, status.value if status else None), show)


@webhooks.command()
def test(
    *,
    name: Name,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Send an address a message of the type "test" now; exit with 3 when it does not arrive.

    [bold]Examples[/]

      wayline webhooks test crm
    """
    from engine.workflows import webhooks as workflow

    output = Output(as_json, quiet)
    told = workflow.test(home, name)
    output.result(told, lambda facts: _show(output, facts))
    if not told["delivered"]:
        raise typer.Exit(faults.CHECK_FAILED)


@webhooks.command()
def deliver(
    *,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Try all deliveries that are due, once each; `wayline api` does so by itself. Exits with 5 when any was put off.

    [bold]Examples[/]

      wayline webhooks deliver
    """
    from engine.workflows import webhooks as workflow

    output = Output(as_json, quiet)
    counts = workflow.deliver(home)
    output.result(counts, lambda facts: _show(output, facts))
    if counts["put_off"] or counts["dead"]:
        raise typer.Exit(faults.PARTIAL)


@webhooks.command()
def retry(
    *,
    name: Name,
    by: By,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Make the dead letters of an address due again.

    [bold]Examples[/]

      wayline webhooks retry crm --by ann
    """
    from engine.workflows import webhooks as workflow

    output = Output(as_json, quiet)
    output.result(workflow.retry(home, name, by), lambda facts: _show(output, facts))


def _show(output: Output, facts: dict[str, Any]) -> None:
    output.facts({numbers.heading(name): numbers.cell(name, value) for name, value in _plain(facts).items()})


def _plain(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the facts with lists as text."""
    return {name: ", ".join(one) if isinstance(one, (list, tuple)) else one for name, one in facts.items()}


def add_to(wayline: typer.Typer) -> None:
    """Add the group."""
    wayline.add_typer(webhooks)
