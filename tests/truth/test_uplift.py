"""On whom a treatment works is found where it differs, is not claimed where it does not, nor without randomisation."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy import stats

from engine.config.load import load
from engine.config.simulation import SimulationSettings
from engine.intake.simulation import simulate_experiments
from engine.recommendations import uplift, uplift_metrics
from engine.recommendations.frame import Floats
from engine.recommendations.uplift import Trial

CUSTOMERS = 12_000
NULLS = 40


def _draw(seed: int, customers: int = CUSTOMERS, *, works: bool = True) -> tuple[Trial, Floats]:
    """A campaign and each customer's true uplift: 12 points where the second feature is above 0, -4 elsewhere.

    Who buys anyway is told by the first feature alone, from 10 to 80 %, so that the response misleads.
    """
    random = np.random.default_rng([seed, 5])
    x = random.normal(size=(customers, 4)).astype(np.float32)
    base = 0.1 + 0.7 * stats.norm.cdf(x[:, 0])
    effect = np.where(x[:, 1] > 0, 0.12, -0.04) if works else np.full(customers, 0.04)
    treated = random.random(customers) < 0.5
    outcome = (random.random(customers) < base + effect * treated).astype(float)
    return Trial(x=x, treated=treated, outcome=outcome), effect


@cache
def _works() -> uplift.Evaluation:
    return uplift.evaluate(_draw(1)[0], share=0.3, seed=1)


def test_the_learners_of_uplift_find_whom_to_treat_better_than_the_response() -> None:
    found = _works()
    assert found.champion in {"t_learner", "x_learner"}
    # the response knows of the second feature too, but it is drowned by the first
    assert found.models["response"].qini.value < found.models[found.champion].qini.interval.lower
    # all of the first 30 % have 12 points where half of all have them
    for kind in ("t_learner", "x_learner"):
        assert 0.12 in found.models[kind].uplift_of_first.interval
    # 4 points on average
    assert 0.04 in found.effect.interval


def test_scores_of_the_learners_follow_the_true_uplift() -> None:
    trial, _ = _draw(1)
    unseen, effect = _draw(2)
    for kind in ("t_learner", "x_learner"):
        scores = uplift.fit(kind, trial, 1).scores(unseen.x)
        assert np.corrcoef(scores, effect)[0, 1] > 0.75
        # in units of the outcome, drawn to the middle as small trees do
        assert scores.mean() == pytest.approx(0.04, abs=0.02)


def test_order_that_knows_nothing_is_called_better_than_random_no_more_often_than_stated() -> None:
    called = 0
    for seed in range(NULLS):
        trial, _ = _draw(seed, 400, works=False)
        scores = np.random.default_rng([seed, 6]).random(len(trial.outcome))
        called += uplift_metrics.qini(trial.outcome, trial.treated, scores, seed=seed).interval.lower > 0
    # 2.5 % lie above; so many or fewer in all but one of a thousand repetitions
    assert called <= stats.binom.ppf(0.999, NULLS, 0.025)


def test_treatment_by_who_they_are_is_refused_and_randomised_ones_are_not() -> None:
    trial, _ = _draw(3, 2_000)
    random = np.random.default_rng(3)
    by_profile = random.random(2_000) < 1 / (1 + np.exp(-0.5 * trial.x[:, 0]))
    found = uplift.evaluate(Trial(x=trial.x, treated=by_profile, outcome=trial.outcome), share=0.3, seed=1)
    assert (found.champion, dict(found.models)) == (None, {})
    assert found.why.startswith("chance did not decide who was treated")
    # p of randomised treatments is uniform, correlated and unknown features or not
    x = np.column_stack([trial.x, trial.x[:, 0] * 2, np.where(trial.x[:, 1] > 1, np.nan, trial.x[:, 2])])
    p = [
        uplift.balance_of(Trial(x=x, treated=random.random(2_000) < 0.3, outcome=trial.outcome)).p_value
        for _ in range(200)
    ]
    assert stats.kstest(p, "uniform").pvalue > 0.001


def test_experiment_of_the_simulated_bank_has_its_true_effect_and_no_order_of_customers() -> None:
    rules = load(SimulationSettings, "simulation")
    truth = rules.experiments[0]
    exposures, events = simulate_experiments(12_000, 3, rules=rules)
    seen = exposures.to_pandas().query("experiment_id == @truth.experiment_id").drop_duplicates("customer_id")
    metric = truth.metrics[0]
    did = seen.customer_id.isin(events.to_pandas().query("event_name == @metric.event").customer_id)
    trial = Trial(
        x=np.random.default_rng(3).normal(size=(len(seen), 3)).astype(np.float32),
        treated=(seen.variant == truth.variant).to_numpy(),
        outcome=did.to_numpy(dtype=float),
    )
    found = uplift.evaluate(trial, share=0.3, seed=1)
    # every customer of the bank reacts alike, by 8 points
    assert metric.variant - metric.control == pytest.approx(0.08)
    assert 0.08 in found.effect.interval
    assert found.champion is None
    assert found.why == "no order beats drawing customers at random beyond chance"
    assert len(found.models) == 3
