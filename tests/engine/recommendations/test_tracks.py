from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.errors import SettingsFault
from engine.recommendations import tracks
from tests.engine.recommendations import builders
from tests.engine.recommendations.test_recommend import prepared as made

POLICY = builders.settings().tracks
SMALL, LARGE = 2_000_000, 20_000_000


def _pairs(**columns: Any) -> tracks.Pairs:
    """Return pairs of a customer of low risk and middle value, as active as usual, and a product without credit."""
    usual = {
        "refused": False,
        "tier": 0,
        "value_tier": 2,
        "pace": 1.0,
        "needs_person": False,
        "is_credit": False,
        "amount": np.nan,
    }
    size = max((len(np.atleast_1d(value)) for value in columns.values()), default=1)
    return tracks.Pairs(**{name: np.full(size, columns.get(name, value)) for name, value in usual.items()})


def _said(**columns: Any) -> list[tuple[str, str]]:
    found = tracks.reasons(_pairs(**columns), POLICY)
    return [(tracks.REASONS[place].track, tracks.REASONS[place].code) for place in found]


@pytest.mark.parametrize(
    ("columns", "track", "code"),
    [
        ({}, "fast_track", "LOW_RISK_NO_CREDIT"),
        ({"is_credit": True, "amount": SMALL}, "fast_track", "LOW_RISK_SMALL_CREDIT"),
        ({"is_credit": True, "amount": SMALL + 1}, "standard", "CREDIT_NOT_SMALL"),
        ({"is_credit": True, "amount": SMALL, "needs_person": True}, "standard", "PERSON_LOOKS"),
        ({"needs_person": True}, "fast_track", "LOW_RISK_NO_CREDIT"),
        ({"tier": 1}, "standard", "RISK_NOT_LOW"),
        ({"tier": 3}, "standard", "RISK_NOT_LOW"),
        ({"tier": 2}, "extra_verification", "TIER_TO_VERIFY"),
        ({"is_credit": True, "amount": LARGE}, "extra_verification", "LARGE_CREDIT"),
        ({"is_credit": True, "amount": np.nan}, "extra_verification", "LARGE_CREDIT"),
        ({"value_tier": 1, "pace": 0.69}, "retention_offer", "VALUABLE_AND_LEAVING"),
        ({"value_tier": 1, "pace": 0.7}, "fast_track", "LOW_RISK_NO_CREDIT"),
        ({"value_tier": 2, "pace": 0.1}, "fast_track", "LOW_RISK_NO_CREDIT"),
        ({"value_tier": -1, "pace": 0.1}, "fast_track", "LOW_RISK_NO_CREDIT"),
        ({"value_tier": 0, "pace": np.nan}, "fast_track", "LOW_RISK_NO_CREDIT"),
        ({"value_tier": 0, "pace": 0.1, "tier": 1}, "standard", "RISK_NOT_LOW"),
        ({"value_tier": 0, "pace": 0.1, "is_credit": True, "amount": LARGE}, "extra_verification", "LARGE_CREDIT"),
        ({"value_tier": 0, "pace": 0.1, "refused": True}, "no_offer", "REFUSED"),
    ],
)
def test_each_pair_goes_on_its_track_for_its_reason(columns: dict[str, Any], track: str, code: str) -> None:
    assert _said(**columns) == [(track, code)]


_column = st.fixed_dictionaries(
    {
        "refused": st.booleans(),
        "tier": st.integers(0, 3),
        "value_tier": st.integers(-1, 4),
        "pace": st.sampled_from([np.nan, 0.0, 0.5, 1.0]),
        "needs_person": st.booleans(),
        "is_credit": st.booleans(),
        "amount": st.sampled_from([np.nan, 1.0, SMALL, LARGE]),
    }
)


@given(rows=st.lists(_column, min_size=1, max_size=20))
@settings(max_examples=60, deadline=None)
def test_many_pairs_at_a_time_say_what_each_says_alone(rows: list[dict[str, Any]]) -> None:
    together = _said(**{name: np.array([row[name] for row in rows]) for name in rows[0]})
    assert together == [_said(**row)[0] for row in rows]


@given(row=_column, tier=st.integers(0, 3))
@settings(max_examples=100, deadline=None)
def test_more_risk_never_speeds_an_offer_up(row: dict[str, Any], tier: int) -> None:
    quick = ("fast_track", "retention_offer")
    worse = row | {"tier": max(tier, row["tier"])}
    assert not (_said(**worse)[0][0] in quick and _said(**row)[0][0] not in quick)


def test_pace_is_the_days_of_late_over_those_of_the_year() -> None:
    segments = pa.table({"customer_id": ["a", "b", "c", "d"], "value_tier": ["top", None, "high", "low"]})
    features = {"customer_id": ["d", "b", "a"], "transactions_90d": [0, 90, 45], "transactions_365d": [0, 365, 365]}
    found = tracks.relationship(segments, pa.table(features))
    # a: 45 / 90 = half a transaction a day against one; b: one a day; c is not known; d did nothing all year
    assert found["pace"].to_pylist() == [0.5, 1.0, None, None]
    assert found["value_tier"].to_pylist() == ["top", None, "high", "low"]


def test_an_offer_to_keep_somebody_goes_to_a_valuable_customer_of_low_risk_who_does_less_than_usual() -> None:
    prepared = made()
    rows = pa.concat_tables([block.recommendations for block in prepared.blocks()]).to_pylist()
    known = {row["customer_id"]: row for row in prepared.base.relationship.to_pylist()}
    low = set(prepared.base.customer_ids.filter(pc.equal(prepared.base.risk["risk_tier"], "low")).to_pylist())
    kept = [known[row["customer_id"]] | row for row in rows if row["track"] == "retention_offer"]
    assert len(kept) > 20
    assert all(row["value_tier"] in ("top", "high") and row["pace"] < 0.7 for row in kept)
    assert {row["customer_id"] for row in kept} <= low
    assert {row["track_reason_zh"] for row in kept} == {"高价值、低风险客户，近期往来明显少于平时。"}


def test_every_reason_has_its_own_code_and_a_sentence_in_both_languages() -> None:
    assert len({reason.code for reason in tracks.REASONS}) == len(tracks.REASONS)
    assert all(reason.text_en.endswith(".") and reason.text_zh.endswith("。") for reason in tracks.REASONS)


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (
            {"fast_credit_up_to_minor": 5, "verify_credit_from_minor": 5},
            "fast_credit_up_to_minor: 5 is not below",
        ),
        ({"retention": {"pace_below": 70}}, "tracks.retention.pace_below"),
        ({"retention": {"value_tiers": ["best"]}}, "tracks.retention.value_tiers"),
    ],
)
def test_a_bad_value_is_refused_with_its_place(flags: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingsFault) as fault:
        builders.settings({"tracks": flags})
    assert told in str(fault.value)
