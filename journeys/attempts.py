"""Find each customer's best attempt at a journey, as one Ibis expression that DuckDB and Spark both run.

An attempt is one event per step, each event used once, in the order of the steps, none before the one ahead of it
(events of one instant may count in step order), and none later than the window after the first. The best attempt
is the one that gets deepest; among equals, the one that began last; its steps are reached as early as can be.

The method carries, row by row, the latest start from which each level has been reached: a later start reaches
nothing earlier and its window ends later, so no other start need be remembered. Rows that can no longer add to any
attempt are dropped after every level.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import combinations
from typing import Any

import ibis

from engine.config.journeys import JourneySettings, StepSettings
from journeys.event_log import EventLog, reaches

Kind = tuple[tuple[str, ...], tuple[str, ...]]
"""What reaches a step: event names and phases. Steps of one kind are reached by the same events."""

Rivals = dict[Kind, StepSettings]
"""Kinds of steps that compete for the same events, each with one step of the kind."""


def best(log: EventLog, journey: JourneySettings, as_of: datetime) -> Any:
    """Return one row per customer who reached the first step by as_of.

    Columns: customer_id, channel (of the first event), depth (deepest step, 1-based), entered_at, last_entry_at
    (latest first step, of whatever attempt), and reached_1 to reached_K, null beyond the depth.
    """
    events = log.step_events(journey, as_of)
    levels = _levels_of_tied_events if _share_events(journey.steps) else _levels_of_single_events
    reached = ibis.union(*levels(events, journey))
    return _best_of(reached, len(journey.steps))


def _share_events(steps: Sequence[StepSettings]) -> bool:
    return any(one.overlaps(other) for one, other in combinations(steps, 2))


def _in_window(rows: Any, start: Any, journey: JourneySettings) -> Any:
    return start.notnull() & (rows.at <= start + ibis.interval(seconds=journey.window_seconds))


def _level(rows: Any, level: int, start: Any, channel: Any = None) -> Any:
    """One row per arrival at a level: from which start, and when; the channel is known at the first only."""
    return rows.select(
        customer_id=rows.customer_id,
        level=ibis.literal(level, "int64"),
        start=start,
        at=rows.at,
        channel=ibis.null("string") if channel is None else channel,
    )


def _levels_of_single_events(events: Any, journey: JourneySettings) -> Iterator[Any]:
    """Yield the arrivals at each level when no event can reach two steps: rows in order of time, then step."""
    numbered = [(reaches(events, step), number) for number, step in enumerate(journey.steps, start=1)]
    marked = events.mutate(step=ibis.cases(*numbered, else_=None)).filter(ibis._.step.notnull())
    entries = marked.filter(marked.step == 1)
    yield _level(entries, 1, entries.at, entries.channel)

    rows = marked.select("customer_id", "at", "step")
    start = ibis.ifelse(rows.step == 1, rows.at, None)
    for level in range(2, len(journey.steps) + 1):
        so_far = ibis.window(group_by="customer_id", order_by=["at", "step"], preceding=None, following=0)
        rows = rows.mutate(start=start.max().over(so_far))
        rows = rows.filter(rows.step >= level, _in_window(rows, rows.start, journey))
        arrivals = rows.filter(rows.step == level)
        yield _level(arrivals, level, arrivals.start)
        start = ibis.ifelse(rows.step == level, rows.start, None)


def _levels_of_tied_events(events: Any, journey: JourneySettings) -> Iterator[Any]:
    """Yield the arrivals at each level when an event could reach several steps: one row per customer and instant.

    Within an instant an attempt may go on by several steps, as far as there are different events for them.
    """
    steps = journey.steps
    rivals = _rivals(steps)
    rows = _instants(events, steps[0], rivals)
    for level in range(1, len(steps) + 1):
        ways = [ibis.ifelse(_enough(rows, steps[:level], rivals), rows.at, None)]
        for below in range(1, level):
            start = rows[f"before_{below}"]
            possible = _enough(rows, steps[below:level], rivals) & _in_window(rows, start, journey)
            ways.append(ibis.ifelse(possible, start, None))
        rows = rows.mutate(start=ibis.greatest(*ways) if len(ways) > 1 else ways[0])
        earlier = ibis.window(group_by="customer_id", order_by="at", preceding=(None, 1))
        rows = rows.mutate(**{f"before_{level}": rows.start.max().over(earlier)})
        rows = rows.filter(rows.start.notnull() | _in_window(rows, rows[f"before_{level}"], journey))
        arrivals = rows.filter(rows.start.notnull())
        yield _level(arrivals, level, arrivals.start, arrivals.channel if level == 1 else None)


def _instants(events: Any, first: StepSettings, rivals: Sequence[Rivals]) -> Any:
    """One row per customer and instant, with the number of events that could serve each set of rivals."""
    served = {
        f"served_{number}": ibis.or_(*(reaches(events, step) for step in group.values())).cast("int64").sum()
        for number, group in enumerate(rivals)
    }
    channel = events.channel.min(where=reaches(events, first))
    return events.group_by("customer_id", "at").aggregate(channel=channel, **served)


def _enough(rows: Any, steps: Sequence[StepSettings], rivals: Sequence[Rivals]) -> Any:
    """Whether an instant holds a different event for each of the steps (Hall's marriage condition)."""
    kinds = [_kind(step) for step in steps]
    conditions = [
        rows[f"served_{number}"] >= sum(kind in group for kind in kinds)
        for number, group in enumerate(rivals)
        if group.keys() <= set(kinds)
    ]
    return ibis.and_(*conditions)


def _kind(step: StepSettings) -> Kind:
    return tuple(sorted(set(step.events))), tuple(sorted(set(step.lifecycles)))


def _rivals(steps: Sequence[StepSettings]) -> list[Rivals]:
    """Return every set of kinds that hang together by overlaps; a set that falls apart adds no condition.

    Known limit: n different kinds that all overlap give 2^n - 1 sets; journeys have two or three such kinds.
    """
    kinds = list({_kind(step): step for step in steps}.items())
    groups = [dict(group) for size in range(1, len(kinds) + 1) for group in combinations(kinds, size)]
    return [group for group in groups if _linked(list(group.values()))]


def _linked(group: Sequence[StepSettings]) -> bool:
    linked, rest = {0}, set(range(1, len(group)))
    while near := {one for one in rest if any(group[one].overlaps(group[other]) for other in linked)}:
        linked |= near
        rest -= near
    return not rest


def _best_of(reached: Any, depth: int) -> Any:
    """Reduce the arrivals to the best attempt of each customer.

    A step of the best attempt is reached at the first arrival from its start or a later one: a later start never
    arrives earlier, so that is the earliest time from its own start.
    """
    levels = range(1, depth + 1)
    starts = reached.group_by("customer_id").aggregate(
        **{f"start_{level}": reached.start.max(where=reached.level == level) for level in levels}
    )
    best_start = starts.select(
        "customer_id",
        depth=sum(starts[f"start_{level}"].notnull().cast("int64") for level in levels),
        entered_at=ibis.coalesce(*(starts[f"start_{level}"] for level in reversed(levels))),
        last_entry_at=starts.start_1,
    )
    path = reached.join(best_start, "customer_id")
    path = path.filter(path.start >= path.entered_at)
    return path.group_by("customer_id").aggregate(
        channel=path.channel.min(where=(path.level == 1) & (path.at == path.entered_at)),
        depth=path.depth.max(),
        entered_at=path.entered_at.max(),
        last_entry_at=path.last_entry_at.max(),
        **{f"reached_{level}": path.at.min(where=path.level == level) for level in levels},
    )
