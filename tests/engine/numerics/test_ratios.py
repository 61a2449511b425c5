import math

import numpy as np
import pytest

from engine.numerics.ratios import mean, or_dash, or_none, ratio, ratios, relative_change, where_defined


def test_nothing_over_nothing_is_undefined():
    assert math.isnan(ratio(0, 0))
    assert math.isnan(ratio(5, 0))
    assert math.isnan(mean(0.0, 0))


def test_ratios_mark_only_the_empty_denominators():
    result = ratios([1, 2, 0], [2, 0, 4])
    assert result[0] == 0.5
    assert math.isnan(result[1])
    assert result[2] == 0.0


def test_ratios_broadcast_one_denominator():
    assert ratios([1, 3], 4).tolist() == [0.25, 0.75]


def test_an_unknown_part_stays_unknown():
    assert np.isnan(ratios([np.nan], [2])).all()


def test_a_change_from_a_negative_base_keeps_its_direction():
    assert relative_change(-50, -100) == pytest.approx(0.5)  # (-50 + 100) / 100: half as much debt
    assert math.isnan(relative_change(5, 0))


def test_results_carry_none_and_screens_a_dash_for_the_undefined():
    assert or_none(math.nan) is None
    assert or_none(math.inf) is None
    assert or_none(0.0) == 0.0
    assert or_dash(math.nan) == "—"
    assert or_dash(None) == "—"
    assert or_dash(0.125) == "12.5%"


def test_only_defined_values_are_kept():
    assert where_defined([1, np.nan, 3, np.inf]).tolist() == [1.0, 3.0]
