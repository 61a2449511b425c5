"""Churn where nobody says good-bye: a customer has churned when nothing happens for more than D days.

The time to churn runs from the customer's first event to the event before the first silence of more than D days. As
of a date the last D days cannot tell, so everyone is watched until as_of less D days: who has not churned by then is
censored there, and who only began after it is left out and counted. A customer who comes back after such a silence
had churned all the same; how many do tells whether D is long enough.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from scipy import stats

from engine.domain.errors import SettingsFault
from engine.numerics import survival
from engine.numerics.survival import Floats, LogRank, PairedLogRank, SurvivalCurve
from journeys import activity, histories
from journeys.activity import ANY
from journeys.calendar import DAY, SECOND
from journeys.histories import Histories

PEOPLE: Final = pa.schema(
    [
        ("customer", pa.string()),
        ("group", pa.string()),
        ("seconds", pa.float64()),
        ("churned", pa.bool_()),
        ("came_back", pa.bool_()),
    ]
)
"""One row per customer: seconds to churn or to censoring; null for one who began too late to tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hazard:
    """The chance to churn within a stretch of time, of those who had not churned when it began.

    n : how many were watched into it. hazard, low, high : None, with `reason`, where the data cannot tell.
    """

    from_days: float
    to_days: float
    n: int
    churned: int
    hazard: float | None
    low: float | None
    high: float | None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Group:
    """How one group churns. `too_new` began within the last D days; `came_back` churned and then returned."""

    group: str | None
    customers: int
    too_new: int
    churned: int
    came_back: int
    curve: SurvivalCurve
    hazards: tuple[Hazard, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Churn:
    """Churn of all customers and, where asked, of each group, with tests of whether the groups differ.

    `pairs` compares every two groups, adjusted for how many pairs there are.
    """

    inactivity_days: float
    overall: Group
    groups: tuple[Group, ...]
    test: LogRank | None
    pairs: tuple[PairedLogRank, ...]


def of_block(
    block: pa.Table, *, inactivity_days: float, as_of_us: int, names: Sequence[str] = ANY, by: str | None = None
) -> pa.Table:
    """Return PEOPLE of a block of events, as `EventLog.events` selects them; one row per customer with any event.

    Parameters
    ----------
    names : events that count as activity, `*` is any.
    by : an attribute; the value at the customer's first event is the group.
    """
    return of_histories(histories.of(block), inactivity_days, as_of_us, names=names, by=by)


def of_histories(
    people: Histories, inactivity_days: float, as_of_us: int, *, names: Sequence[str] = ANY, by: str | None = None
) -> pa.Table:
    """Return PEOPLE of histories."""
    if not 0 < inactivity_days < math.inf:
        raise SettingsFault("churn", [f"inactivity_days = {inactivity_days}: expected a number of days above 0"])
    people = people.keep(activity.matches(people, names))
    some = np.flatnonzero(np.diff(people.starts))
    if not len(some):
        return PEOPLE.empty_table()
    starts, ends = people.starts[some], people.starts[some + 1]
    limit = round(inactivity_days * DAY)
    following = np.append(people.at[1:], as_of_us)
    following[ends - 1] = as_of_us
    silent = following - people.at > limit
    rows = np.where(silent, np.arange(people.n_events), people.n_events)
    left = np.minimum.reduceat(rows, starts)
    churned = left < people.n_events
    first = people.at[starts]
    until = np.where(churned, people.at[np.minimum(left, people.n_events - 1)], as_of_us - limit)
    watched = until >= first
    group = pa.nulls(len(some), pa.string()) if by is None else people.attributes[by].texts(starts)
    columns = [
        people.ids.take(pa.array(some)).cast(pa.string()),
        group,
        pa.array((until - first) / SECOND, mask=~watched),
        pa.array(churned & watched),
        pa.array(churned & (left < ends - 1)),
    ]
    return pa.table(columns, schema=PEOPLE)


def table(
    people: pa.Table, inactivity_days: float, *, every_days: float = 30, periods: int = 12, by: bool = False
) -> Churn:
    """Estimate churn from PEOPLE of all blocks, its hazard in `periods` stretches of `every_days` days each."""
    watched = people.column("seconds").is_valid().to_numpy(zero_copy_only=False)
    seconds = people.column("seconds").fill_null(0).to_numpy()
    churned = people.column("churned").to_numpy(zero_copy_only=False)
    came_back = people.column("came_back").to_numpy(zero_copy_only=False)
    stretches = [(every_days * place, every_days * (place + 1)) for place in range(periods)]

    def group(name: str | None, marks: activity.Marks) -> Group:
        kept = marks & watched
        return Group(
            group=name,
            customers=int(marks.sum()),
            too_new=int((marks & ~watched).sum()),
            churned=int(churned[kept].sum()),
            came_back=int(came_back[kept].sum()),
            curve=survival.kaplan_meier(seconds[kept], churned[kept]),
            hazards=hazards(seconds[kept], churned[kept], stretches),
        )

    everyone = group(None, np.ones(len(seconds), dtype=np.bool_))
    if not by:
        return Churn(inactivity_days=inactivity_days, overall=everyone, groups=(), test=None, pairs=())
    encoded = people.column("group").combine_chunks().dictionary_encode()
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    codes = encoded.indices.fill_null(-1).to_numpy()
    found = encoded.dictionary.to_pylist()
    names = sorted(found)
    ranked = np.array([names.index(name) for name in found] + [-1], dtype=np.int64)[codes]
    groups = [group(name, ranked == place) for place, name in enumerate(names)]
    if (ranked < 0).any():
        groups.append(group(None, ranked < 0))
    tested = np.where(watched, ranked, -1)
    return Churn(
        inactivity_days=inactivity_days,
        overall=everyone,
        groups=tuple(groups),
        test=survival.log_rank(seconds, churned, tested, names),
        pairs=survival.pairwise_log_rank(seconds, churned, tested, names),
    )


def hazards(
    seconds: Floats, churned: activity.Marks, stretches: Sequence[tuple[float, float]], level: float = 0.95
) -> tuple[Hazard, ...]:
    """Return the chance to churn in each stretch of days, its first edge included and its last not.

    It is the fall of the Kaplan-Meier curve within the stretch, so who is censored inside counts for as long as
    watched. The interval is Wilson's at the number of customers that would give Greenwood's variance without
    censoring (Rothman 1978, Journal of Chronic Diseases 31, 557-560).
    """
    curve = survival.kaplan_meier(seconds, churned)
    found = []
    for low, high in stretches:
        start, end = low * DAY / SECOND, high * DAY / SECOND
        inside = (curve.times >= start) & (curve.times < end)
        events, at_risk = curve.events[inside], curve.at_risk[inside]
        n, through = int((seconds >= start).sum()), int((seconds >= end).sum())
        gone = bool(len(events)) and at_risk[-1] == events[-1]
        reason = None
        if not n:
            reason = "nobody was watched that long without churning"
        elif not through and not gone:
            reason = "nobody was watched to its end"
        share = 1 - float(np.prod(1 - events / at_risk))
        interval = None if reason else _score(share, _effective(share, events, at_risk, through or n), level)
        found.append(
            Hazard(
                from_days=low,
                to_days=high,
                n=n,
                churned=int(events.sum()),
                hazard=None if reason else share,
                low=interval[0] if interval else None,
                high=interval[1] if interval else None,
                reason=reason,
            )
        )
    return tuple(found)


def _effective(share: float, events: survival.Counts, at_risk: survival.Counts, watched: int) -> float:
    """Return how many uncensored customers would say as much; those watched through where all or none churned."""
    if not 0 < share < 1:
        return float(watched)
    relative = float(survival.greenwood(events, at_risk)[-1])
    return share / ((1 - share) * relative)


def _score(share: float, n: float, level: float) -> tuple[float, float]:
    z = float(stats.norm.ppf(0.5 + level / 2))
    scale = 1 + z * z / n
    centre = (share + z * z / (2 * n)) / scale
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / scale
    return (0.0 if share == 0 else centre - half), (1.0 if share == 1 else centre + half)
