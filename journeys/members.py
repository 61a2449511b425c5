"""The customers behind every count, and what they did next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from journeys import attempts, histories
from journeys.outcomes import Outcomes, Status, median
from journeys.spec import Funnel

_SECOND: Final = 1_000_000

NEXT: Final = pa.schema(
    [("customer", pa.string()), ("entered", pa.int64()), ("event", pa.string()), ("seconds", pa.float64())]
)
"""One row per attempt that reached a step: who, when it began (microseconds since 1970), the next event, how soon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """What some of those at a step did next; `event` None: nothing within the window, or nothing yet."""

    event: str | None
    count: int
    share: float
    median_seconds: float | None


def customers(outcomes: Outcomes, step: int, status: Status) -> list[str]:
    """Return the ids of those who reached a step, numbered from 1, and went on from there as asked, sorted.

    There are as many as the count shown: one per attempt where every attempt counts. Of those EXCLUDED, who count at
    no step, the step says nothing.
    """
    ids = outcomes.customers.filter(pa.array(outcomes.having(step, status)))
    return sorted(ids.to_pylist())


def next_events(block: pa.Table, *, funnel: Funnel, step: int) -> pa.Table:
    """Return, of a block of all events of its customers, what each attempt that reached a step was followed by.

    The next event is the one after that which reached the step, in the order of the log, whether or not it is of the
    funnel, if it comes within the window of that step, edge included.
    """
    people = histories.of(block)
    found = attempts.find(people, funnel)
    row = found.row[:, step - 1]
    came = np.flatnonzero(row >= 0)
    at_step, next_row = row[came], row[came] + 1
    has_next = next_row < people.starts[found.customer[came] + 1]
    next_row = np.where(has_next, next_row, at_step)
    waited = people.at[next_row] - people.at[at_step]
    has_next &= waited <= round(funnel.window_seconds * _SECOND)
    return pa.table(
        {
            "customer": people.ids.cast(pa.string()).take(found.customer[came]),
            "entered": found.at[came, 0],
            "event": people.event.texts(np.where(has_next, next_row, -1)),
            "seconds": pa.array(waited / _SECOND, mask=~has_next),
        },
        schema=NEXT,
    )


def after(outcomes: Outcomes, step: int, status: Status, followed: pa.Table) -> tuple[Next, ...]:
    """Rank what those at a step did next, the most frequent first; their counts add up to the count shown.

    Parameters
    ----------
    followed : the rows of `next_events` of all blocks.
    """
    chosen = outcomes.having(step, status)
    wanted = pa.table({"customer": outcomes.customers, "entered": outcomes.at[:, 0]}).filter(pa.array(chosen))
    rows = followed.join(wanted, ["customer", "entered"], join_type="inner")
    ranked = rows.group_by("event").aggregate([("seconds", "list"), ([], "count_all")]).to_pylist()
    ranked.sort(key=lambda row: (-row["count_all"], row["event"] is None, row["event"] or ""))
    return tuple(
        Next(
            event=row["event"],
            count=row["count_all"],
            share=row["count_all"] / rows.num_rows,
            median_seconds=median(np.array([one for one in row["seconds_list"] if one is not None])),
        )
        for row in ranked
    )
