"""Strata put together again: shares, variance and thin strata, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.moments import Moments
from experiments.stratification import MERGED, post_stratify


def cell(*values: float) -> Moments:
    return Moments.of_values(("value",), list(values))


ARMS = {
    "a": {"young": cell(1, 3), "old": cell(10, 12, 14)},
    "b": {"young": cell(2, 4, 6), "old": cell(11, 15)},
}


def test_strata_are_weighted_by_their_shares_over_all_arms() -> None:
    found = post_stratify(ARMS, "value", fewest=2)
    assert found is not None
    assert found.shares == {"young": 0.5, "old": 0.5}  # 2 + 3 and 3 + 2 of 10
    assert found.adjusted["a"].value == (2 + 12) / 2
    assert found.adjusted["b"].value == (4 + 13) / 2
    assert found.unadjusted["a"].value == 40 / 5


def test_variance_is_within_strata_plus_that_of_the_shares() -> None:
    found = post_stratify(ARMS, "value", fewest=2)
    assert found is not None
    # squared shares times variance over units: a has variances 2 and 4, b has 4 and 8
    within = {"a": 0.25 * 2 / 2 + 0.25 * 4 / 3, "b": 0.25 * 4 / 3 + 0.25 * 8 / 2}
    assert dict(found.own) == pytest.approx(within)
    effect = found.effect("b", "a").adjusted
    # effects of the strata are 2 and 1, 1.5 on average: (0.25 + 0.25) / 2 over 10 units
    assert effect.standard_error is not None
    assert effect.standard_error**2 == pytest.approx(within["a"] + within["b"] + 0.25 / 10)


def test_planned_shares_are_known_and_add_no_variance() -> None:
    found = post_stratify(ARMS, "value", shares={"young": 30, "old": 10}, fewest=2)
    assert found is not None
    assert found.adjusted["a"].value == 0.75 * 2 + 0.25 * 12
    effect = found.effect("b", "a").adjusted
    expected = 0.75**2 * (2 / 2 + 4 / 3) + 0.25**2 * (4 / 3 + 8 / 2)
    assert effect.standard_error is not None
    assert effect.standard_error**2 == pytest.approx(expected)


def test_stratum_that_an_arm_lacks_is_merged_with_the_smallest_other() -> None:
    arms = {
        "a": {"x": cell(1, 2, 3), "y": cell(4, 6), "z": cell(9, 9.5)},
        "b": {"x": cell(1, 2, 4), "y": cell(5, 6)},
    }
    found = post_stratify(arms, "value", fewest=2)
    assert found is not None
    assert found.merged == ("y", "z")
    assert found.shares == {"x": pytest.approx(6 / 12), MERGED: pytest.approx(6 / 12)}
    assert found.adjusted["a"].value == pytest.approx(0.5 * 2 + 0.5 * (4 + 6 + 9 + 9.5) / 4)


def test_thin_strata_are_first_merged_with_each_other() -> None:
    arms = {
        "a": {"x": cell(1, 2), "y": cell(4), "z": cell(9)},
        "b": {"x": cell(1, 3), "y": cell(5), "z": cell(7)},
    }
    found = post_stratify(arms, "value", fewest=2)
    assert found is not None
    assert (found.merged, found.shares) == (("y", "z"), {"x": 0.5, MERGED: 0.5})


def test_strata_of_fewer_than_ten_units_are_merged_unless_asked_otherwise() -> None:
    found = post_stratify(ARMS, "value")
    assert found is not None
    assert (set(found.merged), found.shares) == ({"young", "old"}, {MERGED: 1.0})
    effect = found.effect("b", "a")
    assert effect.adjusted.difference == pytest.approx(effect.unadjusted.difference)


def test_arm_of_one_unit_is_left_out_and_thins_no_stratum() -> None:
    found = post_stratify(ARMS | {"c": {"young": cell(1)}}, "value", fewest=2)
    assert found is not None
    assert (found.arms, found.merged) == (("a", "b"), ())
    assert found.effect("c", "a").adjusted.reason is not None
    assert post_stratify({"c": {"young": cell(1)}}, "value") is None


def test_units_without_a_planned_share_are_refused() -> None:
    with pytest.raises(ValueError, match=r"strata \['old'\] have units and no planned share"):
        post_stratify(ARMS, "value", shares={"young": 1})


def test_changed_allocation_does_not_turn_the_effect_round() -> None:
    """Simpson: weekend customers spend more, and b was given most of them; inside each epoch b spends less."""
    rng = np.random.default_rng(11)

    def spend(n: int, mean: float) -> Moments:
        return Moments.of_values(("value",), rng.normal(mean, 1.0, size=n))

    arms = {
        "a": {"week": spend(9_000, 10.0), "weekend": spend(1_000, 20.0)},
        "b": {"week": spend(5_000, 9.5), "weekend": spend(5_000, 19.5)},
    }
    found = post_stratify(arms, "value")
    assert found is not None
    effect = found.effect("b", "a")
    assert effect.unadjusted.difference is not None and effect.unadjusted.difference > 3
    assert effect.adjusted.difference == pytest.approx(-0.5, abs=0.1)


def test_ratio_is_put_together_from_stratified_sums() -> None:
    def two(*rows: tuple[float, float]) -> Moments:
        return Moments.of_values(("numerator", "denominator"), rows)

    arms = {
        "a": {"x": two((1, 2), (3, 4)), "y": two((10, 5), (14, 7))},
        "b": {"x": two((2, 2), (4, 4)), "y": two((12, 5), (14, 7))},
    }
    found = post_stratify(arms, ("numerator", "denominator"), fewest=2)
    assert found is not None
    # numerators 2 and 12, denominators 3 and 6, both strata half
    assert found.adjusted["a"].value == pytest.approx((2 + 12) / (3 + 6))
