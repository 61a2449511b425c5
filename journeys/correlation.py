"""Which attributes, and which other events on the way, go with converting more or less often.

An association is not a cause: it says where to look. Three things make it honest.

What is known only after the decision does not count. Whoever takes long to decide has more time to do anything at
all, so events would seem to keep customers from converting merely because converting ends the wait. Therefore the
time after the step is cut into intervals; within each, those who had done it before the interval began are compared
with those who had not, among all still undecided; the intervals are pooled (Mantel and Haenszel). Whoever does it
later in the interval counts as not having done it: an effect is understated a little, never made up.

An event that the flow forces on one side, or forbids it, tells nothing of behaviour: it is flagged `structural`.

Many are looked at: the p-values are adjusted for all of them (Benjamini and Hochberg).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.stats import norm

from engine.numerics.multiplicity import benjamini_hochberg
from engine.numerics.ratios import or_none, ratio
from journeys import breakdown, conversion_times, differences, histories, slices
from journeys import outcomes as tables
from journeys.breakdown import UNKNOWN, Grouped
from journeys.conversion_times import Watch
from journeys.histories import Codes, Ints
from journeys.outcomes import Outcomes
from journeys.spec import Funnel, WindowFrom

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SCHEMA: Final = pa.schema(
    [
        ("attribute", pa.string()),
        ("value", pa.string()),
        ("stratum", pa.int64()),
        ("converted", pa.int64()),
        ("total", pa.int64()),
    ]
)
"""Additive counts of a block: of those with a value in a stratum, how many there are and how many converted there.

`attribute` null: an event, `value` its name. `value` null: everybody. `stratum` -1: of the whole time, by whether it
ever happened before the decision.
"""

LEAST: Final = 25
"""The smallest group, with a value or without it, of which anything is said."""

SKEW: Final = 10
"""One side so many times as large as the other makes every estimate rest on few."""

INTERVALS: Final = 20

_SECOND: Final = 1_000_000
_EVER: Final = -1
_NO_ODDS: Final = "all or none of one side have it, so no odds can be compared"
# a share within one in a hundred of all or none, on one side only, is the flow's doing rather than the customers'
_NEARLY, _APART = 0.01, 0.10


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Of those who reach one step, who goes on to the other, both numbered from 1; and what may go with it.

    attributes : read at the event that reached the first of the steps.
    bounds_us : where the intervals of time begin, ascending from 0; empty: events are not looked at.
    """

    from_step: int
    to_step: int
    attributes: tuple[str, ...] = ()
    bounds_us: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """How a value of an attribute, or an event (`attribute` None), goes with converting.

    with_it, converted_with_it : how many have it, and how many of these converted; the same for those without.
    share_of_converted, share_of_others : how many on each side have it.
    odds_ratio : above 1: goes with converting; None, with a reason, when one cell is empty.
    lower, upper : its 95 % interval, by Robins, Breslow and Greenland.
    risk_difference : in the share that converts; of events, within an interval of time.
    structural : nearly all or none of one side have it: the flow forces it.
    """

    attribute: str | None
    value: str
    with_it: int
    converted_with_it: int
    without_it: int
    converted_without_it: int
    share_of_converted: float | None
    share_of_others: float | None
    odds_ratio: float | None
    lower: float | None
    upper: float | None
    risk_difference: float | None
    p_value: float | None
    p_benjamini_hochberg: float | None
    structural: bool
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """All signals, those that go furthest from chance first.

    converted, others : those whose time is over; whoever is still on the way is not among them.
    left_out : values and events of fewer than `LEAST` with or without them.
    warning : that one side is far smaller than the other.
    """

    converted: int
    others: int
    signals: tuple[Signal, ...]
    left_out: int
    warning: str | None


def bounds(outcomes: Outcomes, from_step: int, to_step: int) -> tuple[int, ...]:
    """Cut the time after a step so that as many convert in one interval as in another; microseconds from 0."""
    waits = tables.waits(outcomes, from_step, to_step) * _SECOND
    if not len(waits):
        return ()
    cuts = np.unique(np.round(np.quantile(waits, np.arange(1, INTERVALS) / INTERVALS)).astype(np.int64))
    return (0, *(int(cut) for cut in cuts if cut > 0))


