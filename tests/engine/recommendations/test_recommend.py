from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pyarrow as pa
import pytest

from engine.domain.errors import NotEnoughData
from engine.recommendations import gate_counts
from engine.recommendations.bundle import Bundle
from engine.recommendations.decide import decide
from engine.recommendations.explore import in_order
from engine.recommendations.gates import GATES
from engine.recommendations.inputs import Inputs
from engine.recommendations.race import ORDER
from engine.recommendations.reach import contact_channels
from engine.recommendations.recommend import Prepared, recommend
from tests.engine.recommendations import builders

MEANINGS = {"savings": ("savings", "储蓄"), "visits": ("visits to branches", "网点到访")}


def _prepare(seed: int = 1, customers: int = 6000) -> Prepared:
    return builders.prepared(customers, {"block_customers": 1000}, seed=seed, meanings=MEANINGS)


prepared = cache(_prepare)


def test_what_learns_from_features_wins_where_openings_follow_from_them_and_by_its_probabilities() -> None:
    models = {row["model"]: row for row in prepared().models.to_pylist()}
    (chosen,) = [name for name, row in models.items() if row["chosen"]]
    assert chosen in {"softmax", "logistic"}
    assert models[chosen]["gain_lower"] > 0
    beat = [name for name in ORDER if (models[name]["gain_lower"] or 0) > 0 and name != "boosted_trees"]
    assert {"softmax", "logistic"} <= set(beat)
    assert models[chosen]["log_loss"] == min(models[name]["log_loss"] for name in beat)
    assert set(models) == set(ORDER)


def test_offers_and_decisions_come_in_the_order_of_their_keys_over_all_blocks() -> None:
    blocks = list(prepared().blocks())
    assert len(blocks) == 6
    offers = pa.concat_tables([block.recommendations for block in blocks])
    decisions = pa.concat_tables([block.decisions for block in blocks])
    for rows, key in ((offers, ("customer_id", "rank")), (decisions, ("customer_id", "product_id"))):
        found = list(zip(*(rows[name].to_pylist() for name in key), strict=True))
        assert found == sorted(set(found))
    assert decisions.num_rows == 6000 * 24


def test_offers_are_the_decisions_that_have_a_rank() -> None:
    block = next(prepared().blocks())
    ranked = block.decisions.filter(pa.compute.is_valid(block.decisions["rank"]))
    columns = ["customer_id", "product_id", "propensity", "expected_value_minor"]
    offers = block.recommendations.sort_by([("customer_id", "ascending"), ("product_id", "ascending")])
    assert ranked.select(columns).equals(offers.select(columns))


def test_same_inputs_and_seed_give_the_same_bundle_and_rows() -> None:
    again = _prepare()
    assert again.bundle.to_json() == prepared().bundle.to_json()
    assert next(again.blocks()).recommendations.equals(next(prepared().blocks()).recommendations)


def test_bundle_survives_being_written_and_decides_the_same() -> None:
    bundle = prepared().bundle
    read = Bundle.from_json(bundle.to_json())
    assert read.to_json() == bundle.to_json()
    block = next(prepared().decision_blocks())
    assert decide(block, read).value.tobytes() == decide(block, bundle).value.tobytes()


def test_reasons_name_savings_for_the_fund_and_the_debit_card_for_the_credit_card() -> None:
    offers = pa.concat_tables([block.recommendations for block in prepared().blocks()]).to_pylist()
    fund = [row["reason_1"] for row in offers if row["product_id"] == "index_fund" and row["propensity"] > 0.1]
    # that is what decides, though chance lets a holding add a little more for a few
    assert fund.count("Above average: savings.") > 0.9 * len(fund)
    cards = [row for row in offers if row["product_id"] == "credit_card_classic"]
    card = [row["reason_1"] for row in cards if row["propensity"] > 0.05]
    assert set(card) == {"Already has: Debit card."}


