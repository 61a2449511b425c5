"""Worked cases of losses, price and limit: inputs, expected numbers and the hand calculation side by side."""

from __future__ import annotations

import numpy as np
import pytest

from engine.config.load import load
from engine.config.risk import RiskSettings
from engine.domain.credit_reasons import BITS
from engine.risk import affordability, changes, losses, pricing

SETTINGS = load(RiskSettings, "risk")


def _one(value: float) -> np.ndarray:
    return np.array([value])


def test_lifetime_loss_of_three_years_at_a_hazard_of_two_percent() -> None:
    # default rates .02, .98 x .02 = .0196, .98^2 x .02 = .019208; each x .45 x 10,000.00, at 5 % to the year's end:
    # 85.714 + 80.000 + 74.667 = 240.381
    found = losses.lifetime_loss(_one(0.02), _one(450_000.0), _one(3.0), _one(0.05), np.array([False]))
    assert found[0] / 100 == pytest.approx(240.381, abs=5e-4)


def test_lifetime_loss_without_discounting_is_the_chance_of_ever_defaulting() -> None:
    # 12 % over the life x 40 % x 5,000,000 = 240,000
    hazard = 1 - (1 - 0.12) ** (1 / 4)
    found = losses.lifetime_loss(_one(hazard), _one(0.4 * 5_000_000), _one(4.0), _one(0.0), np.array([False]))
    assert found[0] == pytest.approx(240_000)


def test_a_part_of_a_year_counts_for_its_part() -> None:
    # half a year: 1 - .96^.5 = .0202041, discounted half a year: / 1.05^.5
    found = losses.lifetime_loss(_one(0.04), _one(1_000.0), _one(0.5), _one(0.05), np.array([False]))
    assert found[0] == pytest.approx(1_000 * 0.0202041 / 1.0246951, abs=1e-3)


def test_a_loan_repaid_in_equal_instalments_loses_less_in_later_years() -> None:
    # without interest the balance of a two-year loan is 1 at first and 1/2 after a year
    found = losses.lifetime_loss(_one(0.1), _one(1_000.0), _one(2.0), _one(0.0), np.array([True]))
    assert found[0] == pytest.approx(1_000 * (0.1 + 0.9 * 0.1 / 2))
    # 12 % a year over 12 months: after 6 instalments 5.7955 / 11.2551 is owed (annuity factors at 1 % a month)
    assert losses.balance_share(_one(0.5), _one(1.0), _one(0.12))[0] == pytest.approx(5.795476 / 11.255077, abs=1e-6)


@pytest.mark.parametrize(("days", "stage"), [(0, 1), (30, 1), (31, 2), (90, 2), (91, 3)])
def test_thirty_days_past_due_is_still_stage_one_and_ninety_stage_two(days: int, stage: int) -> None:
    found, _ = _stages(days_past_due=_one(days))
    assert found.tolist() == [stage]


def test_significant_increase_needs_both_the_ratio_and_the_points() -> None:
    # shipped: 2.5 times and 2 points
    for now, then, stage in ((0.05, 0.02, 2), (0.05, 0.021, 1), (0.025, 0.006, 1), (0.05, np.nan, 1)):
        found, reason = _stages(probability=_one(now), at_origination=_one(then))
        assert found.tolist() == [stage]
        assert losses.STAGE_REASONS[reason[0]] == ("significant_increase" if stage == 2 else "performing")


def test_a_delay_elsewhere_is_a_sign_of_risk_but_no_default_here() -> None:
    assert _stages(delay_elsewhere=_one(180.0))[0].tolist() == [2]
    assert _stages(delay_elsewhere=_one(30.0))[0].tolist() == [1]
    assert _stages(has_defaulted=np.array([True]))[0].tolist() == [3]


