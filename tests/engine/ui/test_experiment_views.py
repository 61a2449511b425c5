"""The experiments page says what the result says: no more where a check failed, and nothing of a handful of people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest

from engine.store.records import ExperimentDecisionRecord
from engine.ui.views import experiment_days, experiment_groups, experiment_others
from engine.ui.views import experiments as views
from engine.ui.words import Words
from engine.workflows.experiment_decided import told
from experiments import report
from experiments.report import Report
from tests.engine.ui import experiment_rows as made

EN, ZH = Words(language="en"), Words(language="zh")


def whole(**changed: Any) -> Report:
    return report.make(made.onboarding() | changed)


def person(action: str = "ship", run_id: str = "this") -> ExperimentDecisionRecord:
    return ExperimentDecisionRecord(
        experiment_id="card_onboarding",
        version=1,
        run_id=run_id,
        action=action,
        instead_of="continue",
        owner="Head of Cards",
        note="The checklist *is* $5 cheaper.",
        spec_hash=None,
        decided_by="mei",
        decided_at=datetime(2026, 7, 1, 9, 30, tzinfo=UTC),
    )


def rows() -> pd.DataFrame:
    kept = made.marts()["experiment_decisions"]
    return pd.DataFrame([row | {"health": "stop" if "loan" in row["experiment_id"] else "ok"} for row in kept])


# the list and the result


def test_experiment_whose_check_failed_comes_first_and_says_that_no_number_is_shown() -> None:
    entries = views.listed(rows(), {}, "this", EN)
    assert [entry.experiment_id for entry in entries] == ["loan_reminder", "card_onboarding"]
    assert "no number is shown" in views.advice(entries[0], EN)
    assert entries[1].headline == "Continue for 6 days"


def test_decision_of_a_person_stands_in_its_run_and_in_no_other() -> None:
    taken = {"card_onboarding": (person(),)}
    waiting, here = views.listed(rows(), taken, "this", EN)
    assert waiting.experiment_id == "loan_reminder", "what nobody decided on yet comes first"
    assert (here.action, here.headline, here.owner) == ("ship", "Ship", "Head of Cards")
    assert "decided by Head of Cards" in views.advice(here, EN)
    later = views.listed(rows(), taken, "next", EN)[1]
    assert (later.action, later.owner) == ("continue", None)


@pytest.mark.parametrize(("w", "reason"), [(EN, made.BROKEN), (ZH, made.BROKEN_ZH)])
def test_withheld_experiment_keeps_its_reason_and_loses_its_numbers(w: Words, reason: str) -> None:
    held = report.make(made.reminder())
    assert views.withheld(held, w) == (reason,)
    assert views.reasons(held, w) == (), "said once, above"
    figure = views.forest(held, w)
    assert figure.chart is None and figure.table.empty
    assert [units for _, units, _ in views.arms(held, w)] == ["5,412", "4,603"]


def test_forest_draws_the_interval_that_the_verdict_rests_on() -> None:
    facts = made.onboarding()
    # one look alone would leave out 0; at this look the interval holds it, and so the verdict
    facts["metrics"][0] |= {"now": made.effect(0.05, (-0.01, 0.11)), "verdict": "no_difference_shown"}
    figure = views.forest(report.make(facts), EN)
    assert figure.finding.endswith("a difference of +5.00 pp (−1.00 pp to +11.00 pp): no difference shown.")
    assert figure.table["Interval"][0] == "−1.00 pp … +11.00 pp"


def test_fingerprint_of_a_plan_is_cut_to_what_a_line_can_hold() -> None:
    check = {"check": "plan", "status": "ok", "detail": f"SHA-256 of the plan: {'ab' * 32}"}
    assert list(views.checks(whole(health=[check]), EN)["What was found"]) == ["SHA-256 of the plan: abababababab…"]


# days


def test_days_name_the_first_day_from_which_every_interval_leaves_out_zero() -> None:
    # a difference of 0.05 with 0.6, 0.2, 0.04 and 0.03 to either side: 0 is left out on the third and fourth day
    figure = experiment_days.calendar(whole().facts["metrics"][0], EN)
    assert figure.finding == (
        "Card activation, checklist, everybody first exposed until 2026-04-04: +5.00 pp. "
        "Since 2026-04-03 the interval leaves out zero: a difference is shown."
    )
    assert len(figure.table) == 4


def test_day_that_once_left_out_zero_is_no_finding_when_the_last_one_holds_it() -> None:
    days = [made.day(at, 0.05, width) for at, width in enumerate((0.04, 0.04, 0.06), 1)]
    one = whole().facts["metrics"][0] | {"over_time": {"since_exposure": {"measure": "daily_mean", "days": days}}}
    figure = experiment_days.since_exposure(one, whole(), EN)
    last = "day 3 after exposure alone: +5.00 pp. The interval holds zero: no difference is shown."
    assert figure.finding.endswith(last)


def test_metric_that_is_not_told_by_day_says_why() -> None:
    one = whole().facts["metrics"][0] | {"over_time": {"calendar": [], "since_exposure": None}}
    assert "a quantile, or a time to an event" in experiment_days.calendar(one, EN).finding
    assert experiment_days.since_exposure(one, whole(), EN).chart is None
    assert "按客户分组" in experiment_days.since_exposure(one, whole(), ZH).finding


@pytest.mark.parametrize(("p_value", "said"), [(0.01, "do not carry it on"), (0.2, "not shown to change")])
def test_effect_that_wears_off_is_told_by_the_corrected_test(p_value: float, said: str) -> None:
    one = whole().facts["metrics"][0]
    found = made.effect(-0.02, (-0.03, -0.01))["absolute"] | {"adjusted_p_value": p_value}
    assert said in experiment_days.wear(one, found, whole(), EN)


# segments and protected groups


@pytest.mark.parametrize(
    ("p_value", "said"),
    [(0.01, "the effect differs by region"), (0.31, "is not shown to differ by region"), (None, "cannot be compared")],
)
def test_segments_differ_only_where_the_corrected_test_says_so(p_value: float | None, said: str) -> None:
    facts = made.onboarding()
    facts["metrics"][0]["segments"] = [made.breakdown(p_value)]
    one, part = facts["metrics"][0], facts["metrics"][0]["segments"][0]
    figure = experiment_groups.segments(one, part, report.make(facts), EN)
    assert said in figure.finding
    drawn = [row["name"] for rows in figure.chart.to_dict()["datasets"].values() for row in rows if "name" in row]
    assert drawn == ["Everybody", "Beijing", "Fujian", "not recorded"], "Hainan has no effect to draw"
    assert figure.table["Note"][3] == "fewer than 2 customers in an arm"


def test_tests_of_all_segments_name_those_that_differ() -> None:
    facts = made.onboarding()
    facts["metrics"][1]["segments"] = [made.breakdown(0.004)]
    finding, table = experiment_groups.tests(report.make(facts), EN)
    assert finding == "Beyond chance, the effect differs in 1: Complaints, checklist by region."
    assert list(table["What was found"]) == ["no difference shown", "differs beyond chance"]


def test_group_too_small_to_be_shown_has_its_name_and_nothing_else() -> None:
    figure = experiment_groups.fairness(made.fairness(), whole(), EN)
    hidden = figure.table[figure.table["Group"] == "other"].iloc[0]
    assert list(hidden) == ["other", *["—"] * 5, "too few to show"]
    assert "other" not in str(figure.chart.to_dict()["datasets"])
    assert "Hidden: 1, because a group has fewer than 20 customers" in figure.note


def test_group_that_is_not_known_to_be_safe_is_named_and_the_worst_off_told() -> None:
    figure = experiment_groups.fairness(made.fairness(), whole(), EN)
    assert figure.finding.endswith("no group is shown to be harmed; not known to be safe: male.")
    assert figure.note.startswith("It is worst for male. Widest gap: female against male, +10.00 pp")
    harmed = made.fairness()
    harmed["groups"][1]["safety"] = "harmed"
    assert experiment_groups.fairness(harmed, whole(), EN).finding.endswith("worse off beyond chance: male.")
    assert experiment_groups.fairness(harmed, whole(), ZH).finding.endswith("受损超出偶然：男。")


def test_attribute_whose_groups_are_all_too_small_shows_none() -> None:
    groups = [made.fairness()["groups"][2]]
    figure = experiment_groups.fairness(made.fairness(groups=groups, worst=None, widest=None), whole(), EN)
    assert figure.chart is None and figure.finding.endswith("every group is too small to be shown.")


# other experiments and decisions


def test_experiment_that_changes_an_effect_is_named_and_one_that_was_not_crossed_says_why() -> None:
    figure = experiment_others.crossings(whole(), EN)
    assert figure.finding.startswith("In 1 of 2 crossings another experiment changes an effect. Where Savings banner")
    assert list(figure.table["p-value, corrected"]) == ["0.0100", "0.6000"], "the surest first"
    _, table = experiment_others.overlaps(whole(), ZH)
    assert list(table["是否交叉分析"]) == ["有健康检查未通过", "是"]


def test_experiments_that_were_not_drawn_independently_are_told_apart_from_those_that_were() -> None:
    shared = [{"with": "savings_banner", "customers": 900, "independence_p_value": 1e-5}]
    finding, _ = experiment_others.overlaps(whole(interactions={"shared": shared, "crossings": []}), EN)
    assert finding.startswith("Not drawn independently of this one: Savings banner.")
    assert experiment_others.overlaps(whole(interactions={"shared": []}), EN)[0].startswith("No other experiment")


def test_command_offers_every_action_but_that_of_the_rules() -> None:
    decided = report.make(told(made.onboarding(), person()))
    assert experiment_others.command(decided).startswith("wayline experiment decide card_onboarding ACTION --owner")
    assert experiment_others.actions(decided, EN) == "`ship`, `roll_back`, `review`"


def test_decisions_of_earlier_runs_are_listed_and_do_not_stand() -> None:
    finding, table = experiment_others.decided((person(run_id="earlier"),), "this", EN)
    assert finding == "The decision of the rules stands in this run. Decisions on earlier runs: 1."
    assert list(table["Run"]) == ["earlier"]
    finding, table = experiment_others.decided((person(),), "this", EN)
    assert finding == "Head of Cards decided on 2026-07-01: Ship, in place of the rules (Continue)."
    assert list(table["Recorded, by"]) == ["2026-07-01 09:30, mei"]
    assert list(table["Decision"]) == ["Ship, in place of Continue"]