def test_no_reason_is_given_twice_and_none_without_its_chinese() -> None:
    for row in next(prepared().blocks()).recommendations.to_pylist():
        assert row["reason_1"] and row["reason_1"] != row["reason_2"]
        assert (row["reason_2"] is None) == (row["reason_2_zh"] is None)


def test_propensity_of_the_fund_is_near_its_true_rate_for_large_savers() -> None:
    offers = pa.concat_tables([block.recommendations for block in prepared().blocks()]).to_pylist()
    fund = [row["propensity"] for row in offers if row["product_id"] == "index_fund" and row["propensity"] > 0.08]
    # the bank opens the fund to the top fifth of savers with a chance of .15 a window
    assert np.mean(fund) == pytest.approx(0.15, abs=0.04)


def test_bank_without_risk_signals_is_offered_no_credit() -> None:
    now, past, _, risk = builders.bank(800)
    unknown = risk.to_pylist()
    for row in unknown:
        row |= {"risk_tier": "unknown", "default_probability": None, "signal_at": None}
    found = recommend(
        now=now,
        past=past,
        earlier=None,
        risk=None,
        gate=builders.answers(pa.Table.from_pylist(unknown, schema=risk.schema)),
        treatments=builders.treated(risk),
        products=builders.products(),
        settings=builders.settings(),
        seed=1,
    )
    offered = {row["product_id"] for block in found.blocks() for row in block.recommendations.to_pylist()}
    credit = {row["product_id"] for row in builders.products().to_pylist() if row["is_credit"]}
    assert offered and not offered & credit
    assert "No risk signal: all credit is refused." in found.notes


def test_bank_without_an_answer_of_the_risk_gate_is_offered_nothing_at_all() -> None:
    now, past, _, risk = builders.bank(300)
    found = recommend(
        now=now,
        past=past,
        earlier=None,
        risk=risk,
        gate=None,
        products=builders.products(),
        settings=builders.settings(),
        seed=1,
    )
    assert sum(block.recommendations.num_rows for block in found.blocks()) == 0
    assert "No answer of the risk gate: nothing is offered to anybody." in found.notes


def test_customer_missing_from_the_answers_and_one_with_an_expired_answer_are_offered_nothing() -> None:
    now, past, _, risk = builders.bank(300)
    given = builders.answers(risk).to_pylist()
    late, missing = given[1]["customer_id"], given[0]["customer_id"]
    given[1]["expires_at"] = builders.AS_OF.replace(tzinfo=None) - builders.HORIZON
    found = recommend(
        now=now,
        past=past,
        earlier=None,
        risk=risk,
        gate=pa.Table.from_pylist(given[1:], schema=builders.answers(risk).schema),
        treatments=builders.treated(risk),
        products=builders.products(),
        settings=builders.settings(),
        seed=1,
    )
    rows = pa.concat_tables([block.decisions for block in found.blocks()]).to_pylist()
    bit = [gate.name for gate in GATES].index("risk_answer")
    shut = {row["customer_id"] for row in rows if row["refused_mask"] >> bit & 1}
    assert shut == {late, missing}


def test_bank_without_features_or_history_falls_back_on_popularity() -> None:
    now, past, _, risk = builders.bank(800)
    bare = [_without_features(inputs) for inputs in (now, past)]
    found = recommend(
        now=bare[0],
        past=bare[1],
        earlier=None,
        risk=risk,
        gate=builders.answers(risk),
        treatments=builders.treated(risk),
        products=builders.products(),
        settings=builders.settings({"training": {"min_buyers": 10_000}}),
        seed=1,
    )
    assert found.bundle.fitted.ranker.kind == "popularity"
    assert {row["reason_1"] for block in found.blocks() for row in block.recommendations.to_pylist()} == {
        "Often chosen by customers like this one."
    }


def _without_features(inputs: Inputs) -> Inputs:
    return replace(inputs, features=inputs.features.select(["customer_id"]))


