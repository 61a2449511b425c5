"""Journey settings say what is wrong before anything is computed, all of it at once."""

from __future__ import annotations

from typing import Any

import pytest

from engine.config.journeys import Journeys
from engine.config.load import load
from engine.domain.errors import SettingsFault
from journeys import spec


def step(name: str, stage: str = "awareness", **more: Any) -> dict[str, Any]:
    return {"step": name, "events": [name], "stage": stage} | more


def plan(**more: Any) -> dict[str, Any]:
    steps = [step("view"), step("ask", "consideration"), step("open", "decision")]
    return {"journeys": [{"journey": "card", "name_en": "Card", "window_days": 30, "steps": steps} | more]}


def rule(**more: Any) -> dict[str, Any]:
    return {"rule": "identity", "kind": "mandatory", "events": ["kyc_verified"], "owner": "compliance"} | more


def funnel(**more: Any) -> spec.Funnel:
    return spec.of(load(Journeys, "journeys", flags=plan(**more)).journeys[0])


def refuse(values: dict[str, Any], *why: str) -> None:
    with pytest.raises(SettingsFault) as fault:
        load(Journeys, "journeys", flags=values)
    assert len(fault.value.faults) == len(why)
    for sentence, part in zip(fault.value.faults, why, strict=True):
        assert part in sentence


def test_window_may_be_part_of_a_day() -> None:
    assert load(Journeys, "journeys", flags=plan(window_days=0.5)).journeys[0].window_seconds == 43_200


def test_journey_of_one_step_is_refused() -> None:
    refuse(plan(steps=[step("view")]), "at least 2")


def test_step_named_twice_is_refused() -> None:
    refuse(plan(steps=[step("view"), step("view")]), "journeys.0.steps.1.step: two steps have the name")


def test_journey_named_twice_is_refused() -> None:
    refuse({"journeys": plan()["journeys"] * 2}, "name each journey once")


def test_unknown_stage_is_refused_with_those_there_are() -> None:
    refuse(plan(steps=[step("view"), step("open", "wonder")]), 'unknown stage "wonder". Stages are: awareness,')


def test_journey_asks_for_the_funnel_that_its_settings_say() -> None:
    asked = funnel(
        window_from="previous",
        order="strict",
        reentry="first",
        steps=[step("view", where={"channel": "app"}), step("ask", optional=True), step("open", lifecycles=["start"])],
        exclusions=[{"events": ["complaint_made"], "after": "view", "before": "open", "effect": "end_attempt"}],
    )
    assert [one.where for one in asked.steps] == [{"channel": ("app",)}, {}, {"lifecycle": ("start",)}]
    assert [one.optional for one in asked.steps] == [False, True, False]
    assert (asked.window_from, asked.order, asked.reentry) == ("previous", "strict", "first")
    assert asked.exclusions == (
        spec.Exclusion(
            events=("complaint_made",), after_step=1, before_step=3, effect=spec.Effect.END_ATTEMPT
        ),
    )  # fmt: skip


def test_plain_journey_asks_for_the_default_funnel() -> None:
    steps = tuple(spec.Step(name=name, events=(name,)) for name in ("view", "ask", "open"))
    assert funnel() == spec.Funnel(steps=steps, window_seconds=30 * 86_400)


def test_bank_may_name_its_own_stages_for_the_section_and_for_a_journey() -> None:
    first = plan(steps=[step("view", "知晓"), step("open", "开户")])["journeys"][0]
    second = plan(journey="loan", stages=["look", "buy"], steps=[step("view", "look"), step("open", "buy")])
    made = load(Journeys, "journeys", flags={"stages": ["知晓", "开户"], "journeys": [first, *second["journeys"]]})
    assert [one.stage_names for one in made.journeys] == [("知晓", "开户"), ("look", "buy")]


def test_stages_of_ones_own_must_be_in_the_order_of_the_steps() -> None:
    steps = [step("view", "buy"), step("open", "look")]
    refuse(plan(stages=["look", "buy", "look"], steps=steps), '"look" stands twice', "comes before that of an earlier")


def test_faults_of_all_journeys_are_told_together() -> None:
    first = plan(
        steps=[step("view", optional=True), step("ask", where={"chanel": "app"}), step("open", "wonder")],
        exclusions=[
            {"events": ["x"], "after": "open", "before": "view"},
            {"events": ["x"], "after": "a", "before": "b"},
        ],
    )
    second = plan(journey="loan", window_days=0, reentry="every", colour="red")
    refuse(
        {"journeys": [*first["journeys"], *second["journeys"]]},
        "steps.0.optional: the first and the last step cannot be optional",
        'steps.1.where.chanel: events have no column "chanel"',
        "unknown stage",
        'exclusions.0: "open" is no step before "view"',
        'exclusions.0.before: the step "view" is optional',
        'exclusions.1.after: no step is named "a"',
        'exclusions.1.before: no step is named "b"',
        "window_days = 0",
        "reentry = 'every'",
        "colour: no such setting",
    )


def test_exclusion_from_an_optional_step_is_refused() -> None:
    refuse(
        plan(
            steps=[step("view"), step("ask", optional=True), step("open", "decision")],
            exclusions=[{"events": ["x"], "after": "ask", "before": "open"}],
        ),
        'exclusions.0.after: the step "ask" is optional; name a required one',
    )


def test_fault_of_one_value_hides_no_fault_between_two() -> None:
    refuse(
        plan(window_days=0, steps=[step("view"), step("view"), step("open", "wonder")], rules=[rule(before="opened")]),
        "window_days = 0",
        "two steps have the name",
        "unknown stage",
        'no step is named "opened"',
    )


def test_phases_given_twice_are_refused() -> None:
    twice = step("view", lifecycles=["start"], where={"lifecycle": "complete"})
    refuse(plan(steps=[twice, step("open", "decision")]), "not in both")


def test_rule_says_what_it_needs_and_what_it_has_no_use_for() -> None:
    refuse(plan(rules=[rule()]), 'rules.0.before: a rule of the kind "mandatory" needs it')
    refuse(
        plan(rules=[rule(kind="within", before="open", then=["open"])]),
        "rules.0.days: a rule of the kind \"within\" needs it",
        "rules.0.before: a rule of the kind \"within\" has no use for it",
    )  # fmt: skip


def test_rule_must_name_steps_of_its_journey_and_have_a_name_of_its_own() -> None:
    refuse(
        plan(rules=[rule(before="opened"), rule(kind="absent", after="open", before="view")]),
        'rules.0.before: no step is named "opened". Steps are: view, ask, open',
        'two rules have the name "identity"',
        'rules.1: "open" is no step before "view"',
    )


def test_rule_without_an_owner_is_refused() -> None:
    without = {name: value for name, value in rule(before="open").items() if name != "owner"}
    refuse(plan(rules=[without]), "rules.0.owner: missing")
