"""Written rules over typed outcomes, and the one result that everything reads."""

from __future__ import annotations

import json
from math import inf
from typing import Any

import numpy as np
import pytest

from engine.config.experiments import DecisionSettings, LookSettings
from engine.domain.errors import RefusedByPolicy
from experiments import effects, looks, result
from experiments.decide import (
    Decision,
    Finding,
    Outcome,
    Role,
    decide,
    judge_goal,
    judge_guardrail,
    needs_owner_and_note,
)
from experiments.effects import Effect
from experiments.estimates import ArmEstimate
from experiments.integrity import Check
from experiments.looks import AnyTime
from experiments.moments import Moments
from experiments.progress import NO_END, ONLY_GUARDRAILS, Progress
from experiments.result import Comparison, ExperimentResult
from experiments.sentences import Sentence

FINE = Check(check="sample_ratio", status="ok", detail="Planned 50:50, observed 50:50.", p_value=0.5)
BROKEN = Check(check="sample_ratio", status="stop", detail="Sample ratio mismatch. Results are withheld.", p_value=1e-9)
RUNNING = Progress(day=10, days_to_go=4)
OVER = Progress(day=14, days_to_go=0, complete=True)
NOTHING = Effect(method="welch", reason="fewer than two customers in a group")


def finding(outcome: Outcome, role: Role = "goal", metric: str = "m", variant: str = "b", gain: float = 1.0) -> Finding:
    said = Sentence(en=f"{metric} {outcome}", zh=f"{metric} {outcome}")
    return Finding(metric=metric, variant=variant, role=role, outcome=outcome, because=said, gain=gain)


def guard(outcome: Outcome) -> Finding:
    return finding(outcome, "guardrail", "g")


def effect(z: float, control: float = 50.0) -> Effect:
    arm = ArmEstimate(value=control + z, variance=0.5, n=100)
    return effects.contrast(arm, ArmEstimate(value=control, variance=0.5, n=100), method="welch")


# rules, in order

GOAL, SAFE = finding("won"), guard("safe")
RULES: list[tuple[int, list[Finding], Progress, dict[str, Any], str]] = [
    (2, [GOAL, guard("harmed")], RUNNING, {}, "roll_back"),
    (2, [GOAL, guard("harmed")], RUNNING, {"harmed_guardrail": "review"}, "review"),
    (3, [finding("lost", metric="n"), GOAL, SAFE], RUNNING, {}, "review"),
    (4, [finding("lost"), SAFE], RUNNING, {}, "roll_back"),
    (5, [GOAL, SAFE], RUNNING, {}, "ship"),
    (5, [GOAL], RUNNING, {}, "ship"),
    (5, [GOAL, finding("undecided", metric="n"), SAFE], RUNNING, {}, "ship"),
    (5, [SAFE], RUNNING, {}, "ship"),
    (6, [GOAL, guard("unknown")], RUNNING, {}, "continue"),
    (7, [GOAL, guard("unknown")], OVER, {}, "review"),
    (7, [GOAL, guard("unknown")], OVER, {"undecided_guardrail": "ship"}, "ship"),
    (8, [finding("flat"), SAFE], OVER, {}, "review"),
    (8, [finding("flat"), SAFE], OVER, {"no_effect": "roll_back"}, "roll_back"),
    (8, [finding("flat"), SAFE], RUNNING, {"no_effect": "roll_back"}, "roll_back"),
    (8, [GOAL, finding("flat", metric="n")], OVER, {"goals_needed": "all", "no_effect": "roll_back"}, "review"),
    (8, [guard("unknown")], OVER, {"no_effect": "roll_back"}, "review"),
    (9, [finding("undecided")], Progress(day=3, days_to_go=900), {}, "review"),
    (10, [finding("undecided"), SAFE], RUNNING, {}, "continue"),
    (10, [GOAL, finding("undecided", metric="n")], RUNNING, {"goals_needed": "all"}, "continue"),
    (10, [finding("undecided")], Progress(day=3), {}, "continue"),
    (10, [guard("unknown")], RUNNING, {}, "continue"),
]


