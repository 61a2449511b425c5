"""What leads from one snapshot of an audience to a later one: who goes, who comes, whose row differs."""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from engine.exports import members
from engine.exports.members import ID, VALID_TO
from engine.exports.releases import Release

OP: Final = "op"
_NEVER: Final = 100_000  # days: that a row holds longer is told by the rule below, not by that of bundles
_DAY: Final = 86_400


def rows(before: Release, now: Release, held: pa.Array, freed: pa.Array, refresh_days: int) -> pa.Table:
    """Return the changes, sorted by what is to be done first: whoever is removed, then whoever comes or differs.

    A row has `op` (remove, add or update) and the columns of the later snapshot; of a remove the id alone counts. Two
    snapshots without a difference give no rows.

    Parameters
    ----------
    held : who must not be contacted now: removed, though the later snapshot still has them.
    freed : who was held since the earlier one and is no more: sent again, as the receiver may lack them.
    refresh_days : a row that does not differ is sent again once in so many days, as what it holds until moves on. Told
        from the two snapshots alone, since nobody knows when a receiver was sent the row last.
    """
    old, new = before.table(), now.table()
    allowed = new.filter(pc.invert(pc.is_in(new[ID], value_set=held)))
    found = members.change(old, allowed, _NEVER)
    differs = _plain(found.update[ID])
    place = pc.index_in(allowed[ID], value_set=_plain(old[ID]))
    refreshed = pc.fill_null(
        pc.not_equal(_period(allowed, refresh_days), _period(old, refresh_days).take(_plain(place))), False
    )
    again = pc.or_(refreshed, pc.is_in(allowed[ID], value_set=freed))
    known = pc.and_(pc.is_valid(place), pc.or_(again, pc.is_in(allowed[ID], value_set=differs)))
    coming = pa.concat_tables([_marked("add", found.add), _marked("update", allowed.filter(known))]).sort_by(ID)
    return pa.concat_tables([_marked("remove", _ids_of(found.remove, new.schema)), coming]).combine_chunks()


def gone(before: Release, now: Release) -> int:
    """Return how many members of the earlier snapshot are none of the later one."""
    old, new = (_plain(one.table([ID])[ID]) for one in (before, now))
    return len(old) - (pc.sum(pc.is_in(old, value_set=new)).as_py() or 0)


def _period(some: pa.Table, refresh_days: int) -> Any:
    """Return in which period of so many days a row runs out."""
    ends = pc.strptime(some[VALID_TO], format="%Y-%m-%dT%H:%M:%SZ", unit="s").cast(pa.int64())
    return pc.divide(ends, max(refresh_days, 1) * _DAY)


def _marked(op: str, some: pa.Table) -> pa.Table:
    return some.add_column(0, OP, pa.repeat(pa.scalar(op), some.num_rows))


def _ids_of(gone: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return rows that hold the id alone: what was known of who goes is nobody's business any more."""
    empty = {field.name: pa.nulls(gone.num_rows, field.type) for field in schema}
    return pa.table(empty | {ID: gone[ID]}, schema=schema)


def _plain(column: Any) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
