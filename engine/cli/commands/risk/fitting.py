"""`wayline risk fit`: a scorecard and the models that watch it, out of a file with a row for each loan."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from engine.cli import numbers, options
from engine.cli.commands.risk.scoring import day
from engine.cli.output import Output

_MODELS: Final = ("model", "auc", "auc_sd", "ks", "brier", "violations")
_DIRECTIONS: Final = {"+": 1, "-": -1}
_MOST_MOVED: Final = 8


class RejectInference(StrEnum):
    """How the refused are guessed at."""

    NONE = "none"
    PARCELLING = "parcelling"
    FUZZY = "fuzzy"


File = Annotated[
    Path,
    typer.Argument(metavar="FILE", help="CSV, Parquet (a file or a folder) or Excel; a row for each loan."),
]
Target = Annotated[str, typer.Option("--target", help="Column that tells how the loan went.")]
Bad = Annotated[list[str], typer.Option("--bad", help="Value of it that is bad; repeatable.")]
Good = Annotated[
    list[str] | None, typer.Option("--good", help="Value that is good; repeatable. By default all that are not bad.")
]
Protected = Annotated[
    str | None,
    typer.Option("--protected", metavar="COL,..", help="Columns that are never input; groups of them are compared."),
]
Time = Annotated[
    str | None, typer.Option("--time", metavar="COL", help="Column of dates; the latest third is held back to try on.")
]
AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of", metavar="DATE", help="Day on which all was known; by default today. A later --time is refused."
    ),
]
Window = Annotated[
    int | None,
    typer.Option(
        "--window", metavar="MONTHS", min=1, help="Months by which an outcome is decided; one told sooner is refused."
    ),
]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write the model and its card to this folder.")]
Special = Annotated[
    str | None,
    typer.Option("--special", metavar="VALUE,..", help="Codes such as -9 for no record; each gets a bin of its own."),
]
Id = Annotated[str | None, typer.Option("--id", metavar="COL", help="Column that tells the rows apart; never input.")]
Exclude = Annotated[str | None, typer.Option("--exclude", metavar="COL,..", help="Columns to leave out.")]
Categories = Annotated[
    str | None, typer.Option("--category", metavar="COL,..", help="Columns of codes that look like numbers.")
]
Monotone = Annotated[
    list[str] | None,
    typer.Option("--monotone", metavar="COL=+/-", help="+: higher is riskier, -: higher is safer; repeatable."),
]
Bureau = Annotated[
    str | None, typer.Option("--bureau", metavar="COL,..", help="Columns read from a credit bureau's report.")
]
Meanings = Annotated[
    Path | None,
    typer.Option(
        "--meanings", metavar="TOML", help="What columns mean, for reasons and the card: [COL] en = ..., zh = ..."
    ),
]
CutOff = Annotated[
    int | None,
    typer.Option(
        "--cut-off",
        metavar="POINTS",
        help="Below it an applicant is refused; by default where goods and bads part.",
    ),
]
Accepted = Annotated[
    str | None,
    typer.Option(
        "--accepted",
        metavar="COL[=VALUE]",
        help="Column that tells who was lent to (VALUE, or a column of yes and no): the others have no outcome.",
    ),
]
Inference = Annotated[
    RejectInference | None,
    typer.Option("--reject-inference", help="How those not accepted are guessed at, beside; fuzzy by default."),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Every random draw descends from it.")]


def fit(
    *,
    file: File,
    target: Target,
    bad: Bad,
    good: Good = None,
    protected: Protected = None,
    time: Time = None,
    as_of: AsOf = None,
    window: Window = None,
    out: Out = None,
    special: Special = None,
    id_column: Id = None,
    exclude: Exclude = None,
    category: Categories = None,
    monotone: Monotone = None,
    bureau: Bureau = None,
    meanings: Meanings = None,
    cut_off: CutOff = None,
    accepted: Accepted = None,
    reject_inference: Inference = None,
    encoding: options.Encoding = None,
    seed: Seed = 42,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Learn four default models out of a file, try them on rows they have not seen, and say which decides and why.

    [bold]Examples[/]

      wayline risk fit loans.csv --target status --bad default --out model

      wayline risk fit heloc.csv --target RiskPerformance --bad Bad --special=-7,-8,-9 --json

      wayline risk fit loans.parquet --target paid --bad no --protected gender,age --time booked_at
      --monotone income=- --bureau utilisation,enquiries --out model

      wayline risk fit applications.csv --target status --bad default --accepted decision=approve
      --reject-inference parcelling --out model
    """
    from engine.workflows import risk_fit as workflow
    from engine.workflows.risk_sample import SampleQuestion

    output = Output(as_json, quiet)
    if reject_inference is not None and accepted is None:
        raise typer.BadParameter(
            "nobody is known to have been refused. Name the column that tells who was lent to: --accepted COL=VALUE.",
            param_hint="--reject-inference",
        )
    if as_of is not None and time is None:
        raise typer.BadParameter(
            "it is held against the time of a row; name its column with --time.", param_hint="--as-of"
        )
    question = workflow.FitQuestion(
        sample=SampleQuestion(
            path=file,
            target=target,
            bad=tuple(bad),
            good=tuple(good or ()),
            protected=listed(protected),
            time=time,
            as_of=day(as_of, "--as-of") if time or as_of else None,
            window_months=window,
            id_column=id_column,
            excluded=listed(exclude),
            categories=listed(category),
            accepted=None if accepted is None else _accepted(accepted),
            encoding=encoding,
            home=home,
            say=output.say,
        ),
        out=out,
        special=listed(special),
        monotone=dict(_monotone(text) for text in monotone or ()),
        bureau=listed(bureau),
        meanings=meanings,
        cut_off=cut_off,
        reject_inference=(reject_inference or RejectInference.FUZZY).value,
        seed=seed,
    )
    found = workflow.fit(question)
    if out is not None:
        output.say(f"The model is in {out}; open {out / 'card.html'} to read about it.")
    output.result(found, lambda facts: _show(output, facts))