def rows(block: pa.Table, *, funnel: Funnel, question: Question, as_of: datetime) -> pa.Table:
    """Return the counts of a block of all events of its customers; blocks add up."""
    piece = breakdown.everybody(histories.of(block), funnel)
    standing = tables.of(tables.rows_of(piece, funnel), funnel, as_of)
    n = len(piece.attempts.customer)
    standing = standing.where(np.arange(len(standing)) < n)
    parts = [SCHEMA.empty_table(), *_attributes(piece, standing, question)]
    if question.bounds_us:
        parts += _events(piece, standing, question)
    return pa.concat_tables(parts)


def of(table: pa.Table) -> Correlation:
    """Put the rows of all blocks together."""
    summed = table.group_by(["attribute", "value", "stratum"]).aggregate([("converted", "sum"), ("total", "sum")])
    cells: dict[tuple[str | None, str | None], dict[int, tuple[int, int]]] = {}
    for row in summed.to_pylist():
        key = (row["attribute"], row["value"])
        cells.setdefault(key, {})[row["stratum"]] = (row["converted_sum"], row["total_sum"])
    everybody = {attribute: strata for (attribute, value), strata in cells.items() if value is None}
    whole = next(iter(everybody.values()), {}).get(_EVER, (0, 0))
    found, left_out = [], 0
    for (attribute, value), strata in cells.items():
        if value is None:
            continue
        if _small(strata, everybody[attribute]):
            left_out += 1
        else:
            found.append(_signal(attribute, value, strata, everybody[attribute]))
    p_values = [math.nan if one.p_value is None else one.p_value for one in found]
    told = [
        replace(one, p_benjamini_hochberg=or_none(p))
        for one, p in zip(found, benjamini_hochberg(p_values), strict=True)
    ]
    told.sort(key=lambda one: (one.p_value is None, one.p_value or 0.0, one.attribute or "", one.value))
    return Correlation(
        converted=whole[0],
        others=whole[1] - whole[0],
        signals=tuple(told),
        left_out=left_out,
        warning=_skewed(*whole),
    )


def _skewed(converted: int, total: int) -> str | None:
    fewer, more = sorted((converted, total - converted))
    if more <= SKEW * fewer:
        return None
    side = "converted" if converted == fewer else "did not convert"
    return f"only {fewer} of {total} {side}: every estimate rests on these few"


def _attributes(piece: Grouped, standing: Outcomes, question: Question) -> list[pa.Table]:
    """Count the values of the attributes among those whose time is over."""
    over = standing.reached(question.from_step) & standing.mature
    went_on = standing.reached(question.to_step)[over]
    row = piece.attempts.row[over, question.from_step - 1]
    parts = []
    for name in question.attributes:
        column = piece.histories.attributes[name]
        code = np.where(row >= 0, column.codes[row], -1)
        code = np.where(code >= 0, code, len(column.values))
        parts += _both(name, (*column.values, UNKNOWN), code, went_on, _EVER)
        parts.append(_row(name, None, _EVER, int(went_on.sum()), len(went_on)))
    return parts


def _events(piece: Grouped, standing: Outcomes, question: Question) -> list[pa.Table]:
    """Count, per interval of time, the undecided by what they had done before it began, and who decided in it."""
    funnel, people = standing.funnel, piece.histories
    came = np.flatnonzero(standing.reached(question.from_step))
    watch = conversion_times.watched(standing, question.from_step, question.to_step)
    lasted = _lasted(standing, came, question, watch)
    attempt, code, since = _first_times(piece, came, standing.at[came, question.from_step - 1], lasted, funnel)
    names, parts = people.event.values, []
    edges = [*question.bounds_us, np.iinfo(np.int64).max]
    for stratum, (begin, end) in enumerate(pairwise(edges)):
        decided = watch.went_on & (lasted >= begin) & (lasted < end)
        # who left the watch within the interval might have decided in the rest of it
        at_risk = (lasted >= begin) & ~(watch.still_open & (lasted < end))
        before = (since < begin) & at_risk[attempt]
        parts += _both(None, names, code[before], decided[attempt[before]], stratum)
        parts.append(_row(None, None, stratum, int(decided.sum()), int(at_risk.sum())))
    over = standing.mature[came]
    parts += _both(None, names, code[over[attempt]], watch.went_on[attempt[over[attempt]]], _EVER)
    parts.append(_row(None, None, _EVER, int(watch.went_on[over].sum()), int(over.sum())))
    return parts


