"""Journey settings say what is wrong before anything is computed."""

from __future__ import annotations

from typing import Any

import pytest

from engine.config.journeys import Journeys
from engine.config.load import load
from engine.domain.errors import SettingsFault
from tests.journeys.builders import journey


def plan(**more: Any) -> dict[str, Any]:
    steps = [{"step": name, "events": [name], "stage": "awareness"} for name in ("view", "open")]
    return {"journeys": [{"journey": "card", "name_en": "Card", "window_days": 30, "steps": steps} | more]}


def refuse(values: dict[str, Any], why: str) -> None:
    with pytest.raises(SettingsFault, match=why):
        load(Journeys, "journeys", flags=values)


def test_window_may_be_part_of_a_day() -> None:
    assert load(Journeys, "journeys", flags=plan(window_days=0.5)).journeys[0].window_seconds == 43_200


def test_journey_of_one_step_is_refused() -> None:
    refuse(plan(steps=[{"step": "view", "events": ["view"], "stage": "awareness"}]), "at least 2")


def test_step_named_twice_is_refused() -> None:
    refuse(plan(steps=[{"step": "view", "events": ["view"], "stage": "awareness"}] * 2), "name each step once")


def test_journey_named_twice_is_refused() -> None:
    refuse({"journeys": plan()["journeys"] * 2}, "name each journey once")


def test_unknown_stage_is_refused() -> None:
    refuse(plan(steps=[{"step": name, "events": [name], "stage": "wonder"} for name in "ab"]), "awareness")


def test_steps_overlap_when_one_event_can_reach_both() -> None:
    first, second, third = journey([["A", "B"], ["B"], ["C"]]).steps
    anything = journey(["*", "C"]).steps[0]
    assert first.overlaps(second)
    assert not second.overlaps(third)
    assert anything.overlaps(third)
    asked = first.model_copy(update={"lifecycles": ("start",)})
    done = second.model_copy(update={"lifecycles": ("complete",)})
    assert not asked.overlaps(done)
