"""Limits on all offers together, from the settings to the rows of a run and back to one customer."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from engine.config.allocation import AllocationSettings
from engine.config.load import load
from engine.domain.allocation_marts import ALLOCATION_MARTS
from engine.domain.errors import SettingsFault
from engine.lake.schema import arrow_schema
from engine.recommendations import allotment, allotment_rows, ledger
from engine.recommendations.allotment import Allotment
from engine.recommendations.bundle import Bundle
from engine.recommendations.recommend import Prepared
from tests.engine.recommendations import builders

CUSTOMERS = 1500
LIMITS = {
    "sample_customers": 300,
    "budget_minor": 6000,
    "product_capacity": {"index_fund": 60, "premium_account": 100},
    "channel_capacity": {"phone": 5},
    "min_share": {"debit_card": 0.1},
}


def _settings(flags: dict[str, Any]) -> AllocationSettings:
    return load(AllocationSettings, "allocation", flags=flags)


@cache
def _free() -> Prepared:
    return builders.prepared(CUSTOMERS, {"block_customers": 400})


@cache
def _within() -> tuple[Prepared, Allotment]:
    return allotment.within(_free(), _settings(LIMITS), seed=1)


@cache
def _tables() -> dict[str, pa.Table]:
    prepared, made = _within()
    channels = tuple(prepared.bundle.settings.contact_cost_minor)
    return allotment_rows.tables(made, prepared.base.customer_ids, prepared.bundle.catalogue.product_ids, channels)


@cache
def _rows(is_limited: bool) -> tuple[pa.Table, ...]:
    """Return the rows of the marts recommendations and decisions, with or without limits."""
    blocks = list((_within()[0] if is_limited else _free()).blocks())
    return tuple(pa.concat_tables([getattr(one, name) for one in blocks]) for name in ("recommendations", "decisions"))


def test_the_offers_of_a_run_hold_every_limit() -> None:
    offers = _rows(True)[0].to_pandas()
    cost = builders.settings().contact_cost_minor
    assert offers["channel"].map(cost).sum() <= 6000
    of_product, of_channel = offers["product_id"].value_counts(), offers["channel"].value_counts()
    assert of_product.get("index_fund", 0) <= 60
    assert of_product.get("premium_account", 0) <= 100
    assert of_channel.get("phone", 0) <= 5
    assert of_product["debit_card"] >= 0.1 * len(offers)


def test_the_rows_of_the_limits_say_what_the_offers_use() -> None:
    offers = _rows(True)[0].to_pandas()
    rows = {(row["kind"], row["subject"]): row for row in _tables()["allocation_limits"].to_pylist()}
    assert len(rows) == 5
    assert rows["product_capacity", "index_fund"]["used"] == (offers["product_id"] == "index_fund").sum()
    assert rows["min_share", "debit_card"]["used"] == pytest.approx((offers["product_id"] == "debit_card").mean())
    assert rows["budget", None]["wanted"] > 6000
    assert all(row["binds"] == (row["shadow_price_minor"] > 0) for row in rows.values())


def test_every_limit_and_measure_has_a_row_and_a_sentence_in_both_languages() -> None:
    measures = _tables()["allocation"].to_pylist()
    assert all(row["text"] and row["text_zh"] for row in measures)
    assert len({row["measure"] for row in measures}) == 9


def test_the_offers_come_within_two_percent_of_the_printed_bound() -> None:
    measures = {row["measure"]: row["value"] for row in _tables()["allocation"].to_pylist()}
    offers = _rows(True)[0]
    assert measures["value_minor"] == pc.sum(offers["expected_value_minor"]).as_py()
    assert 0.98 <= measures["share_of_bound"] <= 1
    assert measures["value_without_limits_minor"] == pc.sum(_rows(False)[0]["expected_value_minor"]).as_py()


def test_no_pair_that_a_gate_refused_is_offered_and_the_refusals_stay_as_they_were() -> None:
    free, held = _rows(False)[1], _rows(True)[1]
    assert held["refused_mask"].equals(free["refused_mask"])
    assert pc.max(held.filter(pc.is_valid(held["rank"]))["refused_mask"]).as_py() == 0


def test_one_customer_is_decided_again_to_the_bit_also_where_the_repair_had_a_hand() -> None:
    prepared, changes = _within()[0], _tables()["allocation_changes"]
    bundle = Bundle.from_json(prepared.bundle.to_json())
    repaired = changes.filter(pc.not_equal(changes["by_prices"], changes["offered"]))["customer_id"].to_pylist()
    priced = sorted(set(changes["customer_id"].to_pylist()) - set(repaired))
    assert repaired
    for customer in (repaired[0], priced[0], priced[-1]):
        again = _again(prepared, bundle, customer, changes)
        for name, rows in zip(("recommendations", "decisions"), _rows(True), strict=True):
            assert again[name].equals(rows.filter(pc.equal(rows["customer_id"], customer)).combine_chunks())


def _again(prepared: Prepared, bundle: Bundle, customer: str, changes: pa.Table) -> dict[str, pa.Table]:
    """Decide again for one customer of a run from what it keeps."""
    looked_at = pa.concat_tables([ledger.input_rows(block) for block in prepared.decision_blocks()])
    inputs = looked_at.filter(pc.equal(looked_at["customer_id"], customer))
    lent = builders.lent(builders.bank(CUSTOMERS)[3])
    block = ledger.block_of(inputs, prepared.base.features, bundle.features, lent)
    return ledger.again(block, bundle, changes)


def test_without_limits_there_are_no_prices_no_rows_and_the_bundle_reads_as_before() -> None:
    assert not _settings({}).is_on
    assert '"prices"' not in _free().bundle.to_json()
    empty = allotment_rows.tables(None, pa.array(["C1"]), ("fund",), ("push",))
    for mart in ALLOCATION_MARTS:
        assert empty[mart.name].num_rows == 0
        assert empty[mart.name].schema.equals(arrow_schema(mart))
        assert _tables()[mart.name].schema.equals(arrow_schema(mart))


def test_limits_on_what_the_bank_does_not_have_are_named_all_together() -> None:
    wrong = _settings(
        {"product_capacity": {"index_fnd": 5}, "channel_capacity": {"post": 1}, "min_share": {"gold": 0.1}}
    )
    with pytest.raises(SettingsFault) as fault:
        allotment.limits_of(wrong, _free().bundle)
    assert len(fault.value.faults) == 2
    assert 'Did you mean "index_fund"' in fault.value.sentence


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"min_share": {"fund": 0.7, "card": 0.5}}, "sum to 1.2"),
        ({"min_share": {"fund": 0.1}, "product_capacity": {"fund": 0}}, "nothing at all could be offered"),
        ({"min_share": {"fund": 5}}, "min_share.fund = 5"),
        ({"budget": 100}, "no such setting"),
        ({"budget_minor": -1}, "budget_minor"),
        ({"channel_capacity": {"pigeon": 3}}, "channel_capacity.pigeon"),
    ],
)
def test_limits_that_cannot_hold_are_refused_with_a_sentence(flags: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsFault, match=said):
        _settings(flags)


DRAWS = {"strategy": "epsilon_greedy", "epsilon": 0.5, "control": {"share": 0.1, "serves": "nothing"}}


@cache
def _drawn() -> tuple[Prepared, Allotment]:
    free = replace(_free(), bundle=builders.exploring(_free().bundle, DRAWS, {"block_customers": 400}))
    # even draws name these policies thrice as often as the best offers would, so that their price is too low
    limits = {name: of for name, of in LIMITS.items() if name != "min_share"}
    limits["product_capacity"] = {"index_fund": 60, "health_insurance": 8, "home_insurance": 10}
    return allotment.within(free, _settings(limits), seed=1)


def test_limits_hold_where_offers_are_drawn_and_what_is_withdrawn_leaves_no_chance_behind() -> None:
    prepared, made = _drawn()
    blocks = list(prepared.blocks())
    offers = pa.concat_tables([one.recommendations for one in blocks]).to_pandas()
    assert offers["channel"].map(builders.settings().contact_cost_minor).sum() <= 6000
    assert (offers["product_id"] == "index_fund").sum() <= 60
    assert (offers["selection"] == "explored").any()
    # nothing is added to what was drawn
    assert not (made.offered & ~made.by_prices).any()
    withdrawn = made.by_prices & ~made.offered
    touched = set(prepared.base.customer_ids.take(pa.array(withdrawn.any(axis=1).nonzero()[0])).to_pylist())
    assert touched
    unknown = offers["selection_probability"].isna()
    assert (unknown == offers["customer_id"].isin(touched)).all()
    control = pa.concat_tables([one.control for one in blocks])
    assert control.num_rows > 0
    assert not offers["customer_id"].isin(control["customer_id"].to_pylist()).any()


def test_one_customer_is_drawn_for_again_to_the_bit_under_limits() -> None:
    prepared, made = _drawn()
    ids, names = prepared.base.customer_ids, prepared.bundle.catalogue.product_ids
    channels = tuple(prepared.bundle.settings.contact_cost_minor)
    changes = allotment_rows.tables(made, ids, names, channels)["allocation_changes"]
    bundle = Bundle.from_json(prepared.bundle.to_json())
    rows = pa.concat_tables([one.recommendations for one in prepared.blocks()])
    withdrawn = (made.by_prices & ~made.offered).any(axis=1).nonzero()[0]
    for row in (0, 7, *withdrawn[:3]):
        customer = ids[int(row)].as_py()
        again = _again(prepared, bundle, customer, changes)
        expected = rows.filter(pc.equal(rows["customer_id"], customer)).combine_chunks()
        assert again["recommendations"].equals(expected)


def test_a_minimum_share_is_refused_where_offers_are_drawn() -> None:
    free = replace(_free(), bundle=builders.exploring(_free().bundle, DRAWS))
    with pytest.raises(SettingsFault, match="adding offers that nobody drew"):
        allotment.within(free, _settings(LIMITS), seed=1)
