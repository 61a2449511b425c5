"""Lifetime value: the formulas against direct evaluation, the parameters against simulated truth, the laws."""

from __future__ import annotations

import functools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import dblquad
from scipy.special import betaln, gammaln
from scipy.stats import nbinom

from engine.config.load import load
from engine.config.segments import SegmentSettings
from engine.domain.errors import NotEnoughData
from engine.segments.lifetime import holdout, purchases, spend, value
from engine.segments.lifetime.histories import Histories
from engine.segments.lifetime.purchases import PurchaseModel
from engine.segments.lifetime.spend import SpendModel

SETTINGS = load(SegmentSettings, "segments").lifetime
# the published estimates for the CDNOW cohort, time in weeks: Fader, Hardie and Lee (2005), table 2
CDNOW = PurchaseModel(r=0.243, alpha=4.414, a=0.793, b=2.426)
TRUTH = PurchaseModel(r=0.8, alpha=60.0, a=0.9, b=3.0)
SPEND = SpendModel(p=6.0, q=4.0, gamma=1500.0)


def _histories(repeats: object, until_last: object, age: object, repeat_spend: object = None) -> Histories:
    columns = [np.asarray(one, dtype=float) for one in (repeats, until_last, age)]
    mean = np.where(columns[0] > 0, 10.0, np.nan) if repeat_spend is None else np.asarray(repeat_spend, dtype=float)
    first = 1_000 - columns[2]
    return Histories(
        customer_id=pa.array([f"C{at:06d}" for at in range(len(mean))]),
        repeats=columns[0],
        first_day=first,
        last_day=first + columns[1],
        until_last_days=columns[1],
        age_days=columns[2],
        spent=np.nan_to_num(mean) * columns[0] + 10,
        returned=np.zeros(len(mean)),
        repeat_spend=mean,
    )


@functools.cache
def _simulated(customers: int = 6_000, days: int = 730, later: int = 180) -> tuple[Histories, np.ndarray, np.ndarray]:
    """Customers of the model itself, what they bought in the days after, and who had left."""
    draw = np.random.default_rng(4)
    age = draw.integers(60, days, customers).astype(float)
    rate = draw.gamma(TRUTH.r, 1 / TRUTH.alpha, customers)
    leaves = draw.beta(TRUTH.a, TRUTH.b, customers)
    # 400 gaps are more than anybody makes; after each purchase, also the first, no customer leaves before a repeat
    gaps = draw.exponential(1 / np.maximum(rate, 1e-9)[:, None], (customers, 400))
    at = gaps.cumsum(axis=1)
    stays = np.column_stack([np.ones(customers, dtype=bool), draw.random((customers, 399)) >= leaves[:, None]])
    made = stays.cumprod(axis=1).astype(bool)
    seen, after = made & (at <= age[:, None]), made & (at > age[:, None]) & (at <= age[:, None] + later)
    repeats = seen.sum(axis=1).astype(float)
    last = np.where(seen, at, 0).max(axis=1)
    means = draw.gamma(SPEND.q, 1 / SPEND.gamma, customers)
    each = draw.gamma(SPEND.p * np.maximum(repeats, 1), 1 / means) / np.maximum(repeats, 1)
    gone = ~made[np.arange(customers), np.minimum(seen.sum(axis=1), 399)]
    return _histories(repeats, last, age, np.where(repeats > 0, each, np.nan)), after.sum(axis=1), gone


def _density(model: PurchaseModel, rate: float, leaves: float) -> float:
    gamma = model.r * np.log(model.alpha) - gammaln(model.r) + (model.r - 1) * np.log(rate) - model.alpha * rate
    beta = (model.a - 1) * np.log(leaves) + (model.b - 1) * np.log1p(-leaves) - betaln(model.a, model.b)
    return float(np.exp(gamma + beta))


def _of_one(rate: float, leaves: float, x: int, t_x: float, age: float) -> tuple[float, float]:
    """The likelihood of a history of one who buys at a rate and leaves with a chance: still here, and left after x."""
    here = (1 - leaves) ** x * rate**x * np.exp(-rate * age)
    left = leaves * (1 - leaves) ** (x - 1) * rate**x * np.exp(-rate * t_x) if x else 0.0
    return float(here), float(left)


@pytest.mark.parametrize(("x", "t_x", "age"), [(0, 0.0, 38.0), (1, 12.0, 20.0), (2, 30.43, 38.86), (7, 9.0, 30.0)])
def test_likelihood_survival_and_forecast_agree_with_the_integral_over_all_customers(
    x: int, t_x: float, age: float
) -> None:
    model, ahead = PurchaseModel(r=1.3, alpha=6.0, a=1.4, b=2.6), 15.0

    def whole(what: int) -> float:
        def at(leaves: float, rate: float) -> float:
            here, left = _of_one(rate, leaves, x, t_x, age)
            # one who is here makes (1 - exp(-rate p t)) / p purchases in t, until he leaves
            coming = -np.expm1(-rate * leaves * ahead) / leaves
            return _density(model, rate, leaves) * (here + left, here, here * coming)[what]

        return float(dblquad(at, 0, 8, 0, 1, epsabs=1e-11, epsrel=1e-7)[0])

    likelihood, here, coming = whole(0), whole(1), whole(2)
    columns = np.array([float(x)]), np.array([t_x]), np.array([age])
    parameters = np.array([model.r, model.alpha, model.a, model.b])
    assert purchases.log_likelihood(parameters, *columns)[0] == pytest.approx(np.log(likelihood), rel=1e-5)
    assert purchases.alive(model, *columns)[0] == pytest.approx(here / likelihood, rel=1e-4)
    assert purchases.expected(model, *columns, ahead)[0] == pytest.approx(coming / likelihood, rel=1e-4)


