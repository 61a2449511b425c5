"""A little dirt, every bit of it written down: duplicates, orphans, future dates, broken text, and more.

Faults for which a row must be set aside are planted on copies of rows under a new key, so that the clean bank stays
whole and consistent; faults that intake mends, or only reports, are planted on the rows themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import numpy as np
import pyarrow as pa

from engine.domain.curated import CURATED
from engine.domain.schema import Table
from engine.intake.simulation.world import World

Row = dict[str, Any]
QUARANTINE, REPAIR, REPORT = "quarantine", "repair", "report"
FAULT_SCHEMA: Final = pa.schema(
    [
        ("table", pa.string()),
        ("key", pa.string()),
        ("source_file", pa.string()),
        ("row_number", pa.int64()),
        ("column", pa.string()),
        ("fault", pa.string()),
        ("expected", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One way in which rows of a table go wrong; `added` says whether the fault is on a copy under a new key."""

    fault: str
    column: str
    expected: str
    added: bool
    spoil: Callable[[Row, Table, World], None]
    suits: Callable[[Row], bool] = lambda row: True


def _new_key(row: Row, table: Table) -> None:
    """Give a copy a key of its own: another first letter, or another instant."""
    name = table.key[-1]
    if isinstance(row[name], datetime):
        row[name] += timedelta(hours=1)
    elif len(table.key) == 1:
        row[name] = "X" + row[name][1:]


def _copy(row: Row, table: Table, world: World) -> None:
    """Leave the copy as it is: the same row twice."""


def _orphan(column: str) -> Callable[[Row, Table, World], None]:
    def spoil(row: Row, table: Table, world: World) -> None:
        _new_key(row, table)
        row[column] = "X" + str(row[column] or "C00000000")[1:]
        if "id_value" in row and table.name == "events":
            row["id_type"] = row["id_value"] = None

    return spoil


def _set(column: str, value: Any, *, new_key: bool = True) -> Callable[[Row, Table, World], None]:
    def spoil(row: Row, table: Table, world: World) -> None:
        if new_key:
            _new_key(row, table)
        row[column] = value

    return spoil


def _changed(column: str, value: Callable[[Any], Any]) -> Callable[[Row, Table, World], None]:
    def spoil(row: Row, table: Table, world: World) -> None:
        row[column] = value(row[column])

    return spoil


def _future(column: str) -> Callable[[Row, Table, World], None]:
    def spoil(row: Row, table: Table, world: World) -> None:
        _new_key(row, table)
        row[column] = datetime.fromtimestamp(world.end, UTC) + timedelta(days=3 + row[column].second)
        for later in ("decided_at", "resolved_at", "ingested_at"):
            if later in row:
                row[later] = None

    return spoil


def _aged(row: Row, table: Table, world: World) -> None:
    _new_key(row, table)
    row["birth_date"] = date(world.until.year - 190, 5, 17)


def _late(row: Row, table: Table, world: World) -> None:
    row["ingested_at"] = row["occurred_at"] + timedelta(days=3 + row["occurred_at"].second % 3, minutes=7)


def _mojibake(text: str) -> str:
    return text.encode("utf-8").decode("latin-1")


def _lost(text: str) -> str:
    return text[:1] + "\ufffd" + text[2:]


def _has_chinese(column: str) -> Callable[[Row], bool]:
    return lambda row: row[column] is not None and any("\u4e00" <= letter <= "\u9fff" for letter in row[column])


def _kind(fault: str, column: str, spoil: Callable[[Row, Table, World], None], **more: Any) -> Kind:
    return Kind(fault=fault, column=column, spoil=spoil, **{"expected": QUARANTINE, "added": True, **more})


def _duplicates(key: str) -> tuple[Kind, ...]:
    return (_kind("duplicate_row", key, _copy),)


def _in_place(fault: str, column: str, spoil: Callable[[Row, Table, World], None], **more: Any) -> Kind:
    return _kind(fault, column, spoil, **{"expected": REPAIR, "added": False, **more})


def _broken_text(column: str) -> tuple[Kind, ...]:
    known = _has_chinese(column)
    return (
        _in_place("bad_encoding", column, _changed(column, _mojibake), suits=known),
        _in_place("bad_encoding", column, _changed(column, _lost), suits=known),
    )


