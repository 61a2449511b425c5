"""Which column of an event file plays which role, and the file as the typed table that journeys read.

One rule for each kind of row that cannot count, applied in this order, so that every row left out has one reason:
a line that is no row; no customer; no event name; no time; a time that cannot be read. An empty text is nothing.
Times without an offset are clocks of one zone. Whole numbers are seconds, milli-, micro- or nanoseconds since 1970,
as the largest of them tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

import ibis
import pyarrow.parquet as pq

from engine.domain.errors import NotEnoughData, SettingsFault, UnknownName, UnreadableSource
from engine.intake.cells import BLANKS, has_offset, in_zone
from engine.intake.event_files import EventFile
from engine.intake.sql import first_row
from engine.lake.engine import DuckDBEngine, identifier, quoted
from journeys.event_log import LogReport

LOG: Final = "event_log"
"""The name under which the engine knows the log."""

WELL_KNOWN: Final[Mapping[str, tuple[str, ...]]] = {
    "case": (
        "case",
        "case_id",
        "caseid",
        "case:concept:name",
        "customer_id",
        "customer",
        "client_id",
        "user_id",
        "user",
    ),
    "event": ("activity", "event", "event_name", "concept:name", "action"),
    "time": ("timestamp", "time", "occurred_at", "time:timestamp", "event_time", "event_ts", "ts", "datetime"),
    "seq": ("seq",),
    "channel": ("channel",),
    "lifecycle": ("lifecycle", "lifecycle:transition"),
    "event_id": ("event_id",),
}
"""Names by which a role is recognised, whatever their case, when no option names its column."""

_NEEDED: Final = ("case", "event", "time")
_WHOLE: Final = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}
_IBIS: Final = {"VARCHAR": "string", "BOOLEAN": "boolean", "DOUBLE": "float64", "DATE": "date", "BIGINT": "int64"}
# the largest number of seconds, milliseconds and microseconds before the year 5138
_EPOCHS: Final = ((10**11, 1_000_000), (10**14, 1_000), (10**17, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """The columns that play the roles; None where none does, which the first three never are once resolved."""

    case: str | None = None
    event: str | None = None
    time: str | None = None
    seq: str | None = None
    channel: str | None = None
    lifecycle: str | None = None
    event_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TypedLog:
    """A log as the engine knows it: an unbound table named `LOG`, its roles, what became of its rows, what was said.

    `seq` always names a column of whole numbers: the file's own, or the rows' numbers in the order of the file.
    """

    table: Any
    roles: Roles
    report: LogReport
    notes: tuple[str, ...]


def resolve(given: Roles, columns: Mapping[str, str], name: str) -> tuple[Roles, tuple[str, ...]]:
    """Return the roles with the well-known names for what was not given, and a sentence for those that were guessed.

    Raises
    ------
    UnknownName
        A column that was named is not in the file.
    SettingsFault
        A role that is needed has no column of a well-known name, or several.
    """
    chosen: dict[str, str | None] = {}
    faults = []
    for role in (field.name for field in fields(Roles)):
        told = getattr(given, role)
        if told is not None:
            if told not in columns:
                raise UnknownName(f"column of {name}", told, list(columns)[:50])
            chosen[role] = told
            continue
        found = [column for column in columns if column.lower() in WELL_KNOWN[role]]
        chosen[role] = found[0] if len(found) == 1 else None
        if role in _NEEDED and len(found) != 1:
            faults.append(_unclear(role, found, columns))
    if faults:
        raise SettingsFault(name, faults)
    guessed = [f'--{role} "{chosen[role]}"' for role in _NEEDED if getattr(given, role) is None]
    notes = (f"Columns were taken by their names: {', '.join(guessed)}.",) if guessed else ()
    return Roles(**chosen), notes


def _unclear(role: str, found: list[str], columns: Mapping[str, str]) -> str:
    option = f"--{role}"
    if found:
        return f"columns {', '.join(found)} could each be the {role}; say which with {option}"
    listed = ", ".join(list(columns)[:20]) + (", ..." if len(columns) > 20 else "")
    return f"no column of a well-known name for the {role}; name it with {option}. Found: {listed}"


def attach(
    file: EventFile, given: Roles, engine: DuckDBEngine, spool: Path, *, zone: str | None, time_format: str | None
) -> TypedLog:
    """Make a file readable as the table `LOG`, times as naive UTC timestamps, and count what cannot count.

    Raises
    ------
    UnknownName, SettingsFault
        As `resolve`.
    NotEnoughData
        The file has no row.
    UnreadableSource
        More than half of the times cannot be read.
    """
    roles, notes = resolve(given, file.columns, file.name)
    if file.rows - file.broken == 0:
        raise NotEnoughData("journeys", f"{file.name} has no events", "a log of at least one event")
    assert roles.time is not None  # resolved
    when = _Time(column=roles.time, kind=_plain(file.columns[roles.time]), zone=zone, form=time_format)
    expression = when.sql(file, engine)
    whole = _nulls_by_footer(file, roles) == 0
    selected = [_column(file, roles, name, expression, whole=whole) for name in file.columns]
    typed = f"SELECT {', '.join(selected)}, {identifier(file.row)} FROM ({file.sql})"
    naive = when.kind in {"TIMESTAMP", "DATE"}
    if not file.parquet or when.kind == "VARCHAR":
        # parsed once, not at every reading
        target, mark = quoted(str(spool / "typed.parquet")), identifier(_unused(file))
        selected.append(f"{when.lacks_offset(file, engine)} AS {mark}")
        marked = f"SELECT {', '.join(selected)}, {identifier(file.row)} FROM ({file.sql})"
        engine.connection.execute(f"COPY ({marked}) TO {target} (FORMAT parquet, COMPRESSION lz4)")
        (lacking,) = first_row(engine, f"SELECT bool_or({mark}) FROM read_parquet({target})")
        naive = naive or bool(lacking)
        typed = f"SELECT * EXCLUDE ({mark}) FROM read_parquet({target})"
    engine.connection.execute(f"CREATE OR REPLACE VIEW {identifier(LOG)} AS {typed}")
    report = _report(file, roles, engine, when, whole=whole)
    if report.unreadable_time * 2 > report.read - report.broken:
        raise UnreadableSource(
            file.name,
            f'{report.unreadable_time:,} of {report.read:,} times in "{roles.time}" cannot be read, '
            f"the first in row {report.first_unreadable_row:,}",
            "Expected ISO 8601 such as 2026-06-30T16:00:00+08:00; describe another form with --time-format.",
        )
    if roles.event_id is not None:
        duplicates = _without_repeats(file, roles, engine, spool)
        report = replace(report, kept=report.kept - duplicates, duplicates=duplicates)
    schema = {name: _ibis_type(file, roles, name) for name in file.columns} | {file.row: "int64"}
    if naive:
        notes += (f"Times without an offset were taken as {zone or 'UTC'}; --zone names another zone.",)
    return TypedLog(
        table=ibis.table(ibis.schema(schema), name=LOG),
        roles=replace(roles, seq=roles.seq or file.row),
        report=report,
        notes=(*file.notes, *notes),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Time:
    """The column of times: its DuckDB type, the zone of clocks without an offset, the form of its text."""

    column: str
    kind: str
    zone: str | None
    form: str | None

    def sql(self, file: EventFile, engine: DuckDBEngine) -> str:
        """Return SQL of the naive UTC instant, null where there is none or it cannot be read."""
        raw = identifier(self.column)
        if self.kind == "TIMESTAMPTZ":
            return f"CAST({raw} AT TIME ZONE 'UTC' AS TIMESTAMP)"
        if self.kind in {"TIMESTAMP", "DATE"}:
            # where nothing is to be done the column stays as it lies, so that the file's statistics serve
            as_it_lies = file.columns[self.column] == "TIMESTAMP" and self.zone in {None, "UTC"}
            return raw if as_it_lies else _finite(in_zone(f"CAST({raw} AS TIMESTAMP)", self.zone))
        if self.kind != "VARCHAR":
            return self._epoch(raw, file, engine)
        return self._of_text(self._text(raw), file, engine)

    def _of_text(self, text: str, file: EventFile, engine: DuckDBEngine) -> str:
        if self.form is not None:
            moment = f"try_strptime({text}, {quoted(self.form)})"
            return _finite(f"{moment} AT TIME ZONE 'UTC'" if "%z" in self.form else in_zone(moment, self.zone))
        if self._digits(text, file, engine):
            return self._epoch(f"TRY_CAST({text} AS DOUBLE)", file, engine)
        naive = in_zone(f"TRY_CAST({text} AS TIMESTAMP)", self.zone)
        aware = f"TRY_CAST({text} AS TIMESTAMPTZ) AT TIME ZONE 'UTC'"
        return _finite(f"CASE WHEN {has_offset(text)} THEN {aware} ELSE {naive} END")

    def lacks_offset(self, file: EventFile, engine: DuckDBEngine) -> str:
        """Return SQL that says of a text whether it is a clock's time without an offset, so that the zone decides."""
        text = self._text(identifier(self.column))
        if self.kind != "VARCHAR" or self._digits(text, file, engine):
            return "false"
        return f"({text} <> '' AND NOT {has_offset(text)})"

    def unreadable(self, file: EventFile, engine: DuckDBEngine) -> str:
        """Return SQL that is true where there is a time which cannot be read."""
        raw = identifier(self.column)
        present = f"nullif({self._text(raw)}, '') IS NOT NULL" if self.kind == "VARCHAR" else f"{raw} IS NOT NULL"
        return f"{present} AND ({self.sql(file, engine)}) IS NULL"

    def _text(self, raw: str) -> str:
        return _trimmed(raw)

    def _digits(self, text: str, file: EventFile, engine: DuckDBEngine) -> bool:
        """Whether the first time that there is reads as a number."""
        first = f"SELECT {text} AS t FROM ({file.sql}) WHERE {text} <> '' LIMIT 1"
        found = engine.connection.execute(
            f"SELECT regexp_full_match(t, '-?\\d{{1,19}}(\\.\\d+)?') AND length(t) <> 8 FROM ({first})"
        ).fetchall()
        return bool(found and found[0][0])

    def _epoch(self, value: str, file: EventFile, engine: DuckDBEngine) -> str:
        (largest,) = first_row(engine, f"SELECT CAST(max(abs({value})) AS DOUBLE) FROM ({file.sql})")
        factor = next((micros for limit, micros in _EPOCHS if (largest or 0) < limit), None)
        micros = f"CAST({value} AS HUGEINT) // 1000" if factor is None else f"{value} * {factor}"
        return f"make_timestamp(TRY_CAST({micros} AS BIGINT))"


