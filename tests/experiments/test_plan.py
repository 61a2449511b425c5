"""Plans: one equation solved for units, effect or power, and what each choice costs."""

from __future__ import annotations

from dataclasses import replace
from math import isclose

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config.experiments import LookSettings
from experiments import look_power, plan
from experiments.moments import Moments
from experiments.plan import CannotBePlanned, Design, Outcome

SHARE = Design(outcome=Outcome.proportion(0.2), weights={"A": 1, "B": 1})
AMOUNT = Design(outcome=Outcome.mean(50.0, 80.0), weights={"A": 1, "B": 1})

DESIGNS = st.builds(
    Design,
    outcome=st.one_of(
        st.floats(0.01, 0.9).map(Outcome.proportion),
        st.tuples(st.floats(-100, 100), st.floats(1, 500)).map(lambda pair: Outcome.mean(*pair)),
    ),
    weights=st.sampled_from([{"A": 1, "B": 1}, {"A": 9, "B": 1}, {"A": 2, "B": 1, "C": 1}]),
    variance_removed=st.floats(0, 0.9),
    cluster_size=st.sampled_from([1.0, 20.0]),
    intra_cluster_correlation=st.floats(0, 0.3),
    looks=st.sampled_from([None, LookSettings(shares=(0.5, 1.0)), LookSettings(days=7), "any_time"]),
    metrics=st.sampled_from([1, 3]),
    correction=st.sampled_from(["none", "holm", "dunnett"]),
)


def per_arm(design: Design, effect: float) -> float:
    return plan.units(design, effect) / 2


@settings(max_examples=40, deadline=None)
@given(design=DESIGNS, size=st.floats(0.05, 0.5), wanted=st.floats(0.5, 0.95))
def test_units_and_effect_and_power_are_one_equation(design: Design, size: float, wanted: float) -> None:
    effect = size * design.outcome.variance**0.5
    if design.outcome.kind == "proportion" and design.outcome.value + effect >= 1:
        effect = (1 - design.outcome.value) / 2
    units = plan.units(design, effect, wanted)
    found = plan.power(design, effect, units)
    fewest = isclose(units, 2 * design.cluster_size / min(design.shares.values()))
    assert found == pytest.approx(wanted, abs=1e-6) or (fewest and found > wanted)
    if not fewest:
        assert plan.detectable(design, units, wanted) == pytest.approx(effect, rel=1e-5)


@settings(max_examples=30, deadline=None)
@given(design=DESIGNS, more=st.floats(1.1, 4))
def test_more_units_never_lower_the_power(design: Design, more: float) -> None:
    effect = 0.05 * design.outcome.variance**0.5
    units = 100 * design.cluster_size
    assert plan.power(design, effect, more * units) >= plan.power(design, effect, units) - 1e-9


def test_a_covariate_that_explains_half_halves_the_units() -> None:
    assert per_arm(replace(AMOUNT, variance_removed=0.5), 2.0) == pytest.approx(per_arm(AMOUNT, 2.0) / 2, rel=1e-3)


def test_an_effect_down_needs_fewer_units_than_one_up_where_the_spread_shrinks() -> None:
    # 0.15 x 0.85 < 0.25 x 0.75
    assert per_arm(SHARE, -0.05) < per_arm(SHARE, 0.05)
    assert plan.detectable(SHARE, 2_000, sign=-1) < 0


def test_unequal_arms_need_more_units_together() -> None:
    # (1/0.9 + 1/0.1) / (1/0.5 + 1/0.5) = 2.78
    uneven = replace(AMOUNT, weights={"A": 9, "B": 1})
    assert plan.units(uneven, 2.0) / plan.units(AMOUNT, 2.0) == pytest.approx(2.78, abs=0.01)


def test_the_smallest_of_several_variants_decides() -> None:
    three = replace(AMOUNT, weights={"A": 4, "B": 4, "C": 2}, correction="none")
    alone = replace(AMOUNT, weights={"A": 4, "C": 2})
    assert plan.power(three, 5.0, 10_000) == pytest.approx(plan.power(alone, 5.0, 6_000))


def test_corrections_rank_as_they_should() -> None:
    arms = replace(AMOUNT, weights={"A": 1, "B": 1, "C": 1, "D": 1})
    none, dunnett, holm = (plan.units(replace(arms, correction=one), 5.0) for one in ("none", "dunnett", "holm"))
    assert none < dunnett < holm
    assert replace(arms, metrics=2).level == pytest.approx(0.05 / 6)


