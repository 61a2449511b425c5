"""What holds of every live decision, whatever happened since the run and whatever is asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config.live import Placement
from engine.domain.words import CONTACT_CHANNELS
from engine.recommendations import live
from engine.recommendations.frame import DecisionBlock
from engine.recommendations.live import Contact, Since, Suppressed
from engine.recommendations.recommend import Prepared
from engine.recommendations.records import Settled
from engine.workflows.live_decisions import Asking, Decided, decided
from engine.workflows.live_requests import WHERE, LiveRequest, wanted
from tests.engine.recommendations import builders
from tests.engine.workflows.live_homes import live_settings

POLICY = builders.settings().contact
CHANNELS = tuple(builders.settings().contact_cost_minor)
PRODUCTS = sorted(builders.products()["product_id"].to_pylist())
PLACES = live_settings().model_copy(
    update={
        "placements": {"cards": Placement(offers=2, families=("card", "deposit"))},
        "pages": {"/funds": ("investment",)},
    }
)


@cache
def _prepared() -> Prepared:
    return builders.prepared(600)


@cache
def _block() -> DecisionBlock:
    # many with room left under their caps, so that there is something to take away
    block = next(_prepared().decision_blocks())
    return replace(block, contacts=np.minimum(block.contacts, 2), unanswered=np.minimum(block.unanswered, 2))


_contact = st.builds(
    Contact,
    customer_id=st.sampled_from(["C1", "C2"]),
    channel=st.sampled_from([*CONTACT_CHANNELS, "web", None]),
    at=st.integers(-2, 200).map(lambda hours: builders.AS_OF + timedelta(hours=72 - hours)),
)
_cause = st.builds(
    Suppressed,
    channel=st.sampled_from([*CONTACT_CHANNELS, None]),
    since=st.just(builders.AS_OF + timedelta(hours=1)),
    complained=st.booleans(),
)
_now = builders.AS_OF + timedelta(days=3)
_request = st.fixed_dictionaries(
    {
        "channel": st.sampled_from([None, *WHERE]),
        "page": st.sampled_from([None, "/funds", "/elsewhere"]),
        "placement": st.sampled_from([None, "cards"]),
        "basket": st.lists(st.sampled_from(PRODUCTS), max_size=4).map(tuple),
        "seen": st.lists(st.sampled_from(PRODUCTS), max_size=4).map(tuple),
    }
)


def _since(contacts: list[Contact], causes: list[Suppressed]) -> Since:
    own = [one for one in contacts if one.customer_id == "C1"]
    return live.since(own, contacts, causes, policy=POLICY, channels=CHANNELS, now=_now)


def _decided(happened: Since, request: dict[str, Any] | None = None, strategy: str = "best") -> Decided:
    bundle = _prepared().bundle
    if strategy != "best":
        bundle = builders.exploring(bundle, {"strategy": strategy})
    block = _block()
    want = wanted(LiveRequest(customer_id="C1", **(request or {})), PLACES)
    nothing = np.zeros((block.size, len(PRODUCTS)), dtype=bool)
    settled = Settled(withheld=np.zeros(block.size, dtype=bool), given=nothing, taken=nothing)
    return decided(bundle, block, settled, [Asking(want=want, happened=happened, at=_now)] * block.size)


@given(st.lists(_contact, max_size=5), st.lists(_contact, max_size=3), st.lists(_cause, max_size=2))
@settings(max_examples=25, deadline=None)
def test_more_contacts_and_suppressions_never_lift_a_refusal_and_never_bring_an_offer(
    before: list[Contact], more: list[Contact], causes: list[Suppressed]
) -> None:
    loose, strict = _decided(_since(before, [])).table, _decided(_since(before + more, causes)).table
    # every pair that was refused still is, whatever the bits that say why
    assert not (strict.masks == 0)[loose.masks != 0].any()
    offered_then, offered_now = (loose.rank > 0).any(axis=1), (strict.rank > 0).any(axis=1)
    assert not (offered_now & ~offered_then).any()
    everywhere = any(cause.channel is None for cause in causes)
    assert not (everywhere and offered_now.any())


@given(_request, st.lists(_contact, max_size=3), st.sampled_from(["best", "softmax", "epsilon_greedy", "thompson"]))
@settings(max_examples=25, deadline=None)
def test_a_request_changes_no_bit_of_a_refusal_and_offers_only_what_it_asks_for(
    request: dict[str, Any], contacts: list[Contact], strategy: str
) -> None:
    happened = _since(contacts, [])
    wide, narrow = _decided(happened, None, strategy), _decided(happened, request, strategy)
    assert np.array_equal(wide.table.masks, narrow.table.masks)
    offered = narrow.table.rank > 0
    assert not offered[narrow.table.masks != 0].any()
    families = np.array(_prepared().bundle.catalogue.families)
    taken = [product in (*request["basket"], *request["seen"]) for product in PRODUCTS]
    assert not offered[:, np.array(taken)].any()
    if request["placement"]:
        assert not offered[:, ~np.isin(families, ["card", "deposit"])].any()
    if request["channel"] in CONTACT_CHANNELS:
        place = CHANNELS.index(request["channel"])
        assert (narrow.table.channel[offered.any(axis=1)] == place).all()
    # where anything of the page's families is offered, nothing else is
    funds = offered[:, families == "investment"].any(axis=1)
    if request["page"] == "/funds":
        assert not offered[funds][:, families != "investment"].any()
    # what is drawn is drawn among what is left: its chance at the first place is known
    first = narrow.table.rank[narrow.table.offer_rows, narrow.table.offer_products] == 1
    chances = narrow.table.offer_chances[first]
    assert ((chances > 0) & (chances <= 1)).all()


def test_a_page_lets_its_families_go_first_and_without_any_everything_stays() -> None:
    nothing = _since([], [])
    wide = _decided(nothing, {"page": "/elsewhere"}).table
    narrow = _decided(nothing, {"page": "/funds"}).table
    funds = np.array(_prepared().bundle.catalogue.families) == "investment"
    could = ((wide.masks == 0) & funds).any(axis=1)
    assert 20 < could.sum() < len(could) - 20
    assert ((narrow.rank > 0)[could][:, funds].any(axis=1)).mean() > 0.95
    assert np.array_equal(narrow.rank[~could], wide.rank[~could])


def test_an_answer_of_risk_that_ran_out_since_the_run_refuses_everything() -> None:
    block, late = _block(), _now + timedelta(days=400)
    want = wanted(LiveRequest(customer_id="C1"), PLACES)
    nothing = np.zeros((block.size, len(PRODUCTS)), dtype=bool)
    settled = Settled(withheld=np.zeros(block.size, dtype=bool), given=nothing, taken=nothing)
    made = decided(
        _prepared().bundle, block, settled, [Asking(want=want, happened=_since([], []), at=late)] * block.size
    )
    assert not (made.table.rank > 0).any()
    assert {one["code"] for one in made.reasons(0)} >= {"NO_ANSWER_OF_RISK"}


def test_contacts_since_are_counted_by_cap_as_a_run_counts_them() -> None:
    def at(hours: float, channel: str | None, who: str = "C1") -> Contact:
        return Contact(customer_id=who, channel=channel, at=_now - timedelta(hours=hours))

    contacts = [at(1, "sms"), at(24 * 8, "sms"), at(24 * 40, "phone"), at(2, None), at(3, "web"), at(4, "email", "C2")]
    told = _since(contacts, [Suppressed(channel="sms", since=_now - timedelta(days=2), complained=True)])
    # customer_month: sms, sms, unknown, web; household_month: those and the other's; sms_week: sms and the unknown one;
    # phone_quarter: the one 40 days ago and the unknown one
    assert told.contacts == (4, 5, 2, 2)
    assert told.unanswered == 5
    assert told.days_since_contact == 1 / 24
    assert told.days_since_complaint == 2.0
    assert told.suppressed == ("sms",)
