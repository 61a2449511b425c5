"""What holds of every decision, whoever the customers are and whatever the policy says."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config.catalogue import CatalogueSettings
from engine.config.contact import ContactPolicy, Fatigue
from engine.config.load import load
from engine.config.recommendations import GatePolicy, RecommendationSettings
from engine.recommendations import contact, offers, race
from engine.recommendations.bundle import Bundle
from engine.recommendations.decide import DecisionTable, decide
from engine.recommendations.explain import phrases
from engine.recommendations.frame import DecisionBlock
from engine.recommendations.panel import build
from engine.recommendations.products import plain_catalogue
from engine.recommendations.recommend import Prepared, blocks_of
from tests.engine.recommendations import builders

CUSTOMERS = 1500
PRODUCTS = sorted(builders.products()["product_id"].to_pylist())


@cache
def _prepared() -> Prepared:
    return builders.prepared(CUSTOMERS, meanings={"savings": ("savings", "储蓄")})


@cache
def _bundles() -> dict[str, Bundle]:
    """Return one bundle for each ranker, so that the laws hold whoever wins."""
    now, past, _, _ = builders.bank(CUSTOMERS)
    found = _prepared().bundle
    panel = build(
        past, now, found.catalogue, features=found.features, settings=found.settings, seed=1, grouping=found.grouping
    )
    trainer = race.Trainer(
        product_ids=found.catalogue.product_ids, features=found.features, settings=found.settings, seed=1
    )
    return {kind: _with_ranker(found, race.fit(kind, panel, trainer)) for kind in race.ORDER}


def _with_ranker(bundle: Bundle, fitted: race.Fitted) -> Bundle:
    told = phrases(fitted.ranker.term_names, bundle.catalogue, {"savings": ("savings", "储蓄")}, ())
    return replace(bundle, fitted=fitted, phrases=told)


@cache
def _risk() -> pa.Table:
    return builders.bank(CUSTOMERS)[3]


@cache
def _block() -> DecisionBlock:
    return next(_prepared().decision_blocks())


def _policy(limits: dict[str, Any]) -> RecommendationSettings:
    contact = {name: value for name, value in limits["contact"].items() if name != "caps"}
    caps = {name: {"max_contacts": most} for name, most in limits["contact"]["caps"].items()}
    own = {name: value for name, value in limits.items() if name not in (*_RISK_LIMITS, *_SHAPES, "contact")}
    return builders.settings({"gates": own, "contact": contact | {"caps": caps}})


def _decide(limits: dict[str, Any], *, by_responses: bool = False) -> DecisionTable:
    """Decide under limits, some of which the risk gate holds and the others the gates of the recommendations."""
    risk = {"signal_max_age_days": limits["signal_max_age_days"], "gate": {"max_risk_tier": limits["max_risk_tier"]}}
    base = replace(_prepared().base, gate=builders.answers(_risk(), risk))
    shaped = plain_catalogue(builders.products(), builders.AS_OF, limits["revolving_payment_share"])
    bundle = replace(_prepared().bundle, settings=_policy(limits), catalogue=shaped)
    bundle = builders.responding(bundle) if by_responses else bundle
    return decide(next(blocks_of(base, bundle)), bundle)


_limits = st.fixed_dictionaries(
    {
        "signal_max_age_days": st.integers(1, 150),
        "max_debt_service_ratio": st.floats(0, 1),
        "contact": st.fixed_dictionaries(
            {
                "caps": st.fixed_dictionaries(dict.fromkeys(builders.settings().contact.caps, st.integers(0, 10))),
                "quiet_after_complaint_days": st.integers(0, 60),
                "quiet_after_contact_days": st.integers(0, 60),
                "fatigue": st.fixed_dictionaries(
                    {"max_unanswered": st.integers(1, 9), "response_kept": st.sampled_from([1.0, 0.9, 0.5])}
                ),
            }
        ),
        "min_expected_value_minor": st.integers(0, 5000),
        "max_default_probability": st.floats(0, 0.2),
        "max_age_at_term_end": st.integers(20, 120),
        "waiting_treatments": st.lists(st.sampled_from(["care", "collections", "engagement"]), unique=True),
        "revolving_payment_share": st.floats(0.01, 0.5),
        "max_risk_tier": st.fixed_dictionaries(
            {family: st.sampled_from(["none", "low", "medium", "high"]) for family in ("card", "loan", "mortgage")}
        ),
    }
)
_RISK_LIMITS = ("signal_max_age_days", "max_risk_tier")
_SHAPES = ("revolving_payment_share",)
_STRICTER_WHEN_HIGHER = ("min_expected_value_minor", "revolving_payment_share")
_STRICTER_WHEN_LONGER = "waiting_treatments"
_TIERS = ["none", "low", "medium", "high"]


def _tighter(limits: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    tiers = {
        family: min(tier, other["max_risk_tier"][family], key=_TIERS.index)
        for family, tier in limits["max_risk_tier"].items()
    }
    apart = ("max_risk_tier", "contact", _STRICTER_WHEN_LONGER, *_STRICTER_WHEN_HIGHER)
    lower = {name: min(value, other[name]) for name, value in limits.items() if name not in apart}
    higher = {name: max(limits[name], other[name]) for name in _STRICTER_WHEN_HIGHER}
    waiting = {_STRICTER_WHEN_LONGER: sorted({*limits[_STRICTER_WHEN_LONGER], *other[_STRICTER_WHEN_LONGER]})}
    contact = _stricter(limits["contact"], other["contact"])
    return lower | higher | waiting | {"max_risk_tier": tiers, "contact": contact}


def _stricter(policy: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    quiet = {name: max(value, other[name]) for name, value in policy.items() if name.startswith("quiet")}
    lower = {
        part: {name: min(value, other[part][name]) for name, value in policy[part].items()}
        for part in ("caps", "fatigue")
    }
    return quiet | lower


@given(drawn=_limits)
@settings(max_examples=1, deadline=None)
def test_every_limit_of_the_gates_is_among_those_that_the_law_below_tightens(drawn: dict[str, Any]) -> None:
    # the two that are words decide what happens to whole products, never to one pair
    assert set(GatePolicy.model_fields) - {"fairness", "fairness_attributes"} <= set(drawn)
    windows = {"window_days"}  # a longer window counts no fewer: tests/laws/test_contact.py
    assert set(Fatigue.model_fields) - windows == set(drawn["contact"]["fatigue"])
    assert set(ContactPolicy.model_fields) == set(drawn["contact"])


@given(limits=_limits, other=_limits, by_responses=st.booleans())
@settings(max_examples=30, deadline=None)
def test_tightening_a_policy_lets_no_new_pair_pass(
    limits: dict[str, Any], other: dict[str, Any], by_responses: bool
) -> None:
    loose, tight = (_decide(one, by_responses=by_responses) for one in (limits, _tighter(limits, other)))
    assert not ((tight.masks == 0) & (loose.masks != 0)).any()


@given(limits=_limits)
@settings(max_examples=20, deadline=None)
def test_every_pair_is_offered_passed_over_or_refused_with_a_reason(limits: dict[str, Any]) -> None:
    table = _decide(limits)
    offered, passed = table.rank > 0, table.masks == 0
    refused = ~passed
    assert offered.sum() + (passed & ~offered).sum() + refused.sum() == table.masks.size
    assert not (offered & refused).any()
    counts = table.counts
    assert counts.considered == counts.passed + refused.sum()
    assert offered.sum() == counts.offered == len(table.offer_rows)


@given(limits=_limits)
@settings(max_examples=20, deadline=None)
def test_ranks_run_from_one_without_gaps_and_values_never_rise(limits: dict[str, Any]) -> None:
    table = _decide(limits)
    for row in range(0, CUSTOMERS, 17):
        offered = np.flatnonzero(table.rank[row])
        order = offered[np.argsort(table.rank[row, offered])]
        assert table.rank[row, order].tolist() == list(range(1, len(order) + 1))
        assert np.all(np.diff(table.value[row, order]) <= 0)
        assert len(order) == min(builders.settings().top_n, int((table.masks[row] == 0).sum()))


@given(kind=st.sampled_from(race.ORDER), row=st.integers(0, CUSTOMERS - 1))
@settings(max_examples=60, deadline=None)
def test_customer_decided_alone_equals_the_same_customer_in_a_batch_to_the_bit(kind: str, row: int) -> None:
    bundle = _bundles()[kind]
    assert _same(_batch(kind), decide(_block().one(row), bundle), row, row + 1)


@given(kind=st.sampled_from(race.ORDER), cut=st.integers(1, CUSTOMERS - 1))
@settings(max_examples=30, deadline=None)
def test_two_halves_decide_what_the_whole_decides(kind: str, cut: int) -> None:
    bundle = _bundles()[kind]
    assert _same(_batch(kind), decide(_block().rows(slice(0, cut)), bundle), 0, cut)
    assert _same(_batch(kind), decide(_block().rows(slice(cut, CUSTOMERS)), bundle), cut, CUSTOMERS)


@given(row=st.integers(0, CUSTOMERS - 1))
@settings(max_examples=60, deadline=None)
def test_channel_of_a_customer_alone_is_that_in_a_batch_to_the_bit(row: int) -> None:
    bundle = _responding()
    assert _same(_by_responses(), decide(_block().one(row), bundle), row, row + 1)


def test_channels_chosen_are_open_and_offers_worth_it_on_them() -> None:
    table, block = _by_responses(), _block()
    usable = contact.open_channels(block.consent, block.contacts, _responding().settings)
    reached = table.channel >= 0
    assert (reached == usable.any(axis=1)).all()
    assert usable[reached, table.channel[reached]].all()
    assert (table.value[table.rank > 0] > 0).all()
    cheapest = decide(block, _prepared().bundle).channel
    served = table.rank == 1
    assert 0.1 < (table.channel != cheapest)[served.any(axis=1)].mean() < 0.9
    # who can be reached on the cheapest channel alone is never offered more than on the one chosen
    only = replace(block, consent=block.consent & (np.arange(usable.shape[1]) == cheapest[:, None]))
    alone = decide(only, _responding())
    best, other = (np.where(one.rank == 1, one.value, 0.0).max(axis=1) for one in (table, alone))
    learned = _responding().responses
    assert learned is not None
    assert (best >= other)[learned.tried[cheapest]].all()
    assert (best > other).any()


@cache
def _responding() -> Bundle:
    return builders.responding(_prepared().bundle)


@cache
def _by_responses() -> DecisionTable:
    return decide(_block(), _responding())


_DRAWS = {
    "epsilon_greedy": {"strategy": "epsilon_greedy", "epsilon": 0.4, "control": {"share": 0.2}},
    "softmax": {"strategy": "softmax", "temperature": 0.3, "control": {"share": 0.2, "serves": "nothing"}},
    "thompson": {"strategy": "thompson", "thompson": {"share_at_start": 0.3}, "control": {"share": 0.1}},
}


@cache
def _exploring(strategy: str) -> tuple[Bundle, DecisionTable]:
    bundle = builders.exploring(_prepared().bundle, _DRAWS[strategy])
    return bundle, decide(_block(), bundle)


@given(strategy=st.sampled_from(sorted(_DRAWS)), row=st.integers(0, CUSTOMERS - 1))
@settings(max_examples=60, deadline=None)
def test_customer_is_drawn_for_alone_as_in_a_batch_to_the_bit(strategy: str, row: int) -> None:
    bundle, batch = _exploring(strategy)
    assert _same(batch, decide(_block().one(row), bundle), row, row + 1)


@given(limits=_limits, strategy=st.sampled_from(sorted(_DRAWS)), share=st.floats(0, 0.9))
@settings(max_examples=20, deadline=None)
def test_no_draw_lets_a_pair_past_a_gate(limits: dict[str, Any], strategy: str, share: float) -> None:
    draws = _DRAWS[strategy] | {"control": {"share": share}}
    bundle = builders.exploring(_prepared().bundle, draws, _policy(limits).model_dump())
    drawn = decide(_block(), bundle)
    best = decide(_block(), replace(bundle, evidence=None))
    assert drawn.masks.tobytes() == best.masks.tobytes()
    assert not ((drawn.rank > 0) & (drawn.masks != 0)).any()


@cache
def _batch(kind: str) -> DecisionTable:
    return decide(_block(), _bundles()[kind])


def _same(batch: DecisionTable, part: DecisionTable, start: int, stop: int) -> bool:
    by_row = ("propensity", "value", "loss", "masks", "rank", "channel", "control")
    by_row += ("channel_reason", "contact_hour", "hour_is_own")
    equal = all(getattr(batch, name)[start:stop].tobytes() == getattr(part, name).tobytes() for name in by_row)
    inside = (batch.offer_rows >= start) & (batch.offer_rows < stop)
    by_offer = ("offer_products", "offer_tracks", "offer_reasons", "offer_selections", "offer_chances")
    assert {field.name for field in fields(batch)} == {*by_row, *by_offer, "offer_rows", "offer_terms", "customer_ids"}
    carried = all(
        getattr(batch.offer_terms, one.name)[inside].tobytes() == getattr(part.offer_terms, one.name).tobytes()
        for one in fields(batch.offer_terms)
    )
    same = all(getattr(batch, name)[inside].tobytes() == getattr(part, name).tobytes() for name in by_offer)
    return equal and carried and same


@given(
    levers=st.dictionaries(st.sampled_from(PRODUCTS), st.floats(-100, 1e6, allow_nan=False), max_size=6),
    limits=_limits,
)
@settings(max_examples=20, deadline=None)
def test_a_lever_reorders_and_lets_no_refused_product_past(levers: dict[str, float], limits: dict[str, Any]) -> None:
    plain = _prepared().bundle
    policy = _policy(limits)
    offered = load(CatalogueSettings, "catalogue", flags={"levers": {"product": levers}})
    weighed = offers.catalogue(builders.products(), plain.as_of, policy, offered)
    with_levers = decide(_block(), replace(plain, settings=policy, catalogue=weighed))
    without = decide(_block(), replace(plain, settings=policy, catalogue=replace(weighed, offers=None)))
    assert np.array_equal(with_levers.masks, without.masks)
    assert np.array_equal(with_levers.value, without.value, equal_nan=True)
    assert not ((with_levers.rank > 0) & (without.masks != 0)).any()
    # as many offers as without: none is lost either
    assert np.array_equal((with_levers.rank > 0).sum(axis=1), (without.rank > 0).sum(axis=1))


@given(held=st.lists(st.integers(0, 23), unique=True, max_size=12), limits=_limits)
@settings(max_examples=15, deadline=None)
def test_a_gate_takes_offers_out_and_never_reorders_those_that_are_left(
    held: list[int], limits: dict[str, Any]
) -> None:
    policy = _policy(limits).model_copy(update={"top_n": 20})
    loose = replace(_prepared().bundle, settings=policy)
    catalogue_of = replace(loose.catalogue, under_review=np.isin(np.arange(24), held))
    before, after = decide(_block(), loose), decide(_block(), replace(loose, catalogue=catalogue_of))
    assert after.value.tobytes() == before.value.tobytes()
    for row in range(0, CUSTOMERS, 13):
        orders = [
            [int(product) for product in np.argsort(table.rank[row], kind="stable") if table.rank[row, product] > 0]
            for table in (before, after)
        ]
        left = [product for product in orders[0] if product not in held]
        assert orders[1][: len(left)] == left