def _unused(file: EventFile) -> str:
    """Return a name that no column of a file has."""
    name = f"{file.row}_mark"
    while name in file.columns:
        name = f"_{name}"
    return name


def _trimmed(raw: str) -> str:
    """Return SQL of a text without blanks around it; to look for some takes a fifth of the time of trimming none."""
    padded = f"regexp_matches({raw}, {quoted(f'^[{BLANKS}]|[{BLANKS}]$')})"
    return f"(CASE WHEN {padded} THEN trim({raw}, {quoted(BLANKS)}) ELSE {raw} END)"


def _finite(moment: str) -> str:
    return f"CASE WHEN isfinite({moment}) THEN {moment} END"


def _plain(kind: str) -> str:
    if kind.startswith("TIMESTAMP"):
        return "TIMESTAMPTZ" if "TZ" in kind or "TIME ZONE" in kind else "TIMESTAMP"
    if kind in {"FLOAT", "DOUBLE"} or kind.startswith("DECIMAL"):
        return "DOUBLE"
    simple = {*_WHOLE, "UBIGINT", "HUGEINT", "DATE", "BOOLEAN"}
    return kind if kind in simple else "VARCHAR"


def _column(file: EventFile, roles: Roles, name: str, time: str, *, whole: bool) -> str:
    """Return SQL of one column, typed as `_ibis_type` says; `whole` files have no null and no empty text in a role."""
    raw, kind = identifier(name), file.columns[name]
    plain = _plain(kind)
    if name == roles.time:
        made = time
    elif whole and kind == "VARCHAR" and name in {roles.case, roles.event}:
        made = raw
    elif name in {roles.case, roles.event, roles.event_id}:
        made = _id(raw, kind, name == roles.case, spooled=not file.parquet)
    elif name == roles.seq:
        # events without a number come first
        made = f"coalesce(TRY_CAST({raw} AS BIGINT), -1)"
    elif plain == "TIMESTAMPTZ":
        made = f"CAST({raw} AT TIME ZONE 'UTC' AS TIMESTAMP)"
    elif plain == "VARCHAR":
        made = f"nullif({raw}, '')" if kind == "VARCHAR" else f"CAST({raw} AS VARCHAR)"
    else:
        made = f"CAST({raw} AS {_sql_type(plain)})"
    return f"{made} AS {raw}"