_SEVENFOLD = _changed("amount_minor", lambda amount: amount * 7 + 1)
_UNKNOWN_CHANNEL = _in_place("unknown_value", "channel", _set("channel", "fax", new_key=False))
KINDS: Final[dict[str, tuple[Kind, ...]]] = {
    "customers": (
        *_duplicates("customer_id"),
        _kind("duplicate_key", "customer_id", _changed("region", lambda region: "elsewhere")),
        *_broken_text("full_name"),
        _kind("out_of_range", "birth_date", _aged),
        _kind("out_of_range", "dependants", _set("dependants", 190)),
    ),
    "identities": (*_duplicates("id_value"), _kind("orphan_reference", "customer_id", _orphan("customer_id"))),
    "holdings": (
        *_duplicates("holding_id"),
        _kind("orphan_reference", "customer_id", _orphan("customer_id")),
        _kind("unknown_currency", "currency", _set("currency", "XQQ")),
    ),
    "transactions": (
        *_duplicates("transaction_id"),
        _kind("duplicate_key", "transaction_id", _SEVENFOLD),
        _kind("orphan_reference", "customer_id", _orphan("customer_id")),
        _kind("future_time", "booked_at", _future("booked_at")),
        _kind("unknown_currency", "currency", _set("currency", "RMB")),
        _UNKNOWN_CHANNEL,
    ),
    "events": (
        *_duplicates("event_id"),
        _kind("duplicate_key", "event_id", _changed("event_name", lambda name: "page_view_again")),
        _kind("orphan_reference", "customer_id", _orphan("customer_id"), expected=REPAIR),
        _kind("future_time", "occurred_at", _future("occurred_at")),
        _in_place("late_event", "ingested_at", _late, expected=REPORT),
        _UNKNOWN_CHANNEL,
    ),
    "interactions": (
        *_duplicates("interaction_id"),
        _kind("duplicate_key", "interaction_id", _changed("topic", lambda topic: "other")),
        _kind("orphan_reference", "customer_id", _orphan("customer_id")),
        _kind("future_time", "occurred_at", _future("occurred_at")),
        *_broken_text("text"),
        _kind("out_of_range", "satisfaction_score", _set("satisfaction_score", 9)),
        _UNKNOWN_CHANNEL,
    ),
    "bureau": (
        *_duplicates("customer_id"),
        _kind("duplicate_key", "customer_id", _changed("inquiries_6m", lambda count: count + 11)),
        _kind("out_of_range", "utilisation_rate", _set("utilisation_rate", -1.0)),
    ),
    "applications": (
        *_duplicates("application_id"),
        _kind("future_time", "applied_at", _future("applied_at")),
        _kind("unknown_value", "decision", _set("decision", "maybe")),
    ),
    "consents": (*_duplicates("customer_id"), _kind("orphan_reference", "customer_id", _orphan("customer_id"))),
    "exposures": (*_duplicates("customer_id"),),
    "offers_feedback": (
        *_duplicates("feedback_id"),
        _kind("orphan_reference", "customer_id", _orphan("customer_id")),
    ),
    "standing": (
        *_duplicates("customer_id"),
        _kind("orphan_reference", "customer_id", _orphan("customer_id")),
        _kind("future_time", "reported_at", _future("reported_at")),
        _kind("out_of_range", "days_past_due", _set("days_past_due", -1)),
    ),
}  # fmt: skip


def plant(world: World, chunk: int, table: Table, rows: pa.Table, source_file: str) -> tuple[pa.Table, pa.Table]:
    """Return the rows with the dirt of this chunk, and one row of truth per fault planted."""
    kinds = KINDS.get(table.name, ())
    rng = np.random.default_rng([world.seed, chunk, 1_000 + list(CURATED).index(table.name)])
    plan = list(_planned(rng, world, chunk, kinds, rows))
    if not plan:
        return rows, FAULT_SCHEMA.empty_table()
    spoiled: dict[int, Row] = {}
    added: list[Row] = []
    truth: list[Row] = []
    for kind, place, row in plan:
        kind.spoil(row, table, world)
        number = rows.num_rows + len(added) if kind.added else place
        if kind.added:
            added.append(row)
        else:
            spoiled[place] = row
        truth.append(_written_down(table, kind, row, source_file, number))
    return _rebuilt(rows, spoiled, added), pa.Table.from_pylist(truth, FAULT_SCHEMA)


def _planned(
    rng: np.random.Generator, world: World, chunk: int, kinds: tuple[Kind, ...], rows: pa.Table
) -> Iterator[tuple[Kind, int, Row]]:
    """Yield each fault with the row it falls on; no row is chosen twice, so that faults do not hide each other."""
    least = world.rules.dirt_at_least if chunk == 0 else 0
    counts = [max(int(rng.poisson(rows.num_rows * world.rules.dirt.get(k.fault, 0) / 10_000)), least) for k in kinds]
    # at most a tenth of a small table is spoilt; eight candidates a fault, for some rows do not suit
    counts = [min(count, rows.num_rows // (10 * len(kinds))) for count in counts]
    need = min(8 * sum(counts) + 8, rows.num_rows)
    places = rng.choice(rows.num_rows, need, replace=False) if need else np.zeros(0, dtype=np.int64)
    drawn = iter(zip(places.tolist(), rows.take(pa.array(places)).to_pylist(), strict=True))
    spare: list[tuple[int, Row]] = []
    for kind, count in zip(kinds, counts, strict=True):
        for _ in range(count):
            found = _first_suiting(kind, world, spare, drawn)
            if found is not None:
                yield kind, *found


def _first_suiting(
    kind: Kind, world: World, spare: list[tuple[int, Row]], drawn: Iterator[tuple[int, Row]]
) -> tuple[int, Row] | None:
    for at, (_, row) in enumerate(spare):
        if _suits(kind, row, world):
            return spare.pop(at)
    for place, row in drawn:
        if _suits(kind, row, world):
            return place, row
        spare.append((place, row))
    return None


def _suits(kind: Kind, row: Row, world: World) -> bool:
    if kind.fault == "late_event":
        # it must have arrived before the extract ended
        return bool(row["occurred_at"] < datetime.fromtimestamp(world.end, UTC) - timedelta(days=7))
    return kind.suits(row)


def _written_down(table: Table, kind: Kind, row: Row, source_file: str, number: int) -> Row:
    return {
        "table": table.name,
        "key": "|".join(_text(row[name]) for name in table.key),
        "source_file": source_file,
        "row_number": number,
        "column": kind.column,
        "fault": kind.fault,
        "expected": kind.expected,
    }


def _text(value: Any) -> str:
    return value.strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(value, datetime) else str(value)


def _rebuilt(rows: pa.Table, spoiled: dict[int, Row], added: list[Row]) -> pa.Table:
    """Return the rows with some replaced and some added at the end, in the same types."""
    extra = pa.Table.from_pylist([*spoiled.values(), *added], rows.schema)
    order = np.arange(rows.num_rows + len(added))
    order[rows.num_rows :] += len(spoiled)
    order[list(spoiled)] = rows.num_rows + np.arange(len(spoiled))
    return pa.concat_tables([rows, extra]).take(pa.array(order)).combine_chunks()
