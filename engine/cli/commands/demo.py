"""`wayline demo`: from nothing to a bank on the screen."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from engine.cli import numbers, options
from engine.cli.commands import app
from engine.cli.output import Output
from engine.cli.plain import plain


def demo(
    *,
    home: options.Home = options.HOME,
    customers: Annotated[int, typer.Option("--customers", "-n", min=1, max=10_000_000, help="How many.")] = 20_000,
    seed: options.Seed = None,
    no_app: Annotated[bool, typer.Option("--no-app", help="Do not open the app; for servers and CI.")] = False,
    port: app.Port = None,
    headless: app.Headless = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Simulate a bank, load it, run everything, and open the app on it. --json implies --no-app.

    Two colleagues, ann and bob, have worked on it: they kept audiences, handed one over and took up cases.

    [bold]Examples[/]

      wayline demo

      wayline demo --no-app --customers 5000

      wayline demo --home /tmp/bank --seed 7 --port 8600
    """
    from engine.workflows import demo as workflow

    output = Output(as_json, quiet)
    with output.progress("Preparing the demo bank") as progress:
        prepared = workflow.prepare(home, customers, seed, progress, colleagues=True)
    output.result(prepared, lambda facts: _show(output, facts))
    if no_app or as_json:
        output.say(f"Open it with `wayline app --home {home}`.")
        return
    app.start(Path(plain(prepared)["home"]), port, headless, output)


def _show(output: Output, facts: Any) -> None:
    timings = facts["timings"]
    output.table([{"step": name, "seconds": seconds} for name, seconds in timings.items()], ("step", "seconds"))
    output.facts(
        {
            "run": facts["run_id"],
            "took": numbers.duration(sum(timings.values())),
            "results": str(facts["results"]),
        }
    )


def add_to(wayline: typer.Typer) -> None:
    """Add the command."""
    wayline.command("demo")(demo)
