"""Where customers stand in a journey as of a date, and how they moved, worked by hand."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config.journeys import JourneySettings
from engine.domain.words import JourneyStatus
from engine.lake.engine import DuckDBEngine
from journeys import funnel, stages
from tests.journeys.builders import event_log, event_rows, moment

WINDOW = 100 / 86_400


def planned(steps: str, **more: Any) -> JourneySettings:
    """A journey of "view/awareness ask?/decision": the step and its event, whether it is optional, its stage."""
    made = []
    for word in steps.split():
        name, stage = word.split("/")
        made.append({"step": name.rstrip("?"), "events": [name.rstrip("?")], "stage": stage, "optional": "?" in name})
    values = {"journey": "card", "name_en": "Card", "window_days": WINDOW, "steps": made}
    return JourneySettings.model_validate(values | more)


CARD = planned("view/awareness apply/consideration pay/consideration open/decision use/retention")


def table(people: Any, as_of: float, journey: JourneySettings = CARD) -> pa.Table:
    with DuckDBEngine(threads=1) as engine:
        return funnel.run(engine, event_log(engine, event_rows(people)), [journey], moment(as_of)).stages


def stands(people: Any, as_of: float, journey: JourneySettings = CARD) -> dict[str, dict[str, Any]]:
    return {row["customer_id"]: row for row in table(people, as_of, journey).to_pylist()}


def seconds(when: datetime | None) -> float | None:
    return None if when is None else (when - moment(0).replace(tzinfo=None)).total_seconds()


def test_customer_stands_at_the_attempt_that_is_open_not_at_a_deeper_one_that_ran_out() -> None:
    row = stands({"ann": "view@0 apply@5 pay@6 view@150 apply@160"}, 200)["ann"]
    assert (row["status"], row["reached_step"], row["step"]) == ("in_progress", 3, "pay")
    assert (row["stage"], row["current_step"], row["next_step"]) == ("consideration", "apply", "pay")
    assert [seconds(row[name]) for name in ("entered_at", "stage_since", "deadline_at")] == [0, 160, 250]


def test_of_several_open_entries_the_deepest_is_shown() -> None:
    # the attempt of view@120 has paid; that of view@150 has not gone on
    row = stands({"ann": "view@0 view@120 apply@130 pay@140 view@150"}, 200)["ann"]
    assert (row["current_step"], row["next_step"]) == ("pay", "open")


def test_customer_who_dropped_off_stands_where_the_latest_entry_stopped() -> None:
    row = stands({"ann": "view@0 apply@5 view@150"}, 400)["ann"]
    assert (row["status"], row["step"], row["current_step"], row["stage"]) == ("dropped", "apply", "view", "awareness")


def test_customer_who_converted_and_comes_back_stays_converted() -> None:
    row = stands({"ann": "view@0 apply@1 pay@2 open@3 use@4 view@150"}, 200)["ann"]
    assert (row["status"], row["stage"], row["next_step"]) == ("converted", "retention", None)
    assert (seconds(row["stage_since"]), row["deadline_at"]) == (4, None)


def test_stage_of_several_steps_is_entered_with_the_first_of_them() -> None:
    row = stands({"ann": "view@0 apply@5 pay@30"}, 50)["ann"]
    assert [seconds(row[name]) for name in ("stage_entered_at", "stage_since")] == [5, 30]


def test_whoever_converts_is_in_the_last_stage_from_then_on() -> None:
    short = planned("view/awareness apply/decision open/decision")
    row = stands({"ann": "view@0 apply@5 open@30"}, 50, short)["ann"]
    assert (row["stage"], seconds(row["stage_entered_at"])) == ("retention", 30)


def test_optional_step_moves_the_stage_and_is_never_expected() -> None:
    journey = planned("view/look try?/think ask?/think open/buy", stages=["look", "think", "buy"])
    people = {"ann": "view@0", "bob": "view@0 ask@5"}
    rows = stands(people, 50, journey)
    assert [(rows[name]["stage"], rows[name]["next_step"]) for name in people] == [("look", "open"), ("think", "open")]
    assert [rows[name]["reached_step"] for name in people] == [1, 1]


def test_condition_on_a_column_of_the_events_narrows_a_step() -> None:
    steps = [
        {"step": "view", "events": ["view"], "where": {"channel": ["web"]}, "stage": "awareness"},
        {"step": "open", "events": ["open"], "where": {"product_id": "loan"}, "stage": "decision"},
    ]
    journey = planned("view/awareness open/decision").model_copy(update=planned_steps(steps))
    rows = event_rows({"ann": "view@0 open@5"}, channel="web", product_id="loan")
    rows += event_rows({"bob": "view@0"}, channel="web") + event_rows({"bob": "open@5"}, product_id="card")
    rows += event_rows({"eve": "view@0 open@5"}, channel="app", product_id="loan")
    with DuckDBEngine(threads=1) as engine:
        found = funnel.run(engine, event_log(engine, rows), [journey], moment(50)).stages
    assert [(row["customer_id"], row["reached_step"]) for row in found.to_pylist()] == [("ann", 2), ("bob", 1)]


def planned_steps(steps: list[dict[str, Any]]) -> dict[str, Any]:
    whole = {"journey": "card", "name_en": "Card", "window_days": WINDOW, "steps": steps}
    return {"steps": JourneySettings.model_validate(whole).steps}


def test_first_entry_alone_counts_where_the_journey_says_so() -> None:
    row = stands({"ann": "view@0 view@150 apply@160"}, 200, planned("view/awareness apply/decision", reentry="first"))[
        "ann"
    ]
    assert (row["status"], row["current_step"]) == ("dropped", "view")


def test_movements_tell_who_went_from_which_stage_to_which() -> None:
    people = {"ann": "view@0 apply@5 pay@60", "bob": "view@0", "new": "view@55"}
    found = stages.movements(table(people, 50), table(people, 120))
    assert [tuple(row.values()) for row in found.to_pylist()] == [
        ("card", "awareness", "in_progress", "awareness", "dropped", 1),
        ("card", "consideration", "in_progress", "consideration", "dropped", 1),
        ("card", "not_entered", "not_entered", "awareness", "in_progress", 1),
    ]


def test_stages_are_counted_with_the_median_time_in_them() -> None:
    people = {"ann": "view@0", "bob": "view@20", "cat": "view@0 apply@10", "old": "view@-200"}
    rows = stages.by_stage(table(people, 50), [CARD], moment(50))
    assert [(row["stage"], row["customers"], row["in_progress"], row["dropped"]) for row in rows] == [
        ("awareness", 3, 2, 1),
        ("consideration", 1, 1, 0),
        ("decision", 0, 0, 0),
        ("retention", 0, 0, 0),
    ]
    # ann has been there for 50 seconds, bob for 30; cat since second 10
    assert [row["median_seconds_in_stage"] for row in rows] == [40, 40, None, None]


event = st.tuples(st.integers(0, 300), st.sampled_from(["view", "apply", "pay", "open", "use"]))
logs = st.lists(st.lists(event, max_size=8), min_size=1, max_size=8)


@settings(max_examples=15, deadline=None)
@given(told=logs, first=st.integers(0, 300), then=st.integers(0, 300))
def test_movements_add_up_to_the_stages_of_both_dates(told: list[list[Any]], first: int, then: int) -> None:
    people = {f"c{number}": " ".join(f"{name}@{at}" for at, name in log) for number, log in enumerate(told)}
    before, after = table(people, min(first, then)), table(people, max(first, then))
    moved = stages.movements(before, after).to_pylist()
    for mart, end in ((before, "from"), (after, "to")):
        for stage in CARD.stage_names:
            inside = sum(row["customers"] for row in moved if row[f"{end}_stage"] == stage)
            assert inside == mart.column("stage").to_pylist().count(stage)
    # nobody who entered is ever lost, and whoever converted stays so
    assert not any(row["to_stage"] == stages.NOT_ENTERED for row in moved)
    assert all(row["to_status"] == "converted" for row in moved if row["from_status"] == JourneyStatus.CONVERTED)


@settings(max_examples=15, deadline=None)
@given(told=logs, now=st.integers(0, 300))
def test_stage_is_that_of_trying_the_open_entries_one_by_one(told: list[list[Any]], now: int) -> None:
    people = {f"c{number}": " ".join(f"{name}@{at}" for at, name in log) for number, log in enumerate(told)}
    rows = stands(people, now)
    for number, log in enumerate(told):
        past = [(at, name) for at, name in log if at <= now]
        entries = [at for at, name in past if name == "view"]
        if not entries:
            continue
        row = rows[f"c{number}"]
        if row["status"] == "converted":
            assert row["current_step"] == "use"
            continue
        alive = [at for at in entries if at + 100 >= now] or [max(entries)]
        depth = max(reached(past, entry) for entry in alive)
        assert row["current_step"] == ["view", "apply", "pay", "open", "use"][depth - 1]


def reached(log: list[tuple[int, str]], entry: int) -> int:
    """How deep one entry gets, each next step as early as can be, ties in the order of the steps."""
    at, depth = entry, 1
    for name in ("apply", "pay", "open", "use"):
        later = [when for when, what in log if what == name and at <= when <= entry + 100]
        if not later:
            break
        at, depth = min(later), depth + 1
    return depth
