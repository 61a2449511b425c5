"""An event log from a table that is in memory already: Arrow, pandas, Polars, or whatever hands over Arrow data.

The rules are those of a file: a row without a customer, an event name or a time is left out and counted, as is one
whose time cannot be read and one whose id an earlier row had; each for its first reason. Rows of one instant count in
the order of `seq`, without one in the order in which they lie.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.domain.errors import NotEnoughData, UnknownName, UnreadableSource
from engine.lake.engine import Engine
from engine.lake.schema import of_arrow
from journeys.event_log import EventLog, LogReport

NAME: Final = "attached_log"
"""The name under which the engine knows the table, unless told otherwise."""

_OFFSET: Final = r"(?:[Zz]|[+-]\d{2}:?\d{2})$"
_WHERE: Final = "the table of events"

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """A log that an engine can read, and what became of the rows of the table."""

    log: EventLog
    report: LogReport


def attach(
    engine: Engine,
    data: Any,
    *,
    customer: str,
    event: str,
    time: str,
    seq: str | None = None,
    channel: str | None = None,
    product: str | None = None,
    lifecycle: str | None = None,
    event_id: str | None = None,
    zone: str = "UTC",
    name: str = NAME,
) -> Attached:
    """Make a table readable as an event log.

    Parameters
    ----------
    data : an Arrow table, a pandas or Polars data frame, or any object with the Arrow PyCapsule interface.
    customer, event, time : its columns of who, what and when. Times are instants, dates or ISO 8601 text.
    seq : a column of whole numbers that orders events of one instant; a missing one comes first.
    zone : the time zone of times without an offset.
    name : the name of the table for the engine; a later table of the same name takes its place.

    Raises
    ------
    UnknownName
        A column is not there.
    UnreadableSource
        The times are of a type that is no time, or more than half of them cannot be read.
    NotEnoughData
        The table has no rows.
    """
    table = _table(data)
    for column in (customer, event, time, seq, channel, product, lifecycle, event_id):
        if column is not None and column not in table.column_names:
            raise UnknownName("column of the event log", column, table.column_names[:50])
    if not len(table):
        raise NotEnoughData("journeys", f"{_WHERE} has no rows", "a log of at least one event")
    at, present = _times(table.column(time), zone)
    ids, names = _ids(table.column(customer)), _texts(table.column(event))
    row = _unused(table.column_names) if seq is None else seq
    sequence = pa.array(np.arange(len(table))) if seq is None else pc.fill_null(table.column(seq).cast(pa.int64()), -1)
    kept, report = _judged(ids, names, at, present, None if event_id is None else table.column(event_id))
    columns = {one: _plain(table.column(one)) for one in table.column_names}
    columns |= {customer: ids, event: names, time: at, row: sequence}
    whole = pa.table(columns)
    whole = whole if kept.all() else whole.filter(pa.array(kept))
    engine.attach(name, whole)
    log = EventLog(
        table=ibis.table(of_arrow(whole.schema), name=name),
        customer=customer,
        event=event,
        time=time,
        seq=row,
        channel=channel,
        product=product,
        lifecycle=lifecycle,
        event_id=event_id,
    )
    return Attached(log=log, report=report)


def _table(data: Any) -> pa.Table:
    if isinstance(data, pd.DataFrame):
        return pa.Table.from_pandas(data, preserve_index=False)
    if isinstance(data, pa.Table):
        return data
    if hasattr(data, "__arrow_c_stream__") or isinstance(data, pa.RecordBatch):
        return pa.table(data)
    kind = type(data).__name__
    raise UnreadableSource(_WHERE, f"a {kind} is no table", "Give an Arrow table or a pandas or Polars data frame.")


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column in a type that every engine reads; text of any layout, and what is no value, as plain text."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _plain(column.cast(kind.value_type))
    simple = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_date)
    if any(is_kind(kind) for is_kind in simple):
        return column
    if pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("us", kind.tz), safe=False).cast(pa.int64()).cast(pa.timestamp("us"))
    try:
        return column.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):  # a list or a struct
        return pa.chunked_array([pa.array([None if v is None else str(v) for v in column.to_pylist()], pa.string())])


def _texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column as text; an empty one is none."""
    texts = _plain(column).cast(pa.string())
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def _ids(column: pa.ChunkedArray) -> pa.ChunkedArray:
    plain = _plain(column)
    if pa.types.is_integer(plain.type):
        return plain.cast(pa.int64())
    if pa.types.is_floating(plain.type):  # pandas makes whole numbers with gaps floats
        known = pc.if_else(pc.is_nan(plain), pa.scalar(None, plain.type), plain)
        if pc.all(pc.equal(known, pc.trunc(known))).as_py():
            return known.cast(pa.int64())
    return _texts(plain)


