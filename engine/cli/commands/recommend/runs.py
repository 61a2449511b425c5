"""`wayline recommend models`, `rules` and `limits`: the race of a run, its pair rules, its limits on all offers."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from engine.cli import numbers, options
from engine.cli.output import Output

_MODELS: Final = (
    "model",
    "chosen",
    "map_at_7",
    "interval_95",
    "gain_over_popularity",
    "recall_at_7",
    "coverage",
    "calibration_error",
    "customers",
    "note",
)
_RULES: Final = (
    "has_product_id",
    "takes_product_id",
    "customers",
    "support",
    "confidence",
    "lift",
    "leverage",
    "zhang",
)
_LIMITS: Final = ("kind", "subject", "allowed", "used", "wanted", "shadow_price", "binds")

Has = Annotated[str | None, typer.Option("--has", help="Only rules from this product.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="Show so many rules, the strongest lift first.")]


def models(
    *,
    run: options.RunId = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show how each model did on the latest window of a run, and which one ranks.

    [bold]Examples[/]

      wayline recommend models --json
    """
    from engine.workflows import recommend_tables

    output = Output(as_json, quiet)
    output.result(recommend_tables.models(home, run), lambda facts: _show_models(output, facts))


def rules(
    *,
    has: Has = None,
    limit: Limit = 50,
    run: options.RunId = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show who has one product and also takes another: support, confidence, lift, leverage and Zhang's measure.

    [bold]Examples[/]

      wayline recommend rules --has current_account --limit 10
    """
    from engine.workflows import recommend_tables

    output = Output(as_json, quiet)
    output.result(recommend_tables.rules(home, run, has, limit), lambda facts: _show_rules(output, facts))


def limits(
    *,
    run: options.RunId = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show the limits on all offers together: how much each allows, what is used, what one more unit would bring.

    [bold]Examples[/]

      wayline recommend limits --json
    """
    from engine.workflows import recommend_tables

    output = Output(as_json, quiet)
    output.result(recommend_tables.limits(home, run), lambda facts: _show_limits(output, facts))


def _show_models(output: Output, facts: dict[str, Any]) -> None:
    rows = [
        one
        | {
            "map_at_7": numbers.number(one["map_at_7"]),
            "interval_95": numbers.span(one["map_lower"], one["map_upper"], numbers.number),
            "gain_over_popularity": numbers.span(one["gain_lower"], one["gain_upper"], numbers.number),
            "calibration_error": numbers.share(one["calibration_error"], 2),
        }
        for one in facts["models"]
    ]
    output.table(rows, _MODELS, title="Learned on the window before, judged on the latest")
    output.line(facts["caption"])


def _show_rules(output: Output, facts: dict[str, Any]) -> None:
    output.table(facts["rules"], _RULES, title="Who has the first also takes the second")
    output.line(f"{len(facts['rules'])} of {facts['total']} rules are shown.")


def _show_limits(output: Output, facts: dict[str, Any]) -> None:
    if facts["limits"]:
        # in minor units as it is: a budget's price is a fraction of one, which in the base currency reads as nothing
        rows = [one | {"shadow_price": numbers.number(one["shadow_price_minor"])} for one in facts["limits"]]
        output.table(rows, _LIMITS, title="Limits on all offers together")
        measures = [
            one | {"value": numbers.share(one["value"], 2)} if one["measure"] == "share_of_bound" else one
            for one in facts["measures"]
        ]
        output.table(measures, ("measure", "value", "text"), title="How close the offers came")
    output.line(facts["caption"])


def add_to(recommend: typer.Typer) -> None:
    """Add the commands."""
    recommend.command()(models)
    recommend.command()(rules)
    recommend.command()(limits)
