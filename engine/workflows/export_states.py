"""What a destination holds of an audience: remembered run by run, under the checksum of what it was given.

A state is canonical rows in Parquet, sorted by external_id. It is written once and never changed, so that a page that
was begun on it ends on it, and an acknowledgement names exactly one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engine.config.exports import ExportSettings
from engine.exports import members
from engine.lake.files import write_synced
from engine.lake.workspace import Workspace
from engine.store import AckRecord, BundleRecord

FOLDER: Final = "_held"
_AS_OF: Final = b"wayline.as_of"
_ROW_GROUP: Final = 10_000  # what a page of members reads at least


def path(workspace: Workspace, audience: str, run_id: str, destination: str, content_sha256: str) -> Path:
    """Return where the state lies that a content leads to."""
    name = f"{destination.replace('/', '-')}-{content_sha256[:16]}.parquet"
    return workspace.exports / audience / run_id / FOLDER / name


def write(place: Path, rows: pa.Table, as_of: datetime) -> None:
    """Write a state, whole or not at all; one that is there already stays."""
    if place.is_file():
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    sink = pa.BufferOutputStream()
    told = rows.replace_schema_metadata({_AS_OF: as_of.isoformat().encode()})
    pq.write_table(told, sink, compression="zstd", row_group_size=_ROW_GROUP)
    building = place.with_name(f"_building-{place.name}")
    write_synced(building, sink.getvalue())
    building.replace(place)


def as_of(place: Path) -> datetime:
    """Return the date of the run that a state is of."""
    return datetime.fromisoformat(pq.read_schema(place).metadata[_AS_OF].decode())


def every(workspace: Workspace, audience: str, destination: str) -> list[Path]:
    """Return all states of a destination that are remembered, in no order."""
    home = workspace.exports / audience
    return list(home.glob(f"*/{FOLDER}/{destination.replace('/', '-')}-*.parquet"))


def forget(workspace: Workspace, audience: str, until: datetime, settings: ExportSettings) -> None:
    """Remove the states that are older than they are remembered, seen from a date."""
    for place in (workspace.exports / audience).glob(f"*/{FOLDER}/*.parquet"):
        if until - as_of(place) > timedelta(days=settings.snapshot_days):
            place.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a destination holds by its last acknowledgement; `why_not` says in a sentence why no delta can follow it.

    rows is empty where nothing is remembered; run_id then is None.
    """

    rows: pa.Table
    run_id: str | None
    why_not: str | None


def held(
    workspace: Workspace,
    ack: AckRecord | None,
    now: datetime,
    settings: ExportSettings,
    contacts: bool,
    *,
    taken_back: Sequence[BundleRecord] = (),
) -> Held:
    """Return what a destination holds, without the rows that it rejected.

    taken_back : bundles that it was given since, or last, and must not hold: it may have loaded them all the same.
    """
    found = _acknowledged(workspace, ack, now, settings, contacts)
    if not taken_back:
        return found
    places = [path(workspace, one.audience, one.run_id, one.destination, one.content_sha256) for one in taken_back]
    given = [pq.read_table(place).replace_schema_metadata(None) for place in places if place.is_file()]
    rows = [found.rows, *(one.cast(found.rows.schema) for one in given if one.schema.names == found.rows.schema.names)]
    keys = [members.ID, *(column.name for column in members.CONTACTS if contacts)]
    told = f"The export of run {taken_back[0].run_id} was taken back."
    return Held(rows=_each_once(pa.concat_tables(rows), keys), run_id=found.run_id, why_not=told)


def _each_once(rows: pa.Table, keys: list[str]) -> pa.Table:
    """Return one row for each person as a destination knows them, the one that it was given last."""
    numbered = rows.append_column("_place", pa.array(range(rows.num_rows), pa.int64()))
    last = numbered.group_by(keys).aggregate([("_place", "max")])["_place_max"]
    return rows.take(last.combine_chunks().sort())


def _acknowledged(
    workspace: Workspace, ack: AckRecord | None, now: datetime, settings: ExportSettings, contacts: bool
) -> Held:
    nothing = members.nothing_held(contacts)
    if ack is None:
        return Held(rows=nothing, run_id=None, why_not="The destination has not acknowledged any export yet.")
    one = ack.bundle
    place = path(workspace, one.audience, one.run_id, one.destination, one.content_sha256)
    if not place.is_file():
        told = f"What the destination holds, run {one.run_id}, is not remembered any more."
        return Held(rows=nothing, run_id=None, why_not=told)
    rows = pq.read_table(place).replace_schema_metadata(None)
    if rows.schema.names != nothing.schema.names:
        told = f"What the destination holds, run {one.run_id}, has rows of another form."
        return Held(rows=nothing, run_id=None, why_not=told)
    rejected = pc.is_in(rows[members.ID], value_set=pa.array(ack.rejected, pa.string()))
    rows = rows.filter(pc.invert(rejected)).cast(nothing.schema)
    return Held(rows=rows, run_id=one.run_id, why_not=_too_far(as_of(place), now, one.run_id, settings))


def _too_far(then: datetime, now: datetime, run_id: str, settings: ExportSettings) -> str | None:
    days = (now - then).days
    if days < 0:
        return f"What the destination holds, run {run_id}, is of a later date than this run."
    if days > settings.snapshot_days:
        return f"What the destination holds, run {run_id}, is {days} days old; at most {settings.snapshot_days} count."
    return None


def pages(place: Path, after: str | None, limit: int) -> Iterator[pa.Table]:
    """Return rows of a state after an id, in the order of ids, `limit` of them at most, reading no more than needed."""
    source = pq.ParquetFile(place)
    column = source.schema_arrow.get_field_index(members.ID)
    left = limit
    for group in range(source.num_row_groups):
        facts = source.metadata.row_group(group).column(column).statistics
        if after is not None and facts is not None and facts.max <= after:
            continue
        rows = source.read_row_group(group)
        if after is not None:
            rows = rows.filter(pc.greater(rows[members.ID], after))
        yield rows.slice(0, left)
        left -= min(left, rows.num_rows)
        if not left:
            return


def ids(places: list[Path]) -> Any:
    """Return the ids of everybody in some states, each once."""
    found = [pq.read_table(place, columns=[members.ID])[members.ID] for place in places]
    chunks = [chunk for column in found for chunk in column.chunks]
    return pc.unique(pa.chunked_array(chunks, pa.string())) if chunks else pa.array([], pa.string())
