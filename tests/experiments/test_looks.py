"""Looking more than once: bounds that follow the information, intervals that agree with p-values, errors kept."""

from __future__ import annotations

from math import inf
from time import process_time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr
from scipy.stats import norm

from engine.config.experiments import LookSettings
from experiments import effects, looks, sequential
from experiments.effects import Effect
from experiments.estimates import ArmEstimate
from experiments.looks import AnyTime, Planned
from experiments.moments import Moments

FOUR_WEEKS = LookSettings(shares="daily", days=28)
DAYS = np.arange(1, 29) / 28
DRIFT = float(norm.ppf(0.975) + norm.ppf(0.8))
"""Mean of z at the end of a plan that has a power of .80 in one look."""


def effect(z: float, degrees: float = inf) -> Effect:
    """An effect of z standard errors, each 1, on a control of 50."""
    arm = ArmEstimate(value=50 + z, variance=0.5, n=100, degrees=degrees)
    return effects.contrast(arm, ArmEstimate(value=50.0, variance=0.5, n=100, degrees=degrees), method="welch")


def day(number: int, **more: object) -> looks.Looks:
    return looks.of_plan(FOUR_WEEKS, units=1000 * number, day=number, **more)  # type: ignore[arg-type]


def test_without_a_plan_every_day_is_safe_and_with_one_the_bounds_are_those_of_the_plan() -> None:
    assert looks.of_plan(None, units=2000, day=3) == AnyTime(units=2000)
    last = day(28)
    assert isinstance(last, Planned) and last.final and last.look == 28
    shares = [sequential.obrien_fleming(0.05)(float(share)) for share in DAYS]
    assert last.bounds(0.05) == pytest.approx(sequential.bounds(DAYS, shares).upper, abs=1e-9)


def test_first_of_ninety_days_calls_nothing_and_says_why() -> None:
    # O'Brien and Fleming spend 2 x P(|Z| > 2.24 x sqrt(90)) there, less than 1e-98
    found = looks.at_look(effect(9.0), looks.of_plan(LookSettings(days=90), units=1000, day=1))
    assert (found.lower, found.relative_upper, found.reason) == (None, None, looks.TOO_EARLY)
    assert found.p_value is not None and found.p_value > 0.05


def test_information_that_overshoots_ends_the_plan_and_spends_what_is_left() -> None:
    plan = LookSettings(shares=(0.5, 1.0))
    now = looks.of_plan(plan, units=1300, planned_units=1000, day=9)
    assert now == Planned(information=(0.5, 1.3), spent_at=(0.5, 1.0))
    # less in common than looks at .5 and 1 have, so that the last bound rises above their 1.9686
    assert now.critical(0.05) == pytest.approx(1.9731, abs=5e-4)


def test_information_that_undershoots_spends_what_is_left_at_the_end_of_the_days() -> None:
    counts = [30 * number for number in range(1, 29)]
    now = looks.of_plan(FOUR_WEEKS, units=840, day=28, planned_units=1000, units_by_day=counts)
    assert isinstance(now, Planned)
    assert now.spent_at[-2:] == (pytest.approx(0.81), 1.0)
    assert now.information[-1] == 840


def test_experiment_ended_early_spends_what_is_left() -> None:
    ended, running = day(10, ended=True), day(10)
    assert ended.critical(0.05) < running.critical(0.05)


def test_days_without_new_units_are_no_look() -> None:
    now = looks.of_plan(FOUR_WEEKS, units=500, day=4, units_by_day=[0, 300, 300, 500])
    assert isinstance(now, Planned)
    assert now.information == (300.0, 500.0)
    assert now.spent_at == (pytest.approx(3 / 28), pytest.approx(4 / 28))


def test_no_look_is_due_before_the_first_share() -> None:
    now = looks.of_plan(LookSettings(shares=(0.5, 1.0)), units=400, planned_units=1000, day=4)
    assert (now.critical(0.05), now.p_value(1e-9)) == (inf, 1.0)


def test_days_and_counts_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="day 3 needs 3 counts"):
        looks.of_plan(FOUR_WEEKS, units=5, day=3, units_by_day=[1, 5])


DESIGNS = st.sampled_from(
    [
        AnyTime(units=700),
        AnyTime(units=400_000, tightest_at=20_000),
        day(5),
        day(28),
        Planned(spending="pocock", information=(1.0, 2.0, 3.5), spent_at=(0.2, 0.5, 0.9)),
        Planned(spending="power", exponent=3, information=(1.0,), spent_at=(0.4,)),
        looks.ONCE,
    ]
)


@settings(max_examples=60, deadline=None)
@given(design=DESIGNS, z=st.floats(-8, 8), degrees=st.sampled_from([inf, 7.0, 250.0]), alpha=st.floats(0.002, 0.2))
def test_interval_lift_and_p_value_are_one_verdict(design: looks.Looks, z: float, degrees: float, alpha: float) -> None:
    found = looks.at_look(effect(z, degrees), design, alpha)
    assert found.p_value is not None
    if found.lower is None or found.upper is None:
        assert found.p_value > alpha
        return
    if abs(found.p_value - alpha) < 1e-7:
        return
    called = found.p_value < alpha
    assert (found.lower > 0 or found.upper < 0) == called
    if found.relative_lower is not None and found.relative_upper is not None:
        assert (found.relative_lower > 0 or found.relative_upper < 0) == called