def _id(raw: str, kind: str, is_case: bool, *, spooled: bool) -> str:
    if kind == "VARCHAR":
        return f"nullif({_trimmed(raw)}, '')" if spooled else f"nullif({raw}, '')"
    if is_case and kind in _WHOLE:
        return f"CAST({raw} AS BIGINT)"
    if kind in {"FLOAT", "DOUBLE"}:  # an id that a spreadsheet made a number
        whole = f"CAST(TRY_CAST({raw} AS BIGINT) AS VARCHAR)"
        return (
            f"CASE WHEN NOT isnan({raw}) THEN CASE WHEN {raw} = trunc({raw}) THEN {whole} ELSE {raw}::VARCHAR END END"
        )
    return f"CAST({raw} AS VARCHAR)"


def _sql_type(plain: str) -> str:
    if plain in _WHOLE:
        return "BIGINT"
    return {"UBIGINT": "VARCHAR", "HUGEINT": "VARCHAR"}.get(plain, plain)


def _ibis_type(file: EventFile, roles: Roles, name: str) -> str:
    kind = file.columns[name]
    plain = _plain(kind)
    if name == roles.time:
        return "timestamp(6)"
    if name == roles.seq:
        return "int64"
    if name in {roles.case, roles.event, roles.event_id}:
        return "int64" if name == roles.case and kind in _WHOLE else "string"
    if plain in {"TIMESTAMP", "TIMESTAMPTZ"}:
        return "timestamp(6)"
    return _IBIS[_sql_type(plain)]