@pytest.mark.parametrize(("rule", "findings", "at", "settings", "action"), RULES)
def test_first_rule_that_holds_decides(
    rule: int, findings: list[Finding], at: Progress, settings: dict[str, Any], action: str
) -> None:
    made = decide(findings, [FINE], at, DecisionSettings.model_validate(settings))
    assert (made.action, made.variants[0].rule) == (action, rule)
    assert made.reasons and all(one.en and one.zh for one in made.reasons)
    assert made.days == (at.days_to_go if action == "continue" else None)


def test_failed_check_withholds_whatever_the_outcomes() -> None:
    made = decide([GOAL, SAFE], [FINE, BROKEN], RUNNING)
    assert (made.action, made.reasons[0].en, made.variants) == ("review", BROKEN.detail, ())


def test_secondary_metrics_decide_nothing() -> None:
    assert decide([finding("lost", "secondary"), GOAL, SAFE], [FINE], RUNNING).action == "ship"


def test_variant_that_gains_most_is_shipped() -> None:
    found = [finding("won", variant="b", gain=1.0), finding("won", variant="c", gain=3.0), finding("lost", variant="d")]
    made = decide(found, [FINE], RUNNING)
    assert (made.action, made.variant) == ("ship", "c")
    assert {one.variant: one.action for one in made.variants} == {"b": "ship", "c": "ship", "d": "roll_back"}
    assert made.headline == Sentence(en="Ship c", zh="上线 c")


def test_one_harmful_variant_does_not_end_the_others() -> None:
    found = [finding("lost", variant="b"), finding("undecided", variant="c")]
    made = decide(found, [FINE], RUNNING)
    assert (made.action, made.days, made.headline.en) == ("continue", 4, "Continue for 4 days")
    assert decide([finding("lost", variant=name) for name in "bc"], [FINE], RUNNING).action == "roll_back"


def test_experiment_without_variants_needs_a_review() -> None:
    assert decide([], [FINE], RUNNING).action == "review"


@pytest.mark.parametrize(("owner", "note"), [("", "a reason"), ("Li", "  ")])
def test_other_decision_without_owner_or_note_is_refused(owner: str, note: str) -> None:
    with pytest.raises(RefusedByPolicy, match="needs an owner and a note"):
        needs_owner_and_note("ship", owner=owner, note=note)


def test_continuing_without_an_end_says_what_the_plan_lacks() -> None:
    made = decide([finding("undecided")], [FINE], Progress(day=10, why=NO_END))
    assert (made.headline.en, made.days, made.reasons[-1]) == ("Continue", None, NO_END)
    # what is shipped or known to go on for four days needs no such reason
    assert NO_END not in decide([GOAL, SAFE], [FINE], Progress(day=10, why=NO_END)).reasons


def test_days_that_the_goal_would_need_are_not_those_of_a_guardrail() -> None:
    found = [GOAL, guard("unknown")]
    made = decide(found, [FINE], Progress(day=10, days_to_go=40, by_information=True))
    assert (made.action, made.days, made.reasons[-1]) == ("continue", None, ONLY_GUARDRAILS)
    assert decide(found, [FINE], RUNNING).days == 4


# outcomes


@pytest.mark.parametrize(
    ("z", "direction", "outcome"),
    [(3.0, "increase", "won"), (3.0, "decrease", "lost"), (-3.0, "decrease", "won"), (1.0, "increase", "undecided")],
)
def test_goal_is_won_in_the_direction_that_is_good(z: float, direction: effects.Direction, outcome: Outcome) -> None:
    assert judge_goal("m", "b", effect(z), direction).outcome == outcome


def test_goal_that_shows_nothing_at_the_planned_end_is_flat() -> None:
    assert judge_goal("m", "b", effect(1.0), "increase", complete=True).outcome == "flat"


def test_goal_that_can_no_longer_reach_its_planned_effect_is_flat_before_the_end() -> None:
    # the interval ends at -1 + 1.96 = .96
    assert judge_goal("m", "b", effect(-1.0), "increase", planned_effect=1.0).outcome == "flat"
    assert judge_goal("m", "b", effect(-1.0), "increase", planned_effect=0.9).outcome == "undecided"
    assert judge_goal("m", "b", effect(1.0), "decrease", planned_effect=1.0).outcome == "flat"


