"""What the one pass over a table of units costs, in CPU seconds against one plain pass of sums in the same run.

    python -m tests.benchmarks.experiments [--units 5000000] [--repeats 5] [--memory]

10 metrics of 2 arms with one covariate each, then the same within 20 segments. The floor is one DuckDB query of plain
sums, sums of squares and sums of products. All read one Parquet file, as the command does, or with --memory a table
of the engine, whose segments are once text and once codes (Parquet stores text as codes). Where tea-tasting is
installed, it analyses the same metrics of the same table in DuckDB.
"""

from __future__ import annotations

import argparse
import resource
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ibis
import numpy as np

from engine.config.experiments import ExperimentSettings
from engine.lake.engine import DuckDBEngine, quoted
from experiments import comparisons, result, sequential, unit_tables
from experiments.comparisons import Reading
from experiments.looks import AnyTime
from experiments.progress import Progress
from experiments.unit_tables import Cells, Measure

METRICS = 10
SEGMENTS = 20
LOOKS = 30


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=int, default=5_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--memory", action="store_true", help="read a table in memory")
    asked = parser.parse_args()
    with TemporaryDirectory() as folder, DuckDBEngine(memory_limit="8GB") as engine:
        table = made(engine, asked.units)
        if not asked.memory:
            file = Path(folder) / "units.parquet"
            engine.connection.execute(f"COPY units TO {quoted(str(file))}; DROP TABLE units")
            engine.attach("units", file)
        steps = dict(passes(engine, table, in_memory=asked.memory))
        best = dict.fromkeys(steps, float("inf"))
        for _ in range(asked.repeats):  # in turn, so that other work on the machine meets all alike
            for name, step in steps.items():
                best[name] = min(best[name], cpu_seconds(step))
        cells = unit_tables.collect(engine, table, measures())
    print(f"{asked.units:,} units, {METRICS} metrics with a covariate each, 2 arms; best of {asked.repeats}")
    for name, seconds in best.items():
        print(f"{name:36s} {seconds:7.3f} s CPU  {seconds / best['floor']:5.2f} x floor")
    for name, step in {
        f"all statistics of {METRICS} metrics": lambda: judged(cells),
        f"bounds for {LOOKS} looks": bounds,
    }.items():
        step()
        seconds = min(cpu_seconds(step) for _ in range(2 * asked.repeats))
        print(f"{name:36s} {1000 * seconds:7.1f} ms CPU")


def measures() -> list[Measure]:
    """Return the metrics, each with its covariate."""
    return [Measure(name=f"m{i}", kind="mean", columns=(f"m{i}",), covariates=(f"c{i}",)) for i in range(METRICS)]


def passes(engine: DuckDBEngine, table: Any, *, in_memory: bool) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield the name and the work of everything that reads the units."""
    sums = ", ".join(
        f"sum(m{i}), sum(m{i} * m{i}), sum(c{i}), sum(c{i} * c{i}), sum(m{i} * c{i})" for i in range(METRICS)
    )
    query = f"SELECT arm, count(*), {sums} FROM units GROUP BY arm"
    plain = [Measure(name=one.name, kind=one.kind, columns=one.columns) for one in measures()]
    yield "floor", lambda: engine.connection.execute(query).fetchall()
    yield "without covariates", lambda: unit_tables.collect(engine, table, plain)
    yield "with covariates", lambda: unit_tables.collect(engine, table, measures())
    yield "with 20 segments", lambda: unit_tables.collect(engine, table, measures(), ["segment"])
    if in_memory:
        yield "with 20 segments as codes", lambda: unit_tables.collect(engine, table, measures(), ["coded"])
    yield "is any unit there twice", lambda: unit_tables.doubled(engine, table, "unit")
    if find_spec("tea_tasting") is not None:
        yield "tea-tasting without covariates", lambda: other_program(engine, adjusting=False)
        yield "tea-tasting with covariates", lambda: other_program(engine, adjusting=True)


def other_program(engine: DuckDBEngine, *, adjusting: bool) -> None:
    """Analyse the same metrics of the same rows by tea-tasting, which takes a relation of DuckDB."""
    import tea_tasting

    metrics = {f"m{i}": tea_tasting.Mean(f"m{i}", covariate=f"c{i}" if adjusting else None) for i in range(METRICS)}
    rows = engine.connection.sql("SELECT * FROM units")
    tea_tasting.Experiment(metrics, variant="arm").analyze(rows, control="a")


def made(engine: DuckDBEngine, units: int) -> Any:
    """Fill the table `units` with a seeded generator and return it."""
    names = [f"{letter}{i}" for i in range(METRICS) for letter in "mc"]
    values = ", ".join(
        f"(hash(i * {2 * i + 3}) % 100003) / 1000.0 AS m{i}, (hash(i * {2 * i + 4}) % 50021) / 1000.0 AS c{i}"
        for i in range(METRICS)
    )
    listed = ", ".join(quoted(f"segment {place}") for place in range(SEGMENTS))
    engine.connection.execute(f"CREATE TYPE segments AS ENUM ({listed})")
    codes = f"CAST('segment ' || (hash(i + 7) % {SEGMENTS}) AS segments)"
    engine.connection.execute(
        "CREATE TABLE units AS SELECT i AS unit, CASE WHEN hash(i) % 2 = 0 THEN 'a' ELSE 'b' END AS arm, "
        f"'segment ' || (hash(i + 7) % {SEGMENTS}) AS segment, {codes} AS coded, {values} "
        f"FROM range({units}) AS source(i)"
    )
    kinds = {"unit": "int64", "arm": "string", "segment": "string", "coded": "string"} | dict.fromkeys(names, "float64")
    return ibis.table(ibis.schema(kinds), name="units")


def judged(cells: Cells) -> None:
    """Compute everything that is said of every metric: plain and adjusted effects, corrections, verdicts, decision."""
    plan = ExperimentSettings(
        experiment_id="benchmark",
        name_en="benchmark",
        weights={"a": 1, "b": 1},
        control="a",
        metrics=[{"metric": f"m{i}", "kind": "mean", "column": f"m{i}"} for i in range(METRICS)],
    )
    readings = [
        Reading(plan=plan, metric=metric, measure=measure, cells=cells)
        for metric, measure in zip(plan.metrics, measures(), strict=True)
    ]
    found = result.assemble(
        plan.experiment_id,
        [one for reading in readings for one in comparisons.comparisons(reading)],
        [],
        looks=AnyTime(units=int(cells.rows.sum())),
        progress=Progress(day=1, complete=False),
    )
    assert all(one.comparison.adjusted is not None for one in found.metrics)


def bounds() -> None:
    """Solve the bounds of a plan of looks."""
    times = np.arange(1, LOOKS + 1) / LOOKS
    spend = sequential.obrien_fleming(0.05)
    sequential.bounds(times, [spend(share) for share in times])


def cpu_seconds(step: Callable[[], Any]) -> float:
    """Return the CPU seconds of all threads that a step takes."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    step()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
