"""What leads from one snapshot of an audience to a later one: who goes, who comes, whose row differs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from engine.exports.releases import ID, Release
from engine.store import SuppressionFeed

OP: Final = "op"
_NOT_COMPARED: Final = frozenset({"run_id", "recommendation_id", "score", "valid_from"})
"""What differs from run to run without telling a receiver anything new."""


def rows(before: Release, now: Release, held: Sequence[str], lifted: Sequence[str]) -> pa.Table:
    """Return the changes, sorted by what is to be done first: whoever is removed, then whoever comes or differs.

    A row has `op` (remove, add or update) and the columns of the later snapshot; of a remove the id alone counts. Two
    snapshots without a difference give no rows.

    Parameters
    ----------
    held : who must not be contacted now: removed, though the later snapshot still has them.
    lifted : who was held since the earlier one and is no more: sent again, as the receiver may lack them.
    """
    old, new = before.table(), now.table()
    off = pa.array(held, pa.string())
    allowed = new.filter(pc.invert(pc.is_in(new[ID], value_set=off)))
    gone = old.filter(pc.invert(pc.is_in(old[ID], value_set=_plain(allowed[ID]))))
    place = pc.index_in(allowed[ID], value_set=_plain(old[ID]))
    fresh = pc.is_null(place)
    again = pc.is_in(allowed[ID], value_set=pa.array(lifted, pa.string()))
    known = pc.and_(pc.invert(fresh), pc.or_(again, _differs(old, allowed, place)))
    parts = [("remove", _removed(gone, new.schema)), ("add", allowed.filter(fresh)), ("update", allowed.filter(known))]
    coming = pa.concat_tables([_marked(op, some) for op, some in parts[1:]]).sort_by(ID)
    return pa.concat_tables([_marked(*parts[0]), coming]).combine_chunks()


def of_releases(before: Release, now: Release, feed: SuppressionFeed, channel: str) -> tuple[str, Any]:
    """Return the name of the changes between two releases as things are now, and what makes their rows.

    Who is suppressed meanwhile makes other changes under another name; those that a cursor pins stay.
    """
    revision, held = feed.held(channel)
    name = f"{before.name}--{now.name}--{revision.newest}.{revision.lifted}"
    return name, lambda: rows(before, now, held, feed.lifted_after(channel, before.made_at))


def _marked(op: str, some: pa.Table) -> pa.Table:
    return some.add_column(0, OP, pa.repeat(pa.scalar(op), some.num_rows))


def _removed(gone: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return rows that hold the id alone: what was known of who goes is nobody's business any more."""
    empty = {field.name: pa.nulls(gone.num_rows, field.type) for field in schema}
    return pa.table(empty | {ID: gone[ID]}, schema=schema)


def _differs(old: pa.Table, new: pa.Table, place: Any) -> Any:
    """Mark the rows whose compared columns differ from those at a place of the old ones."""
    found = pa.chunked_array([pa.repeat(pa.scalar(False), new.num_rows)])
    for name in new.column_names:
        if name == ID or name in _NOT_COMPARED:
            continue
        if name not in old.column_names or old.num_rows == 0:
            return pa.chunked_array([pa.repeat(pa.scalar(True), new.num_rows)])
        was = old[name].take(place)
        same = pc.or_(pc.fill_null(pc.equal(was, new[name]), False), pc.and_(pc.is_null(was), pc.is_null(new[name])))
        found = pc.or_(found, pc.invert(same))
    return found


def _plain(column: Any) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
