"""Offers give products a treatment, levers reorder what is allowed, and what does not fit is said."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import cache
from typing import Any

import numpy as np
import pytest

from engine.config.catalogue import CatalogueSettings
from engine.config.load import load
from engine.domain.errors import SettingsFault
from engine.recommendations import channels, offers
from engine.recommendations.bundle import Bundle
from engine.recommendations.decide import assess, decide, recommendation_rows
from engine.recommendations.frame import DecisionBlock
from engine.recommendations.gates import GATES
from engine.recommendations.products import Catalogue, plain_catalogue
from engine.recommendations.recommend import Prepared
from engine.recommendations.sanity import EVERYTHING, nobody, shut_out
from tests.engine.recommendations import builders

CHANNELS = tuple(builders.settings().contact_cost_minor)
SPRING = {"offer_id": "spring", "product_id": "index_fund"}


def offered(flags: dict[str, Any] | None = None) -> CatalogueSettings:
    return load(CatalogueSettings, "catalogue", flags=flags)


def of_day(flags: dict[str, Any], **products: dict[str, Any]) -> Catalogue:
    rows = builders.products().to_pylist()
    changed = [row | products.get(row["product_id"], {}) for row in rows]
    return offers.catalogue(builders.products(changed), builders.AS_OF, builders.settings(), offered(flags))


@cache
def _prepared() -> Prepared:
    return builders.prepared(800)


@cache
def _block() -> DecisionBlock:
    return next(_prepared().decision_blocks())


def _bundle(flags: dict[str, Any]) -> Bundle:
    return replace(_prepared().bundle, catalogue=of_day(flags))


def test_without_offers_and_levers_the_catalogue_is_that_of_the_products() -> None:
    plain = of_day({})
    assert plain.offers is None
    assert plain.lever.tolist() == [1.0] * 24
    assert offered().is_plain


def test_levers_of_an_issue_a_group_and_a_product_add_up_as_percent() -> None:
    found = of_day(
        {
            "offers": [SPRING | {"issue": "growth"}],
            "levers": {"issue": {"growth": 30}, "family": {"investment": 10}, "product": {"index_fund": 15}},
        }
    )
    # 30 + 10 + 15 = 55 percent: 1 + 55 / 100
    assert found.lever[found.product_ids.index("index_fund")] == pytest.approx(1.55)
    assert found.lever[found.product_ids.index("managed_portfolio")] == pytest.approx(1.10)
    assert found.lever[found.product_ids.index("debit_card")] == 1.0


def test_an_offer_stands_in_for_what_it_names_and_leaves_the_rest() -> None:
    plain = of_day({})
    terms = {"annual_margin_minor": 777, "lgd": 0.3, "exposure_minor": 500_000, "contact_cost_minor": 9}
    found = of_day({"offers": [{"offer_id": "easy", "product_id": "personal_loan"} | terms]})
    at = found.product_ids.index("personal_loan")
    assert (found.margin[at], found.lgd[at], found.amount[at], found.offer_cost[at]) == (777, 0.3, 500_000, 9)
    # the instalment is that of the amount that is lent
    assert found.instalment[at] < plain.instalment[at]
    others = np.arange(24) != at
    for name in ("margin", "lgd", "amount", "instalment"):
        assert np.array_equal(getattr(found, name)[others], getattr(plain, name)[others], equal_nan=True)
    assert found.offers is not None
    assert found.offers.offer_ids[at] == "easy"


@pytest.mark.parametrize(
    ("dates", "on_sale"),
    [
        ({}, True),
        ({"valid_from": date(2026, 6, 30)}, True),
        ({"valid_until": date(2026, 6, 30)}, True),
        ({"valid_from": date(2026, 7, 1)}, False),
        ({"valid_until": date(2026, 6, 29)}, False),
    ],
)
def test_a_product_whose_offer_does_not_hold_on_the_day_is_not_on_sale(dates: dict[str, date], on_sale: bool) -> None:
    found = of_day({"offers": [SPRING | dates]})
    assert found.on_sale[found.product_ids.index("index_fund")] == on_sale


def test_offers_of_one_product_follow_each_other_by_their_dates() -> None:
    first = SPRING | {"valid_until": date(2026, 6, 29), "annual_margin_minor": 1}
    then = {"offer_id": "summer", "product_id": "index_fund", "valid_from": date(2026, 6, 30)}
    found = of_day({"offers": [first, then | {"annual_margin_minor": 2}]})
    assert found.margin[found.product_ids.index("index_fund")] == 2


def test_an_offer_goes_out_on_its_channels_only_and_costs_what_it_costs() -> None:
    everything = [
        {"offer_id": f"o_{product}", "product_id": product, "channels": ["phone"]}
        for product in _prepared().bundle.catalogue.product_ids
    ]
    table, plain = decide(_block(), _bundle({"offers": everything})), decide(_block(), _prepared().bundle)
    phone, agreed = CHANNELS.index("phone"), _block().consent[:, CHANNELS.index("phone")]
    assert set(table.channel[table.offer_rows]) <= {phone}
    assert len(table.offer_rows)
    bit = np.uint64(1 << [gate.name for gate in GATES].index("offer_channel"))
    refused = (table.masks & bit) != 0
    reachable = plain.channel >= 0
    # who could be reached, but not by phone, is refused for that; who cannot be reached at all has other gates
    assert refused[reachable & ~agreed].all()
    assert not refused[~reachable].any()
    assert not (plain.masks & bit).any()


def test_an_offer_that_may_go_out_on_no_tried_channel_goes_out_on_one_that_was_agreed_to() -> None:
    bundle = builders.responding(_prepared().bundle)
    assert bundle.responses is not None
    assert dict(zip(CHANNELS, bundle.responses.tried.tolist(), strict=True))["post"] is False
    # push is the cheapest of all, and nobody agreed to it
    catalogue = of_day({"offers": [SPRING | {"channels": ["push", "post"]}]})
    fund = catalogue.product_ids.index("index_fund")
    bundle = replace(bundle, catalogue=replace(catalogue, margin=np.where(np.arange(24) == fund, 1e7, np.nan)))
    view = _block().one(0).view
    owned = np.array([[place == catalogue.needs[fund] for place in range(24)]])
    customer = builders.good_customer(
        catalogue,
        consent=np.array([[name in ("email", "post") for name in CHANNELS]]),
        view=replace(view, owned=owned),
    )
    table = decide(customer, bundle)
    assert [catalogue.product_ids[place] for place in table.offer_products] == ["index_fund"]
    assert CHANNELS[table.channel[0]] == "post"
    assert channels.REASONS[table.channel_reason[0]].name == "of_the_offer"


def test_a_dear_offer_is_worth_less_by_just_what_it_costs() -> None:
    dear = _bundle({"offers": [SPRING | {"contact_cost_minor": 40}]})
    at = dear.catalogue.product_ids.index("index_fund")
    less = decide(_block(), _prepared().bundle).value[:, at] - decide(_block(), dear).value[:, at]
    # values are rounded to whole minor units, and 40 is one
    assert set(less.tolist()) == {40.0}


def test_rows_name_the_offer_and_the_lever() -> None:
    bundle = _bundle({"offers": [SPRING], "levers": {"product": {"index_fund": 900}}})
    rows = recommendation_rows(decide(_block(), bundle), bundle, bundle.digest()).to_pylist()
    told = {(row["product_id"], row["offer_id"], row["lever"]) for row in rows}
    assert ("index_fund", "spring", 10.0) in told
    assert all(offer == product and lever == 1.0 for product, offer, lever in told if product != "index_fund")


def test_a_lever_of_a_thousand_percent_brings_its_product_to_the_front_of_what_is_allowed() -> None:
    bundle = _bundle({"levers": {"product": {"index_fund": 100_000}}})
    at = bundle.catalogue.product_ids.index("index_fund")
    table = decide(_block(), bundle)
    assert (table.rank[table.masks[:, at] == 0, at] == 1).mean() > 0.9
    assert (table.rank[table.masks[:, at] != 0, at] == 0).all()


def test_bundle_with_offers_survives_being_written_and_read() -> None:
    bundle = _bundle({"offers": [SPRING], "levers": {"family": {"card": 12.5}}})
    again = Bundle.from_json(bundle.to_json())
    assert again.digest() == bundle.digest()
    assert decide(_block(), again).rank.tobytes() == decide(_block(), bundle).rank.tobytes()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"levers": {"product": {"index_fund": float("inf")}}}, "levers.product.index_fund = inf: .*finite"),
        ({"levers": {"product": {"index_fund": float("nan")}}}, "finite"),
        ({"levers": {"issue": {"growth": float("-inf")}}}, "levers.issue.growth = -inf: .*finite"),
        ({"levers": {"family": {"card": 1e308}, "product": {"debit_card": 1e308}}}, "less than or equal to 1000000"),
        ({"offers": [SPRING | {"contact_cost_minor": -1}]}, "offers.0.contact_cost_minor"),
        ({"offers": [SPRING | {"lgd": float("nan")}]}, "offers.0.lgd"),
        ({"offers": [SPRING | {"valid_from": date(2026, 5, 2), "valid_until": date(2026, 5, 1)}]}, "it never holds"),
        ({"offers": [SPRING, SPRING | {"product_id": "debit_card"}]}, "spring is there twice"),
        ({"offers": [SPRING, SPRING | {"offer_id": "other"}]}, "spring holds for index_fund on some of the same days"),
        ({"offers": [SPRING | {"channels": ["pigeon"]}]}, "offers.0.channels"),
        ({"offers": [SPRING | {"margin": 3}]}, "no such setting"),
        ({"offers": [SPRING | {"lgd": 1.5}]}, "offers.0.lgd"),
    ],
)
def test_settings_that_contradict_themselves_are_refused_in_a_sentence(flags: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsFault, match=said):
        offered(flags)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"offers": [SPRING | {"product_id": "index_fnd"}]}, 'Did you mean "index_fund"'),
        ({"offers": [SPRING | {"lgd": 0.4}]}, "index_fund is no credit"),
        ({"levers": {"product": {"gold": 5}}}, "levers.product.gold"),
        ({"levers": {"offer": {"autumn": 5}}}, "levers.offer.autumn"),
        ({"levers": {"family": {"gold": 5}}}, "levers.family.gold"),
        ({"levers": {"product": {"index_fund": -150}}}, "those of index_fund add up to -150 %"),
        ({"levers": {"issue": {"growth": 5}}}, "levers.issue.growth"),
        ({"levers": {"family": {"card": -60}, "product": {"debit_card": -60}}}, "add up to -120 %"),
    ],
)
def test_what_does_not_fit_the_bank_is_refused_in_a_sentence(flags: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsFault, match=said):
        of_day(flags)


@pytest.mark.parametrize(
    ("product", "changes", "gate", "said"),
    [
        ("index_fund", {"annual_margin_minor": None}, "negative_value", "has no margin"),
        ("index_fund", {"min_age": 60, "max_age": 50}, "age", "at least 60 and at most 50"),
        ("index_fund", {"requires_product_id": "gold"}, "prerequisite", "does not sell"),
        ("index_fund", {"requires_product_id": "index_fund"}, "prerequisite", "in the end needs this one"),
        ("index_fund", {"sold_until": date(2020, 1, 1)}, "not_on_sale", "not on sale"),
        ("personal_loan", {"lgd": None}, "negative_value", "LGD"),
        ("personal_loan", {"annual_rate": None}, "affordability", "instalment is unknown"),
        ("mortgage", {"typical_term_months": 12 * 99}, "term_too_long", "runs for 99 years"),
    ],
)
def test_a_product_that_nobody_can_be_offered_is_named_with_its_gate_and_the_gate_does_it(
    product: str, changes: dict[str, Any], gate: str, said: str
) -> None:
    found = of_day({}, **{product: changes})
    told = [one for one in shut_out(found, builders.settings()) if one.product_id == product]
    assert gate in [one.gate for one in told]
    assert any(said in one.sentence for one in told)
    bit = np.uint64(1 << [one.name for one in GATES].index(gate))
    masks = assess(_block(), replace(_prepared().bundle, catalogue=found)).masks[:, found.product_ids.index(product)]
    # whoever holds a product that needs itself is refused it for that instead
    held = _block().view.owned[:, found.product_ids.index(product)]
    assert (((masks & bit) != 0) | held).all()
    assert (masks != 0).all()


def test_the_banks_own_products_are_all_for_somebody() -> None:
    assert shut_out(builders.demo_catalogue(), builders.settings()) == ()


def test_a_policy_that_allows_no_contact_is_named_for_everything() -> None:
    policies = builders.settings({"contact": {"caps": {"customer_month": {"max_contacts": 0}}}})
    (told,) = shut_out(builders.demo_catalogue(), policies)
    assert (told.product_id, told.gate) == (EVERYTHING, "contact_cap")


def test_products_nobody_of_a_block_passes_for_are_named_with_the_gate_that_refuses_most() -> None:
    found = replace(builders.demo_catalogue(), on_sale=np.arange(24) != 3)
    masks = assess(_block(), replace(_prepared().bundle, catalogue=found)).masks
    told = {one.product_id: one for one in nobody(masks, found)}
    one = told[found.product_ids[3]]
    assert one.gate == "not_on_sale"
    assert "refuses it to all" in one.sentence
    assert nobody(masks[:0], found) == ()
    assert plain_catalogue(builders.products(), builders.AS_OF, 0.05).offers is None
