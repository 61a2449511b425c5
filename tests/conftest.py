"""What tests of more than one folder share."""

import fcntl
import os
import shutil
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from engine.lake.engine import Engine

POSTGRES = os.environ.get("WAYLINE_TEST_POSTGRES", "postgresql://root@127.0.0.1:5432/postgres")
REPOSITORY = Path(__file__).resolve().parent.parent

# functions that Spark hands blocks of rows to need the packages of this interpreter
os.environ.setdefault("PYSPARK_PYTHON", sys.executable)


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


@pytest.fixture(scope="session")
def demo_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace on a small simulated bank with one completed run, made once; tests read it and change nothing."""
    # enough customers for defaults to learn from and for the broken sample ratio to show
    return _simulated_home(tmp_path_factory, 8_000)


@pytest.fixture(scope="session")
def small_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace on a bank of 300 customers with one completed run; for tests that run it again and again."""
    return _simulated_home(tmp_path_factory, 300)


def _simulated_home(factory: pytest.TempPathFactory, customers: int) -> Path:
    """Return the workspace that all processes of one test run share; whoever comes first makes it."""
    from engine.workflows import demo

    base = factory.getbasetemp()
    # each process of pytest-xdist has a folder of its own inside that of the test run
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    home = shared / f"bank-of-{customers}" / "workspace"
    with (shared / f"bank-of-{customers}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        demo.prepare(home, customers=customers, seed=1, progress=None)
    return home


@pytest.fixture
def real_data() -> Path:
    """The folder of the public data sets; the test is skipped where there is none."""
    folder = Path(os.environ.get("WAYLINE_REAL_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("no public data sets here; name their folder in WAYLINE_REAL_DATA")
    return folder


@contextmanager
def fresh_postgres() -> Iterator[str]:
    """Yield the address of a fresh PostgreSQL database; the test is skipped where no server answers."""
    psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'wayline[postgres]'")
    name = f"wayline_test_{uuid.uuid4().hex[:12]}"
    try:
        server = psycopg.connect(POSTGRES, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError:
        pytest.skip("no PostgreSQL server answers; name one in WAYLINE_TEST_POSTGRES")
    with server:
        server.execute(f'CREATE DATABASE "{name}"')
        try:
            yield POSTGRES.rsplit("/", 1)[0] + "/" + name
        finally:
            server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def postgres_address() -> Iterator[str]:
    """The address of a fresh PostgreSQL database; the test is skipped where no server answers."""
    with fresh_postgres() as address:
        yield address


@contextmanager
def each_database(kind: str) -> Iterator[str]:
    """Let workspaces keep their operational state in SQLite, each its own, or all in one fresh PostgreSQL database."""
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        if kind == "postgresql":
            patch.setenv("WAYLINE_DATABASE_URL", stack.enter_context(fresh_postgres()))
        else:
            patch.delenv("WAYLINE_DATABASE_URL", raising=False)
        yield kind


BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


@pytest.fixture(scope="module", params=BOTH)
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run what depends on this on both databases; one of a module's own, for its one workspace."""
    with each_database(request.param) as kind:
        yield kind


@pytest.fixture(params=BOTH)
def own_database(request: pytest.FixtureRequest) -> Iterator[str]:
    """The same for one test, whose workspace is its own."""
    with each_database(request.param) as kind:
        yield kind
