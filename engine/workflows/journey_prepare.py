"""Prepare an event log: sort and code it once, so that every question about it is answered without reading it again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from engine.domain.errors import SettingsFault, UnreadableSource
from engine.intake.event_roles import Roles
from engine.workflows import prepared_logs
from engine.workflows.event_logs import LogSource, OpenLog, opened
from engine.workflows.prepared_logs import Manifest
from engine.workflows.session import workspace_at
from journeys import histories, prepared
from journeys.prepared import EVENT_ID, Appended, Prepared

_MOST_VALUES: Final = 10_000
"""Different values up to which a column is taken along unasked; one of more is an id or free text."""

_REASONS: Final = ("broken", "no_customer", "no_event", "no_time", "unreadable_time", "duplicates", "later")


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedSummary:
    """What was prepared.

    `tied_events` share customer and instant with another. `changed_customers` are those whom a batch was about; None
    when all was prepared anew.
    """

    folder: Path
    events: int
    customers: int
    attributes: tuple[str, ...]
    as_of: datetime
    rows_read: int
    left_out: dict[str, int]
    size_mb: int
    tied_events: int
    added_events: int
    changed_customers: int | None


def prepare(source: LogSource, into: Path, keep: tuple[str, ...] = ()) -> PreparedSummary:
    """Prepare a log into a folder.

    Parameters
    ----------
    keep : columns to take along beside the roles; none named takes all of at most 10,000 different values.

    Raises
    ------
    UnreadableSource, NotEnoughData, UnknownName, SettingsFault
        As `opened`.
    RefusedByPolicy
        The folder is there and is no prepared log.
    """
    _refuse_prepared(source)
    with opened(source) as log:
        attributes = keep or _few_valued(log)
        told = {
            "sources": _sources(source),
            "roles": _roles(log),
            "zone": source.zone,
            "as_of": log.as_of,
            "rows_read": log.report.read,
            "left_out": _left_out(log),
        }
        manifest = prepared_logs.write(into, _blocks(log, attributes), told)
    return _summary(into, manifest, attributes, manifest.events, None)


def append(source: LogSource, into: Path) -> tuple[PreparedSummary, Appended]:
    """Sort the events of a batch in among those of a log that was prepared before, and tell what that has changed.

    The batch has the columns of the log, under the same names.

    Raises
    ------
    UnreadableSource
        There is no such log, the batch was added before, or does not fit the log.
    NotEnoughData, UnknownName, SettingsFault
        As `opened`.
    """
    _refuse_prepared(source)
    known, manifest = prepared_logs.read(into)
    sources = _sources(source)
    if {one.sha256 for one in sources} & {one.sha256 for one in manifest.sources}:
        raise UnreadableSource(
            source.path.name if source.path else "the workspace", f"was added to {into.name} before", "Nothing to do."
        )
    named: dict[str, Any] = {role: getattr(source, role) or manifest.roles.get(role) for role in Roles.__slots__}
    with opened(replace(source, zone=source.zone or manifest.zone, **named)) as log:
        missing = sorted({*known.attributes} - {*log.log.table.columns})
        if missing:
            problem = f"lacks the columns {', '.join(missing)} of the log in {into.name}"
            raise UnreadableSource(str(source.path), problem, "Add them, or prepare the log without them.")
        batch = _batch(log, known)
        numbers = pa.types.is_integer(batch.schema.field(histories.CUSTOMER).type)
        if numbers != known.ids_are_numbers:
            kinds = ("numbers", "text") if numbers else ("text", "numbers")
            problem = f"its customers are {kinds[0]}, those of the log in {into.name} {kinds[1]}"
            raise UnreadableSource(str(source.path), problem, "Write the ids as the log has them.")
        added = prepared.append(known, batch)
        left_out = _left_out(log)
        left_out["duplicates"] += added.dropped
        told = {
            "sources": (*manifest.sources, *sources),
            "roles": manifest.roles,
            "zone": manifest.zone,
            "as_of": max(manifest.as_of, log.as_of),
            "rows_read": manifest.rows_read + log.report.read,
            "left_out": {reason: manifest.left_out[reason] + left_out[reason] for reason in _REASONS},
            "tied": manifest.tied - added.before.tied + added.after.tied,
        }
        written = prepared_logs.extend(into, known, added.log, told)
    told_of = _summary(into, written, known.attributes, written.events - manifest.events, added.after.n_customers)
    return told_of, added


def _refuse_prepared(source: LogSource) -> None:
    if source.path is not None and prepared_logs.is_prepared(source.path):
        raise SettingsFault(source.path.name, ["the log is prepared already; name the file that it comes from"])


def _blocks(log: OpenLog, attributes: tuple[str, ...]) -> Iterator[pa.Table]:
    rows = _rows(log, attributes, with_ids=log.log.event_id is not None)
    for block in log.engine.blocks(rows, histories.CUSTOMER, log.log.blocks(log.engine), {histories.EVENT: None}):
        yield from prepared.prepare([block]).blocks


def _batch(log: OpenLog, known: Prepared) -> pa.Table:
    """Return the events of a batch, numbered behind all those of the log."""
    with_ids = any(EVENT_ID in block.column_names for block in known.blocks)
    rows = log.engine.arrow(_rows(log, known.attributes, with_ids=with_ids))
    if not log.numbered:
        return rows
    behind = pc.add(rows.column(histories.SEQ), known.last_seq + 1)
    return rows.set_column(rows.schema.get_field_index(histories.SEQ), histories.SEQ, behind)


def _rows(log: OpenLog, attributes: tuple[str, ...], *, with_ids: bool) -> Any:
    moment = log.as_of if log.report.later else None
    rows = log.log.events(moment, attributes=(*attributes, *((str(log.log.event_id),) if with_ids else ())))
    return rows.rename({EVENT_ID: str(log.log.event_id)}) if with_ids else rows


def _few_valued(log: OpenLog) -> tuple[str, ...]:
    """Return the columns that play no role and have few enough different values to be worth keeping as codes."""
    table, events = log.log.table, log.log
    taken = {events.customer, events.event, events.time, events.seq, events.event_id, *histories.ROLES}
    others = [name for name in table.columns if name not in taken]
    if not others:
        return ()
    counts = log.engine.arrow(table.aggregate(**{name: table[name].approx_nunique() for name in others}))
    return tuple(name for name in others if counts.column(name)[0].as_py() <= _MOST_VALUES)


def _roles(log: OpenLog) -> dict[str, str]:
    columns = {
        "case": log.log.customer,
        "event": log.log.event,
        "time": log.log.time,
        "seq": None if log.numbered else log.log.seq,
        "channel": log.log.channel,
        "lifecycle": log.log.lifecycle,
        "event_id": log.log.event_id,
    }
    assert columns.keys() == set(Roles.__slots__)
    return {role: column for role, column in columns.items() if column is not None}


def _sources(source: LogSource) -> tuple[prepared_logs.SourceFile, ...]:
    path = source.path or workspace_at(source.home).curated("events")
    return prepared_logs.sources(path)


def _left_out(log: OpenLog) -> dict[str, int]:
    told = asdict(log.report)
    return {reason: told[reason] for reason in _REASONS}


def _summary(
    into: Path, manifest: Manifest, attributes: tuple[str, ...], added: int, changed: int | None
) -> PreparedSummary:
    return PreparedSummary(
        folder=into,
        tied_events=manifest.tied,
        events=manifest.events,
        customers=manifest.customers,
        attributes=attributes,
        as_of=manifest.as_of,
        rows_read=manifest.rows_read,
        left_out={reason: count for reason, count in manifest.left_out.items() if count},
        size_mb=sum(block.size_bytes for block in manifest.blocks) // 2**20,
        added_events=added,
        changed_customers=changed,
    )