def test_looks_cost_least_when_they_spend_last_and_any_time_costs_most() -> None:
    plans = [None, LookSettings(), LookSettings(spending="pocock"), "any_time"]
    needed = [plan.units(replace(AMOUNT, looks=looks), 2.0) for looks in plans]
    assert needed == sorted(needed)
    assert needed[1] / needed[0] < 1.06
    assert needed[3] / needed[0] > 1.5


def test_a_year_of_daily_looks_costs_hardly_more_than_a_month_of_them() -> None:
    """Continuous looking is the limit: every look more costs less than the one before."""
    needed = [plan.units(replace(AMOUNT, looks=LookSettings(days=days)), 2.0) for days in (28, 90, 365)]
    assert needed == sorted(needed)
    assert needed[2] / needed[0] < 1.015


def test_one_look_at_the_end_is_no_look_on_the_way() -> None:
    once = replace(AMOUNT, looks=LookSettings(shares=(1.0,)))
    assert plan.power(once, 2.0, 50_000) == pytest.approx(plan.power(AMOUNT, 2.0, 50_000), abs=1e-9)


def test_bounds_are_crossed_by_chance_as_often_as_alpha_says() -> None:
    design = replace(AMOUNT, looks=LookSettings())
    cost = plan.make(design, 2.0, 50_000).looks
    assert cost is not None
    lower = [-bound for bound in cost.critical]
    crossed = look_power.crossing(cost.information, cost.critical, lower, 0.0)
    assert crossed.upper.sum() + crossed.lower.sum() == pytest.approx(0.05, abs=1e-9)


def test_a_plan_rounds_arms_up_to_whole_clusters_and_counts_days_until_the_last_unit_has_matured() -> None:
    design = replace(SHARE, cluster_size=20, intra_cluster_correlation=0.05)
    made = plan.make(design, 0.05, plan.units(design, 0.05), units_per_day=100, maturity_days=30)
    assert made.clusters_by_arm is not None
    assert made.units_by_arm == {arm: 20 * count for arm, count in made.clusters_by_arm.items()}
    assert made.enrolment_days == -(-made.units // 100)
    assert made.days == made.enrolment_days + 30


def test_no_number_of_units_shows_safe_what_is_as_bad_as_the_margin() -> None:
    with pytest.raises(CannotBePlanned, match="as bad as the margin"):
        plan.units(replace(SHARE, margin=0.02), -0.02)
    with pytest.raises(CannotBePlanned, match="effect of 0"):
        plan.units(SHARE, 0.0)


def test_units_for_an_effect_next_to_nothing_are_refused_in_a_sentence() -> None:
    with pytest.raises(CannotBePlanned, match="larger effect"):
        plan.units(AMOUNT, 1e-6)


def test_too_few_units_for_any_effect_are_refused_in_a_sentence() -> None:
    with pytest.raises(CannotBePlanned, match="fewer than two"):
        plan.detectable(SHARE, 3)
    with pytest.raises(CannotBePlanned, match="fewer than two clusters"):
        plan.power(replace(SHARE, cluster_size=20), 0.1, 30)
    with pytest.raises(CannotBePlanned, match="no effect that the metric can have"):
        plan.detectable(replace(SHARE, outcome=Outcome.proportion(0.98)), 20)


def test_history_gives_value_spread_and_what_covariates_explain() -> None:
    rng = np.random.default_rng(1)
    before = rng.normal(size=(5_000, 2))
    value = 10 + 2 * before[:, 0] + rng.normal(size=5_000) * 2
    moments = Moments.of_values(("value", "a", "b"), np.column_stack([value, before]))
    outcome, removed = plan.from_history(moments, "mean", ["a", "b"])
    assert (outcome.value, outcome.variance) == pytest.approx((value.mean(), value.var(ddof=1)))
    design = np.column_stack([np.ones(5_000), before])
    residual = value - design @ np.linalg.lstsq(design, value, rcond=None)[0]
    assert removed == pytest.approx(1 - (residual**2).sum() / ((value - value.mean()) ** 2).sum())


def test_history_of_a_ratio_is_the_delta_methods_spread() -> None:
    rng = np.random.default_rng(2)
    sessions = 1 + rng.poisson(3, size=2_000)
    orders = rng.binomial(sessions, 0.3)
    moments = Moments.of_values(("numerator", "denominator"), np.column_stack([orders, sessions]))
    outcome, removed = plan.from_history(moments, "ratio")
    ratio = orders.sum() / sessions.sum()
    assert outcome.value == pytest.approx(ratio)
    assert outcome.variance == pytest.approx((orders - ratio * sessions).var(ddof=1) / sessions.mean() ** 2)
    assert removed == 0


def test_one_unit_of_history_is_no_history() -> None:
    with pytest.raises(CannotBePlanned, match="fewer than two units"):
        plan.from_history(Moments.of_values(("value",), [[1.0]]), "mean")
