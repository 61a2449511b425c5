"""Outcomes: the attempts of all customers, from whatever block of the log, in one table.

Every count, time, trend, list of customers and test of a funnel reads this table, so that they agree. A block of the
log gives `rows`; the rows of all blocks together give `Outcomes`. Attempts are rows under Reentry.EVERY, customers
otherwise; a customer whom an exclusion dropped is a row that has reached no step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.numerics.ratios import or_none, ratio
from journeys import breakdown, histories
from journeys.attempts import MISSING
from journeys.breakdown import OTHER, UNKNOWN, Breakdown, Grouped
from journeys.calendar import microseconds
from journeys.histories import Codes, Ints
from journeys.spec import Funnel, Order, WindowFrom

Bools = NDArray[np.bool_]

ALL: Final = "all"
"""The one group where nothing is broken down."""

_SECOND: Final = 1_000_000


class Status(StrEnum):
    """How it went on for those who reached a step, as of a date."""

    REACHED = "reached"
    """All of them: converted, dropped and in progress."""

    CONVERTED = "converted"
    """Went on to the next required step; at the last step, completed the journey."""

    DROPPED = "dropped"
    """Stopped there and can no longer go on."""

    IN_PROGRESS = "in_progress"
    """Stopped there so far and still has time."""

    EXCLUDED = "excluded"
    """Counts at no step, because of an event between two of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCount:
    """One step: how many reached it, and how it went on; reached = converted + dropped + in_progress.

    Whoever did an optional step has stopped, if so, at the required step before it too. `share_of_previous` and
    `median_seconds_from_previous` are from the required step before. None where nobody reached what it is a share of.
    """

    name: str
    count: int
    share_of_first: float | None
    share_of_previous: float | None
    median_seconds_from_previous: float | None
    converted: int
    dropped: int
    in_progress: int
    optional: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcomes:
    """n attempts as of an instant; the arrays have one place per attempt.

    customers : ids as text.
    group : codes into `groups`; all 0 where nothing is broken down.
    cases : customers with any event that was read, per group.
    depth, at, open_until : as in `attempts.Attempts`; 0, nowhere and MISSING for the excluded. Of several attempts of
        a customer only the last can go on.
    as_of_us : microseconds since 1970 in UTC.
    """

    funnel: Funnel
    as_of_us: int
    customers: pa.Array
    groups: tuple[str, ...]
    group: Codes
    cases: Ints
    depth: Codes
    at: Ints
    open_until: Ints

    def __len__(self) -> int:
        """Return the number of attempts, those of the excluded among them."""
        return len(self.depth)

    @property
    def window_us(self) -> int:
        """The window in microseconds."""
        return round(self.funnel.window_seconds * _SECOND)

    @property
    def excluded(self) -> Bools:
        """Mark the rows of customers whom an exclusion dropped."""
        marks: Bools = self.depth == 0
        return marks

    @property
    def completed(self) -> Bools:
        """Mark the attempts that reached the last step."""
        marks: Bools = self.depth == len(self.funnel.steps)
        return marks

    @property
    def in_progress(self) -> Bools:
        """Mark the attempts that have not reached the last step and still have time, their window's edge included."""
        still: Bools = ~self.completed & ~self.excluded & (self.open_until >= self.as_of_us)
        return still

    @property
    def mature(self) -> Bools:
        """Mark the attempts that began so long ago that their time is over whether they completed or not."""
        entered = np.where(self.excluded, self.as_of_us, self.at[:, 0])
        return entered < self.as_of_us - longest_us(self.funnel)

    def reached(self, step: int) -> Bools:
        """Mark who reached a step, numbered from 1."""
        marks: Bools = self.at[:, step - 1] != MISSING
        return marks

    def having(self, step: int, status: Status) -> Bools:
        """Mark who reached a step, numbered from 1, and how it went on from there."""
        if status is Status.EXCLUDED:
            return self.excluded
        came = self.reached(step)
        if status is Status.REACHED:
            return came
        went_on = self.completed if step == len(self.funnel.steps) else self.depth > step
        if status is Status.CONVERTED:
            return came & went_on
        still = self.in_progress
        return came & ~went_on & (still if status is Status.IN_PROGRESS else ~still)

    def of_group(self, name: str) -> Outcomes:
        """Return one group's outcomes."""
        code = self.groups.index(name)
        kept = self.where(self.group == code)
        return replace(kept, groups=(name,), group=np.zeros_like(kept.group), cases=self.cases[code : code + 1])

    def where(self, rows: Bools) -> Outcomes:
        """Return the marked attempts; the groups stay."""
        return replace(
            self,
            customers=self.customers.filter(pa.array(rows)),
            group=self.group[rows],
            depth=self.depth[rows],
            at=self.at[rows],
            open_until=self.open_until[rows],
        )