def _lasted(standing: Outcomes, came: Ints, question: Question, watch: Watch) -> Ints:
    """Return for how long each was undecided, in microseconds; for those who never went on, until time ran out."""
    lasted = np.round(watch.seconds * _SECOND).astype(np.int64)
    if standing.funnel.window_from is WindowFrom.PREVIOUS:
        return lasted
    left = standing.at[came, 0] - standing.at[came, question.from_step - 1] + standing.window_us
    return np.where(watch.went_on, lasted, np.minimum(lasted, left))


def _first_times(piece: Grouped, came: Ints, at_step: Ints, lasted: Ints, funnel: Funnel) -> tuple[Ints, Codes, Ints]:
    """Return when each attempt first had each event after the step and strictly before the decision.

    One place per attempt (its place in `came`) and event that is not of the funnel: attempt, code of the event,
    microseconds since the step.
    """
    people, owners = piece.histories, piece.attempts.customer[came]
    other = ~np.isin(people.event.values, [name for step in funnel.steps for name in step.events])
    other &= ~np.isin(people.event.values, [name for one in funnel.exclusions for name in one.events])
    begins = slices.ends(people, owners, at_step)
    sizes = np.maximum(slices.ends(people, owners, at_step + lasted - 1) - begins, 0)
    found = [(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int64))]
    for part in slices.pieces(sizes):
        attempt = np.repeat(np.arange(part.start, part.stop), sizes[part])
        row = np.repeat(begins[part] - np.cumsum(sizes[part]) + sizes[part], sizes[part]) + np.arange(len(attempt))
        kept = other[people.event.codes[row]]
        attempt, row = attempt[kept], row[kept]
        # rows are in order of time: the first of a pair is the earliest
        _, first = np.unique(attempt * len(other) + people.event.codes[row], return_index=True)
        attempt, row = attempt[first], row[first]
        found.append((attempt, people.event.codes[row], people.at[row] - at_step[attempt]))
    attempts, codes, since = (np.concatenate(column) for column in zip(*found, strict=True))
    return attempts, codes, since


def _both(
    attribute: str | None, values: Sequence[str], code: Codes | Ints, went_on: Bools, stratum: int
) -> list[pa.Table]:
    """Count each value that occurs: how many have it, and how many of these converted."""
    total = np.bincount(code, minlength=len(values))
    converted = np.bincount(code[went_on], minlength=len(values))
    there = np.flatnonzero(total)
    columns = {
        "attribute": pa.array([attribute] * len(there), pa.string()),
        "value": pa.array(values, pa.string()).take(there),
        "stratum": np.full(len(there), stratum),
        "converted": converted[there],
        "total": total[there],
    }
    return [pa.table(columns, schema=SCHEMA)]


def _row(attribute: str | None, value: str | None, stratum: int, converted: int, total: int) -> pa.Table:
    return pa.table([[attribute], [value], [stratum], [converted], [total]], schema=SCHEMA)


Strata = Mapping[int, tuple[int, int]]
"""Converted and total, by stratum."""


def _small(strata: Strata, everybody: Strata) -> bool:
    with_it, total = strata.get(_EVER, (0, 0))[1], everybody[_EVER][1]
    return min(with_it, total - with_it) < LEAST


