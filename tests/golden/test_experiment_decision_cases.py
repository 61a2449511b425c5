"""Reference cases of corrections, always valid intervals and posteriors, each with where its numbers come from."""

from __future__ import annotations

from math import inf, sqrt

import numpy as np
import pytest
from scipy import stats

from engine.numerics import multiplicity as p_values
from experiments import bayes, effects, looks, multiplicity
from experiments.effects import Effect
from experiments.estimates import ArmEstimate
from experiments.moments import Moments

# growthbook/gbstats, test of sequential t-tests: the two-sided case with 3,000 customers in control
CONTROL = Moments.of(3000, 1396.87, 52377.9767)
TREATMENT = Moments.of(3461, 2422.7, 134698.29)


def with_p_value(p_value: float) -> Effect:
    """An effect of standard error 1 whose two-sided normal p-value is this."""
    z = float(stats.norm.isf(p_value / 2))
    arm, other = ArmEstimate(value=50 + z, variance=0.5, n=100), ArmEstimate(value=50.0, variance=0.5, n=100)
    return effects.contrast(arm, other, method="welch")


def adjusted(method: multiplicity.Method, *raw: float) -> list[float | None]:
    return [one.effect.p_value for one in multiplicity.adjust([with_p_value(p) for p in raw], method)]


def test_always_valid_interval_of_gbstats() -> None:
    """Relative .503361 [-.558441, 1.565163], p 1: its delta method under our critical value gives its numbers."""
    effect = effects.means(TREATMENT, CONTROL)
    design = looks.AnyTime(units=6461, tightest_at=1000)
    told = bayes.relative_estimate(effect)
    assert told is not None
    reach = design.critical(0.05) * told[1]
    assert told[0] == pytest.approx(0.503361, abs=5e-7)
    assert (told[0] - reach, told[0] + reach) == pytest.approx((-0.558441, 1.565163), abs=5e-7)
    assert design.p_value(2 * float(stats.norm.sf(told[0] / told[1]))) == 1


def test_always_valid_answer_is_one_verdict_for_difference_and_lift() -> None:
    found = looks.at_look(effects.means(TREATMENT, CONTROL), looks.AnyTime(units=6461, tightest_at=1000))
    assert found.lower is not None and found.relative_lower is not None
    assert found.lower < 0 and found.relative_lower < 0 and found.p_value == 1


def test_one_sided_bound_of_gbstats() -> None:
    """Greater, absolute: .234377, lower .0207915, p .0355427 (with 3,000 customers in control)."""
    found = effects.one_sided(effects.means(TREATMENT, CONTROL), "greater")
    assert found.bound == pytest.approx(0.0207915, abs=2e-5)
    assert found.p_value == pytest.approx(0.0355427, abs=2e-6)


def test_flat_posterior_of_gbstats() -> None:
    """49 of 100 against 51 of 100, relative: chance to win .609181, losses .0813958 and .0405796."""
    effect = effects.means(Moments.of_count(51, 100), Moments.of_count(49, 100))
    # gbstats takes p (1 - p) / n: the same counts as proportions
    counted = effects.proportions(Moments.of_count(51, 100), Moments.of_count(49, 100))
    assert effect.difference == counted.difference
    found = bayes.posterior(counted, relative=True)
    assert found is not None
    assert found.chance_to_win == pytest.approx(0.609181, abs=5e-7)
    assert (found.loss_if_kept, found.loss_if_shipped) == pytest.approx((0.0813958, 0.0405796), abs=1e-7)


def test_posterior_with_a_prior_of_gbstats() -> None:
    """N(.1, variance .1) on (10, 100, 1002.25) and (10, 105, 1111.5): variances of the means .025 and .1."""
    effect = effects.means(Moments.of(10, 105, 1111.5), Moments.of(10, 100, 1002.25))
    found = bayes.posterior(effect, bayes.Prior(mean=0.1, sd=sqrt(0.1), source="stated"), relative=True)
    assert found is not None
    # by hand: relative variance .1 / 100 + .025 x 10.5^2 / 10^4 = .001275625; weights 783.93 and 10
    assert found.mean == pytest.approx((0.05 / 0.001275625 + 0.1 / 0.1) / (1 / 0.001275625 + 1 / 0.1))
    assert (found.mean, found.lower, found.upper) == pytest.approx((0.0506298, -0.0189298, 0.1201894), abs=5e-8)
    assert found.chance_to_win == pytest.approx(0.923150, abs=5e-7)


