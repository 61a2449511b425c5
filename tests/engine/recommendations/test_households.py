"""Members of a household whose caps leave fewer contacts than there are members to reach."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config.allocation import AllocationSettings
from engine.config.load import load
from engine.recommendations import allotment, frame, households, ledger
from engine.recommendations.decide import assess, decide
from engine.recommendations.recommend import Prepared
from tests.engine.recommendations import builders

CUSTOMERS = 1200
HOMES = 300


@cache
def _free() -> Prepared:
    return builders.prepared(CUSTOMERS, {"block_customers": 250})


def _at_home(home: np.ndarray, counted: np.ndarray, flags: dict[str, Any] | None = None) -> Prepared:
    """Return customers in numbered households, -1 for none, that were contacted so often, with who gives way."""
    free = _free()
    names = pa.array([f"H{number:05d}" for number in home], mask=home < 0)
    profile = free.base.profile
    for column, values in (("household_id", names), ("contacts_household_month", pa.array(counted))):
        profile = profile.set_column(profile.column_names.index(column), column, values)
    base = replace(free.base, profile=profile)
    bundle = replace(free.bundle, settings=builders.settings({"block_customers": 250} | (flags or {})))
    return replace(free, base=base, bundle=bundle, withheld=households.resolve(base, bundle))


@cache
def _homes() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(4)
    # members lie in different blocks; a tenth live alone; caps of 8 leave 0 to 3
    home = np.where(random.random(CUSTOMERS) < 0.1, -1, random.permutation(np.arange(CUSTOMERS) % HOMES))
    counted = random.integers(5, 9, HOMES)[np.maximum(home, 0)]
    return home, counted


@cache
def _prepared() -> Prepared:
    return _at_home(*_homes())


def _offers(prepared: Prepared) -> pd.DataFrame:
    return pa.concat_tables([block.recommendations for block in prepared.blocks()]).to_pandas()


def test_no_household_gets_more_contacts_than_its_caps_leave_and_none_fewer_than_it_can_use() -> None:
    home, counted = _homes()
    prepared = _prepared()
    ids = prepared.base.customer_ids.to_pylist()
    reached = np.isin(ids, _offers(prepared)["customer_id"].unique())
    wanting = np.isin(ids, _offers(replace(prepared, withheld=households.NOBODY))["customer_id"].unique())
    assert len(prepared.withheld.rows) > 20
    for number in range(HOMES):
        members, left = home == number, max(8 - counted[home == number].max(initial=0), 0)
        assert reached[members].sum() == min(wanting[members].sum(), left)
    assert (reached == wanting)[home < 0].all()


def test_those_with_the_best_offers_keep_the_contact_and_the_others_have_a_row_that_says_why() -> None:
    home, _ = _homes()
    prepared = _prepared()
    free = _offers(replace(prepared, withheld=households.NOBODY))
    worth = free[free["rank"] == 1].set_index("customer_id")["expected_value_minor"]
    homes = pd.Series(home, index=prepared.base.customer_ids.to_pylist())
    kept = set(_offers(prepared)["customer_id"])
    rows = prepared.withheld.table(prepared.base, prepared.bundle.catalogue.product_ids).to_pandas()
    assert rows["customer_id"].is_monotonic_increasing
    for row in rows.to_dict("records"):
        others = [one for one in homes.index[homes == homes[row["customer_id"]]] if one in kept]
        assert len(others) == row["household_contacts_left"] < row["household_members_wanting"]
        assert row["best_value_minor"] == worth[row["customer_id"]]
        ahead = [(-worth[one], one) for one in others]
        assert all(one < (-row["best_value_minor"], row["customer_id"]) for one in ahead)
        assert row["reason_code"] == "HOUSEHOLD_CONTACTED"


@given(customers_in_a_block=st.sampled_from([1, 7, 90, 5000]))
@settings(max_examples=4, deadline=None)
def test_who_gives_way_depends_on_no_cut_into_blocks(customers_in_a_block: int) -> None:
    prepared = _prepared()
    cut = builders.settings({"block_customers": customers_in_a_block})
    again = households.resolve(prepared.base, replace(prepared.bundle, settings=cut))
    assert again.rows.tolist() == prepared.withheld.rows.tolist()


def test_customers_picked_from_the_base_are_assessed_as_in_it_to_the_bit() -> None:
    prepared = _prepared()
    rows = np.array([3, 250, 251, 700, 1199])
    how = prepared.bundle.features, prepared.bundle.settings
    picked = next(frame.blocks(frame.picked(prepared.base, rows), *how, 9))
    whole = next(frame.blocks(prepared.base, *how, CUSTOMERS))
    some, everybody = assess(picked, prepared.bundle), assess(whole, prepared.bundle)
    assert some.worth.value.tobytes() == everybody.worth.value[rows].tobytes()
    assert some.masks.tobytes() == everybody.masks[rows].tobytes()


def test_one_who_gives_way_is_decided_again_as_the_run_did() -> None:
    prepared = _prepared()
    table = prepared.withheld.table(prepared.base, prepared.bundle.catalogue.product_ids)
    block = next(prepared.decision_blocks())
    written = next(prepared.blocks())
    again = ledger.again(block, prepared.bundle, None, table)
    assert again["recommendations"].equals(written.recommendations)
    assert again["decisions"].equals(written.decisions)
    assert not again["recommendations"].equals(ledger.again(block, prepared.bundle)["recommendations"])


@pytest.mark.parametrize("limited", [False, True])
def test_draws_do_not_change_who_gives_way_nor_the_chances_of_who_stays(limited: bool) -> None:
    prepared = _prepared()
    exploring = builders.exploring(prepared.bundle, {"strategy": "softmax"}, {"block_customers": 250})
    drawn = replace(prepared, bundle=exploring, withheld=households.resolve(prepared.base, exploring))
    assert drawn.withheld.rows.tolist() == prepared.withheld.rows.tolist()
    if limited:
        limits = load(AllocationSettings, "allocation", flags={"product_capacity": {"index_fund": 30}})
        drawn, _ = allotment.within(drawn, limits, seed=1)
    offers = _offers(drawn)
    gone = prepared.base.customer_ids.take(pa.array(prepared.withheld.rows)).to_pylist()
    assert not offers["customer_id"].isin(gone).any()
    if not limited:
        block = next(prepared.decision_blocks())
        alone = decide(block, exploring)
        first = offers[(offers["rank"] == 1) & offers["customer_id"].isin(block.customer_ids.to_pylist())]
        rows, products = np.nonzero(alone.rank == 1)
        told = dict(zip(block.customer_ids.take(pa.array(rows)).to_pylist(), products, strict=True))
        names = exploring.catalogue.product_ids
        assert all(names[told[row.customer_id]] == row.product_id for row in first.itertuples())
        assert first["selection_probability"].notna().all()


def test_without_households_or_caps_nobody_gives_way() -> None:
    assert len(_free().withheld.rows) == 0
    home, counted = _homes()
    loose = {"contact": {"caps": {"household_month": {"max_contacts": 1000}}}}
    assert len(_at_home(home, counted, loose).withheld.rows) == 0
    empty = households.NOBODY.table(_free().base, ("fund",))
    assert empty.num_rows == 0
    assert pc.count(empty["customer_id"]).as_py() == 0
