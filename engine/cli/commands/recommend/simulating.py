"""`wayline recommend simulate`: a policy tried on the customers of a run, before it goes live."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from engine.cli import numbers, options
from engine.cli.output import Output

_TOTALS: Final = ("measure", "before", "after", "change", "change_share")
_GATES: Final = ("gate", "kind", "refused_before", "refused_after", "change", "alone_before", "alone_after")
_PRODUCTS: Final = (
    "product_id",
    "offers_before",
    "offers_after",
    "expected_value_before_minor",
    "expected_value_after_minor",
)
_BIAS: Final = (
    "attribute",
    "group",
    "customers",
    "offer_rate_before",
    "offer_rate_after",
    "ratio_before",
    "ratio_after",
)
_MOVES: Final = ("breakdown", "group", "gains", "loses", "other_products", "same", "expected_value_change_minor")
_FACTORS: Final = ("factor", "changed_before", "lost_before", "changed_after", "lost_after")

PolicyFile = Annotated[
    Path,
    typer.Option("--policy", metavar="FILE", help="TOML of what should be otherwise, laid out as wayline.toml is."),
]
Against = Annotated[
    Path | None,
    typer.Option("--against", metavar="FILE", help="The policy to compare with; by default that of the run."),
]


def simulate(
    *,
    policy: PolicyFile,
    against: Against = None,
    run: options.RunId = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Decide all customers of a run under another policy: reach, value, loss, groups, who gains and who loses.

    Nothing is written and nothing is learned: models and customers are those of the run.

    [bold]Examples[/]

      wayline recommend simulate --policy stricter.toml

      wayline recommend simulate --policy stricter.toml --against looser.toml --json
    """
    from engine.workflows import recommend_simulate as workflow

    output = Output(as_json, quiet)
    tried = workflow.Policy.of_file(policy)
    other = None if against is None else workflow.Policy.of_file(against)
    with output.progress("Deciding") as progress:
        found = workflow.simulate(home, tried, against=other, run_id=run, progress=progress)
    output.result(found, lambda facts: _show(output, facts))


def _show(output: Output, facts: dict[str, Any]) -> None:
    for change in facts["changes"]:
        output.line(f"{change['setting']}: {change['before']} becomes {change['after']}")
    rows = [
        one
        | {name: _written(one["measure"], one[name]) for name in ("before", "after", "change")}
        | {"measure": numbers.heading(one["measure"]), "change_share": _percent(one["change_share"])}
        for one in facts["totals"]
    ]
    output.table(rows, _TOTALS, title=f"{numbers.count(facts['customers'])} customers of run {facts['run_id']}")
    gates = [one for one in facts["gates"] if one["refused_before"] or one["refused_after"]]
    output.table(gates, _GATES, title="Pairs of customer and product that each gate refuses")
    products = [one for one in facts["products"] if one["offers_before"] or one["offers_after"]]
    output.table(products, _PRODUCTS, title="Offers by product")
    output.table(_moved(facts["moves"]), _MOVES, title="Who gains and who loses, customers")
    output.table(_groups(facts["bias"]), _BIAS, title="Any offer at all, by group: rate over that of all others")
    output.table(_factors(facts["sensitivity"]), _FACTORS, title="First offers when a factor is left out")
    served = facts["under_served"]
    output.line(
        f"Best propensity at or below {numbers.share(served['threshold'], 2)}: "
        f"{numbers.count(served['before']['under_served'])} customers before, "
        f"{numbers.count(served['after']['under_served'])} after; nothing to offer: "
        f"{numbers.count(served['before']['nothing'])} before, {numbers.count(served['after']['nothing'])} after."
    )
    for note in facts["notes"]:
        output.line(note)


def _written(measure: str, value: Any) -> str:
    return numbers.amount(int(value)) if measure.endswith("_minor") else numbers.count(int(value))


def _percent(value: float | None) -> str:
    return numbers.DASH if value is None else f"{value:+.1%}"


def _moved(moves: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"breakdown": "all", "group": "all", **moves["customers"]}, *moves["by"]]


def _groups(bias: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        one
        | {name: numbers.share(one[name]) for name in ("offer_rate_before", "offer_rate_after")}
        | {f"ratio_{when}": numbers.number(one[f"rate_ratio_{when}"]) for when in ("before", "after")}
        for one in bias
        if one["product_id"] is None and one["assessed"]
    ]


def _factors(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"factor": one["factor"]}
        | {f"changed_{when}": numbers.share(one[f"share_changed_{when}"]) for when in ("before", "after")}
        | {f"lost_{when}": numbers.share(one[f"share_lost_{when}"]) for when in ("before", "after")}
        for one in rows
    ]


def add_to(recommend: typer.Typer) -> None:
    """Add the command."""
    recommend.command()(simulate)
