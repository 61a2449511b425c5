"""What the customers behind a selection did before and after the moment that it is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.domain.access import Right, Viewer
from engine.domain.errors import NotEnoughData
from engine.lake.runs import Run
from engine.lake.schema import naive_utc
from engine.lake.workspace import Workspace
from engine.workflows.view import people, reading, selected, small_groups
from engine.workflows.view.selection import Selection
from journeys import flows, histories, paths

PLACES: Final = 4
"""Events shown on each side, the one at the moment itself counted with both."""
TOP: Final = 5
"""Events of a place that go by their names; the others together are `flows.OTHER`."""
MOST: Final = 20_000
"""Customers who are followed; of more, about so many are drawn evenly by their ids, the same ones each time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Flows up to the moment and from it on, as mappings of nodes and links; a customer counts once in each.

    customers : of the selection. followed : how many of them were looked at. known : those of these with an event up to
    the moment. is_dated : whether the selection has a moment of its own; else it is the run's date, after which nothing
    is known.
    """

    before: dict[str, Any]
    after: dict[str, Any]
    customers: int
    followed: int
    known: int
    is_dated: bool


def around(workspace: Workspace, run: Run, one: Selection, viewer: Viewer) -> Paths:
    """Return what the customers behind a selection did before and after.

    Raises
    ------
    NotAllowed, GroupTooSmall
    NotEnoughData
        There are no events, or nobody of the selection has one.
    MartMissing, UnknownName
    """
    viewer.require(Right.SEE_CUSTOMERS)
    counted = people.counted(workspace, run, one, viewer)
    if not workspace.curated("events").is_dir():
        raise NotEnoughData("paths", "the workspace has no events", "a table of events in the mapping file")
    found = selected.rows(workspace, run, one)
    part = f"hash(customer_id) % {-(-counted.customers // MOST):d} = 0" if counted.customers > MOST else "true"
    followed, events = _events(workspace, run, one, found, part)
    if not len(events):
        raise NotEnoughData("paths", "nobody of the selection has an event", "customers with events")
    of = histories.of(events.drop_columns(["anchor"]).rename_columns(["customer", "event", "at", "seq"]))
    moments = _moments(events, of)
    before, after = _cut(of, moments, "before"), _cut(of, moments, "after")
    return Paths(
        before=_as_seen(viewer, _told(flows.count(before, 1 - PLACES, 0))),
        after=_as_seen(viewer, _told(flows.count(after, 0, PLACES - 1))),
        customers=counted.customers,
        followed=followed,
        known=len(before),
        is_dated=one.told.moment is not None,
    )


def _events(workspace: Workspace, run: Run, one: Selection, found: selected.Rows, part: str) -> tuple[int, pa.Table]:
    """Return of how many customers, and their events nearest to each one's moment, with that in microseconds."""
    moment = f"max({one.told.moment})" if one.told.moment else "CAST(NULL AS TIMESTAMP)"
    text = f""", chosen AS ({found.text}),
        asked AS (SELECT customer_id, coalesce({moment}, ?) AS anchor FROM chosen
                  WHERE {part} GROUP BY customer_id),
        near AS (SELECT customer_id AS customer, event_name AS event, occurred_at AS happened_at,
                        CAST(coalesce(seq, -1) AS BIGINT) AS seq, epoch_us(anchor) AS anchor,
                        occurred_at > anchor AS later
                 FROM the_events JOIN asked USING (customer_id)
                 WHERE occurred_at <= ? AND event_name IS NOT NULL)
        SELECT customer, event, happened_at, seq, anchor FROM near
        QUALIFY row_number() OVER (PARTITION BY customer, later
                                   ORDER BY CASE WHEN later THEN happened_at END,
                                            CASE WHEN NOT later THEN happened_at END DESC,
                                            CASE WHEN later THEN seq ELSE -seq END) <= {PLACES + 1:d}"""
    sources = {**found.sources, "the_events": workspace.curated("events")}
    as_of = naive_utc(run.as_of)
    asked = f", chosen AS ({found.text}) SELECT count(DISTINCT customer_id) AS n FROM chosen WHERE {part}"
    followed = int(reading.arrow(found.sources, asked, found.values)["n"][0].as_py())
    return followed, reading.arrow(sources, text, (*found.values, as_of, as_of))


def _moments(events: pa.Table, of: histories.Histories) -> NDArray[np.int64]:
    """Return the moment of each customer of the histories, in microseconds."""
    each = events.group_by("customer").aggregate([("anchor", "max")])
    at: NDArray[np.int64] = each["anchor_max"].to_numpy()[pc.index_in(of.ids, value_set=each["customer"]).to_numpy()]
    return at


def _cut(of: histories.Histories, moments: NDArray[np.int64], side: str) -> paths.Paths:
    """Return one path per customer with an event up to the moment: to the last such event, or from it on."""
    begins, ends = of.starts[:-1], of.starts[1:]
    later = np.zeros(of.n_events + 1, dtype=np.int64)
    later[1:] = np.cumsum(of.at > np.repeat(moments, np.diff(of.starts)))
    anchor = ends - 1 - (later[ends] - later[begins])  # events are sorted, so that the later ones stand last
    chosen = np.flatnonzero(anchor >= begins)
    at, first, last = anchor[chosen], begins[chosen], ends[chosen] - 1
    before = side == "before"
    return paths.stretches(
        of,
        customer=chosen.astype(np.int32),
        first=first if before else at,
        last=at if before else last,
        anchor=at,
        arrived=np.full(len(chosen), before),
    )


def _told(counted: pa.Table) -> dict[str, Any]:
    grouped = counted.add_column(0, paths.GROUP, pa.nulls(len(counted), pa.string()))
    trimmed = flows.trimmed(flows.table(grouped), TOP)
    names = ("place", "event", "next", "paths")
    return {
        "nodes": [{name: value for name, value in row.items() if name != paths.GROUP}
                  for row in flows.nodes(trimmed).to_pylist()],
        "links": [{name: row[name] for name in names} for row in trimmed.to_pylist() if row["fate"] == flows.WENT_ON],
    }  # fmt: skip


def _as_seen(viewer: Viewer, told: dict[str, Any]) -> dict[str, Any]:
    """Return flows as the viewer may see them: counts rounded to tens for who does not see small groups."""
    if viewer.may(Right.SEE_SMALL_GROUPS):
        return told
    counts = ("reached", "went_on", "arrived", "dropped", "paths")
    rounded = {
        kind: [{name: small_groups.tens(value) if name in counts else value for name, value in row.items()}
               for row in rows]
        for kind, rows in told.items()
    }  # fmt: skip
    return {
        "nodes": [row for row in rounded["nodes"] if row["reached"]],
        "links": [row for row in rounded["links"] if row["paths"]],
    }
