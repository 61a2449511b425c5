"""`wayline segment`: who the customers are, by what they buy, how they behave and how they move."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from engine.cli import numbers, options
from engine.cli.groups import group
from engine.cli.output import Output

_CELLS: Final = ("rfm_cell", "customers", "net_spend", "lifetime_value")
_LEVELS: Final = ("score", "level", "measure", "customers", "lowest", "highest")
_BEST: Final = (
    "customer_id",
    "rfm_cell",
    "recency_days",
    "purchases",
    "net_spend",
    "alive_probability",
    "expected_purchases",
    "lifetime_value",
)
_ERRORS: Final = (
    "measure",
    "way",
    "mean_absolute_error",
    "error_95",
    "root_mean_squared_error",
    "total_bias",
    "bias_95",
    "model_is_better_by",
    "better_95",
)
_SUMS: Final = ("customers", "returning", "purchases", "spent", "returned", "as_of")
_LIFETIME: Final = ("horizon_days", "expected_purchases", "expected_alive", "lifetime_value", "lifetime_value_mean")

_CHOICES: Final = ("clusters", "silhouette", "stability", "weakest_cluster", "chosen")
_CROSSED: Final = (
    "segmentation",
    "segment_group",
    "other_segmentation",
    "other_group",
    "customers",
    "expected_customers",
)
_MOVED: Final = ("by", "agreement", "stability_index")
_BALANCE: Final = ("group", "name", "before", "after", "stayed", "entered", "left", "stayed_share")


class Returns(StrEnum):
    """What amounts below 0 are."""

    NET = "net"
    IGNORE = "ignore"
    REFUSE = "refuse"


File = Annotated[
    Path, typer.Argument(metavar="FILE", help="CSV or Parquet (a file or a folder), plain, .gz or .zip; a row each.")
]
Customer = Annotated[str, typer.Option("--customer", metavar="COL", help="Column of the customer's id.")]
Time = Annotated[str, typer.Option("--time", metavar="COL", help="Column of the date or instant of the transaction.")]
Amount = Annotated[
    str, typer.Option("--amount", metavar="COL", help="Column of the amount, or two whose product it is: price*number.")
]
AsOf = Annotated[
    str | None, typer.Option("--as-of", help="Look from this date: nothing later counts; by default the latest row.")
]
Horizon = Annotated[
    int | None, typer.Option("--horizon-days", help="How far ahead a customer is valued; by default a year.")
]
Margin = Annotated[
    float | None, typer.Option("--margin", metavar="SHARE", help="Share of the money that is earned; by default all.")
]
Discount = Annotated[
    float | None, typer.Option("--discount", metavar="RATE", help="Yearly rate at which later money counts less.")
]
HoldoutFrom = Annotated[
    str | None,
    typer.Option("--holdout-from", metavar="DATE", help="Learn from before this date and judge on what came from it."),
]
ReturnsOption = Annotated[
    Returns, typer.Option("--returns", help="Amounts below 0: count them off the money, leave them out, or refuse.")
]
Top = Annotated[int, typer.Option("--top", min=0, max=1000, help="How many of the most valuable customers to tell.")]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="Write all customers to this .csv or .parquet file.")
]
Zone = Annotated[str | None, typer.Option("--zone", help="Time zone of times that have no offset; by default UTC.")]
TimeFormat = Annotated[
    str | None, typer.Option("--time-format", help="How times are written when not in ISO 8601, such as '%d/%m/%Y'.")
]


def rfm(
    *,
    file: File,
    customer: Customer,
    time: Time,
    amount: Amount,
    as_of: AsOf = None,
    horizon_days: Horizon = None,
    margin: Margin = None,
    discount: Discount = None,
    holdout_from: HoldoutFrom = None,
    returns: ReturnsOption = Returns.NET,
    top: Top = 10,
    out: Out = None,
    zone: Zone = None,
    time_format: TimeFormat = None,
    encoding: options.Encoding = None,
    seed: options.Seed = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Score the customers of a file of transactions by recency, frequency and money; tell what each is still worth.

    A purchase is a day on which a customer bought. Scores are fifths of the customers, 5 the best, equal values share
    one. Lifetime value is that of a BG/NBD model of repeat purchases with a gamma-gamma model of their amounts.

    [bold]Examples[/]

      wayline segment rfm invoices.csv --customer client --time day --amount net

      wayline segment rfm lines.parquet --customer "Customer ID" --time InvoiceDate --amount Quantity*Price
      --holdout-from 2010-09-01 --json
    """
    from engine.intake.transaction_files import Columns
    from engine.workflows import segment_rfm as workflow

    output = Output(as_json, quiet)
    question = workflow.RfmQuestion(
        path=file,
        columns=Columns(customer=customer, time=time, amount=amount, zone=zone, time_format=time_format),
        as_of=options.instant(as_of, "--as-of"),
        horizon_days=horizon_days,
        margin_share=margin,
        discount_yearly=discount,
        holdout_from=options.day(holdout_from, "--holdout-from"),
        returns=returns.value,
        top=top,
        out=out,
        encoding=encoding,
        home=home,
        seed=seed or 0,
        say=output.say,
    )
    output.result(workflow.study(question), lambda facts: _show_rfm(output, facts))


