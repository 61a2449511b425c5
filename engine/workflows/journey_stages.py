"""Say where customers stand in the journeys of the workspace as of any date, and how they moved since another."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.config.journeys import Journeys, JourneySettings
from engine.domain.errors import NotEnoughData, SettingsFault, UnknownName
from engine.workflows import session
from engine.workflows.event_logs import LogSource, opened
from journeys import funnel, stages

MEMBER_COLUMNS: Final = (
    "customer_id", "status", "current_step", "next_step", "stage_entered_at", "stage_since", "deadline_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What to tell of the stages. journey : one alone; None for all. since : the earlier date of movements.

    by_step : count customers at each step instead of in each stage. members : a stage whose customers to list.
    """

    journey: str | None = None
    since: datetime | None = None
    by_step: bool = False
    members: str | None = None


def study(source: LogSource, question: Question) -> dict[str, Any]:
    """Return the stages as of a date: as_of, stages (a row per journey and stage), and what else was asked.

    movements: a row per journey, stage and status at both dates. members: a row per customer in a stage, those
    longest in it first.

    Raises
    ------
    UnknownName
        There is no such journey, or no such stage in any of those asked about.
    SettingsFault
        The earlier date is not earlier.
    """
    journeys = _journeys(source, question)
    with opened(source) as open_log:
        now = open_log.as_of
        if question.since is not None and question.since >= now:
            raise SettingsFault("--since", [f"expected a date before {now:%Y-%m-%d %H:%M} UTC"])
        at_end = funnel.where_customers_stand(open_log.engine, open_log.log, journeys, now)
        answer: dict[str, Any] = {
            "as_of": now,
            "stages": _at_steps(at_end, journeys) if question.by_step else stages.by_stage(at_end, journeys, now),
        }
        if question.since is not None:
            before = funnel.where_customers_stand(open_log.engine, open_log.log, journeys, question.since)
            answer["since"] = question.since
            answer["movements"] = stages.movements(before, at_end)
    if question.members is not None:
        answer["members"] = _members(at_end, question.members, now)
    return answer


def _journeys(source: LogSource, question: Question) -> tuple[JourneySettings, ...]:
    found = session.settings(session.workspace_at(source.home), Journeys, "journeys").journeys
    if not found:
        raise NotEnoughData("stages", "no journey is defined", "a [[journeys.journeys]] block in wayline.toml")
    names = [one.journey for one in found]
    if question.journey is not None and question.journey not in names:
        raise UnknownName("journey", question.journey, names)
    chosen = tuple(one for one in found if question.journey in (None, one.journey))
    known = sorted({stage for one in chosen for stage in one.stage_names})
    if question.members is not None and question.members not in known:
        raise UnknownName("stage", question.members, known)
    return chosen


def _at_steps(at_end: pa.Table, journeys: tuple[JourneySettings, ...]) -> list[dict[str, Any]]:
    """Count who stands at each step, by status, in order."""
    rows = []
    for journey in journeys:
        own = at_end.filter(pc.equal(at_end.column("journey"), journey.journey))
        expected = stages.next_steps(journey)
        for step, next_step in zip(journey.steps, expected, strict=True):
            there = own.filter(pc.equal(own.column("current_step"), step.step))
            counts = {row["values"]: row["counts"] for row in there.column("status").value_counts().to_pylist()}
            rows.append(
                {
                    "journey": journey.journey,
                    "stage": step.stage,
                    "step": step.step,
                    "next_step": next_step,
                    "customers": len(there),
                    **{name: counts.get(name, 0) for name in ("converted", "dropped", "in_progress")},
                }
            )
    return rows


def _members(at_end: pa.Table, stage: str, now: datetime) -> pa.Table:
    there = at_end.filter(pc.equal(at_end.column("stage"), stage)).sort_by(
        [("stage_entered_at", "ascending"), ("journey", "ascending"), ("customer_id", "ascending")]
    )
    entered = np.asarray(there.column("stage_entered_at").cast(pa.int64()))
    in_stage = (round(now.timestamp() * 1_000_000) - entered) / 1e6
    return there.select(["journey", *MEMBER_COLUMNS]).append_column("seconds_in_stage", pa.array(in_stage))
