"""A table or query of a source database to a spool, through a server-side cursor."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from engine.domain.errors import UnreadableSource
from engine.intake import spooling
from engine.intake.mapping import DatabaseSource


def spool(source: DatabaseSource, base: Path, target: Path, rows_per_fetch: int) -> spooling.Written:
    """Write all rows as text columns, `rows_per_fetch` in memory at a time.

    A whole table is read in the order of its primary key, so that a row number means the same tomorrow.

    Raises
    ------
    UnreadableSource
        No connection, no such table, or the query fails; the address is never part of the sentence.
    """
    name = f"database table {source.table}" if source.table else "database query"
    try:
        engine = sa.create_engine(_address(source, base, name))
        with engine.connect().execution_options(stream_results=True, max_row_buffer=rows_per_fetch) as connection:
            result = connection.execute(_statement(source, engine))
            return spooling.write(name, list(result.keys()), _chunks(result, rows_per_fetch), target)
    except (sa.exc.SQLAlchemyError, ImportError) as fault:
        problem = f"cannot be read ({type(fault).__name__})"
        raise UnreadableSource(name, problem, "Check the address, the rights and the name of the table.") from None


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
