"""Laws of effects: one verdict however it is shown, whatever method and whatever the numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from experiments import clusters, effects, exact
from experiments.adjustment import adjust
from experiments.effects import Effect
from experiments.estimates import ArmEstimate
from experiments.exact import Counts
from experiments.moments import Moments
from experiments.stratification import post_stratify

many = settings(max_examples=300, deadline=None)
some = settings(max_examples=60, deadline=None)
numbers = st.integers(-1_000, 1_000).map(lambda number: number / 16)  # exact in binary, so that no rounding decides


@st.composite
def arm_estimates(draw: Any) -> ArmEstimate:
    return ArmEstimate(
        value=draw(st.floats(-1e6, 1e6)),
        variance=draw(st.floats(1e-9, 1e9)),
        n=draw(st.integers(2, 10_000)),
        degrees=draw(st.one_of(st.just(float("inf")), st.floats(1, 1e5))),
    )


@st.composite
def counts(draw: Any, largest: int = 25) -> Counts:
    n, m = draw(st.integers(1, largest)), draw(st.integers(1, largest))
    return Counts(successes=draw(st.integers(0, n)), n=n, control_successes=draw(st.integers(0, m)), control_n=m)


@st.composite
def values(draw: Any, columns: int, least: int = 3, most: int = 30) -> Any:
    rows = draw(st.integers(least, most))
    return draw(arrays(np.float64, (rows, columns), elements=numbers))


def one_verdict(effect: Effect, alpha: float = effects.ALPHA) -> None:
    assert effect.p_value is not None and effect.lower is not None and effect.upper is not None
    # at the very border rounding may read the interval either way
    assume(abs(effect.p_value - alpha) > 1e-9)
    rejected = effect.p_value < alpha
    assert (effect.lower > 0 or effect.upper < 0) == rejected
    if effect.relative_lower is not None and effect.relative_upper is not None:
        assert (effect.relative_lower > 0 or effect.relative_upper < 0) == rejected
    if rejected and effect.relative_difference is not None and effect.difference is not None:
        assert (effect.relative_difference > 0) == (effect.difference > 0)


@many
@given(one=arm_estimates(), other=arm_estimates(), correlation=st.floats(-0.9, 0.9), alpha=st.floats(0.001, 0.3))
def test_absolute_and_relative_are_one_verdict_for_any_two_estimates(
    one: ArmEstimate, other: ArmEstimate, correlation: float, alpha: float
) -> None:
    shared = correlation * (one.variance * other.variance) ** 0.5
    effect = effects.contrast(one, other, method="any", covariance=shared, alpha=alpha)
    assume(effect.p_value is not None and effect.standard_error is not None)
    # rounding of a relative interval that is a thousand million times its distance from 0 is not a verdict
    assume(abs(other.value) > 1e-3 * other.variance**0.5)
    one_verdict(effect, alpha)


@many
@given(
    seen=counts(),
    test=st.sampled_from(["fisher", "boschloo", "barnard", "score"]),
    alpha=st.sampled_from([0.01, 0.05, 0.2]),
)
def test_tests_of_counts_and_both_their_intervals_are_one_verdict(seen: Counts, test: exact.Test, alpha: float) -> None:
    effect = effects.of_counts(seen, test, alpha=alpha)
    one_verdict(effect, alpha)
    assert effect.lower is not None and effect.upper is not None and effect.difference is not None
    assert -1 <= effect.lower <= effect.difference + 1e-12
    assert effect.difference - 1e-12 <= effect.upper <= 1


@many
@given(seen=counts(), test=st.sampled_from(["fisher", "boschloo", "barnard", "score"]))
def test_swapping_the_groups_of_counts_turns_the_interval_round(seen: Counts, test: exact.Test) -> None:
    swapped = Counts(
        successes=seen.control_successes, n=seen.control_n, control_successes=seen.successes, control_n=seen.n
    )
    there, back = effects.of_counts(seen, test), effects.of_counts(swapped, test)
    assert there.p_value == pytest.approx(back.p_value, rel=1e-6)
    assert there.lower == pytest.approx(-(back.upper or 0.0), abs=1e-6)
    assert there.upper == pytest.approx(-(back.lower or 0.0), abs=1e-6)


@many
@given(seen=counts(), narrow=st.floats(0.5, 3), more=st.floats(0.01, 2))
def test_a_larger_critical_value_never_narrows_an_interval(seen: Counts, narrow: float, more: float) -> None:
    close, wide = exact.difference_bounds(seen, narrow), exact.difference_bounds(seen, narrow + more)
    assert wide[0] <= close[0] + 1e-12 and close[1] <= wide[1] + 1e-12


@many
@given(
    one=arm_estimates(),
    other=arm_estimates(),
    margin=st.integers(-90, 300).map(lambda percent: percent / 100),
    relative=st.booleans(),
    side=st.sampled_from(["greater", "less"]),
)
def test_one_sided_bound_is_beyond_the_margin_exactly_when_the_p_value_is_small(
    one: ArmEstimate, other: ArmEstimate, margin: float, relative: bool, side: effects.Side
) -> None:
    assume(abs(other.value) > 1e-3 * other.variance**0.5)
    found = effects.one_sided(effects.contrast(one, other, method="any"), side, margin=margin, relative=relative)
    assume(found.p_value is not None and found.bound is not None)
    assert found.p_value is not None and found.bound is not None
    assume(abs(found.p_value - 0.05) > 1e-7 and abs(found.bound - margin) > 1e-9)
    beyond = found.bound > margin if side == "greater" else found.bound < margin
    assert beyond == (found.p_value < 0.05)


@some
@given(
    one=values(3, 8),
    other=values(3, 8),
    move=st.sampled_from([0.0, 16.0, -1_024.0]),
    scale=st.sampled_from([0.25, 64.0]),
)
def test_covariates_may_be_moved_and_scaled(one: Any, other: Any, move: float, scale: float) -> None:
    columns = ("value", "x", "y")
    moved = [np.column_stack([rows[:, 0], rows[:, 1] * scale + move, rows[:, 2]]) for rows in (one, other)]
    first = adjust(arms(columns, one, other), "value", ["x", "y"])
    second = adjust(arms(columns, *moved), "value", ["x", "y"])
    assert first is not None and second is not None
    assume(first.used == second.used)
    for name in "ab":
        assert second.adjusted[name].value == pytest.approx(first.adjusted[name].value, rel=1e-6, abs=1e-6)
        assert second.own[name] == pytest.approx(first.own[name], rel=1e-6, abs=1e-6)


@some
@given(one=values(2), other=values(2))
def test_a_covariate_said_twice_counts_once(one: Any, other: Any) -> None:
    twice = [np.column_stack([rows, 2 * rows[:, 1] + 3]) for rows in (one, other)]
    alone = adjust(arms(("value", "x"), one, other), "value", ["x"])
    doubled = adjust(arms(("value", "x", "again"), *twice), "value", ["x", "again"])
    assert alone is not None and doubled is not None
    assert "again" in doubled.dropped and doubled.used == alone.used
    for name in "ab":
        assert doubled.adjusted[name].value == pytest.approx(alone.adjusted[name].value, rel=1e-9, abs=1e-9)


@some
@given(one=values(2), other=values(2))
def test_adjusting_for_nothing_is_welch(one: Any, other: Any) -> None:
    both = arms(("value", "x"), one, other)
    found = adjust(both, "value", [])
    assert found is not None
    plain = effects.means(both["b"].take("value"), both["a"].take("value"))
    effect = found.effect("b", "a")
    assert effect.adjusted.p_value == pytest.approx(plain.p_value)
    assert effect.adjusted.lower == pytest.approx(plain.lower)


@some
@given(one=values(2, 40, 80), other=values(2, 40, 80))
def test_adjusted_effects_are_one_verdict(one: Any, other: Any) -> None:
    found = adjust(arms(("value", "x"), one, other), "value", ["x"])
    assert found is not None
    effect = found.effect("b", "a").adjusted
    assume(effect.p_value is not None)
    one_verdict(effect)


@some
@given(one=values(1, 2), other=values(1, 2), three=values(1, 2), four=values(1, 2))
def test_one_stratum_is_welch_and_strata_of_one_share_average(one: Any, other: Any, three: Any, four: Any) -> None:
    cell = [Moments.of_values(("value",), rows) for rows in (one, other, three, four)]
    alone = post_stratify({"a": {"s": cell[0]}, "b": {"s": cell[1]}}, "value")
    assert alone is not None and alone.merged == ()
    plain = effects.means(cell[1], cell[0])
    assert alone.effect("b", "a").adjusted.p_value == pytest.approx(plain.p_value, nan_ok=True)
    planned = post_stratify(
        {"a": {"s": cell[0], "t": cell[2]}, "b": {"s": cell[1], "t": cell[3]}},
        "value",
        shares={"s": 1, "t": 3},
        fewest=0,
    )
    assert planned is not None
    expected = 0.25 * float(cell[1].means[0]) + 0.75 * float(cell[3].means[0])
    assert planned.adjusted["b"].value == pytest.approx(expected, abs=1e-9)


@some
@given(one=values(1, 3), other=values(1, 3))
def test_clusters_of_one_unit_are_units(one: Any, other: Any) -> None:
    def ones(rows: Any) -> Moments:
        whole = np.column_stack([rows[:, 0], np.ones(len(rows)), rows[:, 0] ** 2])
        return Moments.of_values((clusters.TOTAL, clusters.SIZE, clusters.SQUARES), whole)

    plain = effects.means(*(Moments.of_values(("value",), rows) for rows in (one, other)))
    effect = clusters.compare(ones(one), ones(other))
    assert effect.p_value == pytest.approx(plain.p_value, nan_ok=True)
    found = clusters.design(ones(one))
    if found is not None:
        assert found.design_effect == pytest.approx(1.0, rel=1e-6)
        assert found.intra_cluster_correlation is None


@some
@given(one=values(2, 3), other=values(2, 3), factor=st.sampled_from([2.0, 0.125, 1_024.0]))
def test_ratios_do_not_depend_on_the_unit_of_the_denominator(one: Any, other: Any, factor: float) -> None:
    def moments(rows: Any, scale: float) -> Moments:
        return Moments.of_values(
            ("numerator", "denominator"), np.column_stack([rows[:, 0], (np.abs(rows[:, 1]) + 1) * scale])
        )

    plain = effects.ratios(moments(one, 1.0), moments(other, 1.0))
    scaled = effects.ratios(moments(one, factor), moments(other, factor))
    assume(plain.p_value is not None)
    assert scaled.p_value == pytest.approx(plain.p_value, rel=1e-6)
    one_verdict(plain)


def arms(columns: tuple[str, ...], one: Any, other: Any) -> dict[str, Moments]:
    return {"a": Moments.of_values(columns, one), "b": Moments.of_values(columns, other)}
