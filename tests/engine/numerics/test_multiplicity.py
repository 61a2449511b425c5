"""Adjusted p-values, worked by hand."""

import math

from pytest import approx

from engine.numerics.multiplicity import benjamini_hochberg, holm


def test_holm_multiplies_by_how_many_are_left_and_never_falls() -> None:
    # sorted 0.01 x 4, 0.02 x 3, 0.03 x 2, 0.04 x 1; then never below the one before
    assert holm([0.04, 0.01, 0.03, 0.02]).tolist() == approx([0.06, 0.04, 0.06, 0.06])


def test_benjamini_hochberg_multiplies_by_number_over_rank_and_never_exceeds_the_next() -> None:
    # sorted 0.01 x 4/1, 0.02 x 4/2, 0.03 x 4/3, 0.9 x 4/4; each at most the one after
    assert benjamini_hochberg([0.9, 0.01, 0.03, 0.02]).tolist() == approx([0.9, 0.04, 0.04, 0.04])


def test_comparison_that_could_not_be_made_does_not_count() -> None:
    for adjusted in (holm([0.01, math.nan]), benjamini_hochberg([0.01, math.nan])):
        assert adjusted[0] == approx(0.01)
        assert math.isnan(adjusted[1])


def test_none_at_all_and_all_large_stay_within_one() -> None:
    assert holm([]).tolist() == []
    assert holm([0.9, 0.8]).tolist() == [1.0, 1.0]
