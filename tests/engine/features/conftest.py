import pytest

from engine.lake.engine import DuckDBEngine


@pytest.fixture(scope="session")
def engine():
    with DuckDBEngine(threads=1) as engine:
        yield engine
