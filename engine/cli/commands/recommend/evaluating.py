"""`wayline recommend evaluate`: all models on a file with one row for each customer."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from engine.cli import numbers, options
from engine.cli.output import Output

_COLUMNS: Final = (
    "model",
    "map",
    "interval_95",
    "recall",
    "coverage",
    "calibration_error",
    "fit_seconds",
    "score_seconds_per_million",
    "beats_popularity",
)

File = Annotated[
    Path,
    typer.Argument(metavar="FILE", help="CSV, Parquet or Excel, plain, .gz or .zip; a row for each customer."),
]
Customer = Annotated[str, typer.Option("--customer", help="Column of the customer.")]
Products = Annotated[
    str,
    typer.Option(
        "--products",
        help="Columns of the products, divided by commas: 1 or 0, yes or no, true or false. An empty cell is refused, "
        "unless no product column writes a 0 or a no: then it is not held.",
    ),
]
Profile = Annotated[
    str | None, typer.Option("--profile", help="Columns of what else is known, numbers or words, divided by commas.")
]
Segment = Annotated[
    str | None,
    typer.Option("--segment", help="Column of words by which popularity is counted; by default the profile's first."),
]
Time = Annotated[
    str | None,
    typer.Option("--time", help="Column of when the customer came: the latest fifth is judged on. Else a drawn fifth."),
]
TimeFormat = Annotated[
    str | None, typer.Option("--time-format", help="How times are written, such as %d/%m/%Y; by default as they look.")
]
K = Annotated[
    int | None, typer.Option("--k", help="How many products are looked at; by default 7, or all if there are fewer.")
]


def evaluate(
    *,
    file: File,
    customer: Customer,
    products: Products,
    profile: Profile = None,
    segment: Segment = None,
    time: Time = None,
    time_format: TimeFormat = None,
    k: K = None,
    seed: options.Seed = None,
    encoding: options.Encoding = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Hide a product from each customer and see which model names it: nine models, with intervals.

    [bold]Examples[/]

      wayline recommend evaluate customers.csv --customer id --products card,loan,savings,fund

      wayline recommend evaluate customers.parquet --customer id --products card,loan,savings,fund
      --profile age,region,income --time joined_on --k 5 --json
    """
    from engine.workflows import recommend_evaluate as workflow

    output = Output(as_json, quiet)
    question = workflow.Question(
        path=file,
        customer=customer,
        products=listed(products),
        profile=listed(profile or ""),
        segment=segment,
        time=time,
        time_format=time_format,
        k=k,
        seed=seed,
        encoding=encoding,
        home=home,
        say=output.say,
    )
    output.result(workflow.evaluate(question), lambda facts: _show(output, facts))


def listed(text: str) -> tuple[str, ...]:
    """Return the names that commas divide."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _show(output: Output, facts: dict[str, Any]) -> None:
    split = facts["split"]
    how = f"who came from {split['from']} on" if split["kind"] == "later_cohort" else "drawn by the seed"
    output.line(
        f"{numbers.count(facts['rows'])} customers, {facts['products']} products; judged on "
        f"{numbers.count(split['judged_on'])} customers {how}, one product hidden from each."
    )
    rows = [
        {
            "model": one["name"],
            "map": numbers.number(one["map_at_k"]),
            "interval_95": _span(one["interval"]),
            "recall": numbers.share(one["recall_at_k"]),
            "coverage": numbers.share(one["coverage"]),
            "calibration_error": numbers.share(one["ece"], 2),
            "fit_seconds": one["fit_seconds"],
            "score_seconds_per_million": one["score_seconds_per_million"],
            "beats_popularity": one.get("beats_popularity"),
        }
        for one in facts["models"]
    ]
    output.table(rows, _COLUMNS, title=f"Mean average precision at {facts['k']}, {facts['map_variant']}")
    for one in facts["models"]:
        if one.get("why"):
            output.line(f"{one['name']}: {one['why']}.")
    output.line(f"The champion is {facts['champion']}.")


def _span(ends: list[float] | None) -> str:
    lower, upper = ends or (None, None)
    return numbers.span(lower, upper, numbers.number)


def add_to(recommend: typer.Typer) -> None:
    """Add the command."""
    recommend.command()(evaluate)