@settings(max_examples=40, deadline=None)
@given(design=DESIGNS, alpha=st.floats(1e-4, 0.4), sides=st.sampled_from([1, 2]))
def test_p_value_at_the_bound_is_alpha(design: looks.Looks, alpha: float, sides: int) -> None:
    bound = design.critical(alpha, sides)
    if bound < 11:
        assert design.p_value(sides * float(ndtr(-bound)), sides) == pytest.approx(alpha, rel=1e-6)


@settings(max_examples=40, deadline=None)
@given(design=DESIGNS, raw=st.floats(0, 1), sides=st.sampled_from([1, 2]))
def test_looking_more_than_once_never_makes_a_p_value_smaller(design: looks.Looks, raw: float, sides: int) -> None:
    assert raw - 1e-12 <= design.p_value(raw, sides) <= 1


def test_effects_of_small_counts_are_judged_at_looks_too() -> None:
    few = effects.proportions(Moments.of_count(19, 40), Moments.of_count(2, 40))
    found = looks.at_look(few, AnyTime(units=80, tightest_at=100))
    assert few.counts is not None and few.p_value is not None and found.p_value is not None
    assert found.p_value > few.p_value
    assert found.lower is not None and few.lower is not None and found.lower < few.lower
    assert (found.lower > 0) == (found.p_value < 0.05)


def test_effect_that_cannot_be_told_stays_so() -> None:
    nothing = Effect(method="welch", reason="fewer than two customers in a group")
    assert looks.at_look(nothing, day(5)) is nothing


def test_harm_only_bound_is_sharper_than_two_sides() -> None:
    for design in (AnyTime(units=10_000), day(14)):
        assert design.critical(0.05, sides=1) < design.critical(0.05)
    found = looks.one_sided(effect(-4.0), "less", day(14))
    assert found.p_value is not None and found.p_value < 0.05
    assert found.bound is not None and found.bound < 0


def test_one_sided_bound_before_the_first_look_is_open() -> None:
    now = looks.of_plan(LookSettings(shares=(0.5, 1.0)), units=400, planned_units=1000, day=4)
    found = looks.one_sided(effect(-4.0), "less", now)
    assert (found.bound, found.p_value, found.reason) == (None, 1.0, looks.TOO_EARLY)


# calibration: small versions of the benchmark, 28 daily looks


def daily_bounds(sides: int = 2) -> tuple[float, ...]:
    last = day(28)
    assert isinstance(last, Planned)
    return last.bounds(0.05, sides)


def test_daily_looks_of_the_plan_keep_their_error_and_most_of_the_power() -> None:
    null = sequential.simulate(DAYS, daily_bounds(), 0.0, paths=40_000, seed=1)
    real = sequential.simulate(DAYS, daily_bounds(), DRIFT, paths=40_000, seed=2)
    assert 0.04 <= null.share <= 0.055
    assert real.share >= 0.76
    assert real.mean_look < 22


def test_daily_looks_for_harm_keep_their_error_on_one_side() -> None:
    never = np.full(28, -np.inf)
    null = sequential.simulate(DAYS, daily_bounds(sides=1), 0.0, paths=40_000, seed=3, low=never)
    assert 0.04 <= null.share <= 0.055


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("units", [1_000, 28_000, 1_000_000])
def test_always_valid_looks_never_exceed_alpha(units: int, sides: int) -> None:
    bound = [AnyTime(units=round(units * share)).critical(0.05, sides) for share in DAYS]
    low = None if sides == 2 else np.full(28, -np.inf)
    assert sequential.simulate(DAYS, bound, 0.0, paths=20_000, seed=4, low=low).share <= 0.05


def test_plain_test_every_day_is_wrong_one_time_in_four() -> None:
    """What the designs are for: 1.96 on each of 28 days calls a difference that is not there 27 % of the time."""
    assert sequential.simulate(DAYS, [1.96] * 28, 0.0, paths=20_000, seed=5).share > 0.25


def test_raw_values_of_customers_looked_at_daily_are_called_no_more_than_alpha_says() -> None:
    """300 experiments of skewed values, 28 days of 60 customers an arm, judged from moments each day."""
    drawn = np.random.default_rng(6).exponential(10.0, (300, 2, 28 * 60))
    counts = np.arange(1, 29) * 60
    sums, squares = (np.cumsum(values, axis=2)[:, :, counts - 1] for values in (drawn, drawn**2))
    means = sums / counts
    errors = (squares - counts * means**2) / (counts - 1) / counts
    z = (means[:, 0] - means[:, 1]) / np.sqrt(errors.sum(axis=1))
    called = np.abs(z) > [AnyTime(units=2 * int(count)).critical(0.05) for count in counts]
    assert called.any(axis=1).mean() <= 0.05


def test_thirty_bounds_take_less_than_twenty_milliseconds() -> None:
    shares = np.arange(1, 31) / 30
    spent = [sequential.obrien_fleming(0.05)(float(share)) for share in shares]
    times = []
    for _ in range(5):
        started = process_time()
        sequential.bounds(shares, spent)
        times.append(process_time() - started)
    assert min(times) < 0.02
