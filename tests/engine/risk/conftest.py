"""What tests of risk share: Spark on this machine."""

import shutil

import pytest

from engine.lake.engine import Engine


@pytest.fixture(scope="session")
def spark() -> Engine:
    """Spark on this machine; the test is skipped where there is no pyspark or no Java."""
    sql = pytest.importorskip("pyspark.sql", reason="pyspark is not installed: pip install 'wayline[spark]'")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java, which is not here")
    from engine.lake.spark import SparkEngine

    builder = sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    # left open: tests of other folders share the process's one session
    return SparkEngine(builder.config("spark.sql.shuffle.partitions", "2").getOrCreate())