def test_goal_that_cannot_be_told_or_not_yet_is_undecided_with_the_reason() -> None:
    assert "fewer than two customers" in judge_goal("m", "b", NOTHING, "increase", complete=True).because.en
    early = looks.at_look(effect(9.0), looks.of_plan(LookSettings(days=90), units=100, day=1))
    found = judge_goal("m", "b", early, "increase")
    assert found.outcome == "undecided" and looks.TOO_EARLY in found.because.en


@pytest.mark.parametrize(
    ("z", "margin", "outcome"),
    [
        # complaints should fall; standard error 1, margin 5 % of 50 = 2.5, one-sided 1.645
        (0.0, 0.05, "safe"),  # upper bound 1.65 (a little more, since control is uncertain too)
        (1.0, 0.05, "unknown"),  # upper bound 2.65, lower bound -.65
        (2.0, 0.05, "harmed"),  # lower bound .36
        (2.0, 0.10, "safe"),  # worse, but surely by less than 5
        (0.0, None, "unknown"),
        (2.0, None, "harmed"),
        (-9.0, None, "unknown"),
    ],
)
def test_guardrail_is_safe_harmed_or_unknown(z: float, margin: float | None, outcome: Outcome) -> None:
    found = judge_guardrail("complaint", "b", effect(z), "decrease", margin=margin)
    assert found.outcome == outcome
    assert (found.safety is None) == (margin is None)


def test_guardrail_that_should_rise_is_judged_on_the_other_side() -> None:
    assert judge_guardrail("trust", "b", effect(0.0), "increase", margin=2.0, relative=False).outcome == "safe"
    assert judge_guardrail("trust", "b", effect(-2.0), "increase", margin=2.0, relative=False).outcome == "harmed"


def test_alarms_of_several_guardrails_share_their_budget_and_safety_does_not() -> None:
    # p = .0228 one-sided: an alarm for one guardrail, none for three
    assert judge_guardrail("g", "b", effect(2.0), "decrease").outcome == "harmed"
    assert judge_guardrail("g", "b", effect(2.0), "decrease", guardrails=3).outcome == "unknown"
    assert judge_guardrail("g", "b", effect(0.0), "decrease", margin=0.05, guardrails=3).outcome == "safe"


def test_guardrail_that_cannot_be_told_is_unknown() -> None:
    found = judge_guardrail("g", "b", NOTHING, "decrease", margin=0.1)
    assert (found.outcome, found.harm) == ("unknown", None)


# the one result


def comparison(metric: str, role: Role, seen: tuple[int, int], of_control: tuple[int, int], **more: Any) -> Comparison:
    """A proportion of b against a, from successes and customers of each."""
    one, other = Moments.of_count(*seen), Moments.of_count(*of_control)
    name = more.get("variant", "b")
    plan: dict[str, Any] = {
        "metric": metric,
        "role": role,
        "direction": "increase",
        "variant": name,
        "control": "a",
        "units": {"a": other.n, name: one.n},
        "values": {"a": other.mean, name: one.mean},
        "plain": effects.proportions(one, other),
    }
    return Comparison(**(plan | more))


BOUGHT = comparison("bought", "goal", (1300, 10_000), (1000, 10_000))
COMPLAINED = comparison("complained", "guardrail", (300, 10_000), (300, 10_000), direction="decrease", margin=0.5)
OPENED = comparison("opened", "secondary", (5200, 10_000), (5000, 10_000))


def assembled(*comparisons: Comparison, **more: Any) -> ExperimentResult:
    plan: dict[str, Any] = {"looks": AnyTime(units=20_000), "progress": RUNNING}
    return result.assemble("x", comparisons, more.pop("health", [FINE]), **(plan | more))