def _report(file: EventFile, roles: Roles, engine: DuckDBEngine, when: _Time, *, whole: bool) -> LogReport:
    if whole:
        return LogReport(read=file.rows, kept=file.rows - file.broken, broken=file.broken)
    case, event, time = (identifier(str(getattr(roles, role))) for role in _NEEDED)
    kept, no_customer, no_event, no_time = first_row(
        engine,
        f"SELECT count(*) FILTER ({case} IS NOT NULL AND {event} IS NOT NULL AND {time} IS NOT NULL), "
        f"count(*) FILTER ({case} IS NULL), count(*) FILTER ({case} IS NOT NULL AND {event} IS NULL), "
        f"count(*) FILTER ({case} IS NOT NULL AND {event} IS NOT NULL AND {time} IS NULL) FROM {identifier(LOG)}",
    )
    unreadable, first = _unreadable(file, roles, engine, when) if no_time else (0, None)
    return LogReport(
        read=file.rows,
        kept=kept,
        broken=file.broken,
        no_customer=no_customer,
        no_event=no_event,
        no_time=no_time - unreadable,
        unreadable_time=unreadable,
        first_unreadable_row=first,
    )


def _unreadable(file: EventFile, roles: Roles, engine: DuckDBEngine, when: _Time) -> tuple[int, int | None]:
    """Return how many events count but for a time that cannot be read, and the row of the first, from 1."""
    others = [
        f"({_id(identifier(name), file.columns[name], name == roles.case, spooled=not file.parquet)}) IS NOT NULL"
        for name in (str(roles.case), str(roles.event))
    ]
    where = " AND ".join([*others, when.unreadable(file, engine)])
    row = identifier(file.row)
    counted, first = first_row(engine, f"SELECT count(*), min({row}) FROM ({file.sql}) WHERE {where}")
    return int(counted), None if first is None else int(first) + 1


def _without_repeats(file: EventFile, roles: Roles, engine: DuckDBEngine, spool: Path) -> int:
    """Leave out every event whose id an earlier one had, of those that count, and return how many they are."""
    case, event, time, event_id = (identifier(str(getattr(roles, role))) for role in (*_NEEDED, "event_id"))
    counts = f"{case} IS NOT NULL AND {event} IS NOT NULL AND {time} IS NOT NULL"
    (twice,) = first_row(
        engine, f"SELECT count({event_id}) - count(DISTINCT {event_id}) FROM {identifier(LOG)} WHERE {counts}"
    )
    if twice:
        target = spool / "once.parquet"
        earlier = f"row_number() OVER (PARTITION BY {event_id} ORDER BY {identifier(file.row)})"
        once = f"SELECT * FROM {identifier(LOG)} WHERE {counts} QUALIFY {event_id} IS NULL OR {earlier} = 1"
        engine.connection.execute(f"COPY ({once}) TO {quoted(str(target))} (FORMAT parquet, COMPRESSION lz4)")
        engine.connection.execute(
            f"CREATE OR REPLACE VIEW {identifier(LOG)} AS SELECT * FROM read_parquet({quoted(str(target))})"
        )
    return int(twice)


def _nulls_by_footer(file: EventFile, roles: Roles) -> int | None:
    """Return 0 when the footers say that no role is ever null, else None: then the rows must be counted."""
    if not file.parquet:
        return None
    wanted = {str(getattr(roles, role)) for role in _NEEDED}
    for path in file.parquet:
        footer = pq.read_metadata(path)
        places = [i for i in range(footer.num_columns) if footer.schema.column(i).path in wanted]
        for group in range(footer.num_row_groups):
            for place in places:
                known = footer.row_group(group).column(place).statistics
                if known is None or not known.has_null_count or known.null_count:
                    return None
                text = known.physical_type == "BYTE_ARRAY"
                if text and (not known.has_min_max or known.min in ("", b"")):
                    return None
    return 0
