"""DuckDB and Spark give the same answers. Needs Java and pyspark; skipped with a reason elsewhere."""

from __future__ import annotations

import math
import os
import shutil
from datetime import UTC, date, datetime
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.config.bank import BankSettings
from engine.config.load import load
from engine.domain.curated import CURATED
from engine.features import table
from engine.lake.engine import DuckDBEngine, Engine
from engine.lake.schema import unbound
from engine.lake.spark import SparkEngine
from engine.numerics.hashing import share_column, shares_of
from tests.engine.features.builders import write_bank

pytestmark = pytest.mark.spark
AS_OF = datetime(2026, 6, 20, 8, 30, tzinfo=UTC)


@pytest.fixture(scope="session")
def spark():
    if shutil.which("java") is None and not os.environ.get("JAVA_HOME"):
        pytest.skip("Spark needs Java: no `java` on the path and no JAVA_HOME")
    sql = pytest.importorskip("pyspark.sql", reason="pyspark is not installed; it comes with the extra `spark`")
    session = (
        sql.SparkSession.builder.master("local[2]")
        .appName("wayline-tests")
        .config("spark.sql.session.timeZone", "America/New_York")  # the engine must not lean on the caller's zone
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.memory", "1g")
        .getOrCreate()
    )
    yield SparkEngine(session)
    session.stop()


@pytest.fixture(scope="session")
def duck():
    with DuckDBEngine(threads=1) as engine:
        yield engine


@pytest.fixture(scope="session")
def bank_folder(tmp_path_factory):
    return write_bank(tmp_path_factory.mktemp("bank"), customers=300)


def test_the_feature_table_is_the_same_on_both_engines(spark, duck, bank_folder, tmp_path):
    one = _features(duck, bank_folder, tmp_path / "duckdb")
    two = _features(spark, bank_folder, tmp_path / "spark")
    assert one.num_rows > 250
    assert two.schema.names == one.schema.names
    assert list(two.schema.types) == one.schema.types
    assert one["customer_id"].to_pylist() == two["customer_id"].to_pylist() == sorted(one["customer_id"].to_pylist())
    pairs = {name: zip(one[name].to_pylist(), two[name].to_pylist(), strict=True) for name in one.schema.names}
    different = [name for name, values in pairs.items() if not all(_same(left, right) for left, right in values)]
    assert different == []
    # the comparison says little where a column is empty
    assert [name for name in one.schema.names if one[name].null_count == one.num_rows] == []


def _features(engine: Engine, folder: Any, out: Any) -> pa.Table:
    tables = {}
    for path in sorted(folder.iterdir()):
        engine.attach(path.name, path)
        tables[path.name] = unbound(CURATED[path.name])
    expression = table.build(tables, AS_OF, load(BankSettings, "bank"))
    rows = engine.write(expression, out, order_by=["customer_id"])
    written = pq.read_table(out / "part-00000.parquet")
    assert written.num_rows == rows
    return written


def _same(one: Any, two: Any) -> bool:
    if isinstance(one, float) and isinstance(two, float):
        return math.isclose(one, two, rel_tol=1e-9)
    return type(one) is type(two) and one == two


def test_hash_shares_are_the_same_on_both_engines_and_in_python(spark, duck):
    units = [f"c{number}" for number in range(200)] + ["客户一", "", "a'b", None]
    rows = pa.table({"row": range(len(units)), "unit": pa.array(units, pa.string())})
    bound = ibis.table({"row": "int64", "unit": "string"}, name="units")
    expression = bound.select("row", share=share_column(bound.unit, "salt")).order_by("row")
    found = []
    for engine in (duck, spark):
        engine.attach("units", rows)
        found.append(engine.arrow(expression)["share"].to_pylist())
    assert found[0] == found[1] == [*shares_of(units[:-1], "salt").tolist(), None]


def test_instants_and_dates_keep_their_value_whatever_the_session_zone_was(spark, duck, tmp_path):
    rows = pa.table(
        {
            "id": ["a", "b"],
            # New York sprang forward on 8 March 2026: 02:30 did not exist there
            "at": pa.array([datetime(2026, 3, 8, 2, 30), datetime(2026, 3, 8, 23, 59, 59, 999999)], pa.timestamp("us")),
            "on": pa.array([date(2026, 3, 8), None], pa.date32()),
        }
    )
    bound = ibis.table({"id": "string", "at": "timestamp(6)", "on": "date"}, name="moments")
    later = bound.filter(bound.at >= ibis.timestamp(datetime(2026, 3, 8, 2, 30))).mutate(day=bound.at.date())
    for engine in (duck, spark):
        engine.attach("moments", rows)
        engine.write(later, tmp_path / engine.name, order_by=["id"])
    one, two = (pq.read_table(tmp_path / name / "part-00000.parquet") for name in ("duckdb", "spark"))
    assert two["at"].type == pa.timestamp("us")
    assert one.to_pylist() == two.to_pylist()
    assert [row["at"] for row in one.to_pylist()] == rows["at"].to_pylist()


def test_spark_reads_month_folders_without_a_column_for_them_and_writes_the_same_bytes_twice(
    spark, bank_folder, tmp_path
):
    spark.attach("transactions", bank_folder / "transactions")
    assert "month" not in spark.session.table("transactions").columns
    bookings = unbound(CURATED["transactions"]).select("transaction_id", "customer_id", "amount_minor")
    for name in ("one", "two"):
        count = spark.write(bookings, tmp_path / name, order_by=["transaction_id"])
    one, two = ((tmp_path / name / "part-00000.parquet").read_bytes() for name in ("one", "two"))
    assert one == two
    written = pq.read_table(tmp_path / "one")["transaction_id"].to_pylist()
    assert len(written) == count
    assert written == sorted(written)
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["part-00000.parquet"]