def test_won_goal_with_a_safe_guardrail_ships_with_its_reasons() -> None:
    found = assembled(BOUGHT, COMPLAINED)
    assert (found.decision.action, found.decision.variant) == ("ship", "b")
    # .03 +- 3.127 x .004507 absolute: v = 5,000 / 7.93 = 630, sqrt(1.0315 x log(20,630 / 630 x 400)) = 3.127
    assert [one.en for one in found.decision.reasons] == [
        'b wins on "bought": +30.00% [+14.94%, +47.37%], p < 0.0001.',
        'b: guardrail "complained" is safe: worse by less than 50 % of control (p < 0.0001).',
    ]
    assert found.decision.reasons[0].zh == 'b 在 "bought" 上更好：+30.00% [+14.94%, +47.37%], p < 0.0001。'


def test_json_has_the_documented_keys() -> None:
    made = assembled(BOUGHT, COMPLAINED).to_json()
    assert json.loads(json.dumps(made, allow_nan=False)) == made
    assert made["health"] == [{"check": "sample_ratio", "status": "ok", "p_value": 0.5, "detail": FINE.detail}]
    first = made["metrics"][0]
    assert (first["metric"], first["variant"], first["control"]) == ("bought", "b", "a")
    assert (first["n"], first["value"]) == ({"a": 10_000, "b": 10_000}, {"a": 0.1, "b": 0.13})
    plain = BOUGHT.plain
    assert first["absolute"] == {
        "difference": plain.difference,
        "interval": [plain.lower, plain.upper],
        "p_value": plain.p_value,
    }
    assert first["relative"] == {
        "lift": plain.relative_difference,
        "interval": [plain.relative_lower, plain.relative_upper],
        "p_value": plain.p_value,
    }
    assert (first["adjusted"], first["verdict"]) == (None, "better")
    assert (made["decision"]["action"], made["decision"]["reasons"][0][:6]) == ("ship", "b wins")


def test_undefined_numbers_are_null_with_a_reason() -> None:
    nobody = comparison("bought", "goal", (30, 100), (0, 100))
    made = assembled(nobody).to_json()["metrics"][0]
    assert (made["relative"]["lift"], made["relative"]["p_value"]) == (None, None)
    assert made["relative"]["why"] == "control is 0, so there is nothing to divide by"
    untold = assembled(comparison("bought", "goal", (30, 100), (0, 100), plain=NOTHING)).to_json()["metrics"][0]
    why = {"why": NOTHING.reason, "why_zh": "某组不足两位客户"}
    assert untold["absolute"] == {"difference": None, "interval": None, "p_value": None} | why
    assert (untold["verdict"], untold["why"]) == ("withheld", NOTHING.reason)


def test_failed_check_shows_counts_and_the_reason_and_no_numbers() -> None:
    found = assembled(BOUGHT, COMPLAINED, health=[BROKEN])
    assert (found.withheld, found.decision.action) == (BROKEN.detail, "review")
    made = found.to_json()["metrics"]
    assert [one["verdict"] for one in made] == ["withheld"] * 2
    assert made[0]["n"] == {"a": 10_000, "b": 10_000}
    assert made[0]["value"] == {"a": None, "b": None}
    assert (made[0]["absolute"]["why"], made[1]["harm"]["why"]) == (BROKEN.detail, BROKEN.detail)


def test_numbers_of_a_failed_check_are_shown_on_demand_and_still_need_a_review() -> None:
    found = assembled(BOUGHT, health=[BROKEN], withhold=False)
    assert (found.of("bought").verdict, found.decision.action) == ("better", "review")


def test_verdict_without_a_plan_is_safe_to_look_at_daily() -> None:
    """p = .0158 in one look; looked at daily that is nothing yet, and both are told."""
    small = comparison("bought", "goal", (1105, 10_000), (1000, 10_000))
    found = assembled(small).of("bought")
    assert small.plain.p_value == pytest.approx(0.0158, abs=5e-4)
    assert (found.verdict, found.finding.outcome) == ("no_difference_shown", "undecided")
    assert assembled(small, looks=looks.ONCE).of("bought").verdict == "better"


