"""One table from its source to judged rows in a spool: bad rows apart, good ones by month, each row read once."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import duckdb

from engine.config.bank import BankSettings
from engine.config.intake import IntakeSettings
from engine.domain.curated import CURATED
from engine.domain.errors import ContractBroken, UnreadableSource
from engine.domain.schema import Table
from engine.intake import cells, cleaning, contracts, duplicates, masking, readers
from engine.intake.cells import Reading
from engine.intake.codes import Code
from engine.intake.contracts import Check, Plan, Surroundings
from engine.intake.mapping import Mapping
from engine.intake.readers import Desk, Raw
from engine.intake.report import MaskReport
from engine.intake.sql import first_row, number
from engine.lake.engine import DuckDBEngine, identifier, quoted

_REMEDIES: Final = {
    Code.MISSING_VALUE: "Check the extract, and the column it is mapped to.",
    Code.WRONG_TYPE: "Check which column is mapped, and date_formats, decimal and money in its section of the mapping.",
    Code.MIXED_TIME_ZONE: "Say in which zone the others are: time_zone in its section of the mapping.",
    Code.UNKNOWN_VALUE: "Translate the source's words: [{table}.values.{column}] in the mapping.",
    Code.UNKNOWN_CURRENCY: "Add the currency's rate under [bank.rates] in wayline.toml.",
    Code.OUT_OF_RANGE: "Check the unit, and money and date_formats in its section of the mapping.",
    Code.FUTURE_TIME: "Check [extract] until in the mapping: the data goes further.",
    Code.ORPHAN_REFERENCE: "Check that both files are of one extract and write the id alike, leading zeros included.",
    Code.DUPLICATE_ROW: "Check whether one file was delivered twice.",
    Code.DUPLICATE_KEY: "Check which column is mapped: a key names one row.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Workbench:
    """What the staging of every table needs: the mapping, where its files lie, an engine, the settings, a spool."""

    mapping: Mapping
    base: Path
    engine: DuckDBEngine
    spool: Path
    bank: BankSettings
    rules: IntakeSettings

    @property
    def until(self) -> datetime | None:
        """The end of the extract."""
        return self.mapping.extract.until_instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """One table's judged rows in its spool, and what was counted on the way."""

    table: Table
    raw: Raw
    plan: Plan
    folder: Path
    reading: Reading
    good: int
    faults: Counter[int]
    notes: Counter[int]
    later: Counter[str]
    later_notes: Counter[int]
    first_at: datetime | None
    last_at: datetime | None
    seconds: float
    masks: tuple[MaskReport, ...] = ()

    @property
    def later_table(self) -> str:
        """Name of the temporary table of rows whose key came before."""
        return identifier(f"_later_{self.table.name}")

    @property
    def kept(self) -> int:
        """Rows that reach the curated table."""
        return self.good - self.later.total()

    def bucket_sql(self, bucket: int) -> str:
        """Return SQL that reads one bucket of the spool."""
        return f"SELECT * FROM read_parquet({quoted(str(self.folder / f'_bucket={bucket}' / '*.parquet'))})"

    @property
    def buckets(self) -> tuple[int, ...]:
        """The buckets of good rows."""
        found = sorted(int(path.name.partition("=")[2]) for path in self.folder.glob("_bucket=*"))
        return tuple(bucket for bucket in found if bucket != contracts.BAD)

    def kept_sql(self, bucket: int | None = None) -> str:
        """Return SQL of the kept rows, of one bucket or of all."""
        buckets = self.buckets if bucket is None else (bucket,)
        good = " UNION ALL ".join(self.bucket_sql(b) for b in buckets) or self._no_rows()
        if not self.later:
            return good
        return f"SELECT g.* FROM ({good}) g ANTI JOIN {self.later_table} USING (_file, _row)"

    def _no_rows(self) -> str:
        return f"{self.bucket_sql(contracts.BAD)} WHERE false"


def stage(bench: Workbench, table: Table, parents: frozenset[str]) -> Staged:
    """Read, type, repair and judge the source of one table into its spool.

    Raises
    ------
    ContractBroken
        The source cannot be read, or so many rows fail one check that the mapping or the extract must be wrong.
    """
    started = time.perf_counter()
    mapped = bench.mapping.tables[table.name]
    reading = Reading(
        table=table,
        mapping=mapped,
        zone=mapped.time_zone or bench.mapping.extract.time_zone,
        bank=bench.bank,
        rules=bench.rules,
    )
    desk = Desk(base=bench.base, engine=bench.engine, spool=bench.spool / f"{table.name}.raw", rules=bench.rules)
    raw = readers.read(table, mapped, desk)
    plan = _judged(bench, reading, raw, parents)
    staged = _counted(bench, reading, raw, plan)
    _refuse_broken(bench, staged)
    _keep_keys(bench.engine, staged)
    masks = masking.find(bench.engine, table, staged.kept_sql(), bench.rules.limits.text_characters)
    return replace(staged, masks=masks, seconds=time.perf_counter() - started)


