"""The canonical row of a member who may be contacted: what a destination holds of it, and what a delta compares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.exports.rows import SCORE

TEXT, COUNT, FLAG = pa.string(), pa.int64(), pa.bool_()

Pii = Literal["none", "id", "contact"]
"""What a column tells of a person: nothing, who it is at the bank, or how to reach them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberColumn:
    """One column of the canonical row; `compared` columns make a delta send the row again when they change."""

    name: str
    kind: pa.DataType
    meaning: str
    nullable: bool = False
    pii: Pii = "none"
    compared: bool = True


def _c(name: str, kind: pa.DataType, meaning: str, **more: Any) -> MemberColumn:
    return MemberColumn(name=name, kind=kind, meaning=meaning, **more)


COLUMNS: Final = (
    _c("external_id", TEXT, "the bank's id of the customer", pii="id"),
    _c("audience_id", TEXT, "the audience"),
    _c("run_id", TEXT, "the run that decided", compared=False),
    _c(
        "recommendation_id",
        TEXT,
        "send it back with every response; empty without an offer",
        nullable=True,
        compared=False,
    ),
    _c("action_code", TEXT, "the product to offer on this channel; empty where the run offers none", nullable=True),
    _c("offer_code", TEXT, "the offer it is made in", nullable=True),
    _c("action_rank", COUNT, "1 is the best of the customer's offers", nullable=True),
    _c("channel", TEXT, "the channel that the export is for"),
    _c("score", SCORE, "probability of taking the offer within the run's horizon", nullable=True, compared=False),
    _c("track", TEXT, "fast_track, standard, extra_verification or retention_offer", nullable=True),
    _c("reason_text", TEXT, "why, in English", nullable=True),
    _c("reason_text_zh", TEXT, "why, in Chinese", nullable=True),
    _c("valid_from", TEXT, "instant from which it holds, UTC", compared=False),
    _c("valid_to", TEXT, "instant after which it must not be used, UTC", compared=False),
    _c("arm", TEXT, "advised, or control: an offer drawn evenly to compare with; empty without a control group",
       nullable=True),
    _c("language", TEXT, "language the customer wants to be addressed in", nullable=True),
    _c("consent_basis", TEXT, "what the consent is for, such as marketing"),
    _c("consent_at", TEXT, "when the customer gave it, UTC"),
)  # fmt: skip
"""What every preset is made of. The risk behind a row stays in the bank."""

CONTACTS: Final = (
    _c("email", TEXT, "address of e-mail as the bank holds it", nullable=True, pii="contact"),
    _c("phone", TEXT, "telephone number in E.164", nullable=True, pii="contact"),
)
"""Held only where the preset needs them."""

ID: Final = "external_id"
VALID_TO: Final = "valid_to"
_STAMP: Final = "%Y-%m-%dT%H:%M:%SZ"
_DAY: Final = 86_400


def schema(contacts: bool) -> pa.Schema:
    """Return the Arrow schema of canonical rows, with the contacts or without."""
    columns = (*COLUMNS, *CONTACTS) if contacts else COLUMNS
    return pa.schema([pa.field(column.name, column.kind) for column in columns])


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What makes a destination that holds the rows before hold `now`; each sorted by external_id.

    add : members it did not hold under their key. update : rows that replace its own. remove : rows of its own that
    go.
    now : what it holds in the end: a member's row that was not sent again is the one that was sent last.
    """

    add: pa.Table
    update: pa.Table
    remove: pa.Table
    now: pa.Table

    @property
    def unchanged(self) -> int:
        """How many members are not sent again."""
        return int(self.now.num_rows - self.add.num_rows - self.update.num_rows)


def change(before: pa.Table, current: pa.Table, refresh_days: int, keys: Sequence[str] = ()) -> Change:
    """Return what leads from what a destination holds to the current rows; both unique by external_id, in any order.

    A row is sent again when a compared column differs, or when it now holds less long or over `refresh_days` longer.

    keys : columns by which the destination tells persons apart, beside their id: who has another address now goes under
        the old one and comes in under the new one.
    """
    before, current = _sorted(before), _sorted(current)
    if not before.num_rows:
        return Change(add=current, update=current.slice(0, 0), remove=before, now=current)
    place = pc.index_in(current[ID], value_set=_plain(before[ID]))
    known = pc.is_valid(place)
    held = before.take(_plain(pc.fill_null(place, 0)))
    moved = pc.and_(known, _moved(held, current, keys))
    differs = pc.and_(known, _differs(held, current, refresh_days))
    kept = pc.and_(known, pc.invert(differs))
    now = _sorted(pa.concat_tables([current.filter(pc.invert(kept)), held.filter(kept).select(current.column_names)]))
    return Change(
        add=current.filter(pc.or_(pc.invert(known), moved)),
        update=current.filter(pc.and_not(differs, moved)),
        remove=_gone(before, current, keys),
        now=now,
    )


def whole(before: pa.Table, current: pa.Table, keys: Sequence[str] = ()) -> Change:
    """Return what gives a destination all current rows, and takes out of what it holds whoever is none of them."""
    before, current = _sorted(before), _sorted(current)
    return Change(add=current, update=current.slice(0, 0), remove=_gone(before, current, keys), now=current)


def _gone(before: pa.Table, current: pa.Table, keys: Sequence[str]) -> pa.Table:
    """Return the rows of a destination that go: who is no member any more, or is one under another key."""
    if not before.num_rows or not current.num_rows:
        return before
    place = pc.index_in(before[ID], value_set=_plain(current[ID]))
    is_now = current.take(_plain(pc.fill_null(place, 0)))
    return before.filter(pc.or_(pc.is_null(place), _moved(before, is_now, keys)))


def _moved(held: pa.Table, current: pa.Table, keys: Sequence[str]) -> Any:
    found = pa.chunked_array([pa.array(np.zeros(held.num_rows, dtype=bool))])
    for name in keys:
        found = pc.or_(found, _unlike(held[name], current[name]))
    return found


def nothing_held(contacts: bool) -> pa.Table:
    """Return what a destination holds that was never given anything."""
    return schema(contacts).empty_table()


def _differs(held: pa.Table, current: pa.Table, refresh_days: int) -> Any:
    longer = pc.subtract(_seconds(current[VALID_TO]), _seconds(held[VALID_TO]))
    found = pc.or_(pc.less(longer, 0), pc.greater(longer, refresh_days * _DAY))
    for column in (*COLUMNS, *CONTACTS):
        if column.compared and column.name in current.column_names:
            found = pc.or_(found, _unlike(held[column.name], current[column.name]))
    return found


def _unlike(one: Any, other: Any) -> Any:
    """Mark where two columns differ, an unknown value being like another unknown one."""
    same = pc.fill_null(pc.equal(one, other), False)
    both_unknown = pc.and_(pc.is_null(one), pc.is_null(other))
    return pc.invert(pc.or_(same, both_unknown))


def _seconds(stamps: Any) -> Any:
    return pc.strptime(stamps, format=_STAMP, unit="s").cast(pa.int64())


def _sorted(rows: pa.Table) -> pa.Table:
    return rows.sort_by(ID).combine_chunks()


def _plain(column: Any) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
