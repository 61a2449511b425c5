"""Say where each customer stands in a journey as of a date."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import ibis

from engine.config.journeys import JourneySettings
from engine.domain.words import JourneyStatus
from engine.lake.schema import instant


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
    steps = journey.steps
    names = [step.step for step in steps]
    return attempts.select(
        journey=ibis.literal(journey.journey),
        customer_id=attempts.customer_id,
        stage=_by_depth(attempts, [step.stage for step in steps]),
        reached_step=attempts.depth,
        step=_by_depth(attempts, names),
        next_step=_by_depth(attempts, names[1:]),
        entered_at=attempts.entered_at,
        channel=attempts.channel,
        stage_since=ibis.coalesce(*(attempts[f"reached_{level}"] for level in range(len(steps), 0, -1))),
        status=status(attempts, journey, as_of),
    )


def _by_depth(attempts: Any, words: list[str]) -> Any:
    """Return the word of each row's depth, null beyond the last."""
    chosen = [(attempts.depth == depth, word) for depth, word in enumerate(words, start=1)]
    return ibis.cases(*chosen, else_=ibis.null("string"))
