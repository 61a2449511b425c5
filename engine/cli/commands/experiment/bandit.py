"""`wayline experiment bandit`: which share of the next batch each arm gets, and which unit gets which arm."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from engine.cli import numbers, options
from engine.cli.output import Output

_SHOWN: Final = 20
_COLUMNS: Final = (
    "arm",
    "n",
    "mean",
    "posterior_mean",
    "posterior_interval",
    "chance_best",
    "propensity",
    "reason",
)

File = Annotated[
    Path,
    typer.Argument(
        metavar="FILE", help="The log: CSV or Parquet, plain, .gz or .zip; a row for each past decision, with headings."
    ),
]
Unit = Annotated[str, typer.Option("--unit", help="Column of the unit, such as the customer.")]
Arm = Annotated[str, typer.Option("--arm", help="Column of the arm that was given.")]
Reward = Annotated[str, typer.Option("--reward", help="Column of what followed: 0 or 1, or any number; empty if open.")]
Propensity = Annotated[
    str | None,
    typer.Option("--propensity", help="Column of the chance with which the row's arm was given, if shares changed."),
]
Segment = Annotated[
    str | None, typer.Option("--segment", help="Column by whose values shares are worked out; for rewards of 0 or 1.")
]
NewArms = Annotated[list[str] | None, typer.Option("--new-arm", help="An arm that was never given yet; repeatable.")]
Retired = Annotated[list[str] | None, typer.Option("--retire", help="An arm that is not given any more; repeatable.")]
Decrease = Annotated[bool, typer.Option("--decrease", help="Less is better, such as complaints or costs.")]
Floor = Annotated[float, typer.Option("--floor", help="The least share of any arm; 0.05 for 5 %.")]
Uniform = Annotated[
    float, typer.Option("--uniform", help="Share of the units that are spread evenly, a plain experiment of their own.")
]
TopTwo = Annotated[bool, typer.Option("--top-two", help="Tell the two leading arms apart sooner.")]
Least = Annotated[int, typer.Option("--least", min=0, help="Units that an arm needs before it is judged.")]
Prior = Annotated[
    str, typer.Option("--prior", help="Successes and failures that every arm starts with, for rewards of 0 or 1.")
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Every draw descends from it; a new one for each batch.")]
Salt = Annotated[str, typer.Option("--salt", help="Hashed with seed and id; another for each bandit that runs.")]
Assign = Annotated[
    Path | None, typer.Option("--assign", help="A file of the next batch's units; each is given its arm.")
]
Column = Annotated[
    str | None, typer.Option("--column", help="Its column of ids; by default unit_id, customer_id, id and the like.")
]
Out = Annotated[
    Path | None,
    typer.Option("--out", help="Write arm and propensity of each unit to this .csv or .parquet file: keep it as log."),
]


def bandit(
    *,
    file: File,
    unit: Unit,
    arm: Arm,
    reward: Reward,
    propensity: Propensity = None,
    segment: Segment = None,
    new_arm: NewArms = None,
    retire: Retired = None,
    decrease: Decrease = False,
    floor: Floor = 0.05,
    uniform: Uniform = 0.0,
    top_two: TopTwo = False,
    least: Least = 30,
    prior: Prior = "1,1",
    seed: Seed = 7,
    salt: Salt = "bandit",
    assign: Assign = None,
    column: Column = None,
    out: Out = None,
    encoding: options.Encoding = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Share out the next batch by each arm's chance to be the best; every unit's propensity is known, so log it.

    [bold]Examples[/]

      wayline experiment bandit log.csv --unit customer --arm offer --reward opened

      wayline experiment bandit log.csv --unit customer --arm offer --reward opened --propensity propensity --seed 8
      --assign next.csv --out arms.csv

      wayline experiment bandit log.csv --unit customer --arm letter --reward complained --decrease --floor 0.1 --json
    """
    from engine.workflows import experiment_bandit as workflow
    from experiments.bandits import Rules

    output = Output(as_json, quiet)
    rules = Rules(
        direction="decrease" if decrease else "increase",
        floor=floor,
        uniform=uniform,
        top_two=top_two,
        least=least,
        prior=_prior(prior),
    )
    question = workflow.Question(
        path=file,
        unit=unit,
        arm=arm,
        reward=reward,
        propensity=propensity,
        segment=segment,
        new_arms=tuple(new_arm or ()),
        retired=tuple(retire or ()),
        rules=rules,
        seed=seed,
        salt=salt,
        assign=assign,
        column=column,
        out=out,
        encoding=encoding,
        home=home,
    )
    output.result(workflow.share_out(question), lambda facts: _show(output, facts))


def _prior(text: str) -> tuple[float, float]:
    try:
        successes, failures = (float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(
            f'"{text}" is no start. Write two numbers above 0: successes, failures, such as 1,1.', param_hint="--prior"
        ) from None
    return successes, failures


def _show(output: Output, facts: dict[str, Any]) -> None:
    is_share = facts["reward"]["kind"] == "proportion"
    output.table([_row(row, is_share) for row in facts["arms"]], _COLUMNS)
    for one in facts.get("segments", ()):
        output.line("")
        output.table(
            [_row(row, is_share) for row in one["arms"]], _COLUMNS, title=f"{one['segment']}, by {one['evidence']}"
        )
    output.line("")
    counts = facts["counts"]
    left = {name: n for name, n in counts.items() if name not in ("rows", "used") and n}
    output.line(f"{numbers.count(counts['used'])} of {numbers.count(counts['rows'])} rows count.")
    if left:
        output.facts({name.replace("_", " "): numbers.count(n) for name, n in left.items()})
    if "batch" in facts:
        _show_units(output, facts)
    for note in facts["notes"]:
        output.line(note)


def _row(row: dict[str, Any], is_share: bool) -> dict[str, Any]:
    def value(number: float | None) -> str:
        return numbers.share(number, 2) if is_share else numbers.number(number)

    lower, upper = row["posterior_interval"] or (None, None)
    shown = {
        "posterior_mean": value(row["posterior_mean"]),
        "posterior_interval": numbers.span(lower, upper, value),
        "chance_best": numbers.share(row["chance_best"], 2),
        "propensity": numbers.share(row["propensity"], 2),
    }
    return row | shown | ({"mean": value(row["mean"])} if "mean" in row else {})


def _show_units(output: Output, facts: dict[str, Any]) -> None:
    rows = facts.get("units", [])
    shown = [row | {"propensity": f"{row['propensity']:.4f}"} for row in rows[:_SHOWN]]
    if shown:
        output.table(shown, ("unit", "arm", "propensity", "uniform", "segment"))
    if len(rows) > _SHOWN:
        output.line(f"{numbers.count(len(rows) - _SHOWN)} further units: write them to a file with --out.")
    if "written" in facts:
        output.line(f"{numbers.count(facts['written']['rows'])} units are in {facts['written']['path']}.")
    output.facts({arm: numbers.count(n) for arm, n in facts["given"].items()}, title="Given")
    for name, told in (("left_out", "without an id, or that cannot be read"), ("repeated", "that repeat an id")):
        if facts["batch"][name]:
            output.line(f"Left out, rows {told}: {numbers.count(facts['batch'][name])}.")


def add_to(experiment: typer.Typer) -> None:
    """Add the command."""
    experiment.command()(bandit)
