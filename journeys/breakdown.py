"""Which group a customer, or an attempt, belongs to when an attribute changes on the way.

FIRST and LAST give every attempt one group: the first or last value known among its own events, in the order of the
steps; a customer without an attempt has that of all events read. Their groups add up to the whole. STEP recomputes
the funnel for every value with one step's events narrowed to it, ALL with every event narrowed to it (the property
is held constant): a customer can then stand in several groups, which the results say. When the smaller values of ALL
are put together as "other", a customer counts once for each of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import numpy as np

from journeys import attempts, instants, slices
from journeys.attempts import Attempts
from journeys.histories import NOTHING, Coded, Codes, Histories, Ints
from journeys.spec import Funnel, Step

UNKNOWN: Final = "unknown"
"""The group of those of whom the attribute says nothing."""

OTHER: Final = "other"
"""The group of all values beyond the largest; a value that is itself called so joins it."""

LIMIT: Final = 25
"""Groups shown by name unless told otherwise."""

_HELD: Final = "\0held"
_YES: Final = "yes"


class Attribution(StrEnum):
    """Whose value counts when it changes on the way."""

    FIRST = "first"
    LAST = "last"
    STEP = "step"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """Break a funnel down by an attribute of its events.

    step : from 1, whose event's value counts; with STEP only.
    named : the values that have a group of their own, all others going to "other"; None: every value. With STEP
        only, where every group is computed for itself; the groups of the others are put together when counted.
    """

    attribute: str
    attribution: Attribution = Attribution.FIRST
    step: int | None = None
    named: tuple[str, ...] | None = None

    @property
    def groups_overlap(self) -> bool:
        """Whether a customer can stand in several groups."""
        return self.attribution in (Attribution.STEP, Attribution.ALL)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grouped:
    """Customers, their attempts, and the group of each: codes into `groups`.

    A customer who stands in several groups is in `histories` once for each.
    """

    histories: Histories
    attempts: Attempts
    groups: tuple[str, ...]
    of_customer: Codes
    of_attempt: Codes


def everybody(histories: Histories, funnel: Funnel) -> Grouped:
    """Return all customers as one group, "all"."""
    found = attempts.find(histories, funnel)
    nobody_apart = np.zeros(len(histories), dtype=np.int32)
    return Grouped(
        histories=histories,
        attempts=found,
        groups=("all",),
        of_customer=nobody_apart,
        of_attempt=nobody_apart[found.customer],
    )


def grouped(histories: Histories, funnel: Funnel, breakdown: Breakdown) -> Iterator[Grouped]:
    """Yield the customers with their attempts and groups; in several pieces where they have to be copied."""
    if breakdown.attribution is Attribution.ALL:
        yield _held_constant(histories, funnel, breakdown.attribute)
    elif breakdown.attribution is Attribution.STEP:
        yield from _by_step(histories, funnel, breakdown)
    else:
        yield _by_own_value(histories, funnel, breakdown)


def values_at_step(histories: Histories, funnel: Funnel, breakdown: Breakdown) -> dict[str, int]:
    """Return how many customers have an event of the step with each value; what to name is chosen from these.

    Only events that can reach the step count, so that a value frequent elsewhere takes no place.
    """
    column = histories.attributes[breakdown.attribute]
    pairs = _customers_and_codes(histories, _step(funnel, breakdown), column.codes)
    codes = pairs[1][pairs[1] >= 0]
    counts = np.bincount(codes, minlength=len(column.values))
    return {value: int(count) for value, count in zip(column.values, counts, strict=True) if count}


def _by_own_value(histories: Histories, funnel: Funnel, breakdown: Breakdown) -> Grouped:
    column = histories.attributes[breakdown.attribute]
    found = attempts.find(histories, funnel)
    last = breakdown.attribution is Attribution.LAST
    of_attempt = _value_of_attempts(found, column.codes, last)
    of_customer = _value_of_customers(histories, column.codes, last)
    # of several attempts the first or the last one says where the customer belongs
    of_customer[found.customer if last else found.customer[::-1]] = of_attempt if last else of_attempt[::-1]
    unknown = len(column.values)
    return Grouped(
        histories=histories,
        attempts=found,
        groups=(*column.values, UNKNOWN),
        of_customer=_or_unknown(of_customer, unknown),
        of_attempt=_or_unknown(of_attempt, unknown),
    )


def _value_of_attempts(found: Attempts, codes: Codes, last: bool) -> Codes:
    """Return the first or last known code among the events of each attempt, in the order of the steps."""
    chosen = np.full(len(found.customer), NOTHING, dtype=np.int32)
    steps = range(found.row.shape[1])
    for step in reversed(steps) if last else steps:
        row = found.row[:, step]
        open_yet = np.flatnonzero((chosen == NOTHING) & (row >= 0))
        chosen[open_yet] = codes[row[open_yet]]
    return chosen


def _value_of_customers(histories: Histories, codes: Codes, last: bool) -> Codes:
    chosen = np.full(len(histories), NOTHING, dtype=np.int32)
    known = np.flatnonzero(codes >= 0)
    # written in order, the last assignment stays: so the first value is that of the reversed order
    in_order = known if last else known[::-1]
    chosen[histories.owners()[in_order]] = codes[in_order]
    return chosen


def _or_unknown(codes: Codes, unknown: int) -> Codes:
    return np.where(codes >= 0, codes, unknown).astype(np.int32)


def _held_constant(histories: Histories, funnel: Funnel, attribute: str) -> Grouped:
    """Treat every customer and value as a customer of its own, who has only the events with that value."""
    column = histories.attributes[attribute]
    unknown = len(column.values)
    code = _or_unknown(column.codes, unknown)
    pair = histories.owners().astype(np.int64) * (unknown + 1) + code
    order = np.argsort(pair, kind="stable")
    keys, starts = np.unique(pair[order], return_index=True)
    split = Histories(
        ids=histories.ids.take(keys // (unknown + 1)),
        starts=np.append(starts, len(order)).astype(np.int64),
        at=histories.at[order],
        event=histories.event.take(order),
        attributes={name: values.take(order) for name, values in histories.attributes.items()},
    )
    of_customer = (keys % (unknown + 1)).astype(np.int32)
    found = attempts.find(split, funnel)
    return Grouped(
        histories=split,
        attempts=found,
        groups=(*column.values, UNKNOWN),
        of_customer=of_customer,
        of_attempt=of_customer[found.customer],
    )


def _by_step(histories: Histories, funnel: Funnel, breakdown: Breakdown) -> Iterator[Grouped]:
    """Copy every customer once for each value of the step's events, and narrow the step to it."""
    step = _step(funnel, breakdown)
    column, groups = _named(histories.attributes[breakdown.attribute], breakdown.named)
    customers, codes = _customers_and_codes(histories, step, column)
    without = np.setdiff1d(np.arange(len(histories)), customers)
    unknown = len(groups) - 1
    customers = np.concatenate([customers, without])
    codes = np.concatenate([_or_unknown(codes, unknown), np.full(len(without), unknown)]).astype(np.int32)
    narrowed = _narrowed(funnel, breakdown)
    begins, ends = histories.starts[customers], histories.starts[customers + 1]
    for piece in slices.pieces(ends - begins):
        copies, rows = slices.copied(histories, customers[piece], begins[piece], ends[piece])
        code = _or_unknown(column[rows], unknown)
        held = (code == np.repeat(codes[piece], np.diff(copies.starts))).astype(np.int32)
        marked = replace(copies, attributes={**copies.attributes, _HELD: Coded(codes=held, values=("no", _YES))})
        found = attempts.find(marked, narrowed)
        yield Grouped(
            histories=copies,
            attempts=found,
            groups=groups,
            of_customer=codes[piece],
            of_attempt=codes[piece][found.customer],
        )