def listed(text: str | None) -> tuple[str, ...]:
    """Return the names of a list with commas."""
    return tuple(dict.fromkeys(part.strip() for part in (text or "").split(",") if part.strip()))


def _monotone(text: str) -> tuple[str, int]:
    column, _, sign = text.rpartition("=")
    if not column or sign not in _DIRECTIONS:
        raise typer.BadParameter(
            f'"{text}" names no direction. Write COL=+ where higher is riskier, COL=- where higher is safer.',
            param_hint="--monotone",
        )
    return column, _DIRECTIONS[sign]


def _accepted(text: str) -> Any:
    from engine.workflows.risk_accepted import Accepted

    column, separator, value = text.partition("=")
    if not column or (separator and not value):
        raise typer.BadParameter(
            f'"{text}" names no column and value. Write COL=VALUE, or COL alone for a column of yes and no.',
            param_hint="--accepted",
        )
    return Accepted(column=column, values=(value,) if value else ())


def _show(output: Output, facts: dict[str, Any]) -> None:
    bads = round(facts["rows"] * facts["bad_rate"])
    output.line(f"{numbers.count(facts['rows'])} rows, {numbers.count(bads)} bad ({numbers.share(facts['bad_rate'])}).")
    output.line("")
    output.table(
        [_readable(one) for one in facts["models"]], _MODELS, title="On rows that the model had not seen: five folds"
    )
    if facts.get("out_of_time"):
        output.line("")
        output.table(
            [_readable(one) for one in facts["out_of_time"]], _MODELS[:5], title="On the latest rows, held back"
        )
    if facts.get("reject_inference"):
        _show_rejects(output, facts["reject_inference"])
    output.line("")
    for sentence in facts["reasons"]:
        output.line(sentence)
    for one in facts["flagged"]:
        output.line(one["why"])


def _show_rejects(output: Output, facts: dict[str, Any]) -> None:
    from engine.workflows import risk_rejects

    output.line("")
    title = f"Scorecard without and with the {numbers.count(facts['rejected'])} refused guessed at ({facts['method']})"
    output.table(risk_rejects.table(facts), ("measure", "without", "with"), title=title)
    output.line("")
    moved = [{"characteristic": one["characteristic"]} | _moved(one) for one in facts["moved"][:_MOST_MOVED]]
    output.table(moved, ("characteristic", "accepted", "refused", "largest"), title="Points that moved, on average")
    output.line("")
    output.line(f"{facts['assumption']} What decides is made without them.")


def _moved(one: dict[str, Any]) -> dict[str, str]:
    names = {"accepted": "mean_of_accepted", "refused": "mean_of_rejected", "largest": "largest"}
    return {word: f"{one[name]:+.1f}" for word, name in names.items()}


def _readable(one: dict[str, Any]) -> dict[str, Any]:
    shown = {name: None if one[name] is None else f"{one[name]:.4f}" for name in ("auc", "auc_sd", "ks", "brier")}
    violations = {"violations": one["monotonic_violations"]} if "monotonic_violations" in one else {}
    return {"model": one["name"], **shown, **violations}


def add_to(risk: typer.Typer) -> None:
    """Add the command."""
    risk.command()(fit)
