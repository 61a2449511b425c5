"""`wayline risk score`: points, default probability, tier and reasons for every row of a file."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from engine.cli import numbers, options
from engine.cli.output import Output

_ROWS: Final = ("id", "row", "points", "default_probability", "tier", "outcome", "reason_1", "reason_2")
_SHOWN: Final = 10

File = Annotated[Path, typer.Argument(metavar="FILE", help="CSV, Parquet or Excel; a row for each applicant.")]
Model = Annotated[Path, typer.Option("--model", metavar="DIR", help="The folder that `wayline risk fit --out` wrote.")]
Reasons = Annotated[int, typer.Option("--reasons", min=0, max=10, help="Principal reasons given for each row.")]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="Write the rows to this .csv or .parquet file.")
]
CutOff = Annotated[
    int | None, typer.Option("--cut-off", metavar="POINTS", help="Below it a row is refused; by default the model's.")
]
Id = Annotated[str | None, typer.Option("--id", metavar="COL", help="Column that is given back with each score.")]
Notices = Annotated[
    Path | None,
    typer.Option("--notice", metavar="DIR", help="Write a notice of adverse action for each refused row, in a file."),
]
Received = Annotated[
    str | None,
    typer.Option("--received", metavar="COL", help="Column of the day each application was complete, for notices."),
]
Decided = Annotated[
    str | None, typer.Option("--decided", metavar="DATE", help="Day of the decision, for notices; by default today.")
]
Changeable = Annotated[
    list[str] | None,
    typer.Option(
        "--changeable",
        metavar="COL[=+/-]",
        help="Column that an applicant can change: +, - or either way; repeatable. For the smallest change of outcome.",
    ),
]
Lang = Annotated[options.Language, typer.Option("--lang", help="English or Chinese, for reasons and notices.")]


def score(
    *,
    file: File,
    model: Model,
    reasons: Reasons = 4,
    out: Out = None,
    cut_off: CutOff = None,
    id_column: Id = None,
    notice: Notices = None,
    received: Received = None,
    decided: Decided = None,
    changeable: Changeable = None,
    encoding: options.Encoding = None,
    lang: Lang = options.Language.EN,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Score every row of a file: points, default probability, tier, outcome at the cut-off, reasons.

    [bold]Examples[/]

      wayline risk score applicants.csv --model model --out scores.csv

      wayline risk score applicants.parquet --model model --cut-off 560 --reasons 4 --json

      wayline risk score applicants.csv --model model --id application_id --notice letters --received complete_on
    """
    from engine.workflows import risk_score as workflow

    output = Output(as_json, quiet)
    question = workflow.ScoreQuestion(
        path=file,
        model=model,
        reasons=reasons,
        out=out,
        cut_off=cut_off,
        id_column=id_column,
        notices=notice,
        received=received,
        decided_on=day(decided, "--decided"),
        changeable=changes(changeable),
        encoding=encoding,
        language=lang.value,
        home=home,
        say=output.say,
    )
    output.result(workflow.score(question), lambda facts: _show(output, facts))


def changes(asked: list[str] | None) -> dict[str, Any]:
    """Return which way each column named can be changed."""
    ways = {"+": "up", "-": "down"}
    found = {}
    for text in asked or ():
        column, _, sign = text.rpartition("=")
        found[column if column and sign in ways else text] = ways.get(sign, "either") if column else "either"
    return found


def day(text: str | None, option: str) -> date:
    """Return the day that an option names, today where it names none."""
    if text is None:
        return date.today()
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f'"{text}" is no date. Write 2026-06-30.', param_hint=option) from None


def _show(output: Output, facts: dict[str, Any]) -> None:
    output.facts(
        {
            "rows": numbers.count(facts["rows"]),
            "model": facts["model"]["champion"],
            "cut-off": f"{facts['cut_off']} points",
            "refused": f"{numbers.count(facts['refused'])} ({numbers.share(facts['refused_share'])})",
            "mean default probability": numbers.share(facts["mean_default_probability"]),
            "tiers": ", ".join(f"{tier} {numbers.count(count)}" for tier, count in facts["tiers"].items()),
            "values missing": numbers.count(facts["missing_values"]),
            "values never seen": numbers.count(facts["unseen_values"]),
            "written to": facts["out"] or numbers.DASH,
        }
    )
    shown = facts.get("scores", [])[:_SHOWN]
    if shown:
        output.line("")
        flat = [{**row, **_numbered(row["reasons"])} for row in shown]
        output.table(flat, _ROWS, title=f"The first {len(shown)} rows")
    for sentence in facts["notes"]:
        output.line(sentence)


def _numbered(reasons: list[dict[str, Any]]) -> dict[str, str]:
    return {f"reason_{place}": one["text"] for place, one in enumerate(reasons, 1)}


def add_to(risk: typer.Typer) -> None:
    """Add the command."""
    risk.command()(score)
