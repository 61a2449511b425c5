"""A live decision on one customer has the bits of the run's, wherever nothing happened since."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from engine.config.allocation import AllocationSettings
from engine.config.load import load
from engine.recommendations import allotment, allotment_rows, households, ledger, records
from engine.recommendations.allotment import Allotment
from engine.recommendations.live import Since
from engine.recommendations.recommend import Prepared
from engine.workflows.live_decisions import Asking, decided
from engine.workflows.live_requests import LiveRequest, Wanted, wanted
from engine.workflows.live_snapshots import settled
from tests.engine.recommendations import builders
from tests.engine.workflows.live_homes import live_settings

CUSTOMERS = 1_200
LIMITS = {
    "sample_customers": 300,
    "budget_minor": 6_000,
    "product_capacity": {"index_fund": 60, "premium_account": 100},
}
NOTHING = Since(contacts=(0, 0, 0, 0), unanswered=0, days_since_contact=None, days_since_complaint=None, suppressed=())
EVERYTHING = wanted(LiveRequest(customer_id="C1", offers=3), live_settings())


def asking(want: Wanted = EVERYTHING, happened: Since = NOTHING) -> Asking:
    return Asking(want=want, happened=happened, at=builders.AS_OF)


@cache
def _plain() -> Prepared:
    return builders.prepared(CUSTOMERS, {"block_customers": 400}, meanings={"savings": ("savings", "储蓄")})


@cache
def _limited() -> tuple[Prepared, Allotment]:
    drawing = {"strategy": "softmax", "control": {"share": 0.1}}
    drawn = builders.exploring(_plain().bundle, drawing, {"block_customers": 400})
    return allotment.within(
        replace(_plain(), bundle=drawn), load(AllocationSettings, "allocation", flags=LIMITS), seed=1
    )


def _drawn_within_limits() -> Prepared:
    return _limited()[0]


@cache
def _changes() -> pa.Table:
    """What the repair of the allocation did, as the run writes it."""
    prepared, made = _limited()
    channels = tuple(prepared.bundle.settings.contact_cost_minor)
    ids = prepared.base.customer_ids
    return allotment_rows.tables(made, ids, prepared.bundle.catalogue.product_ids, channels)["allocation_changes"]


@cache
def _in_households() -> Prepared:
    """Four to a household whose caps leave none to three contacts, so that some give way."""
    random, base = np.random.default_rng(4), _plain().base
    home = random.permutation(np.arange(CUSTOMERS) % (CUSTOMERS // 4))
    counted = random.integers(5, 9, CUSTOMERS // 4)[home]
    profile = base.profile
    for column, values in (
        ("household_id", pa.array([f"H{number:05d}" for number in home])),
        ("contacts_household_month", pa.array(counted)),
    ):
        profile = profile.set_column(profile.column_names.index(column), column, values)
    changed = replace(base, profile=profile)
    return replace(_plain(), base=changed, withheld=households.resolve(changed, _plain().bundle))


def _for_all(name: str, prepared: Prepared) -> dict[str, pa.Table]:
    products = prepared.bundle.catalogue.product_ids
    marts = {"withheld_contacts": prepared.withheld.table(prepared.base, products)}
    return marts | ({"allocation_changes": _changes()} if name == "drawn within limits" else {})


@pytest.mark.parametrize(
    ("name", "prepare"),
    [("plain", _plain), ("drawn within limits", _drawn_within_limits), ("in households", _in_households)],
)
def test_a_thousand_customers_one_by_one_are_decided_as_in_the_run_to_the_bit(name: str, prepare: Any) -> None:
    prepared = prepare()
    bundle, for_all = prepared.bundle, _for_all(name, prepared)
    offered, drawn, refused = 0, set[str](), 0
    for block, written in zip(prepared.decision_blocks(), prepared.blocks(), strict=True):
        kept = records.records_of(block, settled(block, bundle, for_all))
        ids = block.customer_ids.to_pylist()
        offers: dict[str, list[dict[str, Any]]] = {one: [] for one in ids}
        for row in written.recommendations.to_pylist():
            offers[row["customer_id"]].append(row)
        rows = written.decisions.to_pylist()
        size = bundle.catalogue.size
        for place, customer_id in enumerate(ids):
            made = decided(bundle, *records.block_of(kept[place : place + 1], [customer_id]), [asking()])
            mine = rows[place * size : (place + 1) * size]
            outcome = json.loads(made.outcome(0))
            assert outcome["propensity"] == [row["propensity"] for row in mine]
            assert outcome["value"] == [row["expected_value_minor"] for row in mine]
            assert outcome["refused"] == [row["refused_mask"] for row in mine]
            assert outcome["rank"] == [row["rank"] or 0 for row in mine]
            shown = made.shown(0, EVERYTHING)
            assert _as_written(shown) == [_as_in_mart(row) for row in offers[customer_id]]
            chances = {row["product_id"]: row["selection_probability"] for row in offers[customer_id]}
            assert outcome["chance"] == [chances.get(product) for product in bundle.catalogue.product_ids]
            offered, refused = offered + len(shown), refused + (not shown)
            drawn |= {one["selection"] for one in shown}
            assert shown or made.reasons(0)
    assert offered > 100
    assert refused > 100
    assert drawn == ({"best", "explored", "control"} if name == "drawn within limits" else {"best"})


def _as_written(shown: list[dict[str, Any]]) -> list[dict[str, Any]]:
    flat = []
    for one in shown:
        said = one.pop("reasons")
        for place in (1, 2):
            reason = said[place - 1] if len(said) >= place else {"text_en": None, "text_zh": None}
            one |= {f"reason_{place}": reason["text_en"], f"reason_{place}_zh": reason["text_zh"]}
        flat.append(one)
    return flat


def _as_in_mart(row: dict[str, Any]) -> dict[str, Any]:
    left_out = (
        "customer_id", "decision_id", "lever", "contact_hour_reason", "contact_hour_reason_zh", "track_reason",
        "track_reason_zh", "break_even_default_probability",
    )  # fmt: skip
    return {name: value for name, value in row.items() if name not in left_out}


def test_many_rows_together_have_the_bits_of_each_alone() -> None:
    prepared = _drawn_within_limits()
    block = next(prepared.decision_blocks())
    kept = records.records_of(block, settled(block, prepared.bundle, _for_all("drawn within limits", prepared)))
    ids = block.customer_ids.to_pylist()
    wants = [asking(wanted(LiveRequest(customer_id="C1", channel=name, seen=("index_fund",)), live_settings()))
             for name in ("sms", "web", None, "email")]  # fmt: skip
    asked = [wants[place % 4] for place in range(len(ids))]
    together = decided(prepared.bundle, *records.block_of(kept, ids), asked)
    for place in range(0, len(ids), 7):
        alone = decided(prepared.bundle, *records.block_of(kept[place : place + 1], [ids[place]]), [asked[place]])
        assert alone.outcome(0) == together.outcome(place)


def test_a_record_gives_the_very_block_back_and_its_fingerprint_tells_the_last_bit() -> None:
    block = next(_plain().decision_blocks())
    kept = records.records_of(block, settled(block, _plain().bundle, {}))
    again, _ = records.block_of(kept, block.customer_ids.to_pylist())
    assert ledger.fingerprint(again) == ledger.fingerprint(block)
    one = kept[:1].copy()
    same = records.fingerprint(one, "C0000000")
    assert same == records.fingerprint(kept[:1], "C0000000") != records.fingerprint(one, "C0000001")
    one["income"] = np.nextafter(one["income"], np.inf)
    assert np.isnan(one["income"][0]) or records.fingerprint(one, "C0000000") != same
