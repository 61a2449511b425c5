"""How long cases take, where they wait, and what is done again.

Events of one activity with the phases start and complete are paired within a case: each completion with the earliest
start not yet completed. The time between them is service; the time before a start, since the latest event of the case
at an earlier instant or the same one, is waiting. An event without such a pair takes no time: all the time before it is
waiting. Other phases, such as schedule, are events of the case like any other and end a wait.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.numerics.ratios import mean
from journeys import histories, sums
from journeys.histories import Histories, Ints

LIFECYCLE: Final = "lifecycle"

SECONDS_PER_DAY: Final = 86_400

PERCENTILES: Final = {"p05": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99}

COUNTED: Final = pa.schema(
    [
        ("activity", pa.string()),
        ("cases", pa.int64()),
        ("events", pa.int64()),
        ("cases_with_repeats", pa.int64()),
        ("repeats", pa.int64()),
        ("waiting", sums.NUMBERS),
        ("service", sums.NUMBERS),
        ("duration", sums.NUMBERS),
    ]
)
"""A block's counts: one row per activity, and one without an activity for the cases, whose `duration` is their own.

waiting, service : microseconds, sorted; one wait per occurrence that is not the first event of its case, one service
per pair of start and complete.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """A distribution of times in seconds; percentiles between two values in proportion. None without any value."""

    count: int
    mean_seconds: float | None
    percentiles_seconds: Mapping[str, float] | None
    total_days: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityTimes:
    """One activity. occurrences : completed ones, or all events where the log has no phases.

    cases_with_repeats : cases in which it occurs more than once; repeats : occurrences beyond the first of each case.
    waiting_share : of the time that all cases waited.
    """

    activity: str
    cases: int
    occurrences: int
    cases_with_repeats: int
    repeats: int
    waiting: Times
    waiting_share: float | None
    service: Times


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """All cases: how long they took from first to last event, and the activities, most total waiting first."""

    cases: int
    events: int
    duration: Times
    cases_with_repeats: int
    activities: tuple[ActivityTimes, ...]


def count(block: pa.Table, *, phases: bool) -> pa.Table:
    """Count a block of events; `phases` says that it has the attribute `LIFECYCLE`."""
    people = histories.of(block)
    events = _Occurrences.of(people, phases=phases)
    n_values = len(people.event.values)
    pair = events.owner.astype(np.int64) * max(n_values, 1) + events.activity
    pairs, in_case = np.unique(pair, return_counts=True)
    activity = pairs % max(n_values, 1)
    lasted = (people.at[people.starts[1:] - 1] - people.at[np.minimum(people.starts[:-1], people.n_events - 1)])[
        np.diff(people.starts) > 0
    ] if people.n_events else np.zeros(0, dtype=np.int64)  # fmt: skip
    again = np.unique(pairs[in_case > 1] // max(n_values, 1))
    whole = {
        "activity": [None],
        "cases": [len(lasted)],
        "events": [people.n_events],
        "cases_with_repeats": [len(again)],
        "repeats": [int((in_case - 1).sum())],
        "waiting": [[]],
        "service": [[]],
        "duration": _numbers(np.zeros(len(lasted), dtype=np.int64), lasted, 1),
    }
    each = {
        "activity": list(people.event.values),
        "cases": np.bincount(activity, minlength=n_values),
        "events": np.bincount(activity, weights=in_case, minlength=n_values).astype(np.int64),
        "cases_with_repeats": np.bincount(activity[in_case > 1], minlength=n_values),
        "repeats": np.bincount(activity, weights=in_case - 1, minlength=n_values).astype(np.int64),
        "waiting": _numbers(events.activity[events.waited >= 0], events.waited[events.waited >= 0], n_values),
        "service": _numbers(events.activity[events.served >= 0], events.served[events.served >= 0], n_values),
        "duration": _numbers(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), n_values),
    }
    return pa.concat_tables([_table(whole), _table(each)])


def _table(columns: Mapping[str, object]) -> pa.Table:
    return pa.table({field.name: pa.array(columns[field.name], field.type) for field in COUNTED}, schema=COUNTED)


def _numbers(group: Ints, values: Ints, n_groups: int) -> pa.LargeListArray:
    """Return the values of each group, sorted."""
    order = np.lexsort((values, group))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(group, minlength=n_groups))])
    return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), pa.array(values[order], pa.int64()))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Occurrences:
    """Occurrences of activities. waited : microseconds before it, -1 for the first event of a case; served : -1 where
    no start is known."""

    owner: Ints
    activity: Ints
    waited: Ints
    served: Ints

    @classmethod
    def of(cls, people: Histories, *, phases: bool) -> _Occurrences:
        owner = people.owners().astype(np.int64)
        activity = people.event.codes.astype(np.int64)
        before = np.full(people.n_events, -1, dtype=np.int64)
        inner = np.flatnonzero(~people.first_of_customer())
        before[inner] = people.at[inner] - people.at[inner - 1]
        if not phases:
            none = np.full(people.n_events, -1, dtype=np.int64)
            return cls(owner=owner, activity=activity, waited=before, served=none)
        phase = people.attributes[LIFECYCLE]
        names = np.array([*(value.lower() for value in phase.values), ""])
        word = names[phase.codes]
        starts, ends = np.flatnonzero(word == "start"), np.flatnonzero((word == "complete") | (word == ""))
        begun = _paired(owner, activity, starts, ends)
        first = np.where(begun >= 0, begun, ends)
        served = np.where(begun >= 0, people.at[ends] - people.at[begun], -1)
        return cls(owner=owner[ends], activity=activity[ends], waited=before[first], served=served)