def test_forecast_of_the_published_cdnow_customer_is_the_published_one() -> None:
    # two repeats, the last in week 30.43 of 38.86: 1.226 purchases expected in the next 39 weeks
    found = purchases.expected(CDNOW, np.array([2.0]), np.array([30.43]), np.array([38.86]), 39.0)
    assert found[0] == pytest.approx(1.226, abs=0.0005)


def test_likelihood_of_no_repeat_is_that_of_a_rate_which_never_came() -> None:
    # x = 0: (alpha / (alpha + T)) ** r = (4.414 / 43.274) ** 0.243 = exp(0.243 * -2.28277) = exp(-0.554713) = 0.57424
    found = purchases.log_likelihood(np.array([0.243, 4.414, 0.793, 2.426]), *np.array([[0.0], [0.0], [38.86]]))
    assert np.exp(found[0]) == pytest.approx(0.57424, abs=1e-5)


def test_without_anybody_leaving_repeats_are_negative_binomial() -> None:
    never = PurchaseModel(r=0.9, alpha=30.0, a=1e-9, b=5.0)
    age, ahead, x = 100.0, 50.0, 4.0
    # the rate given x repeats in T is gamma with shape r + x and rate alpha + T
    found = purchases.expected(never, np.array([x]), np.array([80.0]), np.array([age]), ahead)[0]
    assert found == pytest.approx((never.r + x) / (never.alpha + age) * ahead, rel=1e-6)
    mean_of_nbd = nbinom(never.r, never.alpha / (never.alpha + ahead)).mean()
    assert purchases.expected(never, *np.zeros((3, 1)), ahead)[0] == pytest.approx(mean_of_nbd, rel=1e-6)


def test_parameters_of_simulated_customers_are_recovered() -> None:
    seen, _, _ = _simulated()
    found = purchases.fit(seen, SETTINGS, seed=1)
    assert found.r == pytest.approx(TRUTH.r, rel=0.10)
    assert found.alpha == pytest.approx(TRUTH.alpha, rel=0.15)
    # a and b are known by their mean: who leaves after a purchase
    assert found.a / (found.a + found.b) == pytest.approx(TRUTH.a / (TRUTH.a + TRUTH.b), abs=0.03)
    assert not found.at_limit
    at_truth = purchases.log_likelihood(
        np.array([TRUTH.r, TRUTH.alpha, TRUTH.a, TRUTH.b]), seen.repeats, seen.until_last_days, seen.age_days
    ).sum()
    # the likeliest is likelier than the truth, by no more than chance: 2 x the gain is chi-square with 4 degrees
    assert 0 <= found.log_likelihood - at_truth < 18.5 / 2
    money = spend.fit(seen.repeats, seen.repeat_spend, SETTINGS, seed=1)
    truth = SPEND.p * SPEND.gamma / (SPEND.q - 1)
    assert money.p * money.gamma / (money.q - 1) == pytest.approx(truth, rel=0.05)
    assert (money.p, money.q) == (pytest.approx(SPEND.p, rel=0.2), pytest.approx(SPEND.q, rel=0.2))


def test_forecasts_of_simulated_customers_hold_on_what_came_and_beat_the_simple_ways() -> None:
    seen, came, gone = _simulated()
    models = value.learn(seen, SETTINGS, seed=1)
    rows = holdout.judge(holdout.forecasts(models, seen, 180.0), came.astype(float), came.astype(float))
    of = {row["way"]: row for row in rows if row["measure"] == "purchases"}
    lower, upper = of[holdout.MODEL]["bias_95"]
    assert lower < 0 < upper
    for way in (holdout.MEAN, holdout.OWN_RATE):
        assert of[way]["better_95"][0] > 0
    chance = models.purchases.alive(seen)
    for low, high in ((0.0, 0.3), (0.3, 0.7), (0.7, 0.999)):
        some = (chance >= low) & (chance < high) & (seen.repeats > 0)
        half = 4 * np.sqrt(0.25 / some.sum())
        assert abs((~gone[some]).mean() - chance[some].mean()) < half


def test_own_mean_counts_the_more_the_oftener_a_customer_bought() -> None:
    # p (gamma + x m) / (p x + q - 1): 6 (1500 + 0) / 3 = 3000; 6 (1500 + 1000) / 9; 6 (1500 + 20000) / 123
    found = SPEND.expected(np.array([0.0, 1.0, 20.0]), np.array([np.nan, 1_000.0, 1_000.0]))
    assert found == pytest.approx([3_000.0, 15_000 / 9, 129_000 / 123])


