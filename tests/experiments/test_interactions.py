"""Two experiments on the same customers: the contrast of four cells, and whether they were drawn apart."""

import numpy as np
from pytest import approx
from scipy import stats

from experiments import estimates, interactions
from experiments.moments import Moments

OFF = ("off", "off")


def cell(values: list[float]) -> Moments:
    return Moments.of_values(("value",), values * 20)


FOUR = {
    OFF: cell([9, 11]),
    ("on", "off"): cell([11, 13]),
    ("off", "on"): cell([8, 14]),
    ("on", "on"): cell([17, 21]),
}


def test_contrast_is_the_effect_together_minus_the_effect_alone() -> None:
    (found,) = interactions.crossings("spend", FOUR, OFF)
    assert (found.first, found.second) == ("on", "on")
    # means 10, 12, 11, 19: alone 2, together 8
    assert (found.first_alone.difference, found.first_together.difference) == approx((2, 8))
    assert found.contrast.difference == approx(6)
    # forty values of spread 1, 1, 3 and 2: sums of squares 40 x (1, 1, 9, 4), over 39 and over 40
    error = ((1 + 1 + 9 + 4) * 40 / 39 / 40) ** 0.5
    assert found.contrast.standard_error == approx(error)
    assert found.contrast.relative_difference is None


def test_degrees_of_freedom_are_those_of_all_four_cells() -> None:
    (found,) = interactions.crossings("spend", FOUR, OFF)
    parts = np.array([1, 1, 9, 4]) / 39
    degrees = parts.sum() ** 2 / (parts**2 / 39).sum()
    assert found.contrast.degrees == approx(degrees)
    assert found.contrast.p_value == approx(float(2 * stats.t.sf(6 / parts.sum() ** 0.5, degrees)))


def test_swapping_the_experiments_leaves_the_contrast() -> None:
    (found,) = interactions.crossings("spend", FOUR, OFF)
    (swapped,) = interactions.crossings("spend", {(b, a): moments for (a, b), moments in FOUR.items()}, OFF)
    assert swapped.contrast.difference == approx(found.contrast.difference)
    assert swapped.contrast.p_value == approx(found.contrast.p_value)
    assert swapped.first_alone.difference == approx(1)


def test_every_variant_is_crossed_with_every_other_and_corrected_together() -> None:
    cells = FOUR | {("other", "off"): cell([10, 12]), ("other", "on"): cell([9, 15])}
    found = interactions.corrected(interactions.crossings("spend", cells, OFF))
    assert [(one.first, one.second) for one in found] == [("on", "on"), ("other", "on")]
    first, second = (one.contrast.p_value for one in found)
    assert first is not None and second is not None and first < second
    assert found[0].adjusted_p_value == approx(2 * first)
    assert found[1].contrast.difference == approx(0)


def test_a_cell_of_few_customers_is_not_compared() -> None:
    few = FOUR | {("on", "on"): Moments.of_values(("value",), [17, 21])}
    (found,) = interactions.crossings("spend", few, OFF)
    assert found.contrast.reason == "fewer than 20 customers in a cell of the two experiments"
    assert found.first_alone.difference == approx(2)
    assert interactions.corrected([found])[0].adjusted_p_value is None


def test_proportions_are_crossed_by_their_own_estimate() -> None:
    shares = {OFF: 40, ("on", "off"): 50, ("off", "on"): 45, ("on", "on"): 80}
    cells = {place: Moments.of_count(count, 200) for place, count in shares.items()}
    (found,) = interactions.crossings("bought", cells, OFF, estimate=estimates.proportion)
    assert found.contrast.difference == approx((80 - 45 - 50 + 40) / 200)
    variance = sum(count / 200 * (1 - count / 200) / 200 for count in shares.values())
    assert found.contrast.standard_error == approx(variance**0.5)


def test_experiments_that_share_their_draw_are_found() -> None:
    fair = {OFF: 250, ("on", "off"): 250, ("off", "on"): 250, ("on", "on"): 250}
    shared = {OFF: 490, ("on", "off"): 10, ("off", "on"): 10, ("on", "on"): 490}
    assert interactions.independence(fair) == approx(1)
    assert (interactions.independence(shared) or 1.0) < 1e-12
    assert interactions.independence({OFF: 10, ("on", "off"): 10, ("off", "on"): 0, ("on", "on"): 0}) is None
    assert interactions.independence({}) is None


def test_independence_has_the_same_bits_in_whatever_order_the_counts_come() -> None:
    arms = [(first, second) for first in ("a", "b", "c", "d") for second in ("x", "y", "z")]
    counts = dict(zip(arms, np.random.default_rng(1).integers(20, 90, len(arms)).tolist(), strict=True))
    orders = (np.random.default_rng(seed).permutation(len(arms)) for seed in range(50))
    assert len({interactions.independence({arms[at]: counts[arms[at]] for at in order}) for order in orders}) == 1
