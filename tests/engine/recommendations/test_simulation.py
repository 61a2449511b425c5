"""Two policies on the same customers: what is counted, what a factor does, and who is under-served."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.recommendations import fairness, frame, sensitivity, simulation
from engine.recommendations.bundle import Bundle
from engine.recommendations.decide import Assessed, assess
from engine.recommendations.recommend import Prepared
from engine.recommendations.simulation import MOVES, Comparison
from tests.engine.recommendations import builders

CUSTOMERS = 1500


@cache
def _prepared() -> Prepared:
    return builders.prepared(CUSTOMERS)


@cache
def _groups() -> tuple[fairness.Groups, fairness.Groups]:
    random = np.random.default_rng(3)
    kinds = (("female", "male", ""), ("a", "b", "c"))
    made = [fairness.groups_of({"one": pa.array(random.choice(names, CUSTOMERS))}) for names in kinds]
    return made[0], made[1]


def _under(flags: dict[str, Any]) -> Bundle:
    return replace(_prepared().bundle, settings=builders.settings(flags))


def _compare(after: dict[str, Any], *, at_once: int = CUSTOMERS) -> Comparison:
    base, bundle = _prepared().base, _prepared().bundle
    cut = frame.blocks(base, bundle.features, bundle.settings, at_once)
    protected, others = _groups()
    return simulation.compare(cut, bundle, _under(after), protected=protected, breakdowns=others)


def test_a_policy_that_changes_nothing_moves_nobody() -> None:
    found = _compare({})
    assert found.before is not None
    assert found.after is not None
    assert found.moved.counts["value_tier"].sum(axis=0).tolist() == [0, 0, 0, CUSTOMERS]
    assert found.before.value.tobytes() == found.after.value.tobytes()
    assert (found.before.reached, found.before.customers) == (found.after.reached, CUSTOMERS)
    assert not any(found.moved.named.values())


def test_sums_do_not_depend_on_the_blocks() -> None:
    change = {"gates": {"max_debt_service_ratio": 0.2}, "top_n": 2}
    whole, parts = _compare(change), _compare(change, at_once=400)
    for one, other in ((whole.before, parts.before), (whole.after, parts.after)):
        assert one is not None
        assert other is not None
        assert one.gates.table().equals(other.gates.table())
        for name in ("offers", "first", "value", "loss", "channels", "tracks"):
            assert np.allclose(getattr(one, name), getattr(other, name), rtol=1e-12, atol=0)
        assert np.array_equal(one.by_group.offered["one"], other.by_group.offered["one"])
    assert whole.moved.named == parts.moved.named
    assert np.array_equal(whole.moved.counts["one"], parts.moved.counts["one"])
    assert whole.threshold == parts.threshold


@given(ratio=st.floats(0, 0.45), least=st.integers(0, 2000), probability=st.floats(0, 0.15), contacts=st.integers(0, 4))
@settings(max_examples=10, deadline=None)
def test_a_stricter_policy_lets_no_more_pairs_pass_and_no_gate_refuse_less(
    ratio: float, least: int, probability: float, contacts: int
) -> None:
    limits = {
        "max_debt_service_ratio": ratio,
        "min_expected_value_minor": least,
        "max_default_probability": probability,
    }
    caps = {"caps": {"customer_month": {"max_contacts": contacts}}}
    found = _compare({"gates": limits, "contact": caps})
    assert found.before is not None
    assert found.after is not None
    assert found.after.gates.passed <= found.before.gates.passed
    assert np.all(found.after.gates.pairs >= found.before.gates.pairs)
    assert found.after.reached <= found.before.reached
    assert all(counts.sum() == CUSTOMERS for counts in found.moved.counts.values())


def test_fewer_offers_a_customer_are_counted_as_losses_and_named_by_what_they_lose() -> None:
    found = _compare({"top_n": 1})
    assert found.before is not None
    many = int((_offers_a_customer() > 1).sum())
    everybody = dict(zip(MOVES, found.moved.counts["risk_tier"].sum(axis=0).tolist(), strict=True))
    assert everybody == {"gains": 0, "loses": many, "other_products": 0, "same": CUSTOMERS - many}
    lost = [value for value, _ in found.moved.named["loses"]]
    assert len(lost) == simulation.SAMPLE
    assert lost == sorted(lost)
    assert sum(found.moved.value["risk_tier"]) == pytest.approx(sum(found.moved.value["one"]))


def _offers_a_customer() -> np.ndarray:
    rows = pa.concat_tables([block.recommendations for block in _prepared().blocks()])
    _, counts = np.unique(rows["customer_id"].to_numpy(zero_copy_only=False), return_counts=True)
    return counts


def test_under_served_are_those_at_or_below_the_threshold_of_the_published_case() -> None:
    values = np.array([87, 87, 76, 76, 65, 65, 62, 62, 58, 58, 56, 56, 56, 56, 45, 45, 34, 34, 30, 24], dtype=float)
    # 5 % of 20 is the lowest one, 24; 10 % are two, up to 30
    assert simulation.under_served_threshold(values, 0.05) == 24
    assert simulation.under_served_threshold(values, 0.10) == 30
    assert (values <= 30).sum() == 2
    assert np.isnan(simulation.under_served_threshold(np.array([np.nan]), 0.05))
    # nobody is passed over for want of an offer: those with nothing are counted apart
    assert simulation.under_served_threshold(np.append(values, [np.nan] * 80), 0.05) == 24


def test_customers_are_with_nothing_under_served_or_well_served() -> None:
    found = _compare({"gates": {"min_expected_value_minor": 500}})
    for side in (found.served_before, found.served_after):
        assert sum(side.counts(found.threshold).values()) == CUSTOMERS
    few = found.served_before.counts(found.threshold)
    assert few["under_served"] == int(np.ceil(0.05 * (CUSTOMERS - few["nothing"])))


def _assessed(
    propensity: list[float],
    margin: list[float],
    loss: list[float],
    cost: float = 0.0,
    lever: list[float] | None = None,
) -> Assessed:
    """Return one customer whom nothing is refused, with the value that follows."""
    found = assess(next(_prepared().decision_blocks()).one(0), _prepared().bundle)
    p, m, lost = (np.array([each]) for each in (propensity, margin, loss))
    kept = np.ones_like(p)
    return replace(
        found,
        odds=replace(found.odds, propensity=p, cost=np.array([cost]), kept=kept),
        terms=replace(found.terms, amount=np.zeros_like(p), margin=m),
        worth=replace(found.worth, value=p * (m - lost) - cost, loss=lost),
        priority=(p * (m - lost) - cost) * (1.0 if lever is None else np.array([lever])),
        masks=np.zeros(p.shape, dtype=np.uint64),
        enough=np.ones(p.shape, dtype=bool),
        held_out=np.zeros(1, dtype=bool),
    )


def test_factors_left_out_of_three_products_by_hand() -> None:
    # worth .5 x 100 = 50, .1 x (900 - 600) = 30, .9 x 10 = 9: the first is best
    found = sensitivity.measure(_assessed([0.5, 0.1, 0.9], [100.0, 900.0, 10.0], [0.0, 600.0, 0.0]), np.ones(3))
    # without propensity the second at 300, 20 lost; without value the likeliest, third, 41 lost; without loss the
    # second at 90, 20 lost; the contact costs nothing and nothing is pushed, so leaving these out changes nothing
    assert found.changed == (1, 1, 1, 0, 0)
    assert found.lost == pytest.approx((20.0, 41.0, 20.0, 0.0, 0.0))
    assert (found.customers, found.worth) == (1, 50.0)
    assert found.share_lost("value") == pytest.approx(41 / 50)


def test_a_lever_that_pushes_a_lesser_product_costs_what_leaving_it_out_brings() -> None:
    # worth 50 and 30; twice the second is 60, so it comes first and 20 are forgone: leaving levers out loses -20
    lever = np.array([1.0, 2.0])
    found = sensitivity.measure(_assessed([0.5, 0.1], [100.0, 300.0], [0.0, 0.0], lever=[1.0, 2.0]), lever)
    assert found.worth == 30.0
    assert (found.changed[-1], found.lost[-1]) == (1, -20.0)


def test_nobody_to_offer_to_has_no_sensitivity() -> None:
    found = _assessed([0.5], [100.0], [0.0])
    none = sensitivity.measure(replace(found, masks=np.ones((1, 1), dtype=np.uint64)), np.ones(1))
    assert (none.customers, none.worth) == (0, 0.0)
    assert np.isnan(none.share_changed("loss"))


def test_no_customers_make_an_empty_comparison() -> None:
    bundle, (protected, others) = _prepared().bundle, _groups()
    found = simulation.compare([], bundle, bundle, protected=protected, breakdowns=others)
    assert (found.before, found.after) == (None, None)
    assert np.isnan(found.threshold)