def _paired(owner: Ints, activity: Ints, starts: Ints, ends: Ints) -> Ints:
    """Return the start of each end, -1 without one: of each case and activity the earliest not yet ended.

    Events are queued per case and activity: an end takes the oldest start that waits, none when the queue is empty.
    """
    rows = np.concatenate([starts, ends])
    is_end = np.concatenate([np.zeros(len(starts), dtype=np.int64), np.ones(len(ends), dtype=np.int64)])
    # stable in the order of the log within each case and activity
    order = np.lexsort((rows, activity[rows], owner[rows]))
    row, end = rows[order], is_end[order] == 1
    new = np.ones(len(row), dtype=np.bool_)
    new[1:] = (owner[row][1:] != owner[row][:-1]) | (activity[row][1:] != activity[row][:-1])
    group = np.cumsum(new) - 1
    # the queue's length, were it let below zero; an end that sets a new low finds the queue empty
    level = np.cumsum(np.where(end, -1, 1))
    base = np.append(0, level)[np.flatnonzero(new)][group] if len(row) else level
    level = level - base
    low = _running_minimum(np.minimum(level, 0), group)
    floor = np.where(new, 0, np.append(0, low)[: len(low)])
    served = end & (level >= floor)
    begun = np.full(len(row), -1, dtype=np.int64)
    # the n-th end that is served takes the n-th start of its group
    nth_start = _counted_in_group(~end, group)
    nth_served = _counted_in_group(served, group)
    place = {"start": np.flatnonzero(~end), "served": np.flatnonzero(served)}
    key = np.int64(len(row) + 1)
    start_keys = group[place["start"]] * key + nth_start[place["start"]]
    wanted = group[place["served"]] * key + nth_served[place["served"]]
    begun[place["served"]] = row[place["start"][np.searchsorted(start_keys, wanted)]]
    found = np.full(int(row.max(initial=-1)) + 1, -1, dtype=np.int64)
    found[row] = begun
    return found[ends] if len(ends) else np.zeros(0, dtype=np.int64)


def _counted_in_group(marks: NDArray[np.bool_], group: Ints) -> Ints:
    """Return how many marks there are in each group up to each place, itself included."""
    total = np.cumsum(marks)
    before = np.zeros(int(group.max(initial=-1)) + 1, dtype=np.int64)
    first = np.flatnonzero(np.diff(group, prepend=-1))
    before[group[first]] = total[first] - marks[first]
    return np.asarray(total - before[group], dtype=np.int64)


def _running_minimum(values: Ints, group: Ints) -> Ints:
    """Return the least value of each group up to each place; values are at most 0 and groups in order."""
    # every later group is lowered by more than any value, so that what came before it never matters
    depth = int(values.min(initial=0)) - 1
    lowered = np.minimum.accumulate(values + group * depth)
    return np.asarray(lowered - group * depth, dtype=np.int64)


def summarise(counted: pa.Table) -> Throughput:
    """Sum up the rows of `COUNTED` of all blocks."""
    numbers = ["cases", "events", "cases_with_repeats", "repeats"]
    rows = sums.added(counted, ["activity"], numbers, ["waiting", "service", "duration"])
    whole = rows.slice(0, 1)
    activities = rows.filter(pc.is_valid(rows.column("activity")))
    waited = _times(activities.column("waiting"))
    served = _times(activities.column("service"))
    total = sum(one.total_days for one in waited)
    found = [
        ActivityTimes(
            activity=row["activity"],
            cases=row["cases"],
            occurrences=row["events"],
            cases_with_repeats=row["cases_with_repeats"],
            repeats=row["repeats"],
            waiting=waiting,
            waiting_share=waiting.total_days / total if total else None,
            service=service,
        )
        for row, waiting, service in zip(
            activities.select(["activity", *numbers]).to_pylist(), waited, served, strict=True
        )
    ]
    facts = whole.select(numbers).to_pylist()[0]
    return Throughput(
        cases=facts["cases"],
        events=facts["events"],
        duration=_times(whole.column("duration"))[0],
        cases_with_repeats=facts["cases_with_repeats"],
        activities=tuple(sorted(found, key=lambda one: (-one.waiting.total_days, one.activity))),
    )


def _times(lists: pa.ChunkedArray) -> list[Times]:
    array = lists.combine_chunks()
    array = array if isinstance(array, pa.Array) else pa.concat_arrays(array.chunks)
    bounds = np.asarray(array.offsets, dtype=np.int64)
    values = np.asarray(array.values, dtype=np.float64)
    totals = np.add.reduceat(np.append(values, 0.0), bounds[:-1]) if len(bounds) > 1 else np.zeros(0)
    totals = np.where(np.diff(bounds) > 0, totals, 0.0) * sums.SECONDS
    marks = sums.quantiles(array, tuple(PERCENTILES.values())) * sums.SECONDS
    return [
        Times(
            count=int(n),
            mean_seconds=mean(float(total), int(n)) if n else None,
            percentiles_seconds=dict(zip(PERCENTILES, quantiles.tolist(), strict=True)) if n else None,
            total_days=float(total) / SECONDS_PER_DAY,
        )
        for n, total, quantiles in zip(np.diff(bounds), totals, marks, strict=True)
    ]