def _signal(attribute: str | None, value: str, strata: Strata, everybody: Strata) -> Signal:
    converted_with, with_it = strata[_EVER]
    all_converted, total = everybody[_EVER]
    converted_without, without_it = all_converted - converted_with, total - with_it
    of_converted = ratio(converted_with, all_converted)
    of_others = ratio(with_it - converted_with, total - all_converted)
    estimate = pooled(_tables(strata, everybody, over_time=attribute is None))
    p_value = estimate.p_value
    if attribute is not None:
        p_value = differences.p_value(converted_with, with_it, converted_without, without_it)[0]
    return Signal(
        attribute=attribute,
        value=value,
        with_it=with_it,
        converted_with_it=converted_with,
        without_it=without_it,
        converted_without_it=converted_without,
        share_of_converted=or_none(of_converted),
        share_of_others=or_none(of_others),
        odds_ratio=or_none(estimate.odds_ratio),
        lower=or_none(estimate.lower),
        upper=or_none(estimate.upper),
        risk_difference=or_none(estimate.risk_difference),
        p_value=or_none(p_value),
        p_benjamini_hochberg=None,
        structural=is_structural(of_converted, of_others),
        reason=None if math.isfinite(estimate.odds_ratio) and estimate.odds_ratio > 0 else _NO_ODDS,
    )


def is_structural(share_of_converted: float, share_of_others: float) -> bool:
    """Whether nearly all or none of one side have it, and clearly not so of the other; false where a side is empty."""
    low, high = sorted((share_of_converted, share_of_others))
    if math.isnan(low) or math.isnan(high) or high - low < _APART:
        return False
    return low <= _NEARLY or high >= 1 - _NEARLY


def _tables(strata: Strata, everybody: Strata, *, over_time: bool) -> Floats:
    """Return one row per stratum: with it converted and not, without it converted and not."""
    rows = []
    for stratum, (all_converted, total) in sorted(everybody.items()):
        if (stratum != _EVER) == over_time:
            converted, with_it = strata.get(stratum, (0, 0))
            without = total - with_it
            rows.append(
                [converted, with_it - converted, all_converted - converted, without - all_converted + converted]
            )
    return np.array(rows, dtype=np.float64).reshape(-1, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """Estimates over strata; nan where they are undefined."""

    odds_ratio: float
    lower: float
    upper: float
    risk_difference: float
    p_value: float


def pooled(table: Floats) -> Pooled:
    """Pool fourfold tables: odds ratio and risk difference of Mantel and Haenszel.

    Parameters
    ----------
    table : per stratum those with it who converted and not, those without it who converted and not, shape (n, 4).

    References
    ----------
    Mantel and Haenszel (1959), JNCI 22, 719-748; interval: Robins, Breslow and Greenland (1986), Biometrics 42.
    """
    table = table[table.sum(axis=1) > 1]
    a, b, c, d = table.T
    n, with_it, without = a + b + c + d, a + b, c + d
    along, across = float((a * d / n).sum()), float((b * c / n).sum())
    weight = float((with_it * without / n).sum())
    variance = float((with_it * without * (a + c) * (b + d) / (n * n * (n - 1))).sum())
    surprise = float((a - with_it * (a + c) / n).sum())
    lower, upper = _interval(a, b, c, d, n) if along and across else (math.nan, math.nan)
    return Pooled(
        odds_ratio=ratio(along, across),
        lower=lower,
        upper=upper,
        risk_difference=ratio(along - across, weight),
        p_value=float(2 * norm.sf(abs(surprise) / math.sqrt(variance))) if variance else math.nan,
    )


def _interval(a: Floats, b: Floats, c: Floats, d: Floats, n: Floats) -> tuple[float, float]:
    along, across, same, other = a * d / n, b * c / n, (a + d) / n, (b + c) / n
    r, s = along.sum(), across.sum()
    variance = (
        (same * along).sum() / (2 * r * r)
        + (same * across + other * along).sum() / (2 * r * s)
        + (other * across).sum() / (2 * s * s)
    )
    half = float(norm.ppf(0.975)) * math.sqrt(variance)
    return float(r / s) * math.exp(-half), float(r / s) * math.exp(half)
