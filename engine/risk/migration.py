"""How a portfolio moves: between tiers of two dates, through the buckets of days past due, and cohort by cohort.

The counting is done by the engine over whole tables; what comes back is a few rows, and the shares are made of those.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import ibis
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.stats import chi2

from engine.config.risk_oversight import MigrationSettings
from engine.lake.schema import instant
from engine.numerics.intervals import wilson
from engine.numerics.ratios import or_none, ratio

Floats = NDArray[np.float64]
Tables = Mapping[str, Any]

NEW: Final = "new"
LEFT: Final = "left"
CURRENT: Final = "current"


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """How many went from one state to another, and the share of all who were in the first, with its 95 % interval.

    `small` where so few were in it that the share says little.
    """

    origin: str
    target: str
    count: int
    of: int
    share: float | None
    lower: float | None
    upper: float | None
    small: bool

    def to_row(self) -> dict[str, Any]:
        """Return the move as a plain row."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkovCheck:
    """Whether where one goes next depends on where one is only: two steps at once against one step taken twice.

    gap : the largest difference of any share of two steps; None without moves of two steps.
    p_value : of the chi-square test that there is none; small where the past matters too, so that powers of the matrix
        should not be used to look ahead.
    """

    gap: float | None
    p_value: float | None
    steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Vintage:
    """The share of the loans of one cohort that had defaulted by a month on book.

    share : None while any loan of the cohort is younger, or was not observed for so long: an open cell, not a low one.
    """

    cohort: str
    month: int
    loans: int
    defaults: int | None
    share: float | None
    lower: float | None
    upper: float | None

    def to_row(self) -> dict[str, Any]:
        """Return the cell as a plain row."""
        return {name: getattr(self, name) for name in self.__slots__}


def tier_moves(before: Any, after: Any) -> Any:
    """Return origin, target and customers of two tables of customer_id and risk_tier; see NEW and LEFT."""
    old = before.select("customer_id", origin="risk_tier")
    now = after.select(customer="customer_id", target="risk_tier")
    joined = old.outer_join(now, old.customer_id == now.customer)
    told = joined.select(origin=joined.origin.fill_null(NEW), target=joined.target.fill_null(LEFT))
    return told.group_by("origin", "target").agg(count=told.count())


def roll_moves(delays: Any, settings: MigrationSettings) -> Any:
    """Return origin, target, third and rows, of each report of days past due followed by the customer's next two.

    `delays` has customer_id, at and days_past_due; a report without days counts for nothing. `third` is null where the
    customer has only one further report.
    """
    known = delays.filter(delays.days_past_due.notnull())
    held = known.select("customer_id", "at", origin=_bucket(known.days_past_due, settings))
    order = ibis.window(group_by=held.customer_id, order_by=held.at)
    followed = held.mutate(target=held.origin.lead(1).over(order), third=held.origin.lead(2).over(order))
    moved = followed.filter(followed.target.notnull())
    return moved.group_by("origin", "target", "third").agg(count=moved.count())


def delays(tables: Tables, as_of: datetime) -> Any | None:
    """Return the days past due by customer and report, as of an instant: the bank's own records, else the bureau's.

    The bureau tells the worst of 12 months at all lenders only: a customer rolls on in the month in which a delay
    begins, and back when it is a year old. None where there is neither.
    """
    if "standing" in tables:
        rows = tables["standing"].select("customer_id", at="reported_at", days_past_due="days_past_due")
    elif "bureau" in tables:
        rows = tables["bureau"].select("customer_id", at="reported_at", days_past_due="worst_days_past_due_12m")
    else:
        return None
    return rows.filter(rows["at"] <= instant(as_of))


def buckets(settings: MigrationSettings) -> list[str]:
    """Return the buckets of days past due, in order: current, then those that begin at the days named."""
    edges = settings.days_past_due
    ends = [str(after - 1) for after in edges[1:]]
    return [CURRENT, *(f"{low} to {high}" for low, high in zip(edges, ends, strict=False)), f"{edges[-1]} and over"]


def moves(counted: pa.Table, order: Sequence[str], settings: MigrationSettings) -> list[Move]:
    """Return every move from and to the states of `order`, also those that nobody made, in that order."""
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for row in counted.to_pylist():
        counts[row["origin"], row["target"]] += row["count"]
    found = []
    for origin in order:
        of = sum(counts[origin, target] for target in order)
        found += [_move(origin, target, counts[origin, target], of, settings) for target in order if of]
    return found


def matrix(found: Sequence[Move], order: Sequence[str]) -> Floats:
    """Return the shares as a matrix, origin by row; a state that nobody was in stays with itself."""
    shares = np.eye(len(order))
    for move in found:
        if move.share is not None:
            shares[order.index(move.origin), order.index(move.target)] = move.share
    return shares


