"""`wayline recommend replay`: do the decisions of a run come out the same when they are made again?"""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from engine.cli import faults, options
from engine.cli.output import Output

_DIFFERENCES: Final = ("mart", "customer_id", "product_id", "column", "written", "again")


def replay(
    *,
    customers: Annotated[
        int, typer.Option("--customers", "-n", min=0, help="How many, drawn by the seed; 0 is everybody.")
    ] = 1000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Draws the customers.")] = 0,
    run: options.RunId = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Decide again for customers of a run from what it wrote, and count the values that differ; exit code 3 for any.

    Settings, products and data that changed since play no part: the run keeps what it decided by.

    [bold]Examples[/]

      wayline recommend replay

      wayline recommend replay --customers 0 --json
    """
    from engine.workflows import replay as workflow

    output = Output(as_json, quiet)
    found = workflow.sample(home, run, customers or None, seed)
    output.result(found, lambda facts: _show(output, facts))
    if not found["equal"]:
        raise typer.Exit(faults.CHECK_FAILED)


def _show(output: Output, facts: dict[str, Any]) -> None:
    same = facts["decisions"] - facts["differing"]
    output.line(
        f"{same:,} of {facts['decisions']:,} decisions for {facts['customers']:,} customers of run {facts['run_id']} "
        f"come out the same to the last bit (bundle {facts['bundle']})."
    )
    if facts["differences"]:
        output.table(facts["differences"], _DIFFERENCES, title="The first differences")
    for change in facts["changed_since"]:
        output.line(change["text_en"])


def add_to(recommend: typer.Typer) -> None:
    """Add the command."""
    recommend.command()(replay)
