"""Laws of the experiment analysis."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from experiments import effects
from experiments.moments import Moments
from experiments.sample_ratio import ratio_test
from tests.experiments.builders import Event, Exposure, analyse, day, experiment, result

slow = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def proportions(draw: Any) -> Moments:
    n = draw(st.one_of(st.integers(1, 60), st.integers(1, 100_000)))
    return Moments.of_count(draw(st.integers(0, n)), n)


@st.composite
def means(draw: Any) -> Moments:
    values = draw(st.lists(st.integers(-50, 200), min_size=2, max_size=40))
    return Moments.of(len(values), sum(values), sum(value**2 for value in values))


def leaves_out_zero(lower: float | None, upper: float | None) -> bool:
    assert lower is not None and upper is not None
    return lower > 0 or upper < 0


def one_verdict(effect: effects.Effect) -> None:
    assert effect.p_value is not None and effect.lower is not None and effect.upper is not None
    # an interval that ends exactly at 0, up to rounding, may be read either way
    assume(min(abs(effect.lower), abs(effect.upper)) > 1e-12 or effect.p_value > effects.ALPHA)
    rejected = effect.p_value < effects.ALPHA
    assert leaves_out_zero(effect.lower, effect.upper) == rejected
    if effect.relative_lower is not None:
        assert leaves_out_zero(effect.relative_lower, effect.relative_upper) == rejected


@settings(max_examples=1_000, deadline=None)
@given(variant=proportions(), control=proportions())
def test_p_value_and_both_intervals_of_proportions_say_one_thing(variant: Moments, control: Moments) -> None:
    effect = effects.proportions(variant, control)
    one_verdict(effect)
    assert effect.difference is not None and effect.lower is not None and effect.upper is not None
    assert effect.lower - 1e-12 <= effect.difference <= effect.upper + 1e-12


@settings(max_examples=500, deadline=None)
@given(variant=means(), control=means())
def test_p_value_and_both_intervals_of_means_say_one_thing(variant: Moments, control: Moments) -> None:
    effect = effects.means(variant, control)
    assume(effect.p_value is not None and abs(effect.p_value - effects.ALPHA) > 1e-9)
    one_verdict(effect)


@settings(max_examples=300, deadline=None)
@given(variant=proportions(), control=proportions())
def test_swapping_the_arms_turns_the_sign_and_keeps_the_p_value(variant: Moments, control: Moments) -> None:
    there, back = effects.proportions(variant, control), effects.proportions(control, variant)
    assert there.difference == -(back.difference or 0.0)
    assert abs((there.p_value or 0) - (back.p_value or 0)) < 1e-9


@given(counts=st.lists(st.integers(0, 10_000), min_size=2, max_size=5))
def test_variants_of_weight_zero_change_no_ratio_test(counts: list[int]) -> None:
    observed = {str(number): count for number, count in enumerate(counts)}
    weights = dict.fromkeys(observed, 1.0)
    assert ratio_test(observed, weights) == ratio_test(observed | {"none": 0}, weights | {"none": 0.0})


@given(halves=st.tuples(means(), means()))
def test_moments_of_two_halves_add_up_to_the_whole(halves: tuple[Moments, Moments]) -> None:
    whole = halves[0] + halves[1]
    assert whole.n == halves[0].n + halves[1].n
    assert whole.mean is not None
    assert whole.mean * whole.n == pytest.approx(sum((half.mean or 0.0) * half.n for half in halves), abs=1e-9)
    assert (whole.variance or 0.0) >= 0


exposures = st.lists(
    st.tuples(st.sampled_from([f"c{number}" for number in range(12)]), st.sampled_from("abz"), st.integers(0, 60)),
    max_size=30,
)
happenings = st.lists(
    st.tuples(
        st.sampled_from([f"c{number}" for number in range(12)]),
        st.sampled_from(["buy", "look"]),
        st.integers(0, 90),
        st.one_of(st.none(), st.floats(-100, 100).map(lambda number: round(number, 2))),
    ),
    max_size=30,
)


@slow
@given(seen=exposures, happened=happenings, split=st.randoms())
def test_order_of_the_rows_changes_nothing(seen: list[Exposure], happened: list[Event], split: Any) -> None:
    shuffled = list(seen), list(happened)
    for rows in shuffled:
        split.shuffle(rows)
    there, back = analyse(seen, happened, withhold=False), analyse(*shuffled, withhold=False)
    assert (there.results, there.health) == (back.results, back.health)


@slow
@given(seen=exposures, happened=happenings, later=happenings)
def test_what_happens_after_as_of_changes_nothing(
    seen: list[Exposure], happened: list[Event], later: list[Event]
) -> None:
    now = [event for event in happened if event[2] <= 60]
    future = [(who, name, when + 61, value) for who, name, when, value in later]
    exposed_later = [*seen, ("c1", "a", 70.0), ("new", "b", 61.0)]
    before = analyse(seen, now, as_of=day(60), withhold=False)
    after = analyse(exposed_later, now + future, as_of=day(60), withhold=False)
    assert (before.results, before.health) == (after.results, after.health)


@slow
@given(seen=exposures, happened=happenings)
def test_units_and_values_are_those_of_a_plain_count(seen: list[Exposure], happened: list[Event]) -> None:
    """The same rules, one customer at a time."""
    plan = experiment()
    variants: dict[str, set[str]] = {}
    first: dict[str, float] = {}
    for who, variant, when in seen:
        assert who is not None and variant is not None
        variants.setdefault(who, set()).add(variant)
        first[who] = min(when, first.get(who, when))
    spent: dict[str, list[float]] = {"a": [], "b": []}
    for who, arms in variants.items():
        if arms not in ({"a"}, {"b"}) or first[who] + 30 > 60:
            continue
        inside = [
            value for name, event, when, value in happened
            if (name, event) == (who, "buy") and first[who] <= when < first[who] + 30
        ]  # fmt: skip
        if None not in inside:
            spent[next(iter(arms))].append(sum(value for value in inside if value is not None))
    row = result(analyse(seen, happened, plan, as_of=day(60), withhold=False), "spend")
    assert (row["control_units"], row["variant_units"]) == (len(spent["a"]), len(spent["b"]))
    for arm, mean in (("a", row["control_mean"]), ("b", row["variant_mean"])):
        assert (mean is None) == (not spent[arm])
        assert mean is None or abs(mean - sum(spent[arm]) / len(spent[arm])) < 1e-6