def schema(funnel: Funnel) -> pa.Schema:
    """Return the columns of `rows`."""
    return pa.schema(
        [
            ("customer", pa.string()),
            ("group", pa.string()),
            ("customers", pa.int64()),
            ("depth", pa.int32()),
            ("open_until", pa.int64()),
            *((f"reached_{step}", pa.int64()) for step in range(1, len(funnel.steps) + 1)),
        ]
    )


def rows(block: pa.Table, *, funnel: Funnel, by: Breakdown | None = None) -> pa.Table:
    """Return the outcomes of a block of events as `EventLog.events` selects them.

    One row per attempt, with `customers` 0; one per excluded customer, with depth 0; and one per group without a
    customer, that counts the customers of the group in `customers`. Instants are microseconds since 1970 in UTC.
    """
    people = histories.of(block)
    pieces = [breakdown.everybody(people, funnel)] if by is None else breakdown.grouped(people, funnel, by)
    return pa.concat_tables([schema(funnel).empty_table(), *(rows_of(piece, funnel) for piece in pieces)])


def rows_of(piece: Grouped, funnel: Funnel) -> pa.Table:
    """Return the rows of one piece: its attempts in their order, then the excluded, then the groups' counts."""
    found, ids = piece.attempts, piece.histories.ids.cast(pa.string())
    counts = np.bincount(piece.of_customer, minlength=len(piece.groups))
    n_groups, n_excluded = int((counts > 0).sum()), len(found.excluded)
    no_customer = pa.nulls(n_groups, pa.string())
    code = np.concatenate([piece.of_attempt, piece.of_customer[found.excluded], np.flatnonzero(counts)])
    apart = np.full(n_excluded + n_groups, MISSING)
    last = np.append(found.customer[1:] != found.customer[:-1], True)[: len(found.customer)]
    columns = {
        "customer": pa.chunked_array([ids.take(found.customer), ids.take(found.excluded), no_customer]),
        "group": pa.array(piece.groups, pa.string()).take(code),
        "customers": np.concatenate([np.zeros(len(code) - n_groups, dtype=np.int64), counts[counts > 0]]),
        "depth": np.concatenate([found.depth, np.zeros(len(apart), dtype=np.int32)]),
        "open_until": np.concatenate([np.where(last, found.open_until, MISSING), apart]),
    }
    for place in range(len(funnel.steps)):
        columns[f"reached_{place + 1}"] = np.concatenate([found.at[:, place], apart])
    return pa.table(columns, schema=schema(funnel))


def of(table: pa.Table, funnel: Funnel, as_of: datetime, limit: int | None = None) -> Outcomes:
    """Put the rows of all blocks together.

    Parameters
    ----------
    limit : groups with a name of their own: those that most attempts entered, then by name; all others become
        "other". "unknown" keeps its name and does not count. None: every group keeps its name.
    """
    group, found = _encoded(table["group"])
    is_count = np.asarray(pc.is_null(table["customer"].combine_chunks()))
    attempt = np.flatnonzero(~is_count)
    depth = _ints(table["depth"])[attempt].astype(np.int32)
    entered = np.bincount(group[attempt][depth > 0], minlength=len(found))
    names = _ranked(dict(zip(found, entered.tolist(), strict=True)), limit)
    place = {name: code for code, name in enumerate(names)}
    code = np.array([place.get(name, place.get(OTHER, -1)) for name in found], dtype=np.int32)
    cases = np.zeros(len(names), dtype=np.int64)
    np.add.at(cases, code[group[is_count]], _ints(table["customers"])[is_count])
    # a row per step, since one step is read after the other
    at = np.empty((len(funnel.steps), len(attempt)), dtype=np.int64)
    for number, reached in enumerate(at, start=1):
        _ints(table[f"reached_{number}"]).take(attempt, out=reached, mode="clip")
    return Outcomes(
        funnel=funnel,
        as_of_us=microseconds(as_of),
        customers=table["customer"].combine_chunks().take(pa.array(attempt)),
        groups=names,
        group=code[group[attempt]],
        cases=cases,
        depth=depth,
        at=at.T,
        open_until=_ints(table["open_until"])[attempt],
    )