def _show_rfm(output: Output, facts: dict[str, Any]) -> None:
    output.facts({numbers.heading(name): numbers.cell(name, facts[name]) for name in _SUMS})
    output.table(facts["scores"], _LEVELS, "Scores, and the values that they stand for")
    output.table(facts["cells"], _CELLS, "Cells: recency, frequency, money")
    lifetime = facts["lifetime"]
    if lifetime is not None:
        output.facts({numbers.heading(name): numbers.cell(name, lifetime[name]) for name in _LIFETIME}, "Lifetime")
    output.table(facts["best"], _BEST, "The most valuable customers")
    held = facts.get("holdout")
    if held is not None:
        rows = [{**row, **_spans(row)} for row in held["errors"]]
        output.table(rows, _ERRORS, f"Forecast of {held['days']} days from {held['from']} on, and what came")
    for note in facts["notes"]:
        output.say(note)


def _spans(row: dict[str, Any]) -> dict[str, str]:
    spans = {name: row.get(name) or (None, None) for name in ("error_95", "bias_95", "better_95")}
    return {name: numbers.span(lower, upper, numbers.number) for name, (lower, upper) in spans.items()}


def show(
    *,
    segmentation: Annotated[
        str | None, typer.Argument(metavar="[SEGMENTATION]", help="cluster, life_stage, ...; by default all of them.")
    ] = None,
    run: options.RunId = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show the groups of a run: clusters and what sets them apart, named segmentations, and how they cross.

    [bold]Examples[/]

      wayline segment show

      wayline segment show life_stage --json
    """
    from engine.workflows import segment_groups as workflow

    output = Output(as_json, quiet)
    output.result(workflow.show(home, run, segmentation), lambda facts: _show_groups(output, facts))


def fit(
    *,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="Look from this date; by default the end of what was loaded.")
    ] = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Find the behavioural clusters as of any date and compare them with the run before it; nothing is written.

    [bold]Examples[/]

      wayline segment fit --as-of 2026-03-31
    """
    from engine.workflows import segment_groups as workflow

    output = Output(as_json, quiet)
    output.result(workflow.fit(home, options.instant(as_of, "--as-of")), lambda facts: _show_groups(output, facts))


def migrate(
    *,
    start: Annotated[
        str | None, typer.Option("--from", metavar="RUN|DATE", help="A run or a date; by default the run before.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="RUN|DATE", help="A run or a date; by default the current run.")
    ] = None,
    by: Annotated[str, typer.Option("--by", help="cluster, or a named segmentation such as value_tier.")] = "cluster",
    language: Annotated[
        options.Language, typer.Option("--lang", help="English or Chinese, for the notices shown.")
    ] = options.Language.EN,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Tell who moved between the groups of two runs or two dates: stayed, entered, left; and what is breaking up.

    [bold]Examples[/]

      wayline segment migrate --from 2026-03-31 --to 2026-06-30

      wayline segment migrate --by value_tier --json
    """
    from engine.workflows import segment_groups as workflow

    output = Output(as_json, quiet)
    ends = start or workflow.before_latest(home), end or workflow.latest(home)
    output.result(workflow.migrate(home, *ends, by), lambda facts: _show_moves(output, facts, language))


def _show_groups(output: Output, facts: dict[str, Any]) -> None:
    rows = [
        {**row, "set apart by": ", ".join(f"{one['feature']} {one['effect_size']:+.1f}" for one in row["features"][:3])}
        for row in facts.get("clusters", ())
    ]
    if rows:
        output.table(rows, ("cluster_id", "cluster_name", "customers", "set apart by"), "Behavioural clusters")
        output.table(facts["choices"], _CHOICES, "How many there are")
        output.line(f"{facts['unclustered']} customers without activity, {facts['outliers']} like no cluster.")
    for name, groups in facts.get("segmentations", {}).items():
        output.table(groups, ("segment_group", "group_name", "customers"), name)
    if facts.get("segmentation"):
        output.table(facts["groups"], ("segment_group", "group_name", "customers"), facts["segmentation"])
        output.table(facts["profiles"], ("segment_group", "feature", "mean", "overall_mean"), "Profiles")
    if facts.get("crossings"):
        output.table(facts["crossings"], _CROSSED, "Crossed")
    for one in (facts.get("before") or {}).get("notices", ()):
        output.line(one["sentence_en"])
    for note in facts.get("notes", ()):
        output.say(note)


def _show_moves(output: Output, facts: dict[str, Any], language: options.Language) -> None:
    ends = {"from": numbers.moment(facts["from_as_of"]), "to": numbers.moment(facts["to_as_of"])}
    output.facts(ends | {numbers.heading(name): numbers.cell(name, facts[name]) for name in _MOVED})
    output.table(facts["groups"], _BALANCE, "Groups")
    output.table(facts["moves"], ("before", "after", "customers", "before_share"), "Moves; a dash is nowhere")
    for one in facts["notices"]:
        output.line(one[f"sentence_{language.value}"])


def add_to(wayline: typer.Typer) -> None:
    """Add the group."""
    segment = group("segment", "Who the customers are: by what they buy, how they behave, and how they move.")
    for name, command in (("show", show), ("fit", fit), ("migrate", migrate), ("rfm", rfm)):
        segment.command(name)(command)
    wayline.add_typer(segment)
