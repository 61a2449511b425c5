"""Simulated experiments: the promises of the methods are kept, and broken assignment is found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.config.experiments import LookSettings
from experiments import clusters, plan, simulate
from experiments.plan import Design, Outcome
from experiments.simulate import Drawn, Resampled, Scenario, Share

EQUAL = {"A": 1.0, "B": 1.0}
AMOUNT = Drawn(outcome=Outcome.mean(50.0, 60.0))
PLAIN = Scenario(population=AMOUNT, rows=400, weights=EQUAL)


def holds(share: Share, value: float) -> bool:
    assert share.lower is not None and share.upper is not None
    return share.lower <= value <= share.upper


@pytest.mark.parametrize(
    "population",
    [
        Drawn(outcome=Outcome.proportion(0.3)),
        AMOUNT,
        Drawn(outcome=Outcome.mean(-5.0, 10.0)),
        Drawn(outcome=Outcome.mean(50.0, 60.0), shared=0.5),
        Drawn(outcome=Outcome.proportion(0.3), shared=0.2),
    ],
    ids=["proportion", "amount", "normal", "amount_with_covariate", "proportion_with_covariate"],
)
def test_false_alarms_and_coverage_are_as_promised(population: Drawn) -> None:
    found = simulate.run(replace(PLAIN, population=population), 1_000, seed=3)
    assert holds(found.called, 0.05)
    assert holds(found.covered, 0.95)


def test_power_is_that_of_the_plan() -> None:
    design = Design(outcome=AMOUNT.outcome, weights=EQUAL)
    effect = plan.detectable(design, PLAIN.rows)
    found = simulate.run(replace(PLAIN, effect=effect), 1_000, seed=4)
    assert holds(found.right, 0.8)
    assert found.wrong.count == 0
    assert holds(found.covered, 0.95)


def test_power_with_a_covariate_is_that_of_the_plan() -> None:
    design = Design(outcome=AMOUNT.outcome, weights=EQUAL, variance_removed=0.5)
    effect = plan.detectable(design, PLAIN.rows)
    shared = replace(AMOUNT, shared=0.5)
    assert holds(simulate.run(replace(PLAIN, population=shared, effect=effect), 1_000, seed=5).right, 0.8)


def test_power_of_clusters_is_that_of_the_plan() -> None:
    design = Design(outcome=AMOUNT.outcome, weights=EQUAL, cluster_size=20, intra_cluster_correlation=0.1)
    effect = plan.detectable(design, 200 * 20)
    population = replace(AMOUNT, shared=0.1, cluster_size=20)
    found = simulate.run(Scenario(population=population, rows=200, weights=EQUAL, effect=effect), 1_000, seed=6)
    assert holds(found.right, 0.8)


def test_daily_looks_keep_the_error_and_end_sooner_under_an_effect() -> None:
    daily = replace(PLAIN, days=14, looks=LookSettings(days=14))
    assert holds(simulate.run(daily, 500, seed=7).called, 0.05)
    found = simulate.run(replace(daily, effect=30.0), 300, seed=7)
    assert found.mean_day is not None
    assert found.mean_day < 10


def test_the_always_valid_interval_is_careful_at_daily_looks() -> None:
    careful = simulate.run(replace(PLAIN, days=14, looks="any_time"), 300, seed=8).called
    assert careful.upper is not None
    assert careful.upper < 0.055


def test_maturity_moves_the_day_on_which_experiments_end() -> None:
    assert simulate.run(replace(PLAIN, days=5, maturity_days=30), 20, seed=1).mean_day == 35


def test_a_split_that_is_not_the_planned_one_is_withheld_and_not_called() -> None:
    broken = simulate.run(replace(PLAIN, rows=2_000, real_weights={"A": 0.6, "B": 0.4}), 50, seed=9)
    assert broken.withheld.rate == 1.0
    assert broken.called.rate is None
    assert broken.mean_day is None
    assert simulate.run(replace(PLAIN, rows=2_000), 200, seed=9).withheld.count <= 3


def test_units_that_are_not_exposed_do_not_count() -> None:
    few = simulate.run(replace(PLAIN, effect=20.0, exposed_rate=0.25), 300, seed=10)
    all_of_them = simulate.run(replace(PLAIN, effect=20.0), 300, seed=10)
    assert few.right.count < all_of_them.right.count


def test_several_variants_share_the_error() -> None:
    three = replace(PLAIN, weights={"A": 1.0, "B": 1.0, "C": 1.0}, rows=600)
    found = simulate.run(three, 1_000, seed=11).called
    assert found.lower is not None
    assert found.lower <= 0.05


def test_one_seed_gives_one_answer_and_another_seed_another() -> None:
    one, again, other = (simulate.run(PLAIN, 200, seed=seed).called.count for seed in (1, 1, 2))
    assert one == again
    assert one != other


def test_units_of_the_past_are_drawn_with_their_covariates() -> None:
    rng = np.random.default_rng(12)
    before = rng.gamma(2.0, 10.0, size=500)
    rows = np.column_stack([before + rng.gamma(2.0, 10.0, size=500), before])
    outcome = Outcome(kind="mean", value=float(rows[:, 0].mean()), variance=float(rows[:, 0].var(ddof=1)))
    past = Resampled(kind="mean", outcome=outcome, columns=("value", "covariate_1"), rows=rows)
    plain = Resampled(kind="mean", outcome=outcome, columns=("value",), rows=rows[:, :1])
    with_it, without = (
        simulate.run(replace(PLAIN, population=population, effect=5.0), 400, seed=13).right.count
        for population in (past, plain)
    )
    assert with_it > without


def test_ratios_and_clusters_of_the_past_keep_the_error() -> None:
    rng = np.random.default_rng(14)
    sizes = 1.0 + rng.poisson(5, size=300)
    totals = rng.binomial(sizes.astype(int), rng.beta(2, 4, size=300)).astype(float)
    outcome = Outcome.proportion(float(totals.sum() / sizes.sum()))
    rows = np.column_stack([totals, sizes])
    for columns, kind in (((clusters.TOTAL, clusters.SIZE), "proportion"), (("numerator", "denominator"), "ratio")):
        past = Resampled(kind=kind, outcome=replace(outcome, kind=kind), columns=columns, rows=rows)  # type: ignore[arg-type]
        found = simulate.run(replace(PLAIN, population=past, effect=0.1), 400, seed=15)
        assert holds(found.covered, 0.95)
        assert found.right.count > 300


def test_an_effect_down_turns_successes_into_failures() -> None:
    found = simulate.run(
        Scenario(population=Drawn(outcome=Outcome.proportion(0.3)), rows=1_000, weights=EQUAL, effect=-0.1),
        300,
        seed=16,
    )
    assert found.right.count > 250
    assert holds(found.covered, 0.95)
