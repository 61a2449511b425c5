"""Where tiers are cut: by the probability of default, or by what a default is expected to cost."""

from __future__ import annotations

import numpy as np
import pytest

from engine.config.load import load
from engine.config.risk import RiskSettings, TierSettings
from engine.domain.errors import SettingsFault
from engine.risk import tiers

BY_PROBABILITY = load(RiskSettings, "risk").tiers
BY_LOSS = BY_PROBABILITY.model_copy(
    update={
        "by": "expected_loss",
        "medium_from_minor": 40_000,
        "high_from_minor": 150_000,
        "reference_exposure_minor": 1_000_000,
    }
)


def _tiers(probability: list[float], settings: TierSettings, loss: list[float] | None = None) -> list[str]:
    known = ~np.isnan(probability)
    at_stake = None if loss is None else np.array(loss)
    return [str(tiers.TIERS[code]) for code in tiers.codes(np.array(probability), known, settings, at_stake)]


def test_a_probability_at_the_cut_off_is_in_the_worse_tier() -> None:
    found = _tiers([0.0299, 0.03, 0.0999, 0.10, np.nan], BY_PROBABILITY)
    assert found == ["low", "medium", "medium", "high", "unknown"]


def test_by_expected_loss_the_same_probability_is_worse_where_more_is_at_stake() -> None:
    # 1 % of 30,000.00 is 300.00, of 40,000.00 400.00, of 150,000.00 1,500.00
    assert _tiers([0.01] * 3, BY_LOSS, [3_000_000, 4_000_000, 15_000_000]) == ["low", "medium", "high"]


def test_owing_nothing_makes_nobody_safe() -> None:
    # 20 % of the reference of 10,000.00 is 2,000.00
    assert _tiers([0.2, 0.2], BY_LOSS, [0, 500]) == ["high", "high"]
    assert _tiers([0.2, np.nan], BY_LOSS) == ["high", "unknown"]


def test_amounts_that_leave_nobody_medium_are_refused() -> None:
    with pytest.raises(SettingsFault, match="medium_from_minor = 150000 must lie below"):
        load(RiskSettings, "risk", flags={"tiers": {"medium_from_minor": 150_000}})