def _times(column: pa.ChunkedArray, zone: str) -> tuple[pa.Array, Mask]:
    """Return naive UTC instants in microseconds, null where there is none, and where there was something to read."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    whole = column.cast(kind).combine_chunks()
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        moments = whole.cast(pa.timestamp("us", getattr(kind, "tz", None)), safe=False)
        if moments.type.tz is None:
            moments = pc.assume_timezone(moments, zone, ambiguous="earliest", nonexistent="latest")
        return moments.cast(pa.int64()).cast(pa.timestamp("us")), np.asarray(pc.is_valid(whole))
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
        raise UnreadableSource(_WHERE, f"times of the type {kind} cannot be read", "Make them timestamps first.")
    text = pc.utf8_trim_whitespace(whole.cast(pa.string()))
    present = np.asarray(pc.fill_null(pc.not_equal(text, ""), False))
    told = pd.Series(text.to_pandas())
    aware = told.str.contains(_OFFSET, na=False) & told.str.contains(":", na=False)
    moments = pd.to_datetime(told.where(aware), format="ISO8601", utc=True, errors="coerce")
    local = pd.to_datetime(told.where(~aware), format="ISO8601", errors="coerce")
    zoned = local.dt.tz_localize(zone, ambiguous=np.ones(len(told), dtype=np.bool_), nonexistent="shift_forward")
    both = moments.where(aware, zoned.dt.tz_convert("UTC")).dt.tz_localize(None)
    return pa.Array.from_pandas(both.astype("datetime64[us]")), present


def _judged(
    ids: pa.ChunkedArray, names: pa.ChunkedArray, at: pa.Array, present: Mask, event_ids: pa.ChunkedArray | None
) -> tuple[Mask, LogReport]:
    """Mark the rows that count, and count the others, each for its first reason."""
    some_id, named, timed = (np.asarray(pc.is_valid(column)) for column in (ids, names, at))
    kept = some_id & named & timed
    unreadable = some_id & named & ~timed & present
    if unreadable.sum() * 2 > len(kept):
        raise UnreadableSource(
            _WHERE,
            f"{int(unreadable.sum()):,} of {len(kept):,} times cannot be read, the first in row "
            f"{int(unreadable.argmax()) + 1:,}",
            "Expected ISO 8601 such as 2026-06-30T16:00:00+08:00.",
        )
    twice = np.zeros(len(kept), dtype=np.bool_) if event_ids is None else _repeats(event_ids, kept)
    report = LogReport(
        read=len(kept),
        kept=int((kept & ~twice).sum()),
        no_customer=int((~some_id).sum()),
        no_event=int((some_id & ~named).sum()),
        no_time=int((some_id & named & ~timed & ~present).sum()),
        unreadable_time=int(unreadable.sum()),
        first_unreadable_row=int(unreadable.argmax()) + 1 if unreadable.any() else None,
        duplicates=int(twice.sum()),
    )
    return kept & ~twice, report


def _repeats(event_ids: pa.ChunkedArray, counts: Mask) -> Mask:
    """Mark every row that counts whose id an earlier such row had."""
    codes = np.asarray(pc.fill_null(_plain(event_ids).combine_chunks().dictionary_encode().indices, -1))
    rows = np.flatnonzero(counts & (codes >= 0))
    _, first = np.unique(codes[rows], return_index=True)
    twice = np.zeros(len(counts), dtype=np.bool_)
    twice[np.delete(rows, first)] = True
    return twice


def _unused(names: list[str]) -> str:
    row = "_row"
    while row in names:
        row = f"_{row}"
    return row
