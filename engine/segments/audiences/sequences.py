"""Events in a row: which customers had them in that order, close enough together, with nothing in between.

One pass over the events that a sequence names, by customer and instant: at each instant, and for each step, the latest
start of any row of events that comes as far as that step. The latest start is as good as any other can be, since it
leaves the shortest span and the least room for what must not happen between.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import ibis

from engine.config.audiences import Happened, Sequence, Step
from engine.segments.audiences import moments

_NEVER: Final = ibis.null("timestamp(6)")


def customers_with(events: Any, sequence: Sequence, as_of: datetime) -> Any:
    """Return the customers (customer_id, each once) who had the events of the sequence in order.

    Events of one instant are in no order: each step is later than the one before.
    """
    steps = {f"step_{place}": step for place, step in enumerate(sequence.sequence)}
    named = steps if sequence.without is None else {**steps, "without": sequence.without}
    at = _by_instant(moments.within(events, sequence, as_of), named)
    last, found = _starts(at, len(steps), sequence.without is not None)
    done = found.filter(found[last].notnull())
    if sequence.within_days is not None:
        done = done.filter(done["at"] <= done[last] + moments.days(sequence.within_days))
    if sequence.without is not None:
        done = done.filter(done.excluded.isnull() | (done.excluded <= done[last]))
    ended = done.group_by("customer_id").agg(ended=done["at"].max())
    if sequence.not_followed_by is None:
        return ended.select("customer_id")
    # what follows is looked for up to now, whenever the sequence itself has to have ended
    later = moments.within(events, sequence.model_copy(update={"until": None}), as_of)
    later = later.filter(moments.matches(later, sequence.not_followed_by))
    spoilt = later.group_by("customer_id").agg(spoilt=later.occurred_at.max())
    joined = ended.left_join(spoilt.select("spoilt", of_customer="customer_id"), [("customer_id", "of_customer")])
    return joined.filter(joined.spoilt.isnull() | (joined.spoilt <= joined.ended)).select("customer_id")


def customers_close_together(events: Any, condition: Happened, as_of: datetime) -> Any:
    """Return the customers (customer_id, each once) to whom it happened often enough within `within_days`."""
    rows = moments.within(events, condition, as_of).filter(lambda table: moments.matches(table, condition))
    rows = rows.select("customer_id", "event_id", at="occurred_at")
    window = ibis.window(group_by="customer_id", order_by=["at", "event_id"])
    back = rows.mutate(first=rows["at"].lag(condition.times_at_least - 1).over(window))
    near = back.filter((back["at"] <= back.first + moments.days(condition.within_days or 0)).fill_null(False))
    return near.select("customer_id").distinct()


def _by_instant(events: Any, named: dict[str, Step]) -> Any:
    """Return one row per customer and instant with any of the steps, and which of them there were."""
    flagged = events.select(
        "customer_id",
        at="occurred_at",
        **{name: moments.matches(events, step) for name, step in named.items()},
    )
    relevant = flagged.filter(ibis.or_(*(flagged[name] for name in named)))
    return relevant.group_by("customer_id", "at").agg(**{name: relevant[name].any() for name in named})


def _starts(at: Any, steps: int, excludes: bool) -> tuple[str, Any]:
    """Return the name of a column and rows that hold in it the latest start of all that is complete at that instant."""
    earlier = ibis.window(group_by="customer_id", order_by="at", preceding=(None, 1))
    rows = at.mutate(start_0=at.step_0.ifelse(at["at"], _NEVER))
    if excludes:
        rows = rows.mutate(broke=rows.without.ifelse(rows["at"], _NEVER))
    for place in range(1, steps):
        before = rows[f"start_{place - 1}"].max().over(earlier)
        made = {f"start_{place}": rows[f"step_{place}"].ifelse(before, _NEVER)}
        # beside the first of the windows, which is sorted for anyway
        broken = {"excluded": rows.broke.max().over(earlier)} if excludes and place == 1 else {}
        rows = rows.mutate(**made, **broken)
    return f"start_{steps - 1}", rows