def markov_check(counted: pa.Table, order: Sequence[str]) -> MarkovCheck:
    """Hold the two steps that were seen against the matrix of one step taken twice.

    References
    ----------
    Anderson and Goodman (1957), Annals of Mathematical Statistics 28: the chi-square test of the order of a chain.
    """
    place = {name: at for at, name in enumerate(order)}
    seen = np.zeros((len(order),) * 3)
    for row in counted.to_pylist():
        if row["third"] is not None:
            seen[place[row["origin"]], place[row["target"]], place[row["third"]]] += row["count"]
    if seen.sum() == 0:
        return MarkovCheck(gap=None, p_value=None, steps=0)
    one = _shares(seen.sum(axis=0))
    through = _shares(seen.sum(axis=2))
    gap = np.abs(_shares(seen.sum(axis=1)) - through @ one)[seen.sum(axis=(1, 2)) > 0].max()
    expected = seen.sum(axis=2)[:, :, None] * one[None, :, :]
    used = expected > 0
    statistic = float((((seen - expected) ** 2)[used] / expected[used]).sum())
    free = sum(_free(seen[:, middle, :]) for middle in range(len(order)))
    p_value = float(chi2.sf(statistic, free)) if free else None
    return MarkovCheck(gap=float(gap), p_value=p_value, steps=int(seen.sum()))


def vintage_counts(outcomes: Any, as_of: datetime, settings: MigrationSettings) -> Any:
    """Return one row per quarter of booking: loans, and by month on book how many are mature and how many defaulted."""
    moment = instant(as_of)
    booked = outcomes.filter(outcomes.booked_at <= moment)
    year, quarter = booked.booked_at.year().cast("string"), booked.booked_at.quarter().cast("string")
    booked = booked.mutate(cohort=year.concat("Q", quarter))
    known_until = ibis.least(booked.observed_until, moment)
    told: dict[str, Any] = {"loans": booked.count()}
    for month in range(1, settings.vintage_months + 1):
        ends = booked.booked_at + ibis.interval(months=month)
        defaulted = booked.defaulted_at.notnull() & (booked.defaulted_at <= ends) & (booked.defaulted_at <= moment)
        told[f"mature_{month}"] = ((ends <= known_until) | defaulted).ifelse(1, 0).sum().cast("int64")
        told[f"bad_{month}"] = defaulted.ifelse(1, 0).sum().cast("int64")
    return booked.group_by("cohort").agg(**told)


def vintages(counted: pa.Table, settings: MigrationSettings) -> list[Vintage]:
    """Return the curves, one cell per cohort and month on book, cohorts in order of time."""
    found = []
    for row in sorted(counted.to_pylist(), key=lambda each: each["cohort"]):
        for month in range(1, settings.vintage_months + 1):
            mature = row[f"mature_{month}"] == row["loans"]
            found.append(_cell(row["cohort"], month, row["loans"], row[f"bad_{month}"] if mature else None))
    return found


def _cell(cohort: str, month: int, loans: int, bad: int | None) -> Vintage:
    if bad is None:
        return Vintage(
            cohort=cohort, month=month, loans=loans, defaults=None, share=None, lower=None, upper=None
        )  # fmt: skip
    reach = wilson(bad, loans)
    return Vintage(
        cohort=cohort, month=month, loans=loans, defaults=bad, share=or_none(ratio(bad, loans)),
        lower=or_none(reach.lower), upper=or_none(reach.upper),
    )  # fmt: skip


def _bucket(days: Any, settings: MigrationSettings) -> Any:
    names = buckets(settings)
    reached = reversed(list(zip(settings.days_past_due, names[1:], strict=True)))
    return ibis.cases(*((days >= low, name) for low, name in reached), else_=CURRENT)


def _move(origin: str, target: str, count: int, of: int, settings: MigrationSettings) -> Move:
    reach = wilson(count, of)
    return Move(
        origin=origin, target=target, count=count, of=of, share=or_none(ratio(count, of)), lower=or_none(reach.lower),
        upper=or_none(reach.upper), small=of < settings.smallest,
    )  # fmt: skip


def _shares(counts: Floats) -> Floats:
    total = counts.sum(axis=1, keepdims=True)
    shares: Floats = np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)
    return shares


def _free(table: Floats) -> int:
    """Return the degrees of freedom of one table of counts: its empty rows and columns give none."""
    rows, columns = int((table.sum(axis=1) > 0).sum()), int((table.sum(axis=0) > 0).sum())
    return max(0, (rows - 1) * (columns - 1))
