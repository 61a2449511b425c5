"""`wayline risk explain`: how one applicant's points come about, what would change the outcome, and the notice."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from engine.cli import numbers, options
from engine.cli.commands.risk.scoring import (
    Changeable,
    CutOff,
    Decided,
    File,
    Id,
    Lang,
    Model,
    Received,
    changes,
    day,
)
from engine.cli.output import Output

_POINTS: Final = ("characteristic", "value", "bin", "points", "best", "lost")

Row = Annotated[int | None, typer.Option("--row", min=1, help="Number of the row, from 1 on.")]
Value = Annotated[str | None, typer.Option("--value", help="Value of the --id column that names the row.")]
Creditor = Annotated[str | None, typer.Option("--creditor", help="Who refuses, for the notice; or set [notices].")]


def explain(
    *,
    file: File,
    model: Model,
    row: Row = None,
    id_column: Id = None,
    value: Value = None,
    cut_off: CutOff = None,
    creditor: Creditor = None,
    received: Received = None,
    decided: Decided = None,
    changeable: Changeable = None,
    encoding: options.Encoding = None,
    lang: Lang = options.Language.EN,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Explain one applicant: points by characteristic, reasons, the smallest change of outcome, the notice if refused.

    [bold]Examples[/]

      wayline risk explain applicants.csv --model model --row 3

      wayline risk explain applicants.csv --model model --id application_id --value A-17 --creditor "Harbour Bank"

      wayline risk explain loans.csv --model model --row 9 --changeable limit_used_share=- --changeable job
    """
    from engine.workflows import risk_explain as workflow

    output = Output(as_json, quiet)
    if (row is None) == (value is None) or (value is not None and id_column is None):
        raise typer.BadParameter("Name one row: --row 3, or --id COL --value VALUE.", param_hint="--row")
    question = workflow.ExplainQuestion(
        path=file,
        model=model,
        row=row,
        id_column=id_column,
        value=value,
        cut_off=cut_off,
        creditor=creditor,
        changeable=changes(changeable),
        received=received,
        decided_on=day(decided, "--decided"),
        encoding=encoding,
        language=lang.value,
        home=home,
        say=output.say,
    )
    output.result(workflow.explain(question), lambda facts: _show(output, facts))


def _show(output: Output, facts: dict[str, Any]) -> None:
    output.facts(
        {
            "points": f"{facts['points']}, cut-off {facts['cut_off']}",
            "default probability": numbers.share(facts["default_probability"]),
            "tier": facts["tier"],
            "outcome": facts["outcome"],
        }
    )
    output.line("")
    output.table(facts["characteristics"], _POINTS, title="Points by characteristic")
    if facts["reasons"]:
        output.line("")
        output.line("Reasons, the weightiest first:")
        for one in facts["reasons"]:
            output.line(f"- {one['text']}")
    if facts["change"]:
        output.line("")
        output.line("The smallest change that would change the outcome, all else the same:")
        for one in facts["change"]["parts"]:
            output.line(f"- {one['text']}")
    elif facts.get("no_change"):
        output.line("")
        output.line(f"No change is named. {facts['no_change']}")
    if facts["notice"]:
        output.line("")
        output.line(facts["notice"]["text"].rstrip())
    elif facts.get("no_notice"):
        output.line("")
        output.line(f"No notice is written. {facts['no_notice']}")


def add_to(risk: typer.Typer) -> None:
    """Add the command."""
    risk.command()(explain)