def _step(funnel: Funnel, breakdown: Breakdown) -> Step:
    if breakdown.step is None or not 1 <= breakdown.step <= len(funnel.steps):
        raise ValueError(f"step {breakdown.step}: expected one from 1 to {len(funnel.steps)}")
    return funnel.steps[breakdown.step - 1]


def _narrowed(funnel: Funnel, breakdown: Breakdown) -> Funnel:
    step = _step(funnel, breakdown)
    held = replace(step, where={**step.where, _HELD: (_YES,)})
    # by its number: two steps may be of one kind
    steps = (held if number == breakdown.step else one for number, one in enumerate(funnel.steps, start=1))
    return replace(funnel, steps=tuple(steps))


def _named(column: Coded, named: Sequence[str] | None) -> tuple[Codes, tuple[str, ...]]:
    """Return each row's code and the groups; "unknown" is the last, and "other" before it where some are named."""
    if named is None:
        return column.codes, (*column.values, UNKNOWN)
    own = [value for value in named if value != OTHER]
    places = {value: place for place, value in enumerate(own)}
    mapped = np.array([places.get(value, len(own)) for value in column.values] + [NOTHING], dtype=np.int32)
    return mapped[column.codes], (*own, OTHER, UNKNOWN)


def _customers_and_codes(histories: Histories, step: Step, codes: Codes) -> tuple[Ints, Codes]:
    """Return the different pairs of customer and code, missing included, among the events that reach a step."""
    rows = instants.of(histories, [instants.kind_of(step)]).rows
    width = int(codes.max(initial=NOTHING)) + 2
    pairs = np.unique(histories.owners()[rows].astype(np.int64) * width + codes[rows] + 1)
    return pairs // width, (pairs % width - 1).astype(np.int32)
