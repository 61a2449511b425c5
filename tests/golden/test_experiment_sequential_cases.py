"""Reference cases of looking more than once: bounds of published tables, and bounds that hold at every moment."""

from __future__ import annotations

import numpy as np
import pytest

from experiments import looks, sequential

OBRIEN_FLEMING = {
    2: [2.9626, 1.9686],
    3: [3.7103, 2.5114, 1.9930],
    4: [4.3326, 2.9631, 2.3590, 2.0141],
    5: [4.8769, 3.3570, 2.6803, 2.2898, 2.0310],
}
FIFTHS = np.arange(1, 6) / 5


def spent(spending: sequential.Spending, looks: np.ndarray) -> list[float]:
    return [spending(float(share)) for share in looks]


@pytest.mark.parametrize("looks", OBRIEN_FLEMING)
def test_obrien_fleming_bounds_of_lan_and_demets(looks: int) -> None:
    shares = np.arange(1, looks + 1) / looks
    solved = sequential.bounds(shares, spent(sequential.obrien_fleming(0.05), shares))
    assert solved.upper == pytest.approx(OBRIEN_FLEMING[looks], abs=5e-5)
    assert (solved.lower == -solved.upper).all()


def test_obrien_fleming_with_ten_looks_ends_near_the_fixed_test() -> None:
    shares = np.arange(1, 11) / 10
    upper = sequential.bounds(shares, spent(sequential.obrien_fleming(0.05), shares)).upper
    assert (upper[0], upper[-1]) == pytest.approx((6.9914, 2.0812), abs=5e-5)


def test_pocock_bounds_are_nearly_level() -> None:
    solved = sequential.bounds(FIFTHS, spent(sequential.pocock(0.05), FIFTHS))
    assert solved.upper == pytest.approx([2.4380, 2.4268, 2.4102, 2.3966, 2.3860], abs=5e-5)


def test_one_sided_power_spending() -> None:
    solved = sequential.bounds(FIFTHS, spent(sequential.power(0.025, 2), FIFTHS), [0.0] * 5)
    assert solved.upper == pytest.approx([3.090232, 2.714112, 2.472777, 2.279863, 2.114028], abs=5e-7)
    assert np.isneginf(solved.lower).all()


def test_two_unequal_sides_of_gsdesign() -> None:
    shares = [0.25, 0.5, 0.75, 1.0]
    # spent at each look: .005 .01 .015 .02 above and twice that below
    solved = sequential.bounds(shares, np.cumsum([0.005, 0.01, 0.015, 0.02]), np.cumsum([0.01, 0.02, 0.03, 0.04]))
    assert solved.upper == pytest.approx([2.5758293035, 2.2598608256, 2.0095623869, 1.7939759181], abs=2e-7)
    assert solved.lower == pytest.approx([-2.3263478740, -1.9681818531, -1.6767115453, -1.4187120012], abs=2e-7)


def test_bounds_spend_exactly_what_was_planned() -> None:
    """400,000 simulated paths of five looks cross as often as the error that was spent."""
    solved = sequential.bounds(FIFTHS, spent(sequential.pocock(0.05), FIFTHS))
    steps = np.random.default_rng(5).normal(0, np.sqrt(0.2), (400_000, 5))
    z = np.cumsum(steps, axis=1) / np.sqrt(FIFTHS)
    crossed = (np.abs(z) > solved.upper).any(axis=1).mean()
    assert crossed == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 400_000))


def test_normal_mixture_bounds_of_confseq() -> None:
    precision = sequential.mixture_precision(100, 0.05)
    assert precision == pytest.approx(12.60056, abs=5e-6)
    assert sequential.mixture_bound(100, 0.05, precision) == pytest.approx(30.35209, abs=5e-6)
    one_sided = sequential.mixture_precision(100, 0.05, sides=1)
    assert sequential.mixture_bound(100, 0.05, one_sided, sides=1) == pytest.approx(27.66071, abs=5e-6)


def test_log_mixture_of_confseq() -> None:
    """At a sum of 10: -.6510052. It is log 20 at the bound and falls with the square of the sum."""
    precision = sequential.mixture_precision(100, 0.05)
    bound = sequential.mixture_bound(100, 0.05, precision)
    assert np.log(20) + (10**2 - bound**2) / (2 * (100 + precision)) == pytest.approx(-0.6510052, abs=5e-7)


def test_always_valid_critical_value_moves_with_the_units() -> None:
    """Statsig's documents make the mixture as wide as the noise, so that it stays at 3.58 whatever is known."""
    criticals = [looks.AnyTime(units=units, tightest_at=1_000).critical(0.05) for units in (10, 1_000, 100_000)]
    assert criticals[1] < min(criticals[0], criticals[2]) - 0.3


def test_information_that_does_not_rise_is_refused() -> None:
    with pytest.raises(ValueError, match="must rise"):
        sequential.bounds([0.5, 0.5], [0.01, 0.05])
