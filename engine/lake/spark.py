"""Spark as the engine, where one machine is too small: the same expressions, the same answers.

Needs the extra `spark` and Java. The caller makes the session, since it knows the cluster.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ibis
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from engine.lake.engine import Values

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_SETTINGS = {
    # instants are naive UTC on disk: neither a session's zone nor Spark's default type may move them
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.parquet.compression.codec": "zstd",
}


class SparkEngine:
    """Runs expressions in a Spark session of version 4 or newer; sets that session to UTC and naive instants."""

    name = "spark"

    def __init__(self, session: SparkSession) -> None:
        self.session = session
        for setting, value in _SETTINGS.items():
            session.conf.set(setting, value)

    def attach(self, name: str, source: Path | pa.Table) -> None:
        """Make a Parquet file or folder, or an Arrow table, readable under a name."""
        if isinstance(source, Path):
            # looked up recursively so that `month=` folders add no column, as on DuckDB
            rows = self.session.read.option("recursiveFileLookup", "true").parquet(str(source))
        else:
            rows = self.session.createDataFrame(source)
        rows.createOrReplaceTempView(name)

    def compile(self, expression: Any) -> str:
        """Return the Spark SQL of an expression.

        Compiled in the dialect of Databricks, which is Spark's own: Ibis compiles its `pyspark` one differently
        with and without a connection of its own, which would need packages that nothing else here does.
        """
        return str(ibis.to_sql(expression, dialect="databricks"))

    def arrow(self, expression: Any) -> pa.Table:
        """Run an expression and return its rows."""
        rows: pa.Table = self._run(expression).toArrow()
        return rows

    def map_blocks(
        self,
        expression: Any,
        key: str,
        function: Callable[[pa.Table], pa.Table],
        *,
        blocks: int = 1,
        coded: Values | None = None,
    ) -> pa.Table:
        """Hand the rows of an expression to a function, whole keys at a time, where they lie; blocks are partitions.

        The workers need this package, as any function of it that they run. What the function makes comes here. Text
        comes as text: `coded` allows codes, and the workers' Arrow has none.
        """
        rows = self._run(expression)
        spread = rows.repartition(max(blocks, self.session.sparkContext.defaultParallelism), key)
        schema = rows.limit(0).toArrow().schema
        shape = self.session.createDataFrame(function(schema.empty_table())).schema
        made: pa.Table = spread.mapInArrow(partial(_mapped, function, schema), shape).toArrow()
        return made

    def frame(self, expression: Any) -> pd.DataFrame:
        """Run an expression and return its rows as a data frame."""
        frame: pd.DataFrame = self.arrow(expression).to_pandas()
        return frame

    def write(self, expression: Any, folder: Path, *, order_by: Sequence[str]) -> int:
        """Write the rows of an expression as one sorted Parquet file in a new folder and return how many.

        One task sorts and writes: where a range partition would cut depends on sampling, and the same rows must
        give the same bytes. It spills, so that only time grows with the size of the table.
        """
        folder.mkdir(parents=True)
        aside = folder / "_spark"
        self._run(expression).repartition(1).sortWithinPartitions(*order_by).write.parquet(str(aside))
        (written,) = aside.glob("*.parquet")
        target = written.rename(folder / "part-00000.parquet")
        shutil.rmtree(aside)
        return int(pq.read_metadata(target).num_rows)

    def _run(self, expression: Any) -> DataFrame:
        return self.session.sql(self.compile(expression))


def _mapped(
    function: Callable[[pa.Table], pa.Table], schema: pa.Schema, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    yield from function(pa.Table.from_batches(batches, schema)).to_batches()