def test_verdict_follows_the_adjusted_effect() -> None:
    small = comparison("bought", "goal", (1105, 10_000), (1000, 10_000), adjusted=effect(6.0))
    found = assembled(small)
    assert found.of("bought").verdict == "better"
    assert found.to_json()["metrics"][0]["adjusted"]["absolute"]["difference"] == 6.0


def test_secondary_metric_waits_for_the_goal() -> None:
    waiting = comparison("bought", "goal", (1000, 10_000), (1000, 10_000))
    found = assembled(waiting, OPENED, looks=looks.ONCE)
    assert found.of("opened").finding.outcome == "undecided"
    assert found.of("opened").why is not None and "goals come first" in found.of("opened").why
    won = assembled(BOUGHT, OPENED, looks=looks.ONCE)
    assert won.of("opened").finding.outcome == "won"


def test_guardrail_that_alarms_is_worse_whatever_its_two_sided_interval_says() -> None:
    # z = 1.83: .034 on one side, .067 on two
    harmed = comparison("complained", "guardrail", (346, 10_000), (300, 10_000), direction="decrease")
    found = assembled(BOUGHT, harmed, looks=looks.ONCE)
    assert (found.of("complained").finding.outcome, found.of("complained").verdict) == ("harmed", "worse")
    assert found.decision.action == "roll_back"


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("design", [looks.ONCE, AnyTime(units=20_000), looks.of_plan(LookSettings(), units=9, day=20)])
def test_verdict_interval_outcome_and_decision_never_contradict_each_other(seed: int, design: looks.Looks) -> None:
    rng = np.random.default_rng(seed)
    roles: tuple[Role, ...] = ("goal", "goal", "secondary", "guardrail", "guardrail")
    found = assembled(
        *(
            comparison(
                f"m{place}",
                role,
                (int(rng.normal(1000, 60)), 10_000),
                (1000, 10_000),
                variant=variant,
                margin=0.1 if role == "guardrail" else None,
            )
            for variant in "bc"
            for place, role in enumerate(roles)
        ),
        looks=design,
    )
    for one in found.metrics:
        judged, outcome = one.judged, one.finding.outcome
        if one.comparison.role != "guardrail":
            assert (one.verdict == "better") == (outcome == "won")
            assert (one.verdict == "worse") == (outcome == "lost")
        if judged.lower is not None and judged.upper is not None:
            if judged.lower > 0:
                assert one.verdict == "better"
            if judged.upper < 0:
                assert one.verdict == "worse" and outcome in {"lost", "harmed", "safe"}
        if one.comparison.variant == found.decision.variant:
            assert outcome not in {"lost", "harmed"}


def test_two_variants_share_alpha() -> None:
    # p = .0355 alone; Dunnett of two says .066
    pair = [comparison("bought", "goal", (1091, 10_000), (1000, 10_000), variant=name) for name in "bc"]
    assert assembled(pair[0], looks=looks.ONCE).of("bought").verdict == "better"
    both = assembled(*pair, looks=looks.ONCE)
    assert both.of("bought", "c").verdict == "no_difference_shown"
    p_value = both.of("bought", "c").judged.p_value
    single = pair[0].plain.p_value
    assert p_value is not None and single is not None and single < p_value < 2 * single


def test_each_comparison_may_have_its_own_looks() -> None:
    designs = {("bought", "b"): AnyTime(units=20_000), ("complained", "b"): AnyTime(units=9_000)}
    assert assembled(BOUGHT, COMPLAINED, looks=designs).decision.action == "ship"


def test_result_of_no_such_metric_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="nothing"):
        assembled(BOUGHT).of("nothing")


def test_decision_of_a_result_reads_only_that_result() -> None:
    found = assembled(BOUGHT, COMPLAINED)
    again = decide([one.finding for one in found.metrics], found.health, found.progress)
    assert isinstance(again, Decision) and again == found.decision


def test_infinite_numbers_never_reach_the_json() -> None:
    made = assembled(comparison("bought", "goal", (1300, 10_000), (1000, 10_000), values={"a": inf, "b": 0.13}))
    assert made.to_json()["metrics"][0]["value"] == {"a": None, "b": 0.13}
