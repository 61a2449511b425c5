"""What the one pass over a table of units costs, in CPU seconds against one plain pass of sums in the same run.

    python -m tests.benchmarks.experiments [--units 5000000] [--repeats 5] [--memory]

10 metrics of 2 arms with one covariate each, then the same within 20 segments. The floor is one DuckDB query of plain
sums, sums of squares and sums of products. Both read one Parquet file, as the command does, or with --memory a table
of the engine.
"""

from __future__ import annotations

import argparse
import resource
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ibis

from engine.lake.engine import DuckDBEngine, quoted
from experiments import adjustment, unit_tables
from experiments.moments import VALUE
from experiments.unit_tables import Cells, Measure

METRICS = 10
SEGMENTS = 20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=int, default=5_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--memory", action="store_true", help="read a table in memory")
    asked = parser.parse_args()
    with TemporaryDirectory() as folder, DuckDBEngine(memory_limit="6GB") as engine:
        table = made(engine, asked.units)
        if not asked.memory:
            file = Path(folder) / "units.parquet"
            engine.connection.execute(f"COPY units TO {quoted(str(file))}; DROP TABLE units")
            engine.attach("units", file)
        sums = ", ".join(
            f"sum(m{i}), sum(m{i} * m{i}), sum(c{i}), sum(c{i} * c{i}), sum(m{i} * c{i})" for i in range(METRICS)
        )
        query = f"SELECT arm, count(*), {sums} FROM units GROUP BY arm"
        measures = [
            Measure(name=f"m{i}", kind="mean", columns=(f"m{i}",), covariates=(f"c{i}",)) for i in range(METRICS)
        ]

        def floor() -> None:
            engine.connection.execute(query).fetchall()

        def plain() -> Cells:
            return unit_tables.collect(engine, table, measures)

        def by_segment() -> Cells:
            return unit_tables.collect(engine, table, measures, ["segment"])

        def duplicates() -> bool:
            return unit_tables.doubled(engine, table, "unit")

        steps: dict[str, Callable[[], Any]] = {
            "floor": floor,
            "with covariates": plain,
            "with 20 segments": by_segment,
            "is any unit there twice": duplicates,
        }
        best = dict.fromkeys(steps, float("inf"))
        for _ in range(asked.repeats):  # in turn, so that other work on the machine meets all alike
            for name, step in steps.items():
                best[name] = min(best[name], cpu_seconds(step))
        cells = plain()
        statistics = min(cpu_seconds(lambda: judged(cells, measures)) for _ in range(asked.repeats))
    print(f"{asked.units:,} units, {METRICS} metrics with a covariate each, 2 arms; best of {asked.repeats}")
    for name, seconds in best.items():
        print(f"{name:26s} {seconds:7.3f} s CPU  {seconds / best['floor']:5.2f} x floor")
    print(f"{'adjusted effects of all':26s} {1000 * statistics:7.1f} ms CPU")


def made(engine: DuckDBEngine, units: int) -> Any:
    """Fill the table `units` with a seeded generator and return it."""
    names = [f"{letter}{i}" for i in range(METRICS) for letter in "mc"]
    values = ", ".join(
        f"(hash(i * {2 * i + 3}) % 100003) / 1000.0 AS m{i}, (hash(i * {2 * i + 4}) % 50021) / 1000.0 AS c{i}"
        for i in range(METRICS)
    )
    engine.connection.execute(
        "CREATE TABLE units AS SELECT i AS unit, CASE WHEN hash(i) % 2 = 0 THEN 'a' ELSE 'b' END AS arm, "
        f"'segment ' || (hash(i + 7) % {SEGMENTS}) AS segment, {values} FROM range({units}) AS source(i)"
    )
    kinds = {"unit": "int64", "arm": "string", "segment": "string"} | dict.fromkeys(names, "float64")
    return ibis.table(ibis.schema(kinds), name="units")


def judged(cells: Cells, measures: list[Measure]) -> None:
    """Compute every adjusted effect from the moments."""
    for measure in measures:
        arms = {arm: cells.moments(measure, arm=arm) for arm in "ab"}
        found = adjustment.adjust(arms, VALUE, measure.covariates)
        assert found is not None
        found.effect("b", "a")


def cpu_seconds(step: Callable[[], Any]) -> float:
    """Return the CPU seconds of all threads that a step takes."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    step()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
