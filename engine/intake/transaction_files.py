"""A file of transactions as it lies: whose, when and how much, typed; what cannot be read is counted or refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from engine.domain.errors import NotEnoughData, SettingsFault, UnknownName
from engine.intake import event_roles
from engine.intake.cells import BLANKS
from engine.intake.event_files import EventFile
from engine.intake.event_roles import LOG, Roles
from engine.intake.sql import first_row
from engine.lake.engine import DuckDBEngine, identifier, quoted

TRANSACTIONS: Final = "transaction_file"
"""The name under which the engine knows the typed rows: customer_id, at (naive UTC), amount."""
EXACT: Final = "DECIMAL(28, 6)"
"""The type of amounts: their sums are the same in whatever order the rows come."""

_TIMES: Final = "*"
_MOST_LISTED: Final = 50
_NUMBERS: Final = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The columns that play the roles; `amount` may be two joined by *, as `quantity*price`, or null for none."""

    customer: str
    time: str
    amount: str
    zone: str | None = None
    time_format: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionReport:
    """What became of the rows; every one that was left out has one reason."""

    read: int
    kept: int
    broken: int
    no_customer: int
    no_time: int
    unreadable_time: int
    no_amount: int


def attach(
    file: EventFile, columns: Columns, engine: DuckDBEngine, spool: Path
) -> tuple[TransactionReport, tuple[str, ...]]:
    """Make a file readable as the table `TRANSACTIONS`; return what became of its rows, and what was guessed.

    Raises
    ------
    UnknownName
        A column that was named is not in the file.
    NotEnoughData
        The file has no row, or none with a customer, a time and an amount.
    SettingsFault
        An amount is text that is no number; the first row is named.
    UnreadableSource
        More than half of the times cannot be read.
    """
    factors = _factors(file, columns.amount)
    for what, column in (("customer", columns.customer), ("time", columns.time), *(("amount", one) for one in factors)):
        if column not in file.columns:
            raise UnknownName(f"{what} column of {file.name}", column, list(file.columns)[:_MOST_LISTED])
    if file.rows - file.broken == 0:
        raise NotEnoughData("purchases", f"{file.name} has no rows", "a file with a row for each transaction")
    _refuse_text(file, factors, engine)
    narrow = _narrowed(file, (columns.customer, columns.time, *factors))
    typed = event_roles.attach(
        narrow,
        Roles(case=columns.customer, event=columns.customer, time=columns.time),
        engine,
        spool,
        zone=columns.zone,
        time_format=columns.time_format,
    )
    amount = " * ".join(_number(factor, file.columns[factor]) for factor in factors)
    customer, at = identifier(columns.customer), identifier(columns.time)
    rows = (
        f"SELECT CAST({customer} AS VARCHAR) AS customer_id, {at} AS at, TRY_CAST({amount} AS {EXACT}) AS amount "
        f"FROM {identifier(LOG)} WHERE {customer} IS NOT NULL AND {at} IS NOT NULL"
    )
    engine.connection.execute(
        f"CREATE OR REPLACE VIEW {identifier(TRANSACTIONS)} AS SELECT * FROM ({rows}) WHERE amount IS NOT NULL"
    )
    (kept,) = first_row(engine, f"SELECT count(*) FROM {identifier(TRANSACTIONS)}")
    log = typed.report
    report = TransactionReport(
        read=log.read,
        kept=kept,
        broken=log.broken,
        no_customer=log.no_customer,
        no_time=log.no_time,
        unreadable_time=log.unreadable_time,
        no_amount=log.kept - kept,
    )
    if not kept:
        raise NotEnoughData("purchases", f"no row of {file.name} has a customer, a time and an amount", "some that do")
    return report, typed.notes


def _factors(file: EventFile, amount: str) -> tuple[str, ...]:
    if amount in file.columns or _TIMES not in amount:
        return (amount,)
    return tuple(part.strip() for part in amount.split(_TIMES))


def _narrowed(file: EventFile, wanted: tuple[str, ...]) -> EventFile:
    """Return the file with the columns that count alone: others are neither typed nor spooled."""
    names = list(dict.fromkeys(wanted))
    selected = ", ".join(identifier(name) for name in (*names, file.row))
    return EventFile(
        name=file.name,
        sql=f"SELECT {selected} FROM ({file.sql})",
        columns={name: file.columns[name] for name in names},
        row=file.row,
        rows=file.rows,
        broken=file.broken,
        parquet=file.parquet,
        notes=file.notes,
    )


def _number(column: str, kind: str) -> str:
    """Return SQL of a number, null where there is none; text may have blanks around it."""
    raw = identifier(column)
    return f"TRY_CAST(trim(CAST({raw} AS VARCHAR), {quoted(BLANKS)}) AS DOUBLE)" if kind == "VARCHAR" else raw


def _refuse_text(file: EventFile, factors: tuple[str, ...], engine: DuckDBEngine) -> None:
    faults = []
    for column in factors:
        kind = file.columns[column]
        if kind in _NUMBERS or kind in {"FLOAT", "DOUBLE", "HUGEINT"} or kind.startswith("DECIMAL"):
            continue
        if kind != "VARCHAR":
            faults.append(f'"{column}" holds {kind.lower()} values: expected numbers')
            continue
        number, text = _number(column, kind), f"trim({identifier(column)}, {quoted(BLANKS)})"
        wrong: Any = f"{text} <> '' AND {number} IS NULL"
        found, first = first_row(
            engine, f"SELECT count(*), min({identifier(file.row)}) FROM ({file.sql}) WHERE {wrong}"
        )
        if found:
            faults.append(
                f'"{column}": {found:,} of {file.rows - file.broken:,} values are no numbers, the first in row '
                f"{first + 1:,}; write amounts as 1234.50, without currency signs and separators of thousands"
            )
    if faults:
        raise SettingsFault(file.name, faults)
