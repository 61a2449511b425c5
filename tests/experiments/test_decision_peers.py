"""Corrections, always valid answers and posteriors against other programs on 200 random inputs, where they install."""

from __future__ import annotations

import gc
from math import sqrt

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from scipy.special import ndtr

from experiments import bayes, effects, multiplicity
from experiments.bayes import Prior
from experiments.effects import Effect
from experiments.estimates import ArmEstimate
from experiments.looks import AnyTime
from experiments.moments import Moments
from experiments.multiplicity import Method

CASES = 200


def families() -> list[NDArray[np.float64]]:
    """Families of 1 to 12 p-values, some tiny, some tied."""
    rng = np.random.default_rng(31)
    drawn = [rng.uniform(size=rng.integers(1, 13)) ** rng.integers(1, 5) for _ in range(CASES)]
    for family in drawn[::5]:
        family[-1] = family[0]
    return drawn


def adjusted(raw: NDArray[np.float64], method: Method) -> list[float | None]:
    made = [
        effects.contrast(
            ArmEstimate(value=float(stats.norm.isf(p / 2)), variance=0.5, n=2),
            ArmEstimate(value=0.0, variance=0.5, n=2),
            method="z",
        )
        for p in raw
    ]
    return [one.effect.p_value for one in multiplicity.adjust(made, method)]


def arms(rng: np.random.Generator) -> tuple[Moments, Moments]:
    """Two arms of random size, mean and spread; their means are well above 0."""
    made = []
    for _ in range(2):
        values = rng.gamma(rng.uniform(1, 5), rng.uniform(1, 20), rng.integers(20, 400))
        made.append(Moments.of(len(values), float(values.sum()), float((values**2).sum())))
    return made[0], made[1]


def test_false_discoveries_of_scipy() -> None:
    for raw in families():
        assert adjusted(raw, "benjamini_hochberg") == pytest.approx(stats.false_discovery_control(raw), rel=1e-9)


@pytest.mark.parametrize(
    ("method", "theirs"),
    [
        ("bonferroni", "bonferroni"),
        ("sidak", "sidak"),
        ("holm", "holm"),
        ("hochberg", "simes-hochberg"),
        ("benjamini_hochberg", "fdr_bh"),
    ],
)
def test_corrections_of_statsmodels(method: Method, theirs: str) -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    gc.freeze()  # Holm of statsmodels collects garbage at every call, over all that other tests have left in memory
    try:
        for raw in families():
            assert adjusted(raw, method) == pytest.approx(multitest.multipletests(raw, method=theirs)[1], rel=1e-9)
    finally:
        gc.unfreeze()


def test_always_valid_answers_of_gbstats() -> None:
    pytest.importorskip("gbstats")
    from gbstats.frequentist.tests import SequentialConfig, SequentialTwoSidedTTest
    from gbstats.models.statistics import SampleMeanStatistic

    rng = np.random.default_rng(32)
    for _ in range(CASES):
        variant, control = arms(rng)
        told = bayes.absolute_estimate(effects.means(variant, control))
        assert told is not None
        tuned = int(rng.integers(100, 20_000))
        theirs = SequentialTwoSidedTTest(
            *(SampleMeanStatistic(n=arm.n, sum=total(arm), sum_squares=squares(arm)) for arm in (control, variant)),
            SequentialConfig(difference_type="absolute", sequential_tuning_parameter=tuned),
        ).compute_result()
        ours = AnyTime(units=variant.n + control.n, tightest_at=tuned)
        reach = ours.critical(0.05) * told[1]
        assert (told[0] - reach, told[0] + reach) == pytest.approx(tuple(theirs.ci), rel=1e-9)
        raw = 2 * float(ndtr(-abs(told[0]) / told[1]))
        assert ours.p_value(raw) == pytest.approx(theirs.p_value, rel=1e-9)


@pytest.mark.parametrize("relative", [False, True])
def test_posteriors_of_gbstats(relative: bool) -> None:
    pytest.importorskip("gbstats")
    from gbstats.bayesian.tests import EffectBayesianABTest, EffectBayesianConfig, GaussianPrior
    from gbstats.models.statistics import SampleMeanStatistic

    rng = np.random.default_rng(33)
    kind = "relative" if relative else "absolute"
    for _ in range(CASES):
        variant, control = arms(rng)
        mean, sd = float(rng.normal(0, 0.5)), float(rng.uniform(0.05, 3))
        theirs = EffectBayesianABTest(
            *(SampleMeanStatistic(n=arm.n, sum=total(arm), sum_squares=squares(arm)) for arm in (control, variant)),
            EffectBayesianConfig(
                difference_type=kind,
                prior_type=kind,
                prior_effect=GaussianPrior(mean=mean, variance=sd**2, proper=True),
            ),
        ).compute_result()
        effect: Effect = effects.means(variant, control)
        ours = bayes.posterior(effect, Prior(mean=mean, sd=sd, source="stated"), relative=relative)
        assert ours is not None
        assert (ours.lower, ours.upper) == pytest.approx(tuple(theirs.ci), rel=1e-9)
        assert ours.chance_to_win == pytest.approx(theirs.chance_to_win, rel=1e-9)
        assert (ours.loss_if_kept, ours.loss_if_shipped) == pytest.approx(tuple(theirs.risk), rel=1e-9, abs=1e-12)


def total(arm: Moments) -> float:
    assert arm.mean is not None
    return arm.mean * arm.n


def squares(arm: Moments) -> float:
    assert arm.mean is not None and arm.variance is not None
    return arm.variance * (arm.n - 1) + arm.n * arm.mean**2


def test_posterior_of_a_flat_prior_has_the_width_of_the_plain_interval() -> None:
    variant, control = arms(np.random.default_rng(34))
    effect = effects.means(variant, control)
    found = bayes.posterior(effect)
    assert found is not None and variant.variance is not None and control.variance is not None
    assert found.sd == pytest.approx(sqrt(variant.variance / variant.n + control.variance / control.n))
