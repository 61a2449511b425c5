"""What holds of every lending decision and of every departure from one, whoever asks and whatever the policy says."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config.credit import CreditSettings
from engine.config.load import load
from engine.config.risk import RiskSettings
from engine.domain.credit_reasons import BITS, OUTCOMES, reasons
from engine.domain.words import PRODUCT_FAMILIES
from engine.risk import overrides
from engine.risk.credit import CreditBlock, CreditDecision, decide_credit
from engine.risk.overrides import Override
from engine.risk.tiers import TIERS

AS_OF = datetime(2026, 6, 30, tzinfo=UTC)
RISK = load(RiskSettings, "risk")
DECLINE = OUTCOMES.index("decline")


@st.composite
def blocks(draw: st.DrawFn) -> CreditBlock:
    size, random = draw(st.integers(1, 20)), np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def some(share: float) -> Any:
        return random.random(size) < share

    def or_nan(values: Any, share: float = 0.1) -> Any:
        return np.where(some(share), np.nan, values).astype(np.float64)

    return CreditBlock(
        customer_ids=pa.array([f"C{place % 7:02d}" for place in range(size)]),
        family=random.integers(0, len(PRODUCT_FAMILIES), size),
        tier=random.integers(0, len(TIERS), size),
        default_probability=or_nan(random.beta(1, 12, size)),
        is_fresh=some(0.9),
        missing_share=random.random(size) * 0.6,
        days_past_due=or_nan(random.choice([0, 0, 0, 31, 95], size), 0.3),
        delay_elsewhere=or_nan(random.choice([0, 0, 0, 31, 95], size), 0.3),
        in_default=some(0.05),
        vulnerable=some(0.05),
        hardship=some(0.05),
        income=or_nan(random.integers(0, 4_000_000, size)),
        debts=or_nan(random.integers(0, 500_000, size)),
        living=or_nan(random.integers(0, 500_000, size), 0.4),
        dependants=or_nan(random.integers(0, 4, size)),
        requested=or_nan(random.integers(1, 30_000_000, size), 0.6),
        medium_as_high=some(0.2),
        needs_person=some(0.1),
    )


policies = st.fixed_dictionaries(
    {
        "refer_from": st.floats(0.0, 0.1),
        "decline_from": st.floats(0.1, 1.0),
        "refer_missing_share_from": st.floats(0.0, 1.0),
        "decline_days_past_due_from": st.integers(1, 100),
        "max_debt_service_ratio": st.floats(0.05, 0.9),
        "stress_rate": st.floats(0.0, 0.1),
        "living_cost_minor": st.integers(0, 500_000),
        "legal_cap_rate": st.floats(0.02, 0.5),
    }
)
_HIGHER_IS_STRICTER = ("stress_rate", "living_cost_minor")


def _settings(policy: dict[str, Any]) -> CreditSettings:
    def part(name: str) -> Any:
        section = getattr(RISK.credit, name)
        return section.model_copy(update={key: value for key, value in policy.items() if hasattr(section, key)})

    return RISK.credit.model_copy(update={name: part(name) for name in ("cut_offs", "affordability", "price")})


def _stricter(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    return {name: (max if name in _HIGHER_IS_STRICTER else min)(value, other[name]) for name, value in one.items()}


@settings(max_examples=60, deadline=None)
@given(block=blocks(), one=policies, other=policies)
def test_a_stricter_policy_decides_nothing_more_freely(block: CreditBlock, one: Any, other: Any) -> None:
    loose = decide_credit(block, _settings(one))
    strict = decide_credit(block, _settings(_stricter(one, other)))
    assert (strict.outcome >= loose.outcome).all()
    both = ~np.isnan(strict.limit) & ~np.isnan(loose.limit)
    # a lower legal cap can lower the price, and a lower price carries more: the caps are compared at the same price
    same = both & (strict.quoted == loose.quoted)
    assert (strict.limit[same] <= loose.limit[same]).all()


@settings(max_examples=60, deadline=None)
@given(block=blocks(), policy=policies)
def test_what_is_not_approved_has_a_reason_and_what_is_declined_has_no_terms(block: CreditBlock, policy: Any) -> None:
    found = decide_credit(block, _settings(policy))
    for outcome, mask in zip(found.outcome, found.reason_mask, strict=True):
        assert max((OUTCOMES.index(one.outcome) for one in reasons(int(mask))), default=0) == outcome
    declined = found.outcome == DECLINE
    assert np.isnan(found.limit[declined]).all() and np.isnan(found.price[declined]).all()
    approved = found.outcome == 0
    assert (found.limit[approved] > 0).all()
    assert (found.price[approved] <= policy["legal_cap_rate"]).all()
    asked = approved & ~np.isnan(block.requested)
    assert (found.limit[asked] <= block.requested[asked]).all()


@settings(max_examples=40, deadline=None)
@given(block=blocks(), policy=policies)
def test_request_decided_alone_comes_out_the_same_to_the_bit(block: CreditBlock, policy: Any) -> None:
    whole = decide_credit(block, _settings(policy))
    for row in range(block.size):
        alone = decide_credit(block.rows(slice(row, row + 1)), _settings(policy))
        for field in fields(CreditDecision):
            assert getattr(alone, field.name).tobytes() == getattr(whole, field.name)[row : row + 1].tobytes()


@settings(max_examples=60, deadline=None)
@given(block=blocks(), policy=policies)
def test_an_instalment_at_a_stressed_price_stays_within_the_debt_service_limit(block: CreditBlock, policy: Any) -> None:
    found = decide_credit(block, _settings(policy))
    lent = (found.outcome < DECLINE) & (found.limit > 0)
    burden = found.instalment[lent] + block.debts[lent]
    # the instalment is rounded up to a whole unit
    assert (burden <= policy["max_debt_service_ratio"] * block.income[lent] + 1).all()


def _overrides(two: bool | None = None, ended: bool = False) -> st.SearchStrategy[Any]:
    seconds = {
        True: st.just("bob"),
        False: st.sampled_from([None, "ann", " Ann "]),
        None: st.sampled_from([None, "bob"]),
    }
    days = st.integers(-60, 0) if ended else st.integers(1, 60)
    one = st.builds(
        Override,
        override_id=st.integers(1, 1000),
        customer_id=st.integers(0, 6).map(lambda place: f"C{place:02d}"),
        family=st.sampled_from([None, "card", "loan", "mortgage"]),
        kind=st.sampled_from(["approve", "decline", "limit", "hold"]),
        limit_minor=st.integers(0, 40_000_000),
        owner=st.just("ann"),
        second=seconds[two],
        made_at=st.integers(1, 30).map(lambda day: AS_OF - timedelta(days=day)),
        expires_at=days.map(lambda day: AS_OF + timedelta(days=day)),
    )
    return st.lists(one, max_size=6)


@settings(max_examples=80, deadline=None)
@given(block=blocks(), made=_overrides(two=False))
def test_one_person_alone_never_frees_anything(block: CreditBlock, made: list[Override]) -> None:
    policy = decide_credit(block, RISK.credit)
    found = overrides.apply(policy, block, made, AS_OF, RISK.overrides).decision
    assert (found.outcome >= policy.outcome).all()
    assert (np.nan_to_num(found.limit) <= np.nan_to_num(policy.limit)).all()


@settings(max_examples=40, deadline=None)
@given(block=blocks(), made=_overrides(two=True, ended=True))
def test_overrides_that_have_ended_change_nothing(block: CreditBlock, made: list[Override]) -> None:
    policy = decide_credit(block, RISK.credit)
    found = overrides.apply(policy, block, made, AS_OF, RISK.overrides)
    assert found.decision is policy and not found.override_ids.any()
    assert not overrides.holds(made, block.customer_ids, AS_OF)[0].any()


@settings(max_examples=80, deadline=None)
@given(block=blocks(), made=_overrides())
def test_nobody_lifts_what_may_never_be_lifted(block: CreditBlock, made: list[Override]) -> None:
    policy = decide_credit(block, RISK.credit)
    found = overrides.apply(policy, block, made, AS_OF, RISK.overrides)
    barred = sum(1 << BITS[code] for code in RISK.overrides.never_lifted)
    assert (found.decision.outcome[policy.reason_mask & barred != 0] == DECLINE).all()
    assert (found.decision.reason_mask == policy.reason_mask).all()
    by_policy = found.override_ids == 0
    assert (found.decision.outcome[by_policy] == policy.outcome[by_policy]).all()
    assert np.isnat(found.until[by_policy]).all() and not np.isnat(found.until[~by_policy]).any()
