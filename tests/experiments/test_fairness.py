"""Protected groups: who is hidden, how far apart effects are, and which harms are shown."""

from math import sqrt

from hypothesis import given
from hypothesis import strategies as st
from pytest import approx
from scipy import stats

from experiments import effects, fairness
from experiments.effects import Effect
from experiments.estimates import ArmEstimate
from experiments.fairness import Fairness
from experiments.moments import Moments


def effect(difference: float, error: float = 1.0, n: int = 500) -> Effect:
    return effects.contrast(
        ArmEstimate(value=100 + difference, variance=error**2 / 2, n=n),
        ArmEstimate(value=100.0, variance=error**2 / 2, n=n),
        method="welch",
    )


def assess(groups: dict[str, Effect], units: dict[str, int] | None = None, margin: float = 3.0) -> Fairness:
    counts = {name: ((units or {}).get(name, 500),) * 2 for name in groups}
    return fairness.assess("sex", groups, counts, "increase", margin=margin)


def test_gap_of_two_groups_is_the_difference_of_their_effects() -> None:
    found = assess({"f": effect(1.0), "m": effect(4.0)})
    assert found.widest is not None
    assert (found.widest.group, found.widest.other) == ("f", "m")
    assert found.widest.difference == approx(-3.0)
    reach = 1.959964 * sqrt(2)
    assert (found.widest.lower, found.widest.upper) == approx((-3 - reach, -3 + reach), abs=1e-5)
    assert found.widest.p_value == approx(float(2 * stats.norm.sf(3 / sqrt(2))))
    assert found.widest.p_value == approx(found.interaction.p_value)


def test_gaps_of_three_groups_hold_together() -> None:
    found = assess({"a": effect(0.0), "b": effect(1.0), "c": effect(5.0)})
    assert [(gap.group, gap.other) for gap in found.gaps] == [("a", "b"), ("a", "c"), ("b", "c")]
    widest = found.widest
    assert widest is not None and (widest.group, widest.other) == ("a", "c")
    assert widest.lower is not None and widest.difference is not None
    # three pairs: the intervals at .05 / 3, the p-value of the smallest times 3 (Holm)
    assert widest.difference - widest.lower == approx(float(stats.norm.isf(0.05 / 6)) * sqrt(2))
    assert widest.adjusted_p_value == approx(3 * float(2 * stats.norm.sf(5 / sqrt(2))))


def test_group_alone_below_the_floor_takes_the_next_smallest_with_it() -> None:
    """The effect in all minus the effects of all others would give it away."""
    groups = {"a": effect(1), "b": effect(2), "c": effect(3)}
    found = assess(groups, {"a": 19, "b": 300, "c": 400})
    assert found.suppressed == ("a", "b")
    assert [harm.safety for harm in found.harms] == ["suppressed", "suppressed", "safe"]
    for name in found.suppressed:
        hidden = found.effects[name]
        assert (hidden.difference, hidden.variant, hidden.control) == (None, None, None)
        assert hidden.reason is not None and "fewer than 20 customers in an arm" in hidden.reason
    assert found.gaps == ()
    assert found.widest is None


def test_groups_below_the_floor_are_enough_together_to_hide_each_other() -> None:
    units = {"a": (12, 15), "b": (12, 15), "c": (300, 310), "d": (400, 410)}
    assert fairness.hidden(units) == ("a", "b")


def test_two_tiny_groups_that_are_tiny_together_take_a_third() -> None:
    assert fairness.hidden({"a": (5, 5), "b": (300, 310), "c": (4, 4), "d": (400, 9_000)}) == ("a", "b", "c")


@given(st.dictionaries(st.text(max_size=3), st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=7))
def test_what_is_hidden_is_never_one_group_nor_fewer_people_than_the_floor(units: dict[str, tuple[int, int]]) -> None:
    found = fairness.hidden(units)
    assert all(min(units[name]) >= fairness.SMALLEST for name in units if name not in found)
    if found and len(found) < len(units):
        assert len(found) > 1
        assert min(sum(units[name][arm] for name in found) for arm in (0, 1)) >= fairness.SMALLEST


def test_worst_group_is_told_with_a_bound_that_allows_for_the_number_of_groups() -> None:
    found = assess({"a": effect(1.0), "b": effect(-6.0), "c": effect(0.0, error=4.0)})
    assert found.worst is not None and found.worst.group == "b"
    assert found.worst.bound == approx(-6 - float(stats.norm.isf(0.05 / 3)))
    # a is safe: (1 + 3) / 1 = 4; b is harmed: -6; c has an error of 4 and may be either
    assert [harm.safety for harm in found.harms] == ["safe", "harmed", "unknown"]
    assert found.harms[0].safe_p_value == approx(3 * float(stats.norm.sf(4)))
    assert found.harms[1].harm_p_value == approx(3 * float(stats.norm.sf(6)))


def test_for_a_metric_that_should_fall_the_worst_group_is_the_one_that_rises() -> None:
    groups = {"a": effect(-1.0), "b": effect(6.0)}
    found = fairness.assess("sex", groups, {"a": (500, 500), "b": (500, 500)}, "decrease", margin=3.0)
    assert found.worst is not None and (found.worst.group, found.worst.safety) == ("b", "harmed")


def test_harm_that_is_surely_smaller_than_the_margin_is_safe() -> None:
    found = assess({"a": effect(-0.5, error=0.1), "b": effect(0.0, error=0.1)})
    assert [harm.safety for harm in found.harms] == ["safe", "safe"]
    assert found.harms[0].harm_p_value is not None and found.harms[0].harm_p_value < 0.001


def test_group_in_which_everybody_has_the_same_value_is_shown_with_that_reason() -> None:
    same = Moments.of_values(("value",), [1.0] * 100)
    found = assess({"a": effects.means(same, same), "b": effect(1.0), "c": effect(1.0)})
    assert found.suppressed == ()
    assert found.harms[0].safety == "unknown"
    assert found.harms[0].reason == "every customer has the same value, so there is no spread to judge by"
    assert found.gaps[0].reason == "the effect of one of the two groups is not known"


def test_relative_margin_is_a_share_of_each_groups_own_control() -> None:
    groups = {"a": effect(-1.0), "b": effect(1.0)}
    found = fairness.assess("sex", groups, {"a": (500, 500), "b": (500, 500)}, "increase", margin=0.05, relative=True)
    assert [harm.safety for harm in found.harms] == ["safe", "safe"]
    bound = found.harms[0].bound
    assert bound is not None and -0.05 < bound < -0.01  # of 100: -1, less about two standard errors of 1
