"""`wayline journey attribution`: which touches brought the conversions, by model, side by side."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli import numbers, options
from engine.cli.commands.journey.log_options import of_log
from engine.cli.output import Output

if TYPE_CHECKING:
    from engine.workflows.event_logs import LogSource

_SHOWN = 10

Touch = Annotated[
    str, typer.Option("--touch", metavar="COL", help="Column whose values are the touches; `events`: the events.")
]
Conversion = Annotated[
    str, typer.Option("--conversion", metavar="EVENT", help="Event that is a conversion; several divided by commas.")
]
Window = Annotated[
    str, typer.Option("--window", help="Look back so far from a conversion, its edge included: 12h, 30d; or `none`.")
]
TouchEvents = Annotated[
    str | None, typer.Option("--touch-events", help="Only these events are touches, divided by commas; else all.")
]
Direct = Annotated[
    str | None, typer.Option("--direct", help="Touches that the model last_non_direct passes over, such as direct.")
]
Models = Annotated[
    list[str] | None,
    typer.Option("--model", help="first, last, last_non_direct, linear, position, time_decay, markov, markov_2 or "
                 "shapley; repeatable. By default all."),
]  # fmt: skip
HalfLife = Annotated[str, typer.Option("--half-life", help="Age at which time decay halves the weight of a touch.")]
Value = Annotated[
    str | None, typer.Option("--value", metavar="COL", help="Column with the worth of a conversion in minor units.")
]


@of_log
def attribution(
    source: LogSource,
    *,
    touch: Touch = "channel",
    conversion: Conversion,
    window: Window = "30d",
    value: Value = None,
    touch_events: TouchEvents = None,
    direct: Direct = None,
    model: Models = None,
    half_life: HalfLife = "7d",
    seed: options.Seed = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Attribute conversions to the touches before them: eight models side by side, with a warning where they disagree.

    A touch is an event before a conversion that is none itself. Paths that may yet convert are left out.

    [bold]Examples[/]

      wayline journey attribution --conversion product_opened --touch-events enquiry_made --window 90d

      wayline journey attribution visits.csv --touch source --conversion order --direct direct --value amount_minor

      wayline journey attribution log.parquet --touch events --conversion A_APPROVED --model markov --json
    """
    from engine.workflows import journey_attribution as workflow
    from journeys import notation

    question = workflow.Question(
        conversion=notation.listed(conversion),
        touch=touch,
        touch_events=notation.listed(touch_events or ""),
        lookback_seconds=float("inf") if window == "none" else notation.seconds(window),
        half_life_seconds=notation.seconds(half_life),
        value=value,
        direct=notation.listed(direct or ""),
        models=tuple(model or ()),
        seed=seed or 0,
    )
    output = Output(as_json, quiet)
    output.result(workflow.study(source, question), lambda facts: _show(output, facts))


def _show(output: Output, facts: dict[str, Any]) -> None:
    rows = []
    for touch, given in groupby(facts["touches"], key=lambda row: row["touch"]):
        rows.append({"touch": touch, **{one["model"]: numbers.share(one["share"]) for one in given}})
    output.table(rows, list(rows[0]), title="Share of the conversions by model")
    sure = [
        {
            "touch": one["touch"],
            "conversions": one["conversions"],
            "share": numbers.share(one["share"]),
            "interval_95": numbers.span(one["share_lower"], one["share_upper"], numbers.share),
            **({"value_minor": one["value_minor"]} if one["value_minor"] is not None else {}),
        }
        for one in facts["touches"]
        if one["model"] == _shown(facts)
    ]
    output.line("")
    output.table(sure, list(sure[0]), title=f"By {_shown(facts)}")
    output.line(
        f"Conversions: {numbers.count(facts['attributed'])} with a touch before them, "
        f"{numbers.count(facts['without_touch'])} without. Paths without one: {numbers.count(facts['lost_paths'])} "
        f"lost; {numbers.count(facts['open_paths'])} may yet convert and are left out."
    )
    for one in facts["disagreements"][:_SHOWN]:
        output.line(one["sentence"])
    if len(facts["disagreements"]) > _SHOWN:
        more = numbers.count(len(facts["disagreements"]) - _SHOWN)
        output.line(f"and on {more} more; --json lists all of them.")
    for note in facts["notes"]:
        output.line(f"Note: {note}")


def _shown(facts: dict[str, Any]) -> str:
    models = list(facts["models"])
    return "markov" if "markov" in models else str(models[0])


def add_to(journey: typer.Typer) -> None:
    """Add the command."""
    journey.command()(attribution)