def _judged(bench: Workbench, reading: Reading, raw: Raw, parents: frozenset[str]) -> Plan:
    """Write the judged rows to the spool and return the plan by which they were."""
    folder = bench.spool / reading.table.name
    try:
        around = Surroundings(
            until=bench.until,
            parents=parents,
            mended=cleaning.mend_texts(reading, raw, bench.engine),
            mixed_zones=cleaning.mixed_zones(reading, raw, bench.engine),
            identities="identities" in parents,
        )
        plan = contracts.plan(reading, raw, around)
        bench.engine.connection.execute(
            # small row groups: one is held in memory for every month at once
            f"COPY ({plan.sql}) TO {quoted(str(folder))} "
            "(FORMAT parquet, COMPRESSION lz4, ROW_GROUP_SIZE 30720, PARTITION_BY (_bucket))"
        )
    except (duckdb.IOException, duckdb.InvalidInputException, duckdb.SerializationException) as fault:
        names = raw.files[0].name if len(raw.files) == 1 else f"{raw.files[0].name} and {len(raw.files) - 1} more"
        problem = f"cannot be read to the end ({type(fault).__name__})"
        raise UnreadableSource(names, problem, "Fetch it again; it is damaged inside, or the disk is full.") from fault
    return plan


def _counted(bench: Workbench, reading: Reading, raw: Raw, plan: Plan) -> Staged:
    engine, table = bench.engine, reading.table
    staged = Staged(
        table=table, raw=raw, plan=plan, folder=bench.spool / table.name, reading=reading, good=0, faults=Counter(),
        notes=Counter(), later=Counter(), later_notes=Counter(), first_at=None, last_at=None, seconds=0.0,
    )  # fmt: skip
    good_sql = staged.kept_sql()
    good = number(engine, f"SELECT count(*) FROM ({good_sql})")
    duplicates.find(engine, table, good_sql, good, plan.extras)
    engine.connection.execute(f"CREATE OR REPLACE TEMP TABLE {staged.later_table} AS SELECT * FROM {duplicates.LATER}")
    bad_sql = staged.bucket_sql(contracts.BAD)
    has_bad = (staged.folder / f"_bucket={contracts.BAD}").exists()
    staged = replace(
        staged,
        good=good,
        faults=_grouped(engine, bad_sql, "_fault") if has_bad else Counter(),
        notes=_grouped(engine, good_sql, "_note"),
        later=_grouped(engine, f"SELECT * FROM {staged.later_table}", "code"),
        later_notes=_grouped(engine, f"SELECT * FROM {staged.later_table}", "_note"),
    )
    first, last = _time_range(engine, staged)
    return replace(staged, first_at=first, last_at=last)


def _grouped(engine: DuckDBEngine, rows_sql: str, column: str) -> Counter[Any]:
    rows = engine.connection.execute(f"SELECT {column}, count(*) FROM ({rows_sql}) GROUP BY 1 ORDER BY 1").fetchall()
    return Counter(dict(rows))


def _time_range(engine: DuckDBEngine, staged: Staged) -> tuple[datetime | None, datetime | None]:
    column = staged.table.time_column
    if column is None:
        return None, None
    name = identifier(column)
    first, last = first_row(engine, f"SELECT min({name})::TIMESTAMP, max({name})::TIMESTAMP FROM ({staged.kept_sql()})")
    return first and first.replace(tzinfo=UTC), last and last.replace(tzinfo=UTC)


def _refuse_broken(bench: Workbench, staged: Staged) -> None:
    """Raise when one check alone refuses so many rows that they are not the exception."""
    judgement = bench.rules.judgement
    for bit, check in enumerate(staged.plan.checks):
        failed = sum(rows for mask, rows in staged.faults.items() if mask >> bit & 1)
        if failed < judgement.broken_share * judgement.broken_min_rows:
            continue
        asked = _values_of(bench.engine, staged, check, failed)
        if asked >= judgement.broken_min_rows and failed > judgement.broken_share * asked:
            raise ContractBroken(_broken_sentence(staged, check, failed, asked))
    for code, failed in staged.later.items():
        if staged.raw.rows >= judgement.broken_min_rows and failed > judgement.broken_share * staged.raw.rows:
            check = Check(code=Code(code), column=", ".join(staged.table.key), expected="a key of its own", fails="")
            raise ContractBroken(_broken_sentence(staged, check, failed, staged.raw.rows))


def _values_of(engine: DuckDBEngine, staged: Staged, check: Check, failed: int) -> int:
    """Return how many rows have a value in the column that a check is about."""
    if check.code is Code.MISSING_VALUE or not check.column:
        return staged.raw.rows
    filled = number(engine, f"SELECT count({identifier(check.column)}) FROM ({staged.kept_sql()})")
    others = sum(staged.faults.values()) - failed
    return filled + failed + min(others, staged.raw.rows - filled - failed)


def _broken_sentence(staged: Staged, check: Check, failed: int, asked: int) -> str:
    source = staged.raw.files[0].name + (f" and {more} more" if (more := len(staged.raw.files) - 1) else "")
    mapped = staged.reading.mapping.columns.get(check.column, check.column)
    remedy = _REMEDIES.get(check.code, "Check the extract.").format(table=staged.table.name, column=check.column)
    return (
        f'{source}: {failed:,} of {asked:,} rows for the table {staged.table.name} fail one check of "{mapped}" '
        f"({check.code}), expected {check.expected or 'a whole row'}. {remedy} Nothing was loaded."
    )


def _keep_keys(engine: DuckDBEngine, staged: Staged) -> None:
    """Keep the keys of a table that others refer to, for the checks of those."""
    name = staged.table.name
    if any((column.references or "").startswith(f"{name}.") for table in CURATED.values() for column in table):
        key = identifier(staged.table.key[0])
        engine.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {contracts.keys_table(name)} AS SELECT {key} AS k FROM ({staged.kept_sql()})"
        )


def absent_columns(staged: Staged) -> tuple[str, ...]:
    """Return the columns of the contract that the source does not fill."""
    filled = {cell.name for cell in cells.build(staged.reading, staged.raw.columns)}
    return tuple(column.name for column in staged.table.source_columns if column.name not in filled)
