"""Regression adjustment: against least squares on the rows, and what happens when covariates say little or nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from experiments import effects
from experiments.adjustment import adjust
from experiments.moments import Moments

COLUMNS = ("value", "x", "y")


def draw(rng: np.random.Generator, n: int, slope: float, lift: float = 0.0) -> Any:
    x = rng.normal(size=(n, 2)) * np.array([1.0, 50.0]) + np.array([3.0, 1_000.0])
    return np.column_stack([10 + lift + slope * x[:, 0] + 0.02 * x[:, 1] + rng.normal(size=n), x])


def two_arms(seed: int = 1, sizes: tuple[int, int] = (300, 200)) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {"a": draw(rng, sizes[0], 1.0), "b": draw(rng, sizes[1], 2.0, 0.5)}


def moments(rows: dict[str, Any], columns: tuple[str, ...] = COLUMNS) -> dict[str, Moments]:
    return {name: Moments.of_values(columns, own) for name, own in rows.items()}


def test_each_arm_is_its_own_regression_at_the_common_means() -> None:
    rows = two_arms()
    found = adjust(moments(rows), "value", ["x", "y"])
    assert found is not None
    means = np.concatenate([own[:, 1:] for own in rows.values()]).mean(axis=0)
    for name, own in rows.items():
        design = np.column_stack([np.ones(len(own)), own[:, 1:]])
        beta, *_ = np.linalg.lstsq(design, own[:, 0], rcond=None)
        assert found.adjusted[name].value == pytest.approx(float(beta @ np.array([1.0, *means])), abs=1e-9)
        assert found.slopes[name] == pytest.approx(beta[1:], abs=1e-9)
        assert found.adjusted[name].degrees == len(own) - 3


def test_difference_is_lins_interacted_regression() -> None:
    rows = two_arms()
    found = adjust(moments(rows), "value", ["x", "y"])
    assert found is not None
    whole = np.concatenate([rows["a"], rows["b"]])
    treated = np.concatenate([np.zeros(300), np.ones(200)])[:, None]
    centred = whole[:, 1:] - whole[:, 1:].mean(axis=0)
    design = np.hstack([np.ones((500, 1)), treated, centred, treated * centred])
    beta, *_ = np.linalg.lstsq(design, whole[:, 0], rcond=None)
    assert found.effect("b", "a").adjusted.difference == pytest.approx(float(beta[1]), abs=1e-9)


def test_variance_is_that_of_the_influence_of_every_unit() -> None:
    rows = two_arms(sizes=(3_000, 2_000))
    found = adjust(moments(rows), "value", ["x", "y"])
    assert found is not None
    means = np.concatenate([own[:, 1:] for own in rows.values()]).mean(axis=0)
    moved = []  # of the difference b - a, by each unit
    for name, sign in (("a", -1.0), ("b", 1.0)):
        own = rows[name]
        residual = own[:, 0] - own[:, 0].mean() - (own[:, 1:] - own[:, 1:].mean(axis=0)) @ found.slopes[name]
        shared = (own[:, 1:] - means) @ (found.slopes["b"] - found.slopes["a"]) / 5_000
        moved.append(sign * residual / len(own) + shared)
    by_hand = sum(float(((part - part.mean()) ** 2).sum()) for part in moved)
    effect = found.effect("b", "a").adjusted
    assert effect.standard_error is not None
    assert effect.standard_error**2 == pytest.approx(by_hand, rel=3e-3)  # 3 degrees of freedom of 2,000


def test_intervals_cover_and_are_as_wide_as_the_estimate_wanders() -> None:
    rng = np.random.default_rng(7)
    seen, covered, claimed = [], 0, 0.0
    for _ in range(400):
        found = adjust(moments({"a": draw(rng, 60, 1.0), "b": draw(rng, 40, 2.0, 0.5)}), "value", ["x", "y"])
        assert found is not None
        effect = found.effect("b", "a").adjusted
        assert effect.lower is not None and effect.upper is not None and effect.standard_error is not None
        covered += effect.lower <= 0.5 + 3.0 <= effect.upper  # slopes differ by 1 and x is 3 on average
        seen.append(effect.difference)
        claimed += effect.standard_error**2 / 400
    assert 0.92 <= covered / 400 <= 0.98
    assert claimed == pytest.approx(float(np.var(seen)), rel=0.2)


def test_variance_removed_is_the_share_that_the_covariates_explain() -> None:
    rng = np.random.default_rng(5)
    rows = {}
    for name in "ab":
        x = rng.normal(size=4_000)
        rows[name] = np.column_stack([2 * x + rng.normal(size=4_000), x])
    found = adjust(moments(rows, ("value", "x")), "value", ["x"])
    assert found is not None
    # 2^2 of 2^2 + 1
    assert found.effect("b", "a").variance_removed == pytest.approx(0.8, abs=0.02)
    assert found.effect("b", "a").unadjusted.method == "unadjusted"


def test_covariates_that_say_the_same_are_dropped_and_named() -> None:
    rows = {
        name: np.column_stack([own, own[:, 1] + own[:, 2], np.full(len(own), 7.0)]) for name, own in two_arms().items()
    }
    columns = (*COLUMNS, "sum", "constant")
    found = adjust(moments(rows, columns), "value", ["x", "constant", "y", "sum"])
    plain = adjust(moments(two_arms()), "value", ["x", "y"])
    assert found is not None and plain is not None
    assert (found.used, found.dropped) == (("x", "y"), ("constant", "sum"))
    assert found.adjusted["b"].value == pytest.approx(plain.adjusted["b"].value, abs=1e-9)


def test_only_redundant_covariates_leave_the_plain_means() -> None:
    rows = {name: np.column_stack([own[:, 0], np.ones(len(own))]) for name, own in two_arms().items()}
    found = adjust(moments(rows, ("value", "x")), "value", ["x"])
    assert found is not None
    assert found.used == () and found.dropped == ("x",)
    both = [Moments.of_values(("value",), rows[name][:, 0]) for name in "ba"]
    assert found.effect("b", "a").adjusted.p_value == pytest.approx(effects.means(both[0], both[1]).p_value)
    assert found.effect("b", "a").variance_removed == pytest.approx(0)


def test_small_arm_borrows_the_slopes_of_all() -> None:
    rows = two_arms(sizes=(300, 15))
    found = adjust(moments(rows), "value", ["x", "y"])
    assert found is not None
    assert found.own_slopes == {"a": True, "b": False}
    # of 299 + 14 degrees of freedom within arms, two slopes take their share of b's 14
    assert found.adjusted["b"].degrees == pytest.approx(14 * 311 / 313)


def test_small_arms_with_many_covariates_do_not_cry_wolf() -> None:
    """Thirty units and five covariates in each arm: slopes are borrowed, and their own uncertainty counts."""
    rng = np.random.default_rng(12)
    columns = ("value", *(f"x{place}" for place in range(5)))
    alarms = 0
    for _ in range(600):
        rows = {}
        for name in "ab":
            x = rng.normal(size=(30, 5))
            rows[name] = np.column_stack([x @ np.full(5, 0.5) + rng.normal(size=30), x])
        found = adjust(moments(rows, columns), "value", columns[1:])
        assert found is not None and not any(found.own_slopes.values())
        p_value = found.effect("b", "a").adjusted.p_value
        alarms += p_value is not None and p_value < 0.05
    # the 0.0001 and 0.9999 points of 600 draws at 0.05
    assert 13 <= alarms <= 51


def test_covariate_without_spread_in_one_arm_borrows_too() -> None:
    rows = two_arms()
    rows["b"][:, 1] = 3.0
    found = adjust(moments(rows), "value", ["x", "y"])
    assert found is not None
    assert found.own_slopes == {"a": True, "b": False}
    assert found.effect("b", "a").adjusted.p_value is not None


def test_common_slope_cancels_the_means_of_the_covariates() -> None:
    """With one slope for both arms the difference is that of value - slope * x: CUPED, by a plain Welch test."""
    rows = two_arms()
    found = adjust(moments(rows), "value", ["x"], slopes=[1.5])
    assert found is not None
    moved = {name: Moments.of_values(("value",), own[:, 0] - 1.5 * own[:, 1]) for name, own in rows.items()}
    plain = effects.means(moved["b"], moved["a"])
    effect = found.effect("b", "a").adjusted
    assert effect.difference == pytest.approx(plain.difference, abs=1e-9)
    assert effect.standard_error == pytest.approx(plain.standard_error, rel=1e-9)
    assert effect.p_value == pytest.approx(plain.p_value, rel=1e-6)


def test_ratio_is_adjusted_through_its_linear_form() -> None:
    rng = np.random.default_rng(9)
    rows = {}
    for name in "ab":
        habit = rng.normal(size=3_000)
        below = 5 + rng.poisson(3, size=3_000)
        rows[name] = np.column_stack([below * (2 + 0.5 * habit) + rng.normal(size=3_000), below, habit])
    found = adjust(moments(rows, ("numerator", "denominator", "habit")), ("numerator", "denominator"), ["habit"])
    assert found is not None
    effect = found.effect("b", "a")
    assert effect.variance_removed is not None and effect.variance_removed > 0.9
    assert effect.adjusted.relative_lower is not None
    for name in "ab":
        assert found.adjusted[name].value == pytest.approx(2.0, abs=0.02)


def test_arm_of_one_unit_is_left_out_and_the_others_are_as_without_it() -> None:
    rows = two_arms()
    alone = adjust(moments(rows), "value", ["x"])
    found = adjust(moments(rows | {"c": rows["b"][:1]}), "value", ["x"])
    assert alone is not None and found is not None
    assert found.arms == ("a", "b")
    assert found.effect("b", "a") == alone.effect("b", "a")
    nothing = found.effect("c", "a")
    assert nothing.adjusted.reason == "fewer than two customers in a group, or nothing below the line of a ratio"
    assert nothing.variance_removed is None
    assert adjust(moments({"c": rows["b"][:1]}), "value", ["x"]) is None


def test_number_of_slopes_must_be_that_of_the_covariates() -> None:
    with pytest.raises(ValueError, match="one for each"):
        adjust(moments(two_arms()), "value", ["x", "y"], slopes=[1.0])