def test_bank_that_sells_nothing_is_told_so() -> None:
    now, past, _, risk = builders.bank(20)
    with pytest.raises(NotEnoughData, match="0 products"):
        recommend(
            now=now,
            past=past,
            earlier=None,
            risk=risk,
            gate=None,
            products=builders.products([]),
            settings=builders.settings(),
            seed=1,
        )


def test_gate_counts_of_all_blocks_make_the_mart() -> None:
    blocks = list(prepared().blocks())
    total = sum((block.counts for block in blocks[1:]), blocks[0].counts)
    assert total.considered == 6000 * 24
    assert total.table().num_rows == len(GATES)


def test_cheapest_agreed_channel_is_taken_and_the_first_of_equal_ones() -> None:
    channel, cost = contact_channels(np.array([[False, True, True, False, False]]), (2, 10, 10, 400, 1500))
    assert (channel.tolist(), cost.tolist()) == ([1], [10.0])
    channel, cost = contact_channels(np.zeros((1, 5), dtype=bool), (2, 10, 10, 400, 1500))
    assert (channel.tolist(), cost.tolist()) == ([-1], [2.0])


def test_equal_values_rank_in_product_order_and_refused_ones_not_at_all() -> None:
    assert in_order(np.array([[5.0, 7.0, -np.inf, 7.0]]), 2).tolist() == [[0, 1, 0, 2]]
    assert in_order(np.array([[5.0, -np.inf]]), 3).tolist() == [[1, 0]]


def test_gate_that_refuses_everybody_everything_is_named() -> None:
    everyone = np.full((3, 2), 1 << 1, dtype=np.uint64)
    told = gate_counts.contradiction(gate_counts.count(everyone, 0))
    assert told is not None
    assert told.startswith("Nothing can be offered to anybody: consent refuses every product to every customer.")
    assert gate_counts.contradiction(gate_counts.count(np.where([[1, 0]], everyone, 0), 0)) is None
    assert gate_counts.contradiction(gate_counts.no_counts()) is None


def test_gates_that_only_together_refuse_everything_are_named_with_their_shares() -> None:
    masks = np.array([[1 << 1, 1 << 5], [1 << 1, 1 << 5]], dtype=np.uint64)
    told = gate_counts.contradiction(gate_counts.count(masks, 0))
    assert told is not None
    assert "consent 50%" in told
    assert "age 50%" in told


def test_holdings_of_products_that_the_bank_does_not_have_are_told_and_passed_over() -> None:
    now, past, _, risk = builders.bank(800)
    strange = pa.table(
        {"customer_id": ["C0000001"], "product_id": ["gold_bar"], "opened_at": now.holdings["opened_at"][:1]}
    ).cast(now.holdings.schema)
    found = recommend(
        now=replace(now, holdings=pa.concat_tables([now.holdings, strange])),
        past=past,
        earlier=None,
        risk=risk,
        gate=builders.answers(risk),
        treatments=builders.treated(risk),
        products=builders.products(),
        settings=builders.settings({"training": {"min_buyers": 10_000}}),
        seed=1,
    )
    told = "1 holdings are of products that the table products does not have (gold_bar)"
    assert any(told in note for note in found.notes)


def test_customer_without_risk_is_refused_credit_for_that() -> None:
    rows = pa.concat_tables([block.decisions for block in prepared().blocks()]).to_pylist()
    unknown = builders.bank(6000)[3]
    lost = {row["customer_id"] for row in unknown.to_pylist() if row["risk_tier"] == "unknown"}
    bit = [gate.name for gate in GATES].index("risk_unknown")
    credit = {row["product_id"] for row in builders.products().to_pylist() if row["is_credit"]}
    asked = [row for row in rows if row["customer_id"] in lost and row["product_id"] in credit]
    found = [row["refused_mask"] >> bit & 1 for row in asked]
    assert found
    assert all(found)
