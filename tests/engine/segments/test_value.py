"""Value tiers by hand."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from engine.config.load import load, validate
from engine.config.segments import SegmentSettings, ValueSettings
from engine.domain.errors import SettingsFault
from engine.segments import value

VALUE = load(SegmentSettings, "segments").value


def _tiers(values: list[float]) -> list[str]:
    return [value.TIERS[at] for at in value.tiers(np.array(values), VALUE)]


def test_yearly_value_is_margins_of_what_is_held_plus_shares_of_amounts() -> None:
    features = pa.table(
        {
            "held_account": [1, 1, 0, 1],
            "held_loan": [2, 0, 0, 2],
            "balance_minor": [100_000, -50_000, None, 100_000],
            "is_open": [True, True, True, False],
        }
    )
    worth, without = value.yearly_value(features, VALUE)
    # 1 x 6,000 + 2 x 200,000 + .012 x 100,000; a debt earns nothing here; a closed relationship is worth nothing
    assert worth.tolist() == [6_000 + 400_000 + 1_200, 6_000, 0, 0]
    assert "held_deposit" in without
    assert "balance_minor" not in without


def test_ten_earning_customers_are_one_top_two_high_four_middle_three_low() -> None:
    assert _tiers([100, 90, 80, 70, 60, 50, 40, 30, 20, 10, 0]) == (
        ["top"] + ["high"] * 2 + ["middle"] * 4 + ["low"] * 3 + ["none"]
    )


def test_equal_values_share_the_tier_of_their_middle() -> None:
    assert _tiers([5] * 10) == ["middle"] * 10
    # the three hold ranks 2 to 4 of 10: their middle, .25, lies inside the .30 of top and high
    assert _tiers([100, 90, 90, 90, 60, 50, 40, 30, 20, 10]) == (["top"] + ["high"] * 3 + ["middle"] * 3 + ["low"] * 3)


def test_nobody_earning_is_none_for_all() -> None:
    assert _tiers([0, 0, -1]) == ["none"] * 3


def test_shares_above_one_are_refused() -> None:
    with pytest.raises(SettingsFault, match=r"sum to 1\.2"):
        validate(ValueSettings, {**VALUE.model_dump(), "middle_share": 0.9}, "segments")