def _encoded(column: pa.ChunkedArray) -> tuple[Codes, list[str]]:
    encoded = column.combine_chunks().dictionary_encode()
    return np.asarray(encoded.indices), encoded.dictionary.to_pylist()


def _ranked(entered: dict[str, int], limit: int | None) -> tuple[str, ...]:
    """Return the names of the groups in their order, given how many attempts entered in each."""
    ranked = sorted(entered, key=lambda name: (name == UNKNOWN, name == OTHER, -entered[name], name))
    known = [name for name in ranked if name not in (OTHER, UNKNOWN)]
    last = [name for name in ranked if name in (OTHER, UNKNOWN)]
    if limit is not None and len(known) > limit:
        known = known[:limit]
        last = [OTHER, *(name for name in last if name != OTHER)]
    return (*known, *last)


def _ints(column: pa.ChunkedArray) -> Ints:
    whole: Ints = column.to_numpy().astype(np.int64, copy=False)
    return whole


def longest_us(funnel: Funnel) -> int:
    """Return how long an attempt can last from its entry, in microseconds."""
    required = sum(not step.optional for step in funnel.steps)
    windows = required - 1 if funnel.window_from is WindowFrom.PREVIOUS else 1
    return round(funnel.window_seconds * _SECOND) * windows


def step_before(funnel: Funnel, step: int) -> int | None:
    """Return the number of the required step before one, None for the first."""
    return next((number for number in range(step - 1, 0, -1) if not funnel.steps[number - 1].optional), None)


def counts(outcomes: Outcomes) -> tuple[StepCount, ...]:
    """Count the attempts at every step, whatever their group."""
    steps = outcomes.funnel.steps
    reached = [int(outcomes.reached(number).sum()) for number in range(1, len(steps) + 1)]
    return tuple(_count(outcomes, number, reached) for number in range(1, len(steps) + 1))


def _count(outcomes: Outcomes, number: int, reached: Sequence[int]) -> StepCount:
    funnel = outcomes.funnel
    before = step_before(funnel, number)
    converted, dropped, in_progress = (
        int(outcomes.having(number, status).sum()) for status in (Status.CONVERTED, Status.DROPPED, Status.IN_PROGRESS)
    )
    return StepCount(
        name=funnel.steps[number - 1].name if funnel.order is not Order.ANY else f"any {number} of {len(reached)}",
        count=reached[number - 1],
        share_of_first=or_none(ratio(reached[number - 1], reached[0])),
        share_of_previous=None if before is None else or_none(ratio(reached[number - 1], reached[before - 1])),
        median_seconds_from_previous=None if before is None else median(waits(outcomes, before, number)),
        converted=converted,
        dropped=dropped,
        in_progress=in_progress,
        optional=funnel.steps[number - 1].optional,
    )


def waits(outcomes: Outcomes, start: int, end: int) -> NDArray[np.float64]:
    """Return the seconds from one step to another of all who reached both, in no particular order."""
    both = outcomes.reached(start) & outcomes.reached(end)
    waited: NDArray[np.float64] = (outcomes.at[both, end - 1] - outcomes.at[both, start - 1]) / _SECOND
    return waited


def median(seconds: NDArray[np.float64]) -> float | None:
    """Return the median, None of nothing."""
    return float(np.median(seconds)) if len(seconds) else None
