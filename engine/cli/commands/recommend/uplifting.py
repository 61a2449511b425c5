"""`wayline recommend uplift`: on whom a treatment works, from a file of a randomised test."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from engine.cli import numbers, options
from engine.cli.commands.recommend.evaluating import listed
from engine.cli.output import Output

_COLUMNS: Final = ("order_by", "qini", "interval_95", "uplift_auc", "uplift_of_first", "interval", "beats_random")

File = Annotated[
    Path,
    typer.Argument(metavar="FILE", help="CSV, Parquet or Excel, plain, .gz or .zip; a row for each customer."),
]
Treatment = Annotated[
    str, typer.Option("--treatment", help="Column of who was treated: 1 and 0, yes and no, or names of arms.")
]
Outcome = Annotated[
    str, typer.Option("--outcome", help="Column of what came of it: 1 and 0, yes and no, or an amount.")
]
Profile = Annotated[
    str,
    typer.Option("--profile", help="Columns of what was known before the treatment, divided by commas."),
]
Control = Annotated[str | None, typer.Option("--control", help="Value of the treatment that means without it.")]
Treated = Annotated[
    str | None, typer.Option("--treated", help="Value of the treatment that means with it; by default all others.")
]
Share = Annotated[float, typer.Option("--share", help="Share of the customers that come first, such as 0.3.")]


def uplift(
    *,
    file: File,
    treatment: Treatment,
    outcome: Outcome,
    profile: Profile,
    control: Control = None,
    treated: Treated = None,
    share: Share = 0.3,
    seed: options.Seed = None,
    encoding: options.Encoding = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Learn on whom a treatment works, where chance decided who was treated; else say why there is no answer.

    [bold]Examples[/]

      wayline recommend uplift campaign.csv --treatment contacted --outcome bought --profile age,region,balance

      wayline recommend uplift emails.csv --treatment arm --control none --treated letter --outcome spend
      --profile age,region --share 0.2 --json
    """
    from engine.workflows import recommend_uplift as workflow

    output = Output(as_json, quiet)
    question = workflow.Question(
        path=file,
        treatment=treatment,
        outcome=outcome,
        profile=listed(profile),
        control=control,
        treated=treated,
        share=share,
        seed=seed,
        encoding=encoding,
        home=home,
        say=output.say,
    )
    output.result(workflow.evaluate(question), lambda facts: _show(output, facts))


def _show(output: Output, facts: dict[str, Any]) -> None:
    yes_or_no = facts["outcome"] == "yes_or_no"
    level: Callable[[float | None], str] = numbers.share if yes_or_no else numbers.number
    change: Callable[[float | None], str] = numbers.points if yes_or_no else numbers.number
    with_it, without = facts["treated"], facts["control"]
    output.line(
        f"{numbers.count(with_it['customers'])} customers with the treatment, mean outcome "
        f"{level(with_it['mean_outcome'])}; {numbers.count(without['customers'])} without, "
        f"{level(without['mean_outcome'])}. Difference {_with_ends(facts['effect'], change)}."
    )
    if facts["models"]:
        rows = [
            {
                "order_by": one["name"],
                "qini": numbers.number(one["qini"]["value"]),
                "interval_95": _ends(one["qini"], numbers.number),
                "uplift_auc": numbers.number(one["uplift_auc"]["value"]),
                "uplift_of_first": change(one["uplift_of_first"]["value"]),
                "interval": _ends(one["uplift_of_first"], change),
                "beats_random": one["beats_random"],
            }
            for one in facts["models"]
        ]
        judged, first = numbers.count(facts["judged_on"]), numbers.share(facts["share"], 0)
        title = f"Judged on {judged} customers not learned from; uplift of the first {first}"
        output.table(rows, _COLUMNS, title=title)
        output.line(f"Qini: {facts['qini_scale']}.")
    if facts["champion"]:
        output.line(f"Order customers by {facts['champion']}.")
    else:
        output.line(f"No order by uplift is to be used: {facts['why']}.")


def _ends(found: dict[str, Any], show: Callable[[float | None], str]) -> str:
    lower, upper = found["interval"] or (None, None)
    return numbers.span(lower, upper, show)


def _with_ends(found: dict[str, Any], show: Callable[[float | None], str]) -> str:
    if found["interval"] is None:
        return show(found["value"])
    return f"{show(found['value'])} (95 % interval {_ends(found, show)})"


def add_to(recommend: typer.Typer) -> None:
    """Add the command."""
    recommend.command()(uplift)
