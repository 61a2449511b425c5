"""A table or query of a source database to a spool, through a server-side cursor."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import duckdb
import sqlalchemy as sa

from engine.domain.errors import UnreadableSource
from engine.intake import spooling
from engine.intake.mapping import DatabaseSource
from engine.lake.engine import identifier

DUCKDB: Final = "duckdb:///"
"""How the address of a DuckDB file begins."""


def spool(source: DatabaseSource, base: Path, target: Path, rows_per_fetch: int) -> spooling.Written:
    """Write all rows as text columns, `rows_per_fetch` in memory at a time.

    A whole table is read in the order of its primary key, so that a row number means the same tomorrow.

    Raises
    ------
    UnreadableSource
        No connection, no such table, or the query fails; the address is never part of the sentence.
    """
    name = f"database table {source.table}" if source.table else "database query"
    if (source.url or "").startswith(DUCKDB):
        return _duckdb(source, base, target, name, rows_per_fetch)
    try:
        engine = sa.create_engine(_address(source, base, name))
        with engine.connect().execution_options(stream_results=True, max_row_buffer=rows_per_fetch) as connection:
            result = connection.execute(_statement(source, engine))
            return spooling.write(name, list(result.keys()), _chunks(result, rows_per_fetch), target)
    except (sa.exc.SQLAlchemyError, ImportError) as fault:
        problem = f"cannot be read ({type(fault).__name__})"
        raise UnreadableSource(name, problem, "Check the address, the rights and the name of the table.") from None


def _duckdb(source: DatabaseSource, base: Path, target: Path, name: str, rows_per_fetch: int) -> spooling.Written:
    """Write the rows of a DuckDB file, which is opened to be read, and may reach no file but itself."""
    path = base / (source.url or "").removeprefix(DUCKDB)
    try:
        with open_duckdb(path, name) as connection:
            statement = (
                source.query or f"SELECT * FROM {'.'.join(identifier(p) for p in (source.table or '').split('.'))}"
            )
            result = connection.execute(statement)
            columns = [str(column[0]) for column in result.description or ()]
            return spooling.write(name, columns, _fetched(result, rows_per_fetch), target)
    except duckdb.Error as fault:
        problem = f"cannot be read ({type(fault).__name__})"
        raise UnreadableSource(name, problem, "Check the path and the name of the table.") from None


def open_duckdb(path: Path, name: str) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB file to be read; raises UnreadableSource where there is none, or it is none."""
    if not path.is_file():
        raise UnreadableSource(name, "there is no such DuckDB file", "Paths are relative to the mapping file.")
    try:
        return duckdb.connect(str(path), read_only=True, config={"enable_external_access": "false"})
    except duckdb.Error as fault:
        problem = f"is not a DuckDB file that can be opened ({type(fault).__name__})"
        raise UnreadableSource(name, problem, "Close whatever writes it, and check the path.") from None


def _fetched(result: duckdb.DuckDBPyConnection, rows: int) -> Iterator[list[Any]]:
    while chunk := result.fetchmany(rows):
        yield list(chunk)


def _address(source: DatabaseSource, base: Path, name: str) -> sa.URL:
    text = source.url or os.environ.get(source.url_env or "", "")
    if not text:
        raise UnreadableSource(
            name, f"the environment variable {source.url_env} is not set", "Set it to the address of the database."
        )
    url = sa.make_url(text)
    if url.drivername.startswith("sqlite") and url.database:
        path = base / url.database
        if not path.is_file():  # SQLite would make an empty database there
            raise UnreadableSource(name, "there is no such SQLite file", "Paths are relative to the mapping file.")
        url = url.set(database=str(path))
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def _statement(source: DatabaseSource, engine: sa.Engine) -> sa.Executable:
    if source.query is not None:
        return sa.text(source.query)
    schema, _, name = (source.table or "").rpartition(".")
    table = sa.Table(name, sa.MetaData(), schema=schema or None, autoload_with=engine)
    return sa.select(table).order_by(*table.primary_key.columns)


def _chunks(result: sa.CursorResult[Any], rows_per_fetch: int) -> Iterator[list[Any]]:
    while chunk := result.fetchmany(rows_per_fetch):
        yield list(chunk)
