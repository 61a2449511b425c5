"""Print how often each method is wrong when the truth is known: `python -m tests.benchmarks.calibration`.

Takes minutes; `--runs 400` shows the form in seconds. Ends with exit code 1 when a rate is outside what is promised.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.config.experiments import LookSettings
from engine.numerics.intervals import wilson
from experiments import plan, simulate, time_to_event
from experiments.effects import ALPHA
from experiments.plan import Design, Outcome
from experiments.simulate import Drawn, Scenario, Share
from experiments.time_to_event import DailyCounts
from tests.benchmarks.__main__ import show
from tests.experiments.calibration import METHODS, false_alarms

LEVEL = 0.99

ROWS = 1_000
DAYS = 28

HORIZON = 180
ACCRUAL = 180
CUSTOMERS = 20_000
DEFAULT_RATE = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One rate: how often out of how many, its interval, and what is promised."""

    what: str
    runs: int
    rate: str
    interval_99: str
    promised: str
    kept: str


def main() -> None:
    """Run everything, print three tables."""
    arguments = argparse.ArgumentParser(prog="python -m tests.benchmarks.calibration", description=__doc__)
    arguments.add_argument("--runs", type=int, default=20_000, help="experiments per method")
    arguments.add_argument("--seed", type=int, default=1)
    chosen = arguments.parse_args()
    tables = {
        "False alarms at 0.05, one look": list(fixed(chosen.runs, chosen.seed)),
        f"Looked at on {DAYS} days": list(looked_at_daily(chosen.runs, chosen.seed)),
        "Defaults still maturing": list(delayed(max(chosen.runs // 4, 1), chosen.seed)),
    }
    for title, rows in tables.items():
        show(title, rows)
    sys.exit(0 if all(row.kept == "yes" for rows in tables.values() for row in rows) else 1)


def fixed(runs: int, seed: int) -> Iterator[Row]:
    """Every method on experiments without effect, by its p-value and by its relative interval.

    They give one verdict, except that a relative interval without bounds calls nothing.
    """
    for method in METHODS:
        found = false_alarms(method, runs, seed)
        yield _row(method, found.by_p_value, runs, 0.045, 0.055)
        yield _row(f"{method}, relative interval", found.by_relative_interval, runs, 0.0, 0.055)


def looked_at_daily(runs: int, seed: int) -> Iterator[Row]:
    """Whole experiments on amounts with a long tail; the effect is the one that one look finds with 0.80."""
    outcome = Outcome.mean(50.0, 60.0)
    effect = plan.detectable(Design(outcome=outcome, weights={"A": 1, "B": 1}), ROWS)
    population = Drawn(outcome=outcome)
    one = Scenario(population=population, rows=ROWS, weights={"A": 1, "B": 1}, days=DAYS, effect=effect)
    yield _shared("power of one look", simulate.run(one, runs, seed, level=LEVEL).right, 0.78, 0.82)
    for name, looks, least in (
        ("planned looks, O'Brien-Fleming", LookSettings(days=DAYS), 0.76),
        ("planned looks, alpha t squared", LookSettings(days=DAYS, spending="power"), 0.74),
    ):
        none = Scenario(population=population, rows=ROWS, weights={"A": 1, "B": 1}, days=DAYS, looks=looks)
        yield _shared(f"{name}: false alarms", simulate.run(none, runs, seed, level=LEVEL).called, 0.04, 0.055)
        some = Scenario(
            population=population, rows=ROWS, weights={"A": 1, "B": 1}, days=DAYS, looks=looks, effect=effect
        )
        yield _shared(f"{name}: power", simulate.run(some, runs, seed, level=LEVEL).right, least, 1.0)
    any_time = Scenario(population=population, rows=ROWS, weights={"A": 1, "B": 1}, days=DAYS, looks="any_time")
    yield _shared("any time: false alarms", simulate.run(any_time, runs, seed, level=LEVEL).called, 0.0, 0.055)


def delayed(runs: int, seed: int) -> Iterator[Row]:
    """Two arms with the same defaults within the horizon; in one half of the rows the variant's only come earlier."""
    for name, earlier in (("no difference", False), ("the variant's defaults come earlier", True)):
        for day in (210, 240, 270, 300, 360):
            rng = np.random.default_rng([seed, day, earlier])
            called = sum(_called(rng, day, earlier) for _ in range(runs))
            yield _row(f"day {day}: {name}", called, runs, 0.0, 0.06)


def _called(rng: np.random.Generator, day: int, earlier: bool) -> bool:
    found = time_to_event.compare(_arm(rng, day, earlier), _arm(rng, day, False), HORIZON)
    return found.p_value is not None and found.p_value < ALPHA


def _arm(rng: np.random.Generator, day: int, earlier: bool) -> DailyCounts:
    watched: NDArray[np.float64] = day - rng.uniform(0, ACCRUAL, size=CUSTOMERS)
    place = rng.uniform(size=CUSTOMERS)
    # the first 3 % default, on a day that follows from where they are among those 3 %
    share = place / DEFAULT_RATE
    when = np.where(share < 1, HORIZON * (share**2 if earlier else share), np.nan)
    return DailyCounts.of_customers(when, watched, HORIZON)


def _shared(what: str, share: Share, least: float, most: float) -> Row:
    return _row(what, share.count, share.of, least, most)


def _row(what: str, count: int, runs: int, least: float, most: float) -> Row:
    rate, interval = count / runs, wilson(count, runs, LEVEL)
    return Row(
        what=what,
        runs=runs,
        rate=f"{rate:.4f}",
        interval_99=f"{interval.lower:.4f} to {interval.upper:.4f}",
        promised=f"{least:g} to {most:g}" if least else f"at most {most:g}",
        kept="yes" if least <= rate <= most else "no",
    )


if __name__ == "__main__":
    main()
