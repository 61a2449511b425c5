"""Whom not to contact: what exports, the API, live decisions and the consent gate of a run all read, in one place.

A suppression only ever takes a permission away. It holds from the moment it is entered, whatever date a run looks from:
a run that looks back to June still decides whom the bank contacts tomorrow.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from engine.domain.errors import UnknownName
from engine.domain.words import CONTACT_CHANNELS
from engine.lake.workspace import Workspace
from engine.numerics.chain import canonical, digest
from engine.store import Store, SuppressionRecord
from engine.workflows import session

SCHEMA: Final = pa.schema(
    [
        ("customer_id", pa.string()),
        ("channel", pa.string()),
        ("since", pa.timestamp("us")),
        ("reason", pa.string()),
    ]
)


def table(workspace: Workspace, since: datetime | None = None) -> pa.Table:
    """Return who may not be contacted on what now, one row per customer and channel, sorted by both.

    Columns: customer_id; channel, null for every channel; since, when it was said (naive UTC); reason: unsubscribed,
    complained, hard_bounce or manual. No rows where nobody is suppressed, or the workspace has no operational database.
    since : only what was entered at that instant or later.
    """
    if not session.has_register(workspace):
        return SCHEMA.empty_table()
    with Store(session.database_url(workspace)) as store:
        return _table(store.suppressions(since))


def of_customer(store: Store, customer_id: str) -> frozenset[str]:
    """Return the contact channels on which one customer may not be contacted now; all of them for "every channel"."""
    held = {one.channel for one in store.suppressions(customer_id=customer_id)}
    return frozenset(CONTACT_CHANNELS) if None in held else frozenset(one for one in held if one is not None)


def pairs(suppressed: pa.Table, channels: Sequence[str]) -> pa.Table:
    """Return rows of `table` as customer_id and channel, "every channel" as one row for each of the channels."""
    everywhere = suppressed.filter(pc.is_null(suppressed["channel"]))["customer_id"]
    named = suppressed.filter(pc.is_valid(suppressed["channel"])).select(["customer_id", "channel"])
    spread = [
        pa.table({"customer_id": everywhere, "channel": pa.repeat(pa.scalar(channel), len(everywhere))})
        for channel in channels
    ]
    return pa.concat_tables([named, *spread])


def facts(suppressed: pa.Table) -> dict[str, Any]:
    """Return what a run's manifest says of the suppressions it went by; nothing where there were none."""
    if not suppressed.num_rows:
        return {}
    rows = {name: [str(value) for value in suppressed[name].to_pylist()] for name in SCHEMA.names}
    return {"suppressions": digest(canonical(rows))}


def suppress(home: Path, customer_id: str, channel: str | None, by: str, note: str) -> None:
    """Enter a person's own cause not to contact a customer on a channel, or on every channel where it is None.

    Raises
    ------
    UnknownName
        There is no such channel.
    RefusedByPolicy
        No person or no reason is given.
    """
    _check(channel)
    with Store(session.database_url(session.workspace_at(home)), actor=by) as store:
        store.suppress(customer_id, channel, note)


def lift(home: Path, customer_id: str, channel: str | None, by: str, note: str) -> int:
    """Lift what suppresses a customer on exactly that channel, as a person with a reason; return how many causes.

    Raises
    ------
    UnknownName
        There is no such channel.
    RefusedByPolicy
        No person or no reason is given, or there is nothing to lift.
    """
    _check(channel)
    with Store(session.database_url(session.workspace_at(home)), actor=by) as store:
        return store.lift_suppression(customer_id, channel, note)


def _table(found: Iterable[SuppressionRecord]) -> pa.Table:
    rows = [(one.customer_id, one.channel, one.since.replace(tzinfo=None), one.reason) for one in found]
    if not rows:
        return SCHEMA.empty_table()
    columns = zip(*rows, strict=True)
    return pa.table([pa.array(values, field.type) for values, field in zip(columns, SCHEMA, strict=True)], SCHEMA)


def _check(channel: str | None) -> None:
    if channel is not None and channel not in CONTACT_CHANNELS:
        raise UnknownName("channel", channel, CONTACT_CHANNELS)
