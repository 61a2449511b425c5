"""Small tables: exact p-values worked by hand, intervals with two ends."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest
from scipy import stats

from experiments import effects, exact
from experiments.exact import Counts


def counts(successes: int, n: int, control_successes: int, control_n: int) -> Counts:
    return Counts(successes=successes, n=n, control_successes=control_successes, control_n=control_n)


def test_fisher_is_the_hypergeometric_sum() -> None:
    # 3 of 3 against 0 of 3: of the C(6, 3) = 20 ways this one and its mirror image are as unlikely
    assert exact.p_value(counts(3, 3, 0, 3), "fisher") == pytest.approx(2 / comb(6, 3))


def test_barnard_and_boschloo_search_over_the_common_share() -> None:
    # only 3:0 and 0:3 are as far apart: 2 s^3 (1 - s)^3 is largest at s = 1 / 2
    assert exact.p_value(counts(3, 3, 0, 3), "barnard") == pytest.approx(2 / 64)
    assert exact.p_value(counts(3, 3, 0, 3), "boschloo") == pytest.approx(2 / 64)


def test_boschloo_is_never_more_cautious_than_twice_the_smaller_tail_of_fisher() -> None:
    for x in range(6):
        for y in range(8):
            table = [[x, y], [5 - x, 7 - y]]
            tails = [float(stats.fisher_exact(table, alternative=side).pvalue) for side in ("less", "greater")]
            assert exact.p_value(counts(x, 5, y, 7), "boschloo") <= 2 * min(tails) + 1e-9


def test_all_or_nobody_says_nothing_about_a_difference() -> None:
    for test in ("fisher", "boschloo", "barnard", "score"):
        assert exact.p_value(counts(0, 5, 0, 9), test) == 1
        assert exact.p_value(counts(5, 5, 9, 9), test) == 1


def test_tables_too_large_to_list_are_refused_with_the_way_out() -> None:
    with pytest.raises(ValueError, match="use fisher"):
        exact.p_value(counts(3, 100_000, 9, 100_000), "boschloo")


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="expected 0 <= successes <= n"):
        counts(5, 4, 0, 4)
    with pytest.raises(ValueError, match="units in both groups"):
        counts(0, 0, 0, 4)


def test_score_interval_of_nobody_against_nobody_has_wilsons_width() -> None:
    # with no success at all the bound is that of one sample's Wilson interval: z^2 / (n + z^2)
    z = 1.959963984540054
    assert exact.difference_bounds(counts(0, 100, 0, 100), z) == pytest.approx(
        (-(z**2) / (100 + z**2), z**2 / (100 + z**2))
    )


def test_most_likely_shares_make_the_likelihood_flat() -> None:
    seen = counts(72, 95, 98, 103)
    for difference in (-0.6, -0.25, -0.01, 0.2):
        one, other = exact._shares_given_difference(seen, difference)
        # derivative of the log likelihood along one = other + difference
        slope = 72 / one - 23 / (1 - one) + 98 / other - 5 / (1 - other)
        assert slope == pytest.approx(0, abs=1e-4)
    for ratio in (0.3, 0.9, 1.4):
        one, other = exact._shares_given_ratio(seen, ratio)
        assert one == pytest.approx(ratio * other) or one == 1.0


def test_everyone_against_nobody_reaches_the_end_of_the_scale() -> None:
    lower, upper = exact.difference_bounds(counts(6, 6, 0, 7), 1.96)
    assert (lower > 0, upper) == (True, 1.0)
    assert exact.ratio_bounds(counts(6, 6, 0, 7), 1.96) is None
    assert exact.ratio_bounds(counts(0, 7, 6, 6), 1.96)[0] == -1  # type: ignore[index]


def test_interval_is_drawn_out_to_zero_where_fisher_does_not_reject_and_z_would() -> None:
    seen = counts(0, 12, 4, 13)
    assert exact.p_value(seen, "score") < 0.05 < exact.p_value(seen, "fisher")
    cautious, plain = effects.of_counts(seen, "fisher"), effects.of_counts(seen, "score")
    assert plain.upper is not None and plain.upper < 0
    assert cautious.upper == pytest.approx(0, abs=1e-9) and cautious.upper >= 0


def test_non_inferiority_of_small_counts_uses_the_score_of_that_margin() -> None:
    # 3 complaints of 400 against 2 of 400; is it less than one point more?
    effect = effects.of_counts(counts(3, 400, 2, 400), "fisher")
    found = effects.non_inferiority(effect, "decrease", margin=0.02)
    assert found.p_value is not None and found.bound is not None
    assert found.p_value < 0.05 and found.bound < 0.02
    tight = effects.non_inferiority(effect, "decrease", margin=0.005)
    assert tight.p_value is not None and tight.p_value > 0.05
    doubled = effects.non_inferiority(effect, "decrease", margin=1.0, relative=True)
    assert doubled.bound is not None and doubled.bound > 1.0
    assert doubled.p_value is not None and doubled.p_value > 0.05


def test_interval_is_drawn_in_where_boschloo_rejects_and_z_would_not() -> None:
    seen = counts(0, 10, 22, 80)
    assert exact.p_value(seen, "boschloo") < 0.055 < exact.p_value(seen, "score")
    plain, exactly = (effects.of_counts(seen, test, alpha=0.055) for test in ("score", "boschloo"))
    assert plain.upper is not None and plain.upper >= 0
    assert exactly.upper is not None and exactly.upper < 0
    assert exactly.relative_upper is not None and exactly.relative_upper < 0


def test_shares_of_one_in_a_million_keep_their_digits() -> None:
    seen = counts(3, 2_500_000, 12, 2_000_000)
    for difference in (2e-6, -4e-6):
        share = exact._shares_given_difference(seen, difference)[0]
        around = [slope(seen, Fraction(share) * (1 + Fraction(side, 10**10)), Fraction(difference)) for side in (-1, 1)]
        assert around[0] > 0 > around[1]


def slope(seen: Counts, share: Fraction, difference: Fraction) -> Fraction:
    """The derivative of the log likelihood along variant = control + difference, in exact arithmetic."""
    other = share - difference
    return (
        seen.successes / share
        - (seen.n - seen.successes) / (1 - share)
        + seen.control_successes / other
        - (seen.control_n - seen.control_successes) / (1 - other)
    )
