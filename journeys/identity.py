"""Events that carry only an identifier, such as a device, and the customer to whom they belong.

Intake joins identifiers of exactly one person when it loads, for good. Here a *link* says from when until when an
identifier is a customer's; events are read through the links and never changed, so that dropping a link undoes it.

- *as_known*: an event belongs to whoever was linked at its own instant, as one could have known it then.
- *as_of*: everything known by a date counts, also for what was before: an anonymous visit belongs to the customer who
  logged in later. An identifier that passes from one customer to the next belongs, until the end of each link, to that
  link's customer.

An identifier that is several customers' at once, a household's tablet or a branch's, gives its events to nobody and
is counted: with as_known while it is shared, with as_of altogether.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from journeys.calendar import microseconds
from journeys.event_log import EventLog

Ints = NDArray[np.int64]

LINKS: Final = pa.schema(
    [
        ("id_type", pa.string()),
        ("id_value", pa.string()),
        ("customer", pa.string()),
        ("since", pa.timestamp("us")),
        ("until", pa.timestamp("us")),
    ]
)
"""One row per link, instants in UTC; `since` null: always, `until` null: still. `until` itself no longer counts."""

_ALWAYS: Final = -(2**61)
_NEVER: Final = 2**61
_MARK: Final = "\x1f"


class Mode(StrEnum):
    """What may be known of an event."""

    AS_KNOWN = "as_known"
    AS_OF = "as_of"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spans:
    """Whose each identifier is and when: rows as in LINKS, those of one identifier without an overlap.

    shared : how many identifiers of each type were several customers' at once.
    """

    table: pa.Table
    shared: dict[str, int]


def without(links: pa.Table, id_type: str, id_value: str, customer: str) -> pa.Table:
    """Return the links but those of one identifier with one customer: what was joined by them is apart again."""
    same = pc.and_(pc.equal(links.column("id_type"), id_type), pc.equal(links.column("id_value"), id_value))
    return links.filter(pc.invert(pc.and_(same, pc.equal(links.column("customer"), customer))))


def spans(links: pa.Table, mode: Mode, as_of: datetime) -> Spans:
    """Return whose each identifier is; links that began after as_of are not known yet.

    Parameters
    ----------
    links : LINKS; rows without a type, a value or a customer, and links that end before they begin, say nothing.
    """
    links = links.select(LINKS.names).cast(LINKS)
    known = [links.column(name).is_valid() for name in ("id_type", "id_value", "customer")]
    links = links.filter(pc.and_(pc.and_(known[0], known[1]), known[2]))
    since, until = _instants(links.column("since"), _ALWAYS), _instants(links.column("until"), _NEVER)
    kept = (since <= microseconds(as_of)) & (since < until)
    links, since, until = links.filter(pa.array(kept)), since[kept], until[kept]
    identifier, names = _coded(pc.binary_join_element_wise(links.column("id_type"), links.column("id_value"), _MARK))
    customer, customers = _coded(links.column("customer"))
    ranks = np.unique(np.concatenate([since, until]))
    low, high = np.searchsorted(ranks, since), np.searchsorted(ranks, until)
    identifier, customer, low, high = _merged(identifier, customer, low, high, len(ranks))
    if mode is Mode.AS_KNOWN:
        found, shared = _as_known(identifier, customer, low, high)
    else:
        found, shared = _as_of(identifier, customer, low, high, len(ranks))
    identifier, customer, low, high = found
    edges = np.concatenate([ranks, [_ALWAYS]])  # -1, the end of nothing before, is always
    types, values = _split(names)
    table = pa.table(
        [
            types.take(pa.array(identifier)),
            values.take(pa.array(identifier)),
            customers.take(pa.array(customer)),
            _timestamps(edges[low], _ALWAYS),
            _timestamps(edges[high], _NEVER),
        ],
        schema=LINKS,
    )
    counted = pc.value_counts(types.take(pa.array(shared))).to_pylist()
    return Spans(table=table, shared={one["values"]: one["counts"] for one in counted})


def stitched(log: EventLog, table: Any, id_type: str = "id_type", id_value: str = "id_value") -> EventLog:
    """Return the log with the customer of every event that had none, where the spans know one.

    Parameters
    ----------
    table : the spans as an Ibis table of the log's engine.
    id_type, id_value : columns of the log.
    """
    events = log.table
    at = events[log.time]
    joined = events.left_join(
        table,
        [
            events[log.customer].isnull(),
            events[id_type] == table.id_type,
            events[id_value] == table.id_value,
            table.since.isnull() | (at >= table.since),
            table.until.isnull() | (at < table.until),
        ],
        rname="link_{name}",
    )
    kind = events[log.customer].type()
    owner = joined[log.customer].fill_null(joined[_name("customer", events)].cast(kind))
    columns = {name: joined[name] for name in events.columns if name != log.customer}
    return replace(log, table=joined.select(**{log.customer: owner}, **columns), prepared=None)


def _name(column: str, events: Any) -> str:
    return f"link_{column}" if column in events.columns else column


Links = tuple[Ints, Ints, Ints, Ints]
"""Identifier, customer, and the ranks of the instants since and until."""


def _merged(identifier: Ints, customer: Ints, low: Ints, high: Ints, n_ranks: int) -> Links:
    """Join the links of one identifier and customer that touch or overlap."""
    order = np.lexsort((low, customer, identifier))
    identifier, customer, low, high = identifier[order], customer[order], low[order], high[order]
    pair = np.cumsum(np.diff(identifier, prepend=-1).astype(bool) | np.diff(customer, prepend=-1).astype(bool))
    # a pair's own numbers lie above those of the pairs before: one running maximum serves all
    reach = np.maximum.accumulate(pair * (n_ranks + 1) + high)
    new = np.ones(len(order), dtype=np.bool_)
    new[1:] = pair[1:] * (n_ranks + 1) + low[1:] > reach[:-1]
    firsts = np.flatnonzero(new)
    if not len(firsts):
        return identifier, customer, low, high
    return identifier[firsts], customer[firsts], low[firsts], np.maximum.reduceat(high, firsts)


def _as_of(identifier: Ints, customer: Ints, low: Ints, high: Ints, n_ranks: int) -> tuple[Links, Ints]:
    """Leave out identifiers with any overlap, and let each link reach back to the end of the one before."""
    order = np.lexsort((low, identifier))
    identifier, customer, low, high = identifier[order], customer[order], low[order], high[order]
    reach = np.maximum.accumulate(identifier * (n_ranks + 1) + high)
    overlaps = np.zeros(len(order), dtype=np.bool_)
    overlaps[1:] = identifier[1:] * (n_ranks + 1) + low[1:] < reach[:-1]
    shared = np.unique(identifier[overlaps])
    first = np.diff(identifier, prepend=-1) != 0
    since = np.where(first, -1, np.concatenate([[-1], high[:-1]])[: len(high)])
    alone = ~np.isin(identifier, shared)
    return (identifier[alone], customer[alone], since[alone], high[alone]), shared


def _as_known(identifier: Ints, customer: Ints, low: Ints, high: Ints) -> tuple[Links, Ints]:
    """Cut time at every beginning and end of a link, and keep the pieces with exactly one customer."""
    edges = np.concatenate([low, high])
    owners = np.concatenate([identifier, identifier])
    sign = np.repeat([1, -1], len(low))
    order = np.lexsort((edges, owners))
    edges, owners, sign = edges[order], owners[order], sign[order]
    # of one customer at a time the sum of the codes of those present is that customer's code
    present, codes = np.cumsum(sign), np.cumsum(sign * np.concatenate([customer, customer])[order])
    last = np.ones(len(edges), dtype=np.bool_)
    last[:-1] = (owners[1:] != owners[:-1]) | (edges[1:] != edges[:-1])
    edges, owners, present, codes = edges[last], owners[last], present[last], codes[last]
    one = np.flatnonzero(present == 1)
    return (owners[one], codes[one], edges[one], edges[one + 1]), np.unique(owners[present > 1])


def _instants(column: pa.ChunkedArray, missing: int) -> Ints:
    return np.asarray(column.cast(pa.int64()).fill_null(missing).to_numpy(), dtype=np.int64)


def _timestamps(us: Ints, missing: int) -> pa.Array:
    return pa.array(us, pa.int64(), mask=us == missing).cast(pa.timestamp("us"))


def _coded(column: pa.ChunkedArray) -> tuple[Ints, pa.Array]:
    encoded = pc.dictionary_encode(column.combine_chunks())
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    return np.asarray(encoded.indices, dtype=np.int64), encoded.dictionary


def _split(names: pa.Array) -> tuple[pa.Array, pa.Array]:
    parts = pc.split_pattern(names, _MARK, max_splits=1)
    return pc.list_element(parts, 0), pc.list_element(parts, 1)
