"""BG/NBD and gamma-gamma beside a library that has both: the same formulas, as likely a fit, no larger an error."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from engine.config.load import load
from engine.config.segments import SegmentSettings
from engine.segments.lifetime import purchases, spend
from engine.segments.lifetime.histories import Histories

peer = pytest.importorskip("lifetimes", reason="the library lifetimes is not installed: make .venv/.dev")

SETTINGS = load(SegmentSettings, "segments").lifetime
DAYS = 100


def _purchases(path: Path) -> pd.DataFrame:
    """One row per customer and day with what was bought, as the model sees it: returns are no purchase."""
    rows = pd.read_parquet(path)
    rows = rows[rows["Customer ID"].notna()]
    rows = rows.assign(amount=rows["Quantity"] * rows["Price"], day=pd.to_datetime(rows["InvoiceDate"]).dt.normalize())
    rows = rows[rows["amount"] > 0]
    return rows.groupby(["Customer ID", "day"], as_index=False)["amount"].sum()


def _histories(days: pd.DataFrame, end: pd.Timestamp) -> Histories:
    days = days.sort_values(["Customer ID", "day"])
    by = days.groupby("Customer ID")
    first, last, count = by["day"].min(), by["day"].max(), by.size()
    later = days[by.cumcount() > 0].groupby("Customer ID")["amount"].mean().reindex(first.index)
    epoch = pd.Timestamp("1970-01-01")
    return Histories(
        customer_id=pa.array([str(int(one)) for one in first.index]),
        repeats=count.to_numpy(dtype=float) - 1,
        first_day=((first - epoch).dt.days).to_numpy(dtype=float),
        last_day=((last - epoch).dt.days).to_numpy(dtype=float),
        until_last_days=((last - first).dt.days).to_numpy(dtype=float),
        age_days=((end - first).dt.days).to_numpy(dtype=float),
        spent=by["amount"].sum().to_numpy(),
        returned=np.zeros(len(first)),
        repeat_spend=later.to_numpy(),
    )


@pytest.fixture(scope="module")
def shop() -> tuple[Histories, np.ndarray, np.ndarray]:
    """Histories up to 100 days before the file ends; purchases and money of the days after, by customer."""
    import os

    from tests.conftest import REPOSITORY

    folder = Path(os.environ.get("WAYLINE_REAL_DATA", REPOSITORY.parent / "shared" / "data"))
    path = folder / "online_retail" / "online_retail_II_2009-2010.parquet"
    if not path.is_file():
        pytest.skip("no public data sets here; name their folder in WAYLINE_REAL_DATA")
    days = _purchases(path)
    end = days["day"].max() - pd.Timedelta(days=DAYS)
    before, after = days[days["day"] <= end], days[days["day"] > end]
    seen = _histories(before, end)
    ids = [float(one) for one in seen.customer_id.to_pylist()]
    came = after.groupby("Customer ID").agg(purchases=("day", "size"), spend=("amount", "sum")).reindex(ids).fillna(0)
    return seen, came["purchases"].to_numpy(dtype=float), came["spend"].to_numpy()


@pytest.fixture(scope="module")
def fitted(shop: tuple[Histories, np.ndarray, np.ndarray]) -> tuple[Any, Any]:
    seen = shop[0]
    back = seen.repeats > 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        counts = peer.BetaGeoFitter().fit(seen.repeats, seen.until_last_days, seen.age_days)
        amounts = peer.GammaGammaFitter().fit(seen.repeats[back], seen.repeat_spend[back])
    return counts, amounts


def _of_peer(counts: Any) -> purchases.PurchaseModel:
    return purchases.PurchaseModel(**{name: float(counts.params_[name]) for name in ("r", "alpha", "a", "b")})


def test_formulas_give_what_the_peers_give_under_its_parameters(shop: Any, fitted: tuple[Any, Any]) -> None:
    seen, (counts, amounts) = shop[0], fitted
    model = _of_peer(counts)
    of_peer = counts.conditional_expected_number_of_purchases_up_to_time(
        DAYS, seen.repeats, seen.until_last_days, seen.age_days
    )
    # theirs takes a logarithm of a + b + x - 1, which is below 0 for those without a repeat here
    defined = np.isfinite(of_peer)
    assert defined.mean() > 0.5
    np.testing.assert_allclose(model.expected(seen, DAYS)[defined], of_peer[defined], rtol=1e-6)
    assert np.isfinite(model.expected(seen, DAYS)).all()
    alive = counts.conditional_probability_alive(seen.repeats, seen.until_last_days, seen.age_days)
    np.testing.assert_allclose(model.alive(seen), np.ravel(alive), rtol=1e-6)
    told = spend.SpendModel(
        **{name: float(amounts.params_[key]) for name, key in zip(("p", "q", "gamma"), "pqv", strict=True)}
    )
    back = seen.repeats > 0
    each = amounts.conditional_expected_average_profit(seen.repeats[back], seen.repeat_spend[back])
    np.testing.assert_allclose(told.expected(seen.repeats, seen.repeat_spend)[back], each, rtol=1e-6)


def test_fit_is_at_least_as_likely_as_the_peers(shop: Any, fitted: tuple[Any, Any]) -> None:
    seen, (counts, amounts) = shop[0], fitted
    own = purchases.fit(seen, SETTINGS, 1)
    told = np.array([float(counts.params_[name]) for name in ("r", "alpha", "a", "b")])
    theirs = purchases.log_likelihood(told, seen.repeats, seen.until_last_days, seen.age_days).sum()
    assert own.log_likelihood >= theirs - 0.1
    np.testing.assert_allclose([own.r, own.alpha, own.a, own.b], told, rtol=0.02)
    back = seen.repeats > 0
    money = spend.fit(seen.repeats, seen.repeat_spend, SETTINGS, 1)
    told = np.array([float(amounts.params_[name]) for name in "pqv"])
    theirs = spend.log_likelihood(told, seen.repeats[back], seen.repeat_spend[back]).sum()
    assert money.log_likelihood >= theirs - 0.1


def test_error_of_lifetime_value_on_days_held_out_is_no_worse_than_the_peers(
    shop: Any, fitted: tuple[Any, Any]
) -> None:
    seen, came, spent = shop
    counts, amounts = fitted
    own = purchases.fit(seen, SETTINGS, 1).expected(seen, DAYS)
    of_peer = counts.conditional_expected_number_of_purchases_up_to_time(
        DAYS, seen.repeats, seen.until_last_days, seen.age_days
    )
    defined = np.isfinite(of_peer)
    assert np.abs(own - came)[defined].mean() <= np.abs(of_peer - came)[defined].mean() * 1.001
    money = spend.fit(seen.repeats, seen.repeat_spend, SETTINGS, 1)
    worth = own * money.expected(seen.repeats, seen.repeat_spend)
    mean = float(amounts.params_["p"] * amounts.params_["v"] / (amounts.params_["q"] - 1))
    each = np.full(len(seen), mean)
    back = seen.repeats > 0
    each[back] = amounts.conditional_expected_average_profit(seen.repeats[back], seen.repeat_spend[back])
    assert np.abs(worth - spent)[defined].mean() <= np.abs(of_peer * each - spent)[defined].mean() * 1.001
