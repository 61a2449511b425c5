"""Print the benchmarks: `python -m tests.benchmarks [--customers 20000 1000000] [--folder DIR]`.

Ratios are of numbers measured in the same run on the same machine; seconds alone say little about another.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from engine.lake.workspace import Workspace
from tests.benchmarks import (
    api,
    app,
    audiences,
    decisions,
    features,
    feedback,
    journeys,
    live_million,
    recommendations,
    risk,
    whole_run,
)


def main() -> None:
    """Run every benchmark and print a table for each."""
    arguments = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    arguments.add_argument("--customers", type=int, nargs="+", default=[20_000], help="sizes of the simulated bank")
    arguments.add_argument("--folder", type=Path, help="where the banks are made and kept; default: made and removed")
    arguments.add_argument("--events", type=int, default=1_000_000, help="events of the funnel's own log")
    arguments.add_argument("--loans", type=int, default=1_000_000, help="loans that the scorecard is learned from")
    arguments.add_argument("--holders", type=int, default=100_000, help="customers that products are named to")
    arguments.add_argument("--members", type=int, default=100_000, help="customers that an audience is found among")
    arguments.add_argument("--pulled", type=int, default=100_000, help="members that are pulled over HTTP")
    arguments.add_argument("--kills", type=int, default=30, help="times that a server taking feedback is killed")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="wayline-bench-") as scratch:
        folder = chosen.folder or Path(scratch)
        for customers in chosen.customers:
            bank = folder / str(customers)
            show(f"{customers:,} customers: the whole run", whole_run.run(customers, bank))
            show(
                f"{customers:,} customers: features against SQL by hand",
                features.run(Workspace(bank / "workspace").home / "curated"),
            )
            show(f"{customers:,} customers: one decision in real time", decisions.run(home=bank / "workspace"))
            show(f"{customers:,} customers: the app in a browser", app.pages(bank / "workspace"))
            show(f"{customers:,} customers: the app with many readers", [app.readers(bank / "workspace")])
            show("a million customers mapped for live decisions", live_million.run(bank / "workspace"))
        show(f"{chosen.events:,} events: funnels", journeys.run(chosen.events))
        show(f"{chosen.members:,} customers: an audience of five rules", audiences.run(chosen.members))
        show(f"{chosen.pulled:,} members over HTTP", api.run(chosen.pulled, folder / "api"))
        show(f"{chosen.loans:,} loans: a scorecard", risk.run(chosen.loans))
        show(f"{chosen.holders:,} customers: recommendations", recommendations.run(chosen.holders))
        show(f"{chosen.kills} kills: feedback", feedback.run(3_000, chosen.kills, folder / "feedback"))


def show(title: str, rows: Sequence[Any]) -> None:
    """Print rows, which are mappings or dataclasses, as a table."""
    known = [row if isinstance(row, dict) else asdict(row) for row in rows]
    table = Table(title=title, title_justify="left")
    for name in known[0]:
        table.add_column(name.replace("_", " "), justify="left" if isinstance(known[0][name], str) else "right")
    for row in known:
        table.add_row(*("\u2014" if value is None else str(value) for value in row.values()))
    Console().print(table)


if __name__ == "__main__":
    main()
