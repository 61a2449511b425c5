"""`wayline risk models`, `propose`, `approve`, `retire`, `card`: which model decides, and who answers for it."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from engine.cli import numbers, options
from engine.cli.output import Output

_LISTED: Final = (
    "model_id",
    "status",
    "purpose",
    "model",
    "source",
    "learned_until",
    "auc",
    "ks",
    "brier",
    "bads",
    "owner",
    "proposed_at",
    "approver",
    "approved_at",
    "retired_by",
    "retired_at",
)
Number = Annotated[
    int, typer.Argument(metavar="ID", help="The number of the model, as `wayline risk models` shows it.")
]
Note = Annotated[str, typer.Option("--note", help="Why; stands in the audit log and on the model's card.")]
Lang = Annotated[options.Language, typer.Option("--lang", help="English or Chinese.")]


def models(
    *,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """List every model ever proposed: champion, challenger or retired, how it did, who owns and who approved it.

    The champion for runs grades the customers of every run; where there is none, each run learns its own.

    [bold]Examples[/]

      wayline risk models

      wayline risk models --json | jq '.[] | select(.status == "champion")'
    """
    from engine.workflows import risk_registry as workflow

    output = Output(as_json, quiet)
    output.result(workflow.listed(home), lambda rows: _show_list(output, rows))


def propose(
    *,
    model_dir: Annotated[
        Path,
        typer.Argument(metavar="MODEL_DIR", help="A run, by id or folder; or what `wayline risk fit --out` wrote."),
    ],
    owner: Annotated[str, typer.Option("--owner", help="Who answers for the model, by name.")],
    note: Note,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Propose a model as a challenger; it is kept whole, and decides nothing until another person approves it.

    [bold]Examples[/]

      wayline risk propose 20260630T235959Z-14cb523c36 --owner ann --note "second quarter"

      wayline risk propose loans-model --owner ann --note "branch applicants"
    """
    from engine.workflows import risk_registry as workflow

    output = Output(as_json, quiet)
    output.result(workflow.propose(home, model_dir, owner, note), lambda facts: _show(output, facts))


def approve(
    *,
    model_id: Number,
    approver: Annotated[str, typer.Option("--approver", help="Who approves, by name; not the owner.")],
    note: Note,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Approve another person's model: it becomes the champion, the next run goes by it, the one before retires.

    [bold]Examples[/]

      wayline risk approve 1 --approver bob --note "validated, report 12"
    """
    from engine.workflows import risk_registry as workflow

    output = Output(as_json, quiet)
    output.result(workflow.approve(home, model_id, approver, note), lambda facts: _show(output, facts))


def retire(
    *,
    model_id: Number,
    owner: Annotated[str, typer.Option("--owner", help="Who retires it, by name.")],
    note: Note,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Retire a model; it stays on record. Without a champion, the next run learns its own model again.

    [bold]Examples[/]

      wayline risk retire 1 --owner ann --note "it has drifted"
    """
    from engine.workflows import risk_registry as workflow

    output = Output(as_json, quiet)
    output.result(workflow.retire(home, model_id, owner, note), lambda facts: _show(output, facts))


def card(
    *,
    model_id: Number,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write it to this .html or .md file.")
    ] = None,
    lang: Lang = options.Language.EN,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show the card of a proposed model with who proposed, approved and retired it.

    [bold]Examples[/]

      wayline risk card 2

      wayline risk card 2 --lang zh --out card.html
    """
    from engine.workflows import risk_registry as workflow

    output = Output(as_json, quiet)
    found = workflow.card(home, model_id, lang.value, out)
    output.result(found, lambda facts: output.line(facts.get("card") or f"Written to {facts['out']}."))


def _show_list(output: Output, rows: list[dict[str, Any]]) -> None:
    if not rows:
        output.line("No model was proposed yet: every run learns its own. Propose one with `wayline risk propose`.")
        return
    output.table([{**row, **row["figures"]} for row in rows], _LISTED)


def _show(output: Output, facts: dict[str, Any]) -> None:
    flat = {**facts, **facts["figures"]}
    shown = [name for name in (*_LISTED, "note", "content_hash") if flat.get(name) is not None]
    output.facts({numbers.heading(name): numbers.cell(name, flat[name]) for name in shown})


def add_to(risk: typer.Typer) -> None:
    """Add the commands."""
    risk.command("models")(models)
    risk.command("propose")(propose)
    risk.command("approve")(approve)
    risk.command("retire")(retire)
    risk.command("card")(card)
