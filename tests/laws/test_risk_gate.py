"""What holds of the risk gate, whoever the customers are and whatever the policy says."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config.credit import GateSettings
from engine.config.load import load
from engine.config.risk import RiskSettings
from engine.domain.risk_gate import BITS, EFFECTS, LEAST_EFFECT, PER_FAMILY, reasons
from engine.domain.words import PRODUCT_FAMILIES
from engine.risk.caution import Caution
from engine.risk.gate import ALL_FAMILIES, GateBlock, GateTable, Watch, gate, lent
from engine.risk.tiers import TIERS

AS_OF = datetime(2026, 6, 30, 23, 59, 59, tzinfo=UTC)
NOW = np.datetime64("2026-06-30T23:59:59", "us")
SETTINGS = load(RiskSettings, "risk")
LIMITS = ["none", "low", "medium", "high"]
DAY = np.timedelta64(1, "D")


@st.composite
def blocks(draw: st.DrawFn) -> GateBlock:
    size, random = draw(st.integers(1, 12)), np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def some(share: float) -> Any:
        return random.random(size) < share

    def days(low: int, high: int, empty: float) -> Any:
        moments = NOW + random.integers(low, high, size) * DAY
        return np.where(some(empty), np.datetime64("NaT"), moments).astype("datetime64[us]")

    return GateBlock(
        customer_ids=pa.array([f"C{place:02d}" for place in range(size)]),
        tier=random.integers(0, len(TIERS), size),
        default_probability=np.where(some(0.2), np.nan, random.random(size)),
        signal_at=days(-130, 10, 0.2),
        kyc_ok=random.choice([1.0, 1.0, 0.0, np.nan], size),
        kyc_expires_at=days(-30, 400, 0.4),
        has_complaint=some(0.2),
        days_past_due=random.choice([np.nan, 0.0, 31.0, 95.0], size),
        in_collections=some(0.1),
        in_default=some(0.1),
        vulnerable=some(0.1),
        hardship=some(0.1),
        fraud_block=some(0.1),
        declined_families=np.where(some(0.3), random.integers(0, ALL_FAMILIES + 1, size), 0),
        medium_as_high=some(0.3),
        needs_person=some(0.2),
        reassess_at=days(-30, 60, 0.5),
        hold=some(0.1),
        override_until=days(0, 90, 0.8),
    )


def _effects() -> st.SearchStrategy[dict[str, Any]]:
    allowed = {name: EFFECTS[EFFECTS.index(LEAST_EFFECT.get(name, "note")) :] for name in BITS}
    allowed |= dict.fromkeys(PER_FAMILY, ("no_credit",))
    return st.fixed_dictionaries({name: st.sampled_from(words) for name, words in allowed.items()})


FAMILIES = ("card", "loan", "mortgage")
policies = st.fixed_dictionaries(
    {
        "max_age_days": st.integers(0, 140),
        "valid_days": st.integers(1, 90),
        "arrears_from_days": st.integers(1, 120),
        "kyc_verified": st.booleans(),
        "max_risk_tier": st.fixed_dictionaries({name: st.sampled_from(LIMITS) for name in FAMILIES}),
        "effects": _effects(),
    }
)


def _answer(block: GateBlock, policy: dict[str, Any]) -> GateTable:
    return gate(block, _settings(policy), AS_OF, policy["max_age_days"])


def _settings(policy: dict[str, Any]) -> GateSettings:
    given = {name: value for name, value in policy.items() if name != "max_age_days"}
    return SETTINGS.gate.model_copy(update=given)


def _stricter(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    tiers = {
        name: min(tier, other["max_risk_tier"][name], key=LIMITS.index) for name, tier in one["max_risk_tier"].items()
    }
    effects = {name: max(effect, other["effects"][name], key=EFFECTS.index) for name, effect in one["effects"].items()}
    least = {name: min(one[name], other[name]) for name in ("max_age_days", "valid_days", "arrears_from_days")}
    told = {"kyc_verified": one["kyc_verified"] and other["kyc_verified"]}
    return {**least, **told, "max_risk_tier": tiers, "effects": effects}


@settings(max_examples=50, deadline=None)
@given(block=blocks(), one=policies, other=policies)
def test_a_stricter_policy_lets_no_new_customer_past(block: GateBlock, one: Any, other: Any) -> None:
    loose, strict = _answer(block, one), _answer(block, _stricter(one, other))
    assert (strict.outcome >= loose.outcome).all()
    assert (loose.refused_families & ~strict.refused_families == 0).all()
    # what caution held may become too high a tier altogether, which is told apart
    assert (loose.held_families & ~(strict.held_families | strict.tier_families) == 0).all()
    assert (loose.is_held <= strict.is_held).all()
    # where credit is refused the answer does not rest on the signal, and need not end with it
    lends = strict.refused_families != ALL_FAMILIES
    assert (strict.expires_at[lends] <= loose.expires_at[lends]).all()


@settings(max_examples=50, deadline=None)
@given(block=blocks(), policy=policies)
def test_every_refusal_has_a_reason_and_a_code_for_each(block: GateBlock, policy: Any) -> None:
    found = _answer(block, policy)
    credit = (found.refused_families | found.held_families) & lent(_settings(policy))
    refused = (found.outcome > 0) | (credit > 0) | found.is_held
    assert (found.reason_mask[refused] > 0).all()
    codes = found.table()["reason_codes"].to_pylist()
    assert [len(text.split()) for text in codes] == [int(mask).bit_count() for mask in found.reason_mask]


@settings(max_examples=50, deadline=None)
@given(block=blocks(), policy=policies)
def test_customer_asked_about_alone_gets_the_same_answer_to_the_bit(block: GateBlock, policy: Any) -> None:
    whole = _answer(block, policy)
    for row in range(block.size):
        alone = _answer(block.rows(slice(row, row + 1)), policy)
        for field in fields(GateTable):
            if field.name != "customer_ids":
                one, many = getattr(alone, field.name), getattr(whole, field.name)[row : row + 1]
                assert one.tobytes() == many.tobytes()


@settings(max_examples=50, deadline=None)
@given(block=blocks(), policy=policies)
def test_answer_never_outlives_the_signal_or_anything_else_that_it_rests_on(block: GateBlock, policy: Any) -> None:
    found = _answer(block, policy)
    assert (found.expires_at >= NOW).all()
    assert (found.expires_at <= NOW + policy["valid_days"] * DAY).all()
    lent = found.refused_families != ALL_FAMILIES
    assert (found.expires_at[lent] <= block.signal_at[lent] + policy["max_age_days"] * DAY).all()
    for ends in (block.kyc_expires_at, block.reassess_at, block.override_until):
        assert not (found.expires_at > ends)[ends >= NOW].any()


@settings(max_examples=50, deadline=None)
@given(block=blocks(), policy=policies)
def test_nobody_without_a_known_and_fresh_signal_may_borrow(block: GateBlock, policy: Any) -> None:
    found = _answer(block, policy)
    age = NOW - block.signal_at
    sound = (age >= 0 * DAY) & (age <= policy["max_age_days"] * DAY) & ~np.isnan(block.default_probability)
    sound &= block.tier != TIERS.index("unknown")
    assert (found.refused_families[~sound] == ALL_FAMILIES).all()


def test_a_good_customer_is_refused_nothing_but_families_that_are_not_lent() -> None:
    found = _answer(_good(), _shipped())
    free = {PRODUCT_FAMILIES[bit] for bit in range(7) if not int(found.refused_families[0]) >> bit & 1}
    assert free == {"card", "loan", "mortgage"}
    assert (found.outcome[0], found.is_held[0], found.held_families[0], found.reason_mask[0]) == (0, False, 0, 0)
    # signal of 10 June holds for 92 days, the answer for 30
    assert found.expires_at[0] == NOW + 30 * DAY


@pytest.mark.parametrize(
    ("change", "reason", "outcome"),
    [
        ({"kyc_ok": 0.0}, "kyc", 1),
        ({"kyc_ok": np.nan}, "kyc", 1),
        ({"kyc_expires_at": NOW}, "kyc", 1),
        ({"has_complaint": True}, "open_complaint", 1),
        ({"days_past_due": 31.0}, "in_arrears", 0),
        ({"in_collections": True}, "in_collections", 1),
        ({"in_default": True}, "in_default", 1),
        ({"vulnerable": True}, "vulnerable", 1),
        ({"hardship": True}, "hardship", 1),
        ({"fraud_block": True}, "fraud_block", 2),
        ({"declined_families": 1 << PRODUCT_FAMILIES.index("loan")}, "credit_declined", 0),
        ({"medium_as_high": True, "tier": 1}, "caution", 0),
        ({"reassess_at": NOW - DAY}, "reassessment_overdue", 0),
        ({"hold": True}, "override_hold", 1),
        ({"signal_at": NOW - 93 * DAY}, "risk_stale", 0),
        ({"signal_at": NOW + DAY}, "risk_stale", 0),
        ({"default_probability": np.nan}, "risk_unknown", 0),
    ],
)
def test_each_fault_is_told_by_its_own_reason(change: dict[str, Any], reason: str, outcome: int) -> None:
    found = _answer(_good(**change), _shipped())
    # medium is too high for mortgages, whatever else
    told = [
        one.name for one in reasons(int(found.reason_mask[0])) if change.get("tier") is None or one.name != "risk_tier"
    ]
    assert told == [reason]
    assert found.outcome[0] == outcome
    assert found.refused_families[0] != _answer(_good(), _shipped()).refused_families[0]


def test_delays_of_thirty_days_and_caution_towards_the_low_tier_refuse_nothing() -> None:
    assert _answer(_good(days_past_due=30.0), _shipped()).reason_mask[0] == 0
    assert _answer(_good(medium_as_high=True), _shipped()).reason_mask[0] == 0


def test_caution_refuses_only_the_families_that_a_high_tier_is_refused() -> None:
    policy = _shipped() | {"max_risk_tier": {"card": "high", "loan": "medium", "mortgage": "low"}}
    found = _answer(_good(medium_as_high=True, tier=1), policy)
    # cards go to high tiers too; mortgages are refused for the tier itself
    assert found.held_families[0] == 1 << PRODUCT_FAMILIES.index("loan")


def test_what_monitoring_found_reaches_every_customer_of_the_model() -> None:
    told = {
        "reason": "score_drift",
        "what": "score",
        "value": 0.3,
        "limit": 0.1,
        "since": None,
        "text": "",
        "text_zh": "",
    }
    drift = Caution(**told, effects=SETTINGS.caution.score)
    assert Watch.of([drift], 2).medium_as_high.tolist() == [True, True]
    assert Watch.of([drift], 2).needs_person.tolist() == [True, True]
    assert not Watch.of([], 2).medium_as_high.any()


def _shipped() -> dict[str, Any]:
    return {"max_age_days": SETTINGS.signal_max_age_days}


def _good(**changes: Any) -> GateBlock:
    """Return one customer of low risk and good standing, changed as told."""
    never = np.datetime64("NaT", "us")
    values = {
        "tier": 0,
        "default_probability": 0.01,
        "signal_at": np.datetime64("2026-06-10", "us"),
        "kyc_ok": 1.0,
        "kyc_expires_at": never,
        "days_past_due": np.nan,
        "declined_families": 0,
        "reassess_at": never,
        "override_until": never,
    }
    no = {field.name: False for field in fields(GateBlock) if field.name not in (*values, "customer_ids")}
    arrays = {name: np.array([value]) for name, value in {**no, **values, **changes}.items()}
    return GateBlock(customer_ids=pa.array(["C1"]), **arrays)
