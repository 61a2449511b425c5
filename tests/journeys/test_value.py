"""What is at stake, worked by hand; what is not known is counted and never taken for nothing."""

import math

import numpy as np
import pyarrow as pa
from pytest import approx

from journeys import value
from journeys.histories import Coded
from journeys.value import Money, Worth

MONEY = Money(
    currency="CNY",
    products=pa.table(
        {
            "product_id": ["card", "fund"],
            "annual_margin_minor": pa.array([40_000, 10_000], pa.int64()),
            "typical_amount_minor": pa.array([100_000, 500_000], pa.int64()),
            "is_credit": [True, False],
            "lgd": [0.5, None],
        }
    ),
    risk=pa.table({"customer_id": ["ann", "bob", "cyd"], "default_probability": [0.1, 0.4, None]}),
)


def worth(*pairs: tuple[str, str | None]) -> Worth:
    names = ("card", "fund", "gone")
    codes = np.array([-1 if product is None else names.index(product) for _, product in pairs], dtype=np.int32)
    return MONEY.worth(pa.array([customer for customer, _ in pairs], pa.string()), Coded(codes=codes, values=names))


def test_expected_loss_is_probability_times_loss_given_default_times_amount() -> None:
    found = worth(("ann", "card"), ("bob", "card"))
    assert found.margin.tolist() == [40_000, 40_000]
    assert found.loss.tolist() == [0.1 * 0.5 * 100_000, 0.4 * 0.5 * 100_000]  # 5 000 and 20 000


def test_nothing_is_lost_on_a_product_that_is_no_credit_whoever_takes_it() -> None:
    assert worth(("ann", "fund"), ("cyd", "fund"), ("dan", "fund")).loss.tolist() == [0, 0, 0]


def test_the_loss_of_unknown_risk_and_the_worth_of_an_unknown_product_are_unknown() -> None:
    found = worth(("cyd", "card"), ("dan", "card"), ("ann", "gone"), ("ann", None))
    assert np.isnan(found.loss).tolist() == [True, True, True, True]
    assert np.isnan(found.margin).tolist() == [False, False, True, True]


def test_the_stake_is_chance_times_margin_less_loss_gross_and_net() -> None:
    # ann: 0.5 * 40 000 = 20 000 less 0.5 * 5 000 = 2 500; bob: 0.25 * 40 000 = 10 000 less 0.25 * 20 000 = 5 000
    stake = value.at_stake(np.array([0.5, 0.25]), worth(("ann", "card"), ("bob", "card")))
    assert (stake.gross_minor, stake.loss_minor, stake.net_minor) == (30_000, 7_500, 22_500)
    assert stake.converters == approx(0.75)
    assert stake.loss_share == approx(7_500 / 30_000)
    assert stake.unvalued == 0


def test_customers_of_unknown_risk_are_counted_and_in_no_amount() -> None:
    stake = value.at_stake(np.array([0.5, 0.5]), worth(("ann", "card"), ("cyd", "card")))
    assert (stake.customers, stake.unvalued) == (2, 1)
    assert (stake.gross_minor, stake.loss_minor, stake.net_minor) == (20_000, 2_500, 17_500)  # ann alone
    assert stake.converters == approx(1.0)  # cyd too would have converted


def test_an_amount_of_which_nothing_is_known_is_none_with_the_reason() -> None:
    unknown = value.at_stake(np.array([0.5]), worth(("cyd", "card")))
    assert (unknown.gross_minor, unknown.net_minor, unknown.reason) == (None, None, value.RISK_UNKNOWN)
    assert math.isnan(unknown.loss_share)
    assert value.at_stake(np.array([0.5]), None).reason == value.NO_MONEY
    assert value.at_stake(np.array([math.nan]), worth(("ann", "card"))).reason == value.NO_CHANCE
    assert value.at_stake(np.zeros(0), worth()).reason == value.NOBODY


def test_groups_add_up_to_the_whole_to_the_unit() -> None:
    rng = np.random.default_rng(1)
    chance = rng.random(500)
    worths = Worth(margin=rng.random(500) * 1e5, loss=rng.random(500) * 1e4, risk=rng.random(500))
    one = rng.random(500) < 0.4
    whole = value.at_stake(chance, worths)
    parts = [value.at_stake(chance[rows], worths.take(rows)) for rows in (one, ~one)]
    assert sum(part.net_minor or 0 for part in parts) == whole.net_minor


def test_money_sums_do_not_round_above_what_a_float_counts_exactly() -> None:
    # 3 customers of 2**53 - 1 minor units: the sum, 27021597764222973, is odd, and no float of that size is
    worths = Worth(margin=np.full(3, 2.0**53 - 1), loss=np.zeros(3), risk=np.zeros(3))
    assert value.at_stake(np.ones(3), worths).gross_minor == 3 * (2**53 - 1)
