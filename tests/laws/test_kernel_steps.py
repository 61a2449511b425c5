"""The quick ways in which the kernel orders, gates and reaches say what their plain definitions say."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.recommendations import channels, contact, explore, gates, reach, value
from engine.recommendations.bundle import Bundle
from engine.recommendations.candidates import Terms
from engine.recommendations.decide import assess, offers_in_order
from engine.recommendations.explain import Phrases, StepTerms, top_reasons
from engine.recommendations.frame import Codes, DecisionBlock, Flags, Floats, Integers
from engine.recommendations.gate import Case
from engine.recommendations.reach import Ways
from tests.engine.recommendations import builders
from tests.engine.recommendations.test_offers import of_day

# few different values, so that many are equal, with none at all and the two zeros among them
_WORTH = st.sampled_from([-np.inf, np.nan, -3.0, -0.0, 0.0, 1.0, 2.0])
# offers that leave out channels and cost more, so that no channel is like another
_OFFERS = {
    "offers": [
        {"offer_id": "one", "product_id": "index_fund", "channels": ["email"], "contact_cost_minor": 9},
        {"offer_id": "two", "product_id": "credit_card_classic", "channels": ["phone", "sms"]},
    ],
    "levers": {"product": {"index_fund": 15}},
}


@cache
def _bank() -> tuple[Bundle, DecisionBlock]:
    prepared = builders.prepared(600)
    return prepared.bundle, next(prepared.decision_blocks())


@given(
    worth=arrays.arrays(np.float64, st.tuples(st.integers(0, 5), st.integers(1, 6)), elements=_WORTH),
    top=st.integers(1, 8),
)
@settings(max_examples=200, deadline=None)
def test_the_order_is_that_of_sorting_whole_rows_and_of_equal_ones_the_first_is_first(worth: Floats, top: int) -> None:
    rank = explore.in_order(worth, top)
    for row, ranked in zip(worth, rank, strict=True):
        known = [place for place in range(len(row)) if row[place] > -np.inf]
        wanted = sorted(known, key=lambda place: (-row[place], place))[:top]
        assert {place: int(ranked[place]) for place in np.flatnonzero(ranked)} == {
            place: number for number, place in enumerate(wanted, start=1)
        }
    rows, products = offers_in_order(rank)
    told = list(zip(rows.tolist(), rank[rows, products].tolist(), strict=True))
    assert told == sorted(told)
    assert len(told) == (rank > 0).sum()


def test_a_mask_has_the_bit_of_every_gate_that_refuses_and_no_other() -> None:
    bundle, block = _bank()
    for catalogue in (bundle.catalogue, of_day(_OFFERS)):
        worth = np.random.default_rng(3).normal(0, 500, (block.size, catalogue.size))
        amount = np.broadcast_to(catalogue.amount, worth.shape)
        case = Case(block=block, catalogue=catalogue, settings=bundle.settings, value=worth, amount=amount)
        wanted = np.zeros(worth.shape, dtype=np.uint64)
        for bit, gate in enumerate(gates.GATES):
            wanted |= np.broadcast_to(gate.refuses(case), worth.shape).astype(np.uint64) << np.uint64(bit)
        found = gates.evaluate(case)
        assert found.dtype == np.uint64
        assert np.array_equal(found, wanted)
        assert len(np.unique(found)) > 20


@pytest.mark.parametrize("learned", [True, False], ids=["by responses", "without responses"])
@pytest.mark.parametrize("offers", [True, False], ids=["of offers", "of products"])
def test_value_and_channel_are_those_of_each_channel_looked_at_for_itself(learned: bool, offers: bool) -> None:
    bundle, block = _bank()
    bundle = replace(bundle, catalogue=of_day(_OFFERS)) if offers else bundle
    bundle = builders.responding(bundle) if learned else bundle
    found = assess(block, bundle)
    loss = found.worth.loss
    ways = reach.ways(block, bundle, found.odds.propensity, found.terms.margin, loss)
    assert (ways.lifted is not None) == (learned or offers)
    best, chosen = _looked_at(ways, bundle, found.masks == 0)
    assert np.array_equal(ways.best, best, equal_nan=True)
    assert np.array_equal(found.reach.channel, chosen)
    kept = found.odds.kept[:, 0] if not learned else None
    assert kept is None or np.array_equal(kept, contact.response_kept(block.unanswered, bundle.settings.contact))


def _looked_at(ways: Ways, bundle: Bundle, passed: np.ndarray) -> tuple[Floats, Integers]:
    """Return the best value of each pair and the channel of each customer, a whole table for every channel."""
    costs = tuple(bundle.settings.contact_cost_minor.values())
    if ways.lifted is None:
        assert ways.cheapest is not None
        return ways.cheapest.value, ways.cheapest.channel
    size, offer_cost = len(ways.gain), bundle.catalogue.offer_cost
    tables = []
    for channel, cost in enumerate(costs):
        everybody = np.full(size, channel)
        worth = value.after_contact(ways.gain, cost + offer_cost, ways.lifted.kept(everybody))
        tables.append(np.where(bundle.catalogue.goes_out_on(everybody), worth, -np.inf))
    best = np.max([np.where(ways.usable[:, [at]], worth, -np.inf) for at, worth in enumerate(tables)], axis=0)
    nowhere = ways.usable.any(axis=1, keepdims=True) & np.isneginf(best)
    _, least = reach.contact_channels(ways.usable, costs)
    cheapest = value.after_contact(ways.gain, least[:, None] + offer_cost, ways.lifted.fatigue[:, None])
    best = np.where(nowhere | ~ways.usable.any(axis=1, keepdims=True), cheapest, best)
    highest = np.column_stack([np.where(passed, worth, -np.inf).max(axis=1) for worth in tables])
    learned = ways.lifted.learned
    if learned is None:
        return best, channels.cheapest_for_best(ways.usable, costs, highest, ways.lifted.unlearned_reason)[0]
    return best, channels.choose(ways.usable, costs, highest, learned)[0]


@given(
    usable=arrays.arrays(np.bool_, (4, 5)),
    tried=arrays.arrays(np.bool_, 5),
    worth=arrays.arrays(np.float64, (4, 5), elements=st.sampled_from([-np.inf, -1.0, 2.0, 3.0])),
)
@settings(max_examples=200, deadline=None)
def test_a_channel_is_usable_and_carries_an_offer_where_any_usable_one_that_counts_does(
    usable: Flags, tried: Flags, worth: Floats
) -> None:
    learned = channels.ChannelResponses(rate=np.full(5, 0.1), tried=tried, relative=np.ones((5, 1)), own_prior=1.0)
    costs = (5, 2, 10, 2, 400)
    chosen, told = channels.choose(usable, costs, worth, learned)
    for row, (channel, reason) in enumerate(zip(chosen, told, strict=True)):
        open_here = np.flatnonzero(usable[row])
        if not len(open_here):
            assert (channel, reason) == (-1, -1)
            continue
        assert channel in open_here
        known = [place for place in open_here if tried[place]]
        offers = [place for place in open_here if np.isfinite(worth[row, place])]
        if known and offers:
            assert channel in offers
            among = [place for place in offers if tried[place]]
            assert not among or worth[row, channel] == max(worth[row, place] for place in among)
        else:
            assert costs[channel] == min(costs[place] for place in known or open_here)


_SIGNS = st.sampled_from([-2.0, -1.0, 0.0, 1.0, 2.0])
_SAID = arrays.arrays(np.int64, 4, elements=st.integers(0, 1))


@given(
    values=arrays.arrays(np.float64, (3, 4), elements=_SIGNS),
    weights=arrays.arrays(np.float64, (4, 2), elements=_SIGNS),
    more=_SAID,
    less=_SAID,
    code=arrays.arrays(np.int8, 6, elements=st.integers(0, 2)),
    by_step=arrays.arrays(np.float64, 3, elements=_SIGNS),
)
@settings(max_examples=200, deadline=None)
def test_reasons_are_the_terms_that_add_most_of_those_with_a_sentence_for_their_side(
    *, values: Floats, weights: Floats, more: Integers, less: Integers, code: Codes, by_step: Floats
) -> None:
    # the sentence of term t is 1 + t for more and 11 + t for less, that of the step c is 20 + c
    steps = np.array([0, 21, 22])
    said = Phrases(en=(), zh=(), more=more * np.arange(1, 5), less=less * np.arange(11, 15), steps=steps)
    taken = StepTerms(code=code, added=by_step * (np.arange(3) > 0))
    rows, products = np.repeat(np.arange(3), 2), np.tile(np.arange(2), 3)
    found = top_reasons(Terms(values=values, weights=weights, names=("",) * 4), said, (rows, products), taken)
    for row, product, step, reasons in zip(rows, products, code, found, strict=True):
        added = [(-taken.added[step], 4, int(steps[step]))] if taken.added[step] > 0 else []
        for term in range(4):
            sentence = (said.more if values[row, term] > 0 else said.less)[term]
            if sentence and values[row, term] * weights[term, product] > 0:
                added.append((-values[row, term] * weights[term, product], term, int(sentence)))
        told = [sentence for _, _, sentence in sorted(added)[:2]]
        assert reasons.tolist() == [*(told or [0]), -1][:2]
