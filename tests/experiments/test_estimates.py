"""What one arm says: values small enough to work by hand."""

from __future__ import annotations

import numpy as np
import pytest

from experiments import estimates
from experiments.estimates import ArmEstimate
from experiments.moments import Moments


def test_mean_has_the_variance_of_a_mean_and_n_minus_one_degrees() -> None:
    estimate = estimates.mean(Moments.of_values(("value",), [1.0, 2.0, 6.0]))
    assert estimate is not None
    # the variance of 1, 2, 6 about 3 is (4 + 1 + 9) / 2 = 7
    assert (estimate.value, estimate.variance, estimate.degrees) == (3.0, pytest.approx(7 / 3), 2.0)


def test_proportion_spreads_as_p_times_one_minus_p() -> None:
    estimate = estimates.proportion(Moments.of_count(3, 12))
    assert estimate is not None
    assert (estimate.value, estimate.variance) == (0.25, pytest.approx(0.25 * 0.75 / 12))


def test_ratio_is_that_of_the_sums_and_not_the_mean_of_ratios() -> None:
    rows = [[1.0, 1.0], [0.0, 3.0], [5.0, 2.0]]
    estimate = estimates.ratio(Moments.of_values(("numerator", "denominator"), rows))
    assert estimate is not None
    assert estimate.value == 6 / 6
    # numerator - 1 * denominator is 0, -3, 3: variance 9; over mean denominator 2 squared and 3 units
    assert estimate.variance == pytest.approx(9 / 4 / 3)
    assert estimate.degrees == 2


def test_ratio_is_undefined_without_anything_below_the_line() -> None:
    assert estimates.ratio(Moments.of_values(("numerator", "denominator"), [[1.0, 0.0], [2.0, 0.0]])) is None
    assert estimates.ratio(Moments.of_values(("numerator", "denominator"), [[1.0, 1.0]])) is None


def test_nobody_is_no_estimate() -> None:
    assert estimates.mean(Moments.none()) is None
    assert estimates.proportion(Moments.none()) is None
    assert estimates.mean(Moments.of_values(("value",), [5.0])) is None


def test_ratio_survives_large_numbers() -> None:
    rng = np.random.default_rng(4)
    below = rng.normal(1e8, 1.0, size=2_000)
    above = 3 * below + rng.normal(0, 1.0, size=2_000)
    estimate = estimates.ratio(Moments.of_values(("numerator", "denominator"), np.column_stack([above, below])))
    assert estimate is not None
    residual = above - estimate.value * below
    assert estimate.variance == pytest.approx(float(np.var(residual, ddof=1)) / below.mean() ** 2 / 2_000, rel=1e-6)


def test_units_that_count_by_the_inverse_of_their_chance() -> None:
    # rewards 1 0 at a chance of 1/2 and 4 at 1/4: (2 x 1 + 4 x 4) / (2 + 2 + 4) = 18 / 8
    mean = 18 / 8
    squares = 4 * (1 - mean) ** 2 + 4 * mean**2 + 16 * (4 - mean) ** 2
    found = estimates.inverse_weighted(3, 8.0, 24.0, 18.0, squares)
    # effective units (2 + 2 + 4)^2 / (4 + 4 + 16) = 2.67, of which whole ones are counted
    assert found == ArmEstimate(value=mean, variance=squares / 64 * 3 / 2, n=2)
    # weights that are all alike: the plain mean of 1 0 4 and its variance
    squares = 9 * ((1 - 5 / 3) ** 2 + (5 / 3) ** 2 + (4 - 5 / 3) ** 2)
    plain = estimates.mean(Moments.of_values(("x",), [1.0, 0.0, 4.0]))
    found = estimates.inverse_weighted(3, 9.0, 27.0, 15.0, squares)
    assert found is not None and plain is not None
    assert (found.value, found.variance, found.n) == pytest.approx((plain.value, plain.variance, 3))
    assert estimates.inverse_weighted(1, 2.0, 4.0, 2.0, 0.0) is None
