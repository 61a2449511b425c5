"""Effects that differ between segments: Cochran's Q by hand, and the correction for looking at many dimensions."""

import numpy as np
from pytest import approx
from scipy import stats

from experiments import effects, segments
from experiments.effects import Effect
from experiments.estimates import ArmEstimate
from experiments.moments import Moments


def effect(difference: float, error: float, n: int = 1_000) -> Effect:
    """An effect over a control of 10 without error of its own worth naming."""
    return effects.contrast(
        ArmEstimate(value=10 + difference, variance=error**2 / 2, n=n),
        ArmEstimate(value=10.0, variance=error**2 / 2, n=n),
        method="welch",
    )


def test_q_of_two_segments_is_the_square_of_the_z_of_their_difference() -> None:
    found = segments.interaction({"new": effect(3.0, 1.0), "old": effect(0.0, 1.0)})
    # z = 3 / sqrt(1 + 1); precisions are equal, so that the pooled effect is their mean
    assert found.statistic == approx(9 / 2)
    assert (found.degrees, found.pooled) == approx((1, 1.5))
    assert found.p_value == approx(float(2 * stats.norm.sf(3 / np.sqrt(2))))
    assert found.heterogeneity_share == approx(1 - 1 / 4.5)


def test_q_of_three_segments_weighs_by_precision() -> None:
    found = segments.interaction({"a": effect(1.0, 0.5), "b": effect(2.0, 1.0), "c": effect(4.0, 2.0)})
    # weights 4, 1 and 1/4: pooled (4 + 2 + 1) / 5.25 = 4/3; Q = 4/9 + 4/9 + 16/9
    assert found.pooled == approx(4 / 3)
    assert found.statistic == approx(4 * (1 / 3) ** 2 + (2 / 3) ** 2 + (8 / 3) ** 2 / 4)
    assert found.degrees == 2


def test_effects_that_agree_more_than_chance_would_have_no_heterogeneity() -> None:
    found = segments.interaction({"a": effect(1.0, 1.0), "b": effect(1.0, 1.0)})
    assert (found.statistic, found.p_value, found.heterogeneity_share) == approx((0, 1, 0))


def test_tiny_segment_keeps_only_the_reason_and_is_not_in_the_test() -> None:
    (found,) = segments.breakdowns({"age": {"young": effect(1, 1), "old": effect(9, 1, n=19), "middle": effect(2, 1)}})
    assert found.effects["old"] == Effect(method="welch", reason="fewer than 20 customers in a group")
    assert (found.interaction.segments, found.interaction.degrees) == (2, 1)


def test_one_segment_has_nothing_to_differ_from() -> None:
    (found,) = segments.breakdowns({"age": {"all": effect(1, 1)}})
    assert found.interaction.p_value is None
    assert found.interaction.adjusted_p_value is None
    assert found.interaction.reason == "fewer than two segments have an effect to compare"


def test_dimensions_that_could_not_be_tested_do_not_count_in_the_correction() -> None:
    p = 0.02
    z = float(stats.norm.isf(p / 2)) * np.sqrt(2)
    found = segments.breakdowns(
        {
            "age": {"a": effect(z, 1.0), "b": effect(0.0, 1.0)},
            "city": {"a": effect(0.0, 1.0), "b": effect(0.0, 1.0)},
            "one": {"a": effect(0.0, 1.0)},
        }
    )
    # Benjamini-Hochberg of .02 and 1: .02 x 2 / 1
    assert [one.interaction.adjusted_p_value for one in found] == [approx(0.04), approx(1.0), None]


def test_counts_without_any_success_still_have_a_spread() -> None:
    none, some = Moments.of_count(0, 100), Moments.of_count(8, 100)
    found = segments.difference(effects.proportions(some, none))
    assert found is not None
    p, q = 9 / 102, 1 / 102
    assert (found.value, found.variance) == approx((p - q, (p * (1 - p) + q * (1 - q)) / 102))


def test_false_alarms_of_the_interaction_are_as_rare_as_asked_for() -> None:
    """Seeded: five segments of 400 customers and one effect of 1 in all of them, 2 000 times."""
    rng = np.random.default_rng(17)
    alarms = 0
    for _ in range(2_000):
        found = {}
        for segment in "abcde":
            arms = (rng.exponential(5, 200) + 1, rng.exponential(5, 200))
            one, other = (Moments.of_values(("value",), values) for values in arms)
            found[segment] = effects.means(one, other)
        p_value = segments.interaction(found).p_value
        alarms += p_value is not None and p_value < 0.05
    assert 0.035 < alarms / 2_000 < 0.065