def _stages(**changes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    nothing = {name: _one(np.nan) for name in ("days_past_due", "delay_elsewhere", "probability", "at_origination")}
    return losses.stages(**{**nothing, "has_defaulted": np.array([False]), **changes}, settings=SETTINGS.staging)


def test_exposure_counts_the_share_of_the_undrawn_limit_that_is_drawn_before_a_default() -> None:
    # 4,000.00 drawn of 10,000.00, three quarters of the rest: 4,000 + 4,500
    assert losses.exposure_at_default(_one(400_000.0), _one(1_000_000.0), _one(0.75))[0] == 850_000
    # drawn beyond the limit: nothing is left to draw
    assert losses.exposure_at_default(_one(1_100_000.0), _one(1_000_000.0), _one(0.75))[0] == 1_100_000


PRICE = SETTINGS.credit.price.model_copy(update={"return_on_equity": 0.12, "tax_rate": 0.25})
COSTS = {
    "probability": _one(0.02),
    "lgd": _one(0.45),
    "funds": _one(0.03),
    "operations": _one(0.015),
    "capital": _one(0.08),
}


def test_break_even_price_of_the_worked_loan() -> None:
    # (.03 + .015 + .02 x .45 + .08 x (.12 / .75 - .03)) / .98 = (.054 + .0104) / .98
    rate = pricing.break_even_rate(**COSTS, settings=PRICE)[0]
    assert rate == pytest.approx(0.065714, abs=5e-7)
    # adding up without tax, funding saved and those who do not pay gives .03 + .015 + .009 + .08 x .12
    assert pytest.approx(0.0636) == 0.03 + 0.015 + 0.009 + 0.08 * 0.12


def test_break_even_price_leaves_the_expected_loss_and_what_capital_earns_above_its_funding() -> None:
    # .065714 x .98 - .03 - .015 = .0194 = .02 x .45 + .08 x (.12 / .75 - .03) = .009 + .0104
    rate = pricing.break_even_rate(**COSTS, settings=PRICE)
    left = pricing.margin_rate(rate, probability=_one(0.02), funds=_one(0.03), operations=_one(0.015))
    assert left[0] == pytest.approx(0.009 + 0.0104)


def test_price_is_rounded_up_and_never_passes_the_legal_cap() -> None:
    policy = PRICE.model_copy(update={"legal_cap_rate": 0.24, "round_up_to_rate": 0.0005})
    quoted = pricing.quoted_rate(np.array([0.065714, 0.066, 0.23985, 0.2401, np.nan, np.inf]), policy)
    assert quoted[:3] == pytest.approx([0.066, 0.066, 0.24])
    assert np.isnan(quoted[3:]).all()


def test_bands_are_cut_at_their_upper_ends() -> None:
    policy = PRICE.model_copy(update={"band_edges": (0.05, 0.08)})
    places = pricing.bands(np.array([0.05, 0.0505, 0.08, 0.2, np.nan]), policy)
    assert [pricing.BANDS[place] if place >= 0 else None for place in places] == ["A", "B", "B", "C", None]


def test_what_a_household_can_pay_is_the_lower_of_two_limits() -> None:
    policy = SETTINGS.credit.affordability.model_copy(
        update={"max_debt_service_ratio": 0.4, "living_cost_minor": 200_000, "living_cost_per_dependant_minor": 50_000}
    )

    def left(**changes: float) -> float:
        values = {"income": 1_000_000.0, "debts": 100_000.0, "living": np.nan, "dependants": 0.0, **changes}
        arrays = {name: _one(value) for name, value in values.items()}
        return float(affordability.headroom(**arrays, settings=policy)[0])

    # .4 x 10,000 - 1,000 = 3,000; 10,000 - 2,000 - 1,000 = 7,000
    assert left() == 300_000
    # six dependants cost 3,000 more; spending of 8,500 leaves 500
    assert left(dependants=6.0, debts=0.0, income=700_000.0) == 200_000
    assert left(living=850_000.0) == 50_000
    assert left(debts=900_000.0) == 0
    assert np.isnan(left(income=np.nan)) and np.isnan(left(debts=np.nan))


def test_an_instalment_carries_what_its_annuity_repays() -> None:
    # 1 % a month over 12 months: factor 11.255077; a line repaid by 5 % a month is 20 times the instalment
    assert affordability.carried(_one(1_000.0), _one(0.12), _one(12.0), _one(0.05))[0] == pytest.approx(
        11_255.077, abs=1e-2
    )
    assert affordability.carried(_one(1_000.0), _one(0.12), _one(0.0), _one(0.05))[0] == pytest.approx(20_000)
    assert affordability.instalment_of(_one(11_255.08), _one(0.12), _one(12.0), _one(0.05))[0] == 1_001


@pytest.mark.parametrize(
    ("family", "codes", "probability", "below"),
    [
        # cards are lent to the medium tier, which ends at .10; mortgages to the low one alone, which ends at .03
        ("card", ("TIER_TOO_HIGH", "PROBABILITY_TOO_HIGH"), 0.2, 0.10),
        ("mortgage", ("TIER_TOO_HIGH",), 0.05, 0.03),
        ("card", ("PROBABILITY_TOO_HIGH",), 0.2, 0.15),
        # of the medium tier and declined for it: while the model is under watch it counts as high
        ("card", ("TIER_TOO_HIGH", "MODEL_UNDER_WATCH"), 0.05, 0.03),
        # a reason that only refers to a person stands in no change's way, a rule that declines does
        ("card", ("TIER_TOO_HIGH", "DELAY_ELSEWHERE"), 0.12, 0.10),
        ("card", ("TIER_TOO_HIGH", "IN_DEFAULT"), 0.12, None),
        ("card", ("PROBABILITY_BORDERLINE",), 0.09, None),
    ],
)
def test_probability_below_which_the_score_declines_no_longer(
    family: str, codes: tuple[str, ...], probability: float, below: float | None
) -> None:
    assert changes.below(sum(1 << BITS[code] for code in codes), family, SETTINGS, probability) == below