def test_worth_is_margin_times_money_times_purchases_discounted() -> None:
    seen = _histories([3, 0], [100, 0], [200, 200], [50.0, np.nan])
    models = value.Models(purchases=TRUTH, spend=SPEND, returned_share=0.1)
    plain = SETTINGS.model_copy(update={"discount_yearly": 0.0, "margin_share": 0.3})
    found = value.worth(models, seen, plain, 365)
    assert found.value == pytest.approx(0.3 * 0.9 * SPEND.expected(seen.repeats, seen.repeat_spend) * found.purchases)
    assert found.purchases == pytest.approx(TRUTH.expected(seen, 365.0))
    dear = value.worth(models, seen, plain.model_copy(update={"discount_yearly": 0.2}), 365)
    assert (dear.value < found.value).all()
    assert (dear.value > found.value / 1.2).all()


def test_bias_and_errors_are_those_worked_out_by_hand() -> None:
    said = {
        holdout.MODEL: holdout.Forecast(purchases=np.array([1.0, 2.0, 3.0]), spend=np.zeros(3)),
        holdout.MEAN: holdout.Forecast(purchases=np.array([2.0, 2.0, 2.0]), spend=np.zeros(3)),
    }
    rows = holdout.judge(said, np.array([0.0, 2.0, 3.0]), np.zeros(3))
    model, mean = rows[0], rows[1]
    # errors 1, 0, 0 and 2, 0, 1; sums 6 and 6 beside 5
    assert (model["mean_absolute_error"], mean["mean_absolute_error"]) == (pytest.approx(1 / 3), pytest.approx(1))
    assert model["root_mean_squared_error"] == pytest.approx((1 / 3) ** 0.5)
    assert model["total_bias"] == pytest.approx(0.2)
    assert mean["model_is_better_by"] == pytest.approx(2 / 3)
    assert rows[2]["total_bias"] is None  # nothing was spent: there is nothing to divide by


def test_too_few_returning_customers_are_no_model() -> None:
    with pytest.raises(NotEnoughData, match="100 customers, 3 of them bought on more than one day"):
        purchases.fit(_histories([1] * 3 + [0] * 97, [5] * 3 + [0] * 97, [30] * 100), SETTINGS, seed=1)


positive = st.floats(0.05, 20)
models = st.builds(PurchaseModel, r=positive, alpha=st.floats(0.5, 500), a=positive, b=positive)


@given(
    models, st.integers(0, 400), st.floats(0, 1), st.floats(1, 2_000), st.tuples(st.floats(1, 700), st.floats(1, 700))
)
def test_chances_are_shares_and_more_days_bring_more_purchases(
    model: PurchaseModel, x: int, at: float, age: float, spans: tuple[float, float]
) -> None:
    days, more = spans
    one = np.array([float(x)]), np.array([at * age if x else 0.0]), np.array([age])
    chance = purchases.alive(model, *one)[0]
    assert 0 <= chance <= 1
    assert x > 0 or chance == 1
    sooner, later = (purchases.expected(model, *one, until)[0] for until in (days, days + more))
    # nobody buys more than at his rate given all that was seen, were he never to leave
    most = (model.r + x) / (model.alpha + age) * (days + more)
    assert 0 <= sooner <= later * (1 + 1e-9) + 1e-9
    assert later <= most * (1 + 1e-6)


@given(models, st.integers(1, 50), st.floats(30, 1_000))
def test_who_bought_more_recently_is_likelier_still_here(model: PurchaseModel, x: int, age: float) -> None:
    last = np.linspace(0, age, 7)
    chances = purchases.alive(model, np.full(7, float(x)), last, np.full(7, age))
    assert (np.diff(chances) >= -1e-12).all()


def test_forecast_does_not_jump_where_the_formula_is_undefined() -> None:
    columns = np.array([3.0]), np.array([50.0]), np.array([80.0])
    near = [
        purchases.expected(PurchaseModel(r=1.0, alpha=20.0, a=a, b=2.0), *columns, 30.0)[0] for a in (0.999, 1, 1.001)
    ]
    assert near[0] > near[1] > near[2]
    assert near[1] == pytest.approx((near[0] + near[2]) / 2, rel=1e-5)


def test_forecast_stands_where_everybody_leaves_with_nearly_the_same_chance() -> None:
    # chance 0.5 after each purchase: (1 - ((alpha + T) / (alpha + T + t / 2)) ** (r + x)) / 0.5 while still here
    columns = np.array([3.0]), np.array([80.0]), np.array([80.0])
    for size in (200.0, 5_000.0, 50_000.0):
        model = PurchaseModel(r=1.0, alpha=20.0, a=size, b=size)
        here = 2 * (1 - (100 / 150) ** 4) * purchases.alive(model, *columns)[0]
        assert purchases.expected(model, *columns, 100.0)[0] == pytest.approx(here, rel=0.02)
