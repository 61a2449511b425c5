"""Reference cases of planning: published inputs and answers of calculators, and powers worked by hand."""

from __future__ import annotations

from dataclasses import replace
from math import ceil, sqrt

import numpy as np
import pytest
from scipy.special import ndtr

from engine.config.experiments import LookSettings
from experiments import plan
from experiments.adjustment import Term
from experiments.effects import critical_value
from experiments.moments import Moments
from experiments.plan import Design, Outcome

EQUAL = {"A": 1.0, "B": 1.0}


@pytest.mark.parametrize(("baseline", "effect", "per_arm"), [(0.2, 0.05, 1030.2), (0.05, 0.01, 7663.0)])
def test_sample_size_of_evan_miller(baseline: float, effect: float, per_arm: float) -> None:
    """His calculator gives both arms the spread of control under no effect; power 80 %, 5 % on two sides."""
    design = Design(outcome=Outcome.proportion(baseline), weights=EQUAL, spread="control")
    assert plan.units(design, effect) / 2 == pytest.approx(per_arm, abs=0.05)


def test_the_test_that_is_used_takes_each_arms_own_spread() -> None:
    # (1.959964 + 0.841621)^2 x (0.2 x 0.8 + 0.25 x 0.75) / 0.05^2 = 7.848880 x 0.3475 / 0.0025 = 1090.99
    design = Design(outcome=Outcome.proportion(0.2), weights=EQUAL)
    assert plan.units(design, 0.05) / 2 == pytest.approx(1090.994, abs=1e-3)
    # with 1030 per arm: 0.05 / sqrt(0.3475 / 1030) = 2.7221; Phi(2.7221 - 1.9600) = 0.7770
    assert plan.power(design, 0.05, 2060) == pytest.approx(0.7770, abs=1e-4)


# tea-tasting 1.14 and 2.0, make_users_data(42, covariates=True, no uplift): sums of its 4000 simulated users
ORDERS = Moments.of_sums(("value", "before"), 4000, [2076, 2092], [[3942, 3233], [3233, 5338]])
REVENUE = Moments.of_sums(
    ("value", "before"), 4000, [21184.95, 21209.84], [[539389.8629, 416019.9921], [416019.9921, 858972.7596]]
)
ORDERS_BY_SESSION = Moments.of_sums(
    ("numerator", "denominator", "orders_before", "sessions_before"),
    4000,
    [2076, 7958, 2092, 8025],
    [[3942, 5045, 3233, 5103], [5045, 19796, 5078, 19825], [3233, 5078, 5338, 7188], [5103, 19825, 7188, 27667]],
)


@pytest.mark.parametrize(
    ("history", "kind", "covariate", "units", "percents"),
    [
        (ORDERS, "mean", "before", 20733, (7.2, 5.1)),
        (REVENUE, "mean", "before", 33997, (9.2, 6.5)),
        (ORDERS_BY_SESSION, "ratio", ("orders_before", "sessions_before"), 18515, (6.8, 4.8)),
    ],
)
def test_units_and_detectable_effects_of_tea_tasting_with_a_covariate(
    history: Moments, kind: plan.Kind, covariate: Term, units: int, percents: tuple[float, float]
) -> None:
    """A relative effect of 5 %, and what 10 000 and 20 000 users of both arms together can show."""
    outcome, removed = plan.from_history(history, kind, [covariate])
    design = Design(outcome=outcome, weights=EQUAL, variance_removed=removed)
    assert ceil(plan.units(design, 0.05 * outcome.value)) == units
    for available, percent in zip((10_000, 20_000), percents, strict=True):
        assert 100 * plan.detectable(design, available) / outcome.value == pytest.approx(percent, abs=0.05)


def test_detectable_effect_shrinks_with_the_root_of_the_units() -> None:
    # 5 % needs 20733, so that 10 000 show 5 % x sqrt(2.0733) = 7.20 % and 20 000 show 5 % x sqrt(1.03665) = 5.09 %
    design = Design(outcome=Outcome.mean(1.0, sqrt(20733 * 0.05**2 / (4 * 7.848880))), weights=EQUAL)
    assert plan.units(design, 0.05) == pytest.approx(20733, abs=3)
    assert plan.detectable(design, 10_000) == pytest.approx(0.0720, abs=1e-4)
    assert plan.detectable(design, 20_000) == pytest.approx(0.0509, abs=1e-4)


def test_students_t_asks_for_64_per_arm_at_half_a_standard_deviation() -> None:
    """Cohen (1988), table 2.4.1: d = 0.5, power 80 %, two-sided 5 %: 64 per arm."""
    found = plan.units(Design(outcome=Outcome.mean(0.0, 1.0), weights=EQUAL), 0.5) / 2
    assert ceil(found) == 64
    assert found == pytest.approx(63.7656, abs=1e-3)  # statsmodels TTestIndPower: 63.76561


@pytest.mark.parametrize(("effect", "ratio"), [(0.2, 1.0), (0.8, 1.0), (0.01, 3.0)])
def test_units_are_those_of_statsmodels(effect: float, ratio: float) -> None:
    power = pytest.importorskip("statsmodels.stats.power", reason="statsmodels is an oracle, never a dependency")
    # its two-sided power also counts calls in the wrong direction, about 1e-6 of it
    expected = power.TTestIndPower().solve_power(effect, None, 0.025, 0.8, ratio, "larger")
    design = Design(outcome=Outcome.mean(0.0, 1.0), weights={"A": 1.0, "B": ratio})
    # it pools the spread of both arms, which gives other degrees of freedom where they are unequal: a unit or two
    within = 1e-6 if ratio == 1.0 else 2e-5
    assert plan.units(design, effect) / (1 + ratio) == pytest.approx(expected, rel=within)