def test_expected_losses_of_gbstats() -> None:
    found = bayes.update(0.1, 0.05)
    assert (found.loss_if_kept, found.loss_if_shipped) == pytest.approx((0.1004245351, 0.0004245351), abs=5e-11)


def test_holm_hochberg_and_benjamini_hochberg_of_statsmodels() -> None:
    raw = 0.01, 0.04, 0.03, 0.005
    # sorted .005 .01 .03 .04: Holm multiplies by 4 3 2 1 and keeps the largest so far, .02 .03 .06 .06
    assert adjusted("holm", *raw) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    # Hochberg keeps the smallest from the end: .04 of the last, .04 x 1; .03 x 2 falls to it
    assert adjusted("hochberg", *raw) == pytest.approx([0.03, 0.04, 0.04, 0.02])
    # Benjamini and Hochberg: .005 x 4, .01 x 2, .03 x 4 / 3, .04
    assert adjusted("benjamini_hochberg", *raw) == pytest.approx([0.02, 0.04, 0.04, 0.02])
    assert adjusted("bonferroni", *raw) == pytest.approx([0.04, 0.16, 0.12, 0.02])
    assert adjusted("sidak", *raw) == pytest.approx([1 - (1 - p) ** 4 for p in raw])


def test_bonferroni_of_spotify() -> None:
    assert adjusted("bonferroni", 0.0655997, 0.9)[0] == pytest.approx(0.1311994, abs=1e-7)


def test_hochberg_leaves_out_what_could_not_be_told() -> None:
    assert p_values.hochberg([0.04, np.nan, 0.03]) == pytest.approx([0.04, np.nan, 0.04], nan_ok=True)


def dunnett_of_scipy() -> list[Effect]:
    """Drugs A and B against control, of the example in scipy.stats.dunnett, with its pooled variance."""
    control = [7.40, 8.50, 7.20, 8.24, 9.84, 8.32]
    drugs = [9.76, 8.80, 7.68, 9.36], [12.80, 9.68, 12.16, 9.20, 10.55]
    arms = [np.array(arm) for arm in (control, *drugs)]
    degrees = sum(len(arm) - 1 for arm in arms)
    pooled = sum(float(((arm - arm.mean()) ** 2).sum()) for arm in arms) / degrees
    first, *rest = [ArmEstimate(value=float(arm.mean()), variance=pooled / len(arm), n=len(arm)) for arm in arms]
    return [effects.contrast(arm, first, method="pooled", degrees=float(degrees)) for arm in rest]


def test_dunnett_of_scipy() -> None:
    found = multiplicity.dunnett(dunnett_of_scipy())
    # .6201 and .00590: scipy draws its integral at random; twenty seeds give .62012 +- .00005 and .00581 +- .00007
    assert [one.effect.p_value for one in found] == pytest.approx([0.6201, 0.00590], abs=1e-4)
    # the same two-dimensional Student's t by two million points of scipy.stats.multivariate_t: .0058253 to .0058254
    assert found[1].effect.p_value == pytest.approx(0.00582536, abs=1e-7)


def test_dunnett_intervals_of_scipy() -> None:
    found = [one.effect for one in multiplicity.dunnett(dunnett_of_scipy())]
    assert (found[0].lower, found[0].upper) == pytest.approx((-1.2567, 2.5567), abs=2e-3)
    assert (found[1].lower, found[1].upper) == pytest.approx((0.8393, 4.4167), abs=2e-3)


def test_dunnett_of_two_even_arms_against_the_integral_by_hand() -> None:
    """Dunnett's table: two-sided, two treatments of equal size, no end of degrees, 5 %: 2.212."""
    arm, other = ArmEstimate(value=1.0, variance=1.0, n=10), ArmEstimate(value=0.0, variance=1.0, n=10)
    one = effects.contrast(arm, other, method="z")
    (found, _) = multiplicity.dunnett([one, one])
    assert found.effect.upper is not None and found.effect.difference is not None
    assert (found.effect.upper - found.effect.difference) / sqrt(2) == pytest.approx(2.212, abs=5e-4)
    assert found.effect.degrees == inf
