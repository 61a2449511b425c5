"""Offers counted by group beside the decisions, and what is held back for them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pyarrow as pa
import pytest

from engine.config.load import load
from engine.config.risk import RiskSettings
from engine.recommendations import fairness
from engine.recommendations.fairness import GroupCounts
from engine.recommendations.gates import GATES
from engine.recommendations.recommend import Prepared
from engine.workflows.stages import offer_fairness
from engine.workflows.stages.offer_fairness import UNEXPLAINED
from tests.engine.recommendations import builders

SETTINGS = load(RiskSettings, "risk").fairness


def _counts(**groups: tuple[int, int, int]) -> GroupCounts:
    """Return the counts of one product: customers, eligible and offered of each group."""
    customers, eligible, offered = (np.array(column) for column in zip(*groups.values(), strict=True))
    one = {"customers": {"gender": customers}, "eligible": {"gender": eligible[:, None]}}
    return GroupCounts(names={"gender": tuple(groups)}, offered={"gender": offered[:, None]}, **one)


def _verdicts(counts: GroupCounts, decisive: tuple[str, ...] = ()) -> dict[str, str]:
    rows = offer_fairness.judged(counts, ("fund",), SETTINGS, decisive)
    return {row["group"]: row["verdict"] for row in rows}


def test_difference_that_gates_explain_is_no_reason_to_hold_back() -> None:
    # 10 % against 20 %, but half as many are eligible, and of these 20 % are offered it as of the others
    assert _verdicts(_counts(f=(1000, 500, 100), m=(1000, 1000, 200))) == {"f": "explained", "m": "reference"}


def test_difference_among_the_eligible_beyond_chance_is_unexplained() -> None:
    # all are eligible: 10 % against 20 % of 1,000 each
    assert _verdicts(_counts(f=(1000, 1000, 100), m=(1000, 1000, 200))) == {"f": UNEXPLAINED, "m": "reference"}


def test_difference_of_a_few_offers_may_be_chance() -> None:
    # 5 % against 10 % of 40 each: 2 and 4 offers
    assert _verdicts(_counts(f=(40, 40, 2), m=(40, 40, 4))) == {"f": "may_be_chance", "m": "reference"}


def test_four_fifths_exactly_passes_and_groups_too_small_are_not_judged() -> None:
    found = _verdicts(_counts(f=(1000, 1000, 160), m=(1000, 1000, 200), o=(29, 29, 0), x=(9, 9, 0)))
    assert found == {"f": "pass", "m": "reference", "o": "insufficient", "x": "suppressed"}


def test_too_few_eligible_cannot_be_assessed() -> None:
    # the 29 eligible of the first group are fewer than are judged
    assert _verdicts(_counts(f=(1000, 29, 1), m=(1000, 900, 200))) == {"f": "not_assessable", "m": "reference"}


def test_only_decisive_attributes_hold_back_and_nothing_is_shown_of_a_small_group() -> None:
    counts = _counts(f=(1000, 1000, 100), m=(1000, 1000, 200), x=(9, 9, 0))
    held, reported = (
        {row["group"]: row for row in offer_fairness.judged(counts, ("fund",), SETTINGS, decisive)}
        for decisive in (("gender",), ("age_band",))
    )
    assert (held["f"]["held_back"], reported["f"]["held_back"]) == (True, False)
    assert "customers" not in held["x"]
    assert held["f"]["text"] == (
        "gender, f: offered to 10.00%, 0.50 of the rate of m, 0.50 among the eligible: beyond chance and not explained "
        "by what law and risk demand. Held back for review."
    )


def test_rate_ratio_of_the_published_case() -> None:
    # selected 500 women and 1,000 men, not selected 20,000 and 18,000: (500 / 20,500) / (1,000 / 19,000)
    ratios = fairness.rate_ratios(np.array([500, 1000]), np.array([20_500, 19_000]))
    assert ratios == pytest.approx([0.4634, 2.1579], abs=5e-5)
    # nobody else is offered it: no ratio, and not infinity
    assert np.isnan(fairness.rate_ratios(np.array([5, 0]), np.array([10, 10]))[0])


@cache
def _prepared() -> Prepared:
    return builders.prepared(3000, {"block_customers": 700})


def _by_savings() -> fairness.Groups:
    """Group customers by whether their savings are among the highest, who are offered the index fund more often."""
    savings = builders.bank(3000)[0].features["savings"].to_numpy()
    rich = savings > np.quantile(savings, 0.8)
    return fairness.groups_of({"gender": pa.array(np.where(rich, "male", "female"))})


def test_counts_of_blocks_are_those_of_the_decisions() -> None:
    prepared = _prepared().among(_by_savings())
    counts = prepared.offers_by_group()
    blocks = list(prepared.blocks())
    assert counts is not None
    assert counts.customers["gender"].sum() == 3000
    assert counts.offered["gender"].sum() == sum(block.recommendations.num_rows for block in blocks)
    assert np.all(counts.offered["gender"] <= counts.eligible["gender"])
    total = blocks[0].by_group
    for block in blocks[1:]:
        total += block.by_group
    assert np.array_equal(total.offered["gender"], counts.offered["gender"])


def test_groups_change_no_decision() -> None:
    plain = [block.decisions for block in _prepared().blocks()]
    for seed in (1, 2):
        random = np.random.default_rng(seed)
        groups = fairness.groups_of({"gender": pa.array(random.choice(["female", "male", ""], 3000))})
        grouped = [block.decisions for block in _prepared().among(groups).blocks()]
        assert all(one.equals(other) for one, other in zip(plain, grouped, strict=True))


def test_held_back_product_is_offered_to_nobody_and_carries_the_reason() -> None:
    prepared = _prepared().among(_by_savings())
    products = prepared.bundle.catalogue.product_ids
    rows = offer_fairness.judged(prepared.offers_by_group(), products, SETTINGS, ("gender",))
    held = [row["product_id"] for row in rows if row["held_back"]]
    assert held
    bit = [gate.name for gate in GATES].index("fairness_review")
    after = prepared.holding_back(np.isin(np.array(products), held))
    for block in after.blocks():
        assert not set(held) & set(block.recommendations["product_id"].to_pylist())
        refused = [row for row in block.decisions.to_pylist() if row["refused_mask"] >> bit & 1]
        assert {row["product_id"] for row in refused} == set(held)
    assert after.bundle.digest() != prepared.bundle.digest()


def test_holding_back_lets_no_pair_pass_that_was_refused() -> None:
    prepared = _prepared()
    size = prepared.bundle.catalogue.size
    after = prepared.holding_back(np.arange(size) % 3 == 0)
    for one, other in zip(prepared.blocks(), after.blocks(), strict=True):
        before, now = (block.decisions["refused_mask"].to_numpy() for block in (one, other))
        assert not ((now == 0) & (before != 0)).any()


def test_bundle_remembers_what_was_held_back() -> None:
    bundle = _prepared().holding_back(np.arange(24) == 3).bundle
    again = type(bundle).from_json(bundle.to_json())
    assert np.flatnonzero(again.catalogue.under_review).tolist() == [3]
    assert replace(bundle).digest() == again.digest()


def test_a_run_says_in_short_what_it_held_back_and_what_it_only_saw() -> None:
    counts = _counts(f=(1000, 1000, 100), m=(1000, 1000, 200))
    fair = offer_fairness.OfferFairness(settings=SETTINGS, products=("fund",), counts=counts)
    assert fair.notes() == [
        "fairness: offers of 1 products by gender differ beyond chance, unexplained: see offer_fairness."
    ]
    fair.decisive = ("gender",)
    assert fair.notes() == ["fairness: held back from everybody until a person has looked: fund."]
    assert offer_fairness.OfferFairness(settings=SETTINGS, products=("fund",)).notes() == []