def test_clusters_of_twenty_that_are_alike_by_a_twentieth_nearly_double_the_units() -> None:
    # 1 + (20 - 1) x 0.05 = 1.95
    single = Design(outcome=Outcome.proportion(0.3), weights=EQUAL)
    clustered = replace(single, cluster_size=20, intra_cluster_correlation=0.05)
    assert clustered.design_effect == pytest.approx(1.95)
    assert plan.units(clustered, 0.03) / plan.units(single, 0.03) == pytest.approx(1.95, rel=0.01)


def test_units_within_a_margin_of_non_inferiority() -> None:
    # one side: (1.644854 + 0.841621)^2 x (2 x 0.9 x 0.1) / 0.02^2 = 6.182557 x 0.18 / 0.0004 = 2782.15 per arm
    design = Design(outcome=Outcome.proportion(0.9), weights=EQUAL, margin=0.02, correction="none")
    assert plan.units(design, 0.0) / 2 == pytest.approx(2782.15, abs=0.01)
    # less is better, and the variant is 1 point better: the distance is 3 points, the variant's spread 0.11 x 0.89
    fewer = replace(design, outcome=Outcome.proportion(0.12), direction="decrease")
    expected = 6.182557 * (0.12 * 0.88 + 0.11 * 0.89) / 0.03**2
    assert plan.units(fewer, -0.01) / 2 == pytest.approx(expected, abs=0.01)


def test_a_relative_margin_compares_with_a_multiple_of_control() -> None:
    # H0: variant <= 0.9 control, 10 each: distance 1, variance 4 x (1 + 0.81) / n; 6.182557 x 7.24 = 44.76 and a t
    design = Design(outcome=Outcome.mean(10.0, 2.0), weights=EQUAL, margin=0.1, margin_is="relative")
    assert plan.units(design, 0.0) / 2 == pytest.approx(44.76 + 1.644854**2 / 4, abs=0.1)


def test_daily_looks_within_the_plan_cost_five_percent_of_the_units() -> None:
    """40 000 simulated paths of 28 looks at the drift of a fixed power of 0.80 gave 0.779 (research notes)."""
    fixed = Design(outcome=Outcome.mean(0.0, 1.0), weights=EQUAL)
    daily = replace(fixed, looks=LookSettings())
    assert plan.power(daily, 0.02, plan.units(fixed, 0.02)) == pytest.approx(0.7807, abs=5e-4)
    assert plan.units(daily, 0.02) / plan.units(fixed, 0.02) == pytest.approx(1.049, abs=1e-3)


def test_five_looks_have_the_power_that_simulated_paths_find() -> None:
    """200 000 paths of five looks at the drift of the plan's own units: 0.8 within four standard errors (0.0036)."""
    five = Design(outcome=Outcome.mean(0.0, 1.0), weights=EQUAL, looks=LookSettings(shares=(0.2, 0.4, 0.6, 0.8)))
    units = plan.units(five, 0.02)
    looks = plan.make(five, 0.02, units).looks
    assert looks is not None
    assert looks.inflation == pytest.approx(1.0247, abs=5e-4)
    steps = np.random.default_rng(3).normal(0.02 * sqrt(units) / 2 / 5, sqrt(1 / 5), size=(200_000, 5))
    statistics = steps.cumsum(axis=1) / np.sqrt(looks.information)
    above, below = statistics > looks.critical, statistics < -np.array(looks.critical)
    first = np.where((above | below).any(axis=1), (above | below).argmax(axis=1), -1)
    called = above[np.arange(len(first)), first] & (first >= 0)
    assert called.mean() == pytest.approx(0.8, abs=0.0036)
    stopped = np.where(first < 0, 1.0, np.array(looks.information)[first])
    assert stopped.mean() == pytest.approx(looks.expected_share, abs=0.005)


@pytest.mark.parametrize(("variants", "critical"), [(2, 2.21), (3, 2.35), (4, 2.44)])
def test_several_variants_are_planned_at_the_critical_value_of_dunnetts_table(variants: int, critical: float) -> None:
    """Dunnett (1964), two-sided 5 %, equal arms, infinite degrees of freedom."""
    arms = dict.fromkeys("ABCDE"[: variants + 1], 1.0)
    design = Design(outcome=Outcome.proportion(0.2), weights=arms, correction="dunnett")
    assert critical_value(design.level) == pytest.approx(critical, abs=0.005)
    assert design.level > 0.05 / variants


def test_power_is_what_simulated_experiments_find() -> None:
    """100 000 experiments of Welch's test, drawn from the exact distributions of two arms' means and variances."""
    design = Design(outcome=Outcome.mean(0.0, 1.0), weights={"A": 0.8, "B": 0.2})
    n = np.array([80, 20])
    rng = np.random.default_rng(7)
    means = rng.normal(size=(100_000, 2)) / np.sqrt(n) + np.array([0.0, 0.7])
    spreads = rng.chisquare(n - 1, size=(100_000, 2)) / (n - 1) / n
    variance = spreads.sum(axis=1)
    degrees = variance**2 / (spreads**2 / (n - 1)).sum(axis=1)
    statistic = (means[:, 1] - means[:, 0]) / np.sqrt(variance)
    called = statistic > np.array([critical_value(0.05, value) for value in degrees])
    assert plan.power(design, 0.7, 100) == pytest.approx(called.mean(), abs=0.005)
    assert plan.power(design, 0.7, 100) < ndtr(0.7 / sqrt(1 / 80 + 1 / 20) - 1.96)
