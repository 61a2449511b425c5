"""Say where each customer stands in a journey as of a date, and how customers moved between two dates.

The funnel counts the attempt that gets deepest. A customer stands where the attempt is that goes on: whoever converted,
at the end of it, in the journey's last stage from then on; whoever has an entry that is still open, at the deepest
step from such entries; whoever dropped off, where the latest entry stopped. With a window from the previous step, and
where only the first entry counts, that is the attempt of the funnel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.config.journeys import JourneySettings
from engine.domain.words import JourneyStatus
from engine.lake.schema import instant
from journeys import attempts
from journeys.attempts import MISSING, Attempts
from journeys.histories import Codes, Histories, Ints
from journeys.spec import Funnel, Reentry, WindowFrom

NOT_ENTERED: Final = "not_entered"
"""The stage and status of a customer before the first entry."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Standing:
    """Where the customers of some attempts stand, one row per attempt.

    step : the last step reached, optional ones included, as its place from 1. since : microseconds at which it was.
    stage_since : microseconds at which its stage was entered.
    """

    step: Codes
    since: Ints
    stage_since: Ints


def standing(
    histories: Histories, funnel: Funnel, found: Attempts, *, stages: Sequence[str], last_stage: str, as_of: int
) -> Standing:
    """Return where customers stand at as_of (microseconds), given the attempts that the funnel counts.

    `stages` are those of the steps, `last_stage` that of the journey.
    """
    at = _latest_attempts(histories, funnel, found, as_of)
    reached = at != MISSING
    n_steps = at.shape[1]
    step = n_steps - np.argmax(reached[:, ::-1], axis=1)
    every = np.arange(len(at))
    since = at[every, step - 1]
    codes = np.array([list(dict.fromkeys(stages)).index(stage) for stage in stages])
    in_stage = reached & (codes[None, :] == codes[step - 1][:, None]) & (np.arange(n_steps) < step[:, None])
    stage_since = np.where(in_stage, at, np.iinfo(np.int64).max).min(axis=1, initial=np.iinfo(np.int64).max)
    moves_on = (step == n_steps) & (stages[-1] != last_stage)
    return Standing(step=step.astype(np.int32), since=since, stage_since=np.where(moves_on, since, stage_since))


def _latest_attempts(histories: Histories, funnel: Funnel, found: Attempts, as_of: int) -> Ints:
    """Return when each step was reached in the attempt in which each customer stands, shape (n, n_steps)."""
    again = funnel.reentry is Reentry.ANY and funnel.window_from is WindowFrom.FIRST
    goes_on = (found.depth < len(funnel.steps)) & (found.open_until != MISSING)
    if not again or not goes_on.any():
        return found.at
    # only entries from here on are open or, without any, the latest
    window = round(funnel.window_seconds * 1_000_000)
    begin = np.full(len(histories), np.iinfo(np.int64).max)
    begin[found.customer[goes_on]] = np.minimum(found.open_until[goes_on] - window, as_of - window)
    late = attempts.find(histories.keep(histories.at >= begin[histories.owners()]), funnel)
    place = np.full(len(histories), -1)
    place[late.customer] = np.arange(len(late.customer))
    own = place[found.customer]
    return np.where((goes_on & (own >= 0))[:, None], late.at[own] if len(late.at) else found.at, found.at)


def status(attempts: Any, journey: JourneySettings, as_of: datetime) -> Any:
    """Return the column converted, in_progress or dropped.

    In progress is whoever has not converted but whose latest entry still has time at as_of, its edge included:
    also when an earlier attempt got deeper and ran out.
    """
    still_open = (attempts.open_until >= instant(as_of)).fill_null(False)
    return ibis.cases(
        (attempts.depth == len(journey.steps), JourneyStatus.CONVERTED.value),
        (still_open, JourneyStatus.IN_PROGRESS.value),
        else_=JourneyStatus.DROPPED.value,
    )


