"""`wayline journey types`: the kinds of journeys there are, each with a portrait."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli import numbers, options
from engine.cli.commands.journey.log_options import of_log
from engine.cli.output import Output

if TYPE_CHECKING:
    from engine.workflows.event_logs import LogSource

Journey = Annotated[
    str | None, typer.Option("--journey", help="Only events about the products of this journey of the settings.")
]
Only = Annotated[str | None, typer.Option("--only", help="Only these events, divided by commas; by default all.")]
Conversion = Annotated[
    str | None,
    typer.Option("--conversion", help="Events that count as a conversion, divided by commas; they shape no type."),
]
Types = Annotated[
    int | None, typer.Option("--types", help="Make so many, steady or not; by default the number is chosen.")
]
Seed = Annotated[int | None, typer.Option("--seed", help="For what is drawn: the same seed, the same types. [0]")]
Chinese = Annotated[bool, typer.Option("--zh", help="Names and portraits in Chinese.")]


@of_log
def types(
    source: LogSource,
    *,
    journey: Journey = None,
    only: Only = None,
    conversion: Conversion = None,
    number: Types = None,
    seed: Seed = None,
    chinese: Chinese = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Part customers into types of journeys, each named after what sets it apart, with a portrait.

    [bold]Examples[/]

      wayline journey types log.csv

      wayline journey types --journey credit_card --conversion product_opened

      wayline journey types log.parquet --only view,apply,sign --types 4 --json
    """
    from engine.workflows import journey_types as workflow
    from journeys import notation

    question = workflow.Question(
        journey=journey,
        only=notation.listed(only or ""),
        conversion=notation.listed(conversion or ""),
        types=number,
        seed=seed or 0,
    )
    output = Output(as_json, quiet)
    output.result(workflow.study(source, question), lambda facts: _show(output, facts, "zh" if chinese else "en"))


def _show(output: Output, facts: dict[str, Any], language: str) -> None:
    if not facts["types"]:
        output.line(f"No types: {facts['reason']}")
        return
    rows = [
        {
            "type": f"{one['number']} {one[f'name_{language}']}",
            "customers": one["customers"],
            "share": numbers.share(one["share"]),
            "median_events": one["median_events"],
            "median_seconds": one["median_seconds"],
            **(
                {
                    "conversion": numbers.share(one["conversion"]),
                    "interval_95": numbers.span(one["conversion_lower"], one["conversion_upper"], numbers.share),
                }
                if one["conversion"] is not None
                else {}
            ),
        }
        for one in facts["types"]
    ]
    output.table(rows, list(rows[0]))
    output.line(f"{numbers.count(facts['outside'])} of {numbers.count(facts['customers'])} customers are like no type.")
    for one in facts["types"]:
        output.line("")
        output.line(f"{one['number']} {one[f'name_{language}']}")
        output.line(one[f"portrait_{language}"])
    for note in facts["notes"]:
        output.line(f"Note: {note}")


def add_to(journey: typer.Typer) -> None:
    """Add the command."""
    journey.command()(types)
