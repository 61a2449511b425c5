"""`wayline policy`: changes of the policy that one person proposes and another approves."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from engine.cli import numbers, options, people
from engine.cli.groups import group
from engine.cli.output import Output

policy = group("policy", "Change the policy with two persons: one proposes what was tried on a run, another approves.")
_LISTED: Final = ("number", "status", "author", "proposed_at", "settings", "decided_by", "effective_from", "note")
Number = Annotated[int, typer.Argument(metavar="NUMBER", help="The number of the change.")]
By = Annotated[str, typer.Option("--by", help="Who does it: a person's name; it stands in the audit log.")]
Note = Annotated[str, typer.Option("--note", help="Why, for whoever reads it later.")]


@policy.command()
def propose(
    *,
    file: Annotated[Path, typer.Argument(help="A TOML file with what should be otherwise under [recommendations].")],
    note: Note,
    by: By,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Try a change on the last run and propose it, with what it would do; nothing changes before somebody approves.

    [bold]Examples[/]

      wayline policy propose stricter.toml --note "losses of the autumn" --by ann
    """
    from engine.workflows import policy_approvals as workflow
    from engine.workflows.recommend_simulate import Policy

    output = Output(as_json, quiet)
    with output.progress("Deciding") as told:
        made = workflow.propose(home, people.viewer(by), Policy.of_file(file), note, progress=told)
    output.result(made, lambda facts: _show(facts, output))


@policy.command("list")
def listing(
    *,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """List every change ever proposed and how it stands, the newest first.

    [bold]Examples[/]

      wayline policy list
    """
    from engine.workflows import policy_approvals as workflow

    output = Output(as_json, quiet)
    output.result(workflow.listed(home), lambda rows: output.table([_row(one) for one in rows], _LISTED))


@policy.command()
def approve(
    *,
    number: Number,
    note: Note,
    by: By,
    effective_from: Annotated[
        str | None,
        typer.Option("--from", help="The data cut-off from which it holds; by default that of the last run."),
    ] = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Approve another person's change; the next run goes by it.

    [bold]Examples[/]

      wayline policy approve 2 --note "agreed in the committee" --by bob
    """
    from engine.workflows import policy_approvals as workflow

    output = Output(as_json, quiet)
    made = workflow.approve(home, people.viewer(by), number, note, options.day(effective_from, "--from"))
    output.result(made, lambda facts: _show(facts, output))


@policy.command()
def refuse(
    *,
    number: Number,
    note: Note,
    by: By,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Refuse a change, or withdraw one's own.

    [bold]Examples[/]

      wayline policy refuse 2 --note "too many customers lose their offer" --by bob
    """
    from engine.workflows import policy_approvals as workflow

    output = Output(as_json, quiet)
    output.result(workflow.refuse(home, people.viewer(by), number, note), lambda facts: _show(facts, output))


@policy.command()
def revoke(
    *,
    number: Number,
    note: Note,
    by: By,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Take an approved change back: the next run goes by what held before.

    [bold]Examples[/]

      wayline policy revoke 2 --note "complaints doubled" --by bob
    """
    from engine.workflows import policy_approvals as workflow

    output = Output(as_json, quiet)
    output.result(workflow.revoke(home, people.viewer(by), number, note), lambda facts: _show(facts, output))


def _row(one: dict[str, Any]) -> dict[str, Any]:
    return one | {"settings": ", ".join(str(change["setting"]) for change in one["changes"])}


def _show(facts: dict[str, Any], output: Output) -> None:
    kept = {name: value for name, value in facts.items() if name not in ("effect", "policy", "changes", "base_hash")}
    output.facts({numbers.heading(name): numbers.cell(name, value) for name, value in kept.items()})
    rows = [
        {"setting": one["setting"], "before": str(one["before"]), "after": str(one["after"])}
        for one in facts["changes"]
    ]
    output.table(rows, ("setting", "before", "after"), "What changes")


def add_to(wayline: typer.Typer) -> None:
    """Add the group."""
    wayline.add_typer(policy)