def table(attempts: Any, journey: JourneySettings, as_of: datetime) -> Any:
    """Return the mart `journey_stages` of one journey: one row per customer who entered it."""
    names = [step.step for step in journey.steps]
    converted = attempts.depth == len(names)
    stages = [*(step.stage for step in journey.steps[:-1]), journey.stage_names[-1]]
    return attempts.select(
        journey=ibis.literal(journey.journey),
        customer_id=attempts.customer_id,
        stage=_by_place(attempts.standing, stages),
        reached_step=attempts.depth,
        step=_by_place(attempts.depth, names),
        current_step=_by_place(attempts.standing, names),
        next_step=_by_place(attempts.standing, next_steps(journey)),
        entered_at=attempts.entered_at,
        channel=attempts.channel,
        stage_since=attempts.standing_since,
        stage_entered_at=attempts.stage_since,
        deadline_at=ibis.ifelse(converted, ibis.null("timestamp(6)"), attempts.open_until),
        status=status(attempts, journey, as_of),
    )


def next_steps(journey: JourneySettings) -> list[str | None]:
    """Return the step expected after each, which is the next that is not optional; None after the last."""
    steps = journey.steps
    return [
        next((after.step for after in steps[place + 1 :] if not after.optional), None) for place in range(len(steps))
    ]


def _by_place(place: Any, words: Sequence[str | None]) -> Any:
    """Return the word of each row's place, counted from 1; null where there is none."""
    chosen = [(place == number, word) for number, word in enumerate(words, start=1) if word is not None]
    return ibis.cases(*chosen, else_=ibis.null("string"))


def movements(before: pa.Table, after: pa.Table) -> pa.Table:
    """Count how customers moved between the stages of two dates; both are the mart `journey_stages`.

    Returns
    -------
    table with journey, from_stage, from_status, to_stage, to_status, customers, sorted; `NOT_ENTERED` for customers
    that the earlier mart does not have, or the later one no longer. The customers from a stage add up to those in it
    at the earlier date, and those to a stage to those in it at the later one.
    """
    keys = ["journey", "customer_id"]
    joined = (
        before.select([*keys, "stage", "status"])
        .rename_columns([*keys, "from_stage", "from_status"])
        .join(
            after.select([*keys, "stage", "status"]).rename_columns([*keys, "to_stage", "to_status"]),
            keys,
            join_type="full outer",
        )
    )
    kinds = ["journey", "from_stage", "from_status", "to_stage", "to_status"]
    known = pa.table(
        {
            name: joined.column(name) if name == "journey" else pc.fill_null(joined.column(name), NOT_ENTERED)
            for name in kinds
        }
    )
    counted = known.group_by(kinds).aggregate([([], "count_all")]).rename_columns([*kinds, "customers"])
    return counted.sort_by([(name, "ascending") for name in kinds])


def by_stage(stages: pa.Table, journeys: Sequence[JourneySettings], as_of: datetime) -> list[dict[str, Any]]:
    """Count the customers in each stage of each journey by status, with the time they have been in it.

    Returns
    -------
    one mapping per journey and stage, in order, also for stages that nobody is in. median_seconds_in_stage is of those
    in progress, None without any.
    """
    now = round(as_of.timestamp() * 1_000_000)
    rows = []
    for journey in journeys:
        own = stages.filter(pc.equal(stages.column("journey"), journey.journey))
        for stage in journey.stage_names:
            there = own.filter(pc.equal(own.column("stage"), stage))
            of_status = {one.value: there.filter(pc.equal(there.column("status"), one.value)) for one in JourneyStatus}
            since = of_status[JourneyStatus.IN_PROGRESS].column("stage_entered_at")
            waited = (now - np.asarray(since.cast(pa.timestamp("us")).cast(pa.int64()))) / 1e6
            rows.append(
                {
                    "journey": journey.journey,
                    "stage": stage,
                    "customers": len(there),
                    **{name: len(some) for name, some in of_status.items()},
                    "median_seconds_in_stage": float(np.median(waited)) if len(waited) else None,
                }
            )
    return rows
