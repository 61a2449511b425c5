"""RFM scores by hand: ten customers, two to a fifth."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from engine.config.load import load
from engine.config.segments import SegmentSettings
from engine.segments import rfm

RFM = load(SegmentSettings, "segments").rfm
EVERYONE = np.ones(10, dtype=bool)


def test_ten_different_values_fall_two_to_a_fifth() -> None:
    assert rfm.fifths(np.arange(10.0), EVERYONE).tolist() == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


def test_equal_values_share_the_fifth_of_their_middle() -> None:
    # six zeros hold places 1 to 6, middle 3.5 of 10: the second fifth
    values = np.array([0.0, 0, 0, 0, 0, 0, 7, 8, 9, 10])
    assert rfm.fifths(values, EVERYONE).tolist() == [2] * 6 + [4, 4, 5, 5]


def test_all_equal_is_the_middle_fifth() -> None:
    assert rfm.fifths(np.full(10, 3.0), EVERYONE).tolist() == [3] * 10


def test_fewer_days_since_the_last_transaction_score_higher() -> None:
    scores, notes = rfm.score(_features(days=[1, 10, 20, 40, 80], count=[9, 7, 5, 3, 1], money=[1, 2, 3, 4, 5]), RFM)
    assert notes == []
    assert scores["recency_score"].to_pylist() == [5, 4, 3, 2, 1]
    assert scores["frequency_score"].to_pylist() == [5, 4, 3, 2, 1]
    assert scores["monetary_score"].to_pylist() == [1, 2, 3, 4, 5]
    assert scores["rfm_cell"].to_pylist() == ["5-5-1", "4-4-2", "3-3-3", "2-2-4", "1-1-5"]


def test_a_customer_who_was_never_active_has_no_score_and_moves_nobodys() -> None:
    without, _ = rfm.score(_features(days=[1, 10, 20], count=[9, 7, 5], money=[1, 2, 3]), RFM)
    among, _ = rfm.score(_features(days=[1, 10, 20, None], count=[9, 7, 5, 0], money=[1, 2, 3, 0]), RFM)
    for name in rfm.SCORES:
        assert among[name].to_pylist() == [*without[name].to_pylist(), None]
    assert among["rfm_cell"].to_pylist()[3] is None


def test_a_bank_without_transactions_is_scored_by_events_and_the_rest_is_noted() -> None:
    features = pa.table({"customer_id": ["a", "b", "c"], "events_90d": [4, 0, 9]})
    scores, notes = rfm.score(features, RFM)
    # places 1 and 2 of 2: middles .25 and .75
    assert scores["frequency_score"].to_pylist() == [2, None, 4]
    assert scores["recency_score"].to_pylist() == [None] * 3
    assert scores["rfm_cell"].to_pylist() == [None] * 3
    assert notes == ["recency_score: no feature to take it from", "monetary_score: no feature to take it from"]


def _features(days: list, count: list, money: list) -> pa.Table:
    return pa.table(
        {
            "customer_id": [f"c{at}" for at in range(len(days))],
            "days_since_last_transaction": pa.array(days, pa.int64()),
            "transactions_365d": pa.array(count, pa.int64()),
            "money_in_365d_minor": pa.array(money, pa.int64()),
        }
    )
