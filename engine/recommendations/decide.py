"""The decision kernel: one pure function from a block of customers and a bundle to decisions.

The batch run, an answer for one customer and a replay years later all call `decide`, and agree to the bit: no step
mixes rows, and sums run in the same order for one row as for many.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.domain.contact_marts import CONTROL_GROUP
from engine.domain.marts import DECISIONS, RECOMMENDATIONS
from engine.lake.schema import arrow_schema
from engine.recommendations import (
    candidates,
    channels,
    explore,
    gate_counts,
    gates,
    reach,
    responses,
    terms,
    tracks,
    value,
)
from engine.recommendations.allocation import Demand
from engine.recommendations.asked import Asked
from engine.recommendations.bundle import Bundle
from engine.recommendations.explain import REASONS, StepTerms, top_reasons
from engine.recommendations.explore import Candidates, Chosen
from engine.recommendations.frame import DecisionBlock, Flags, Floats, Integers
from engine.recommendations.gate import Case
from engine.recommendations.products import Catalogue
from engine.recommendations.reach import Reach

Places: TypeAlias = tuple[Integers, Integers]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionTable:
    """What was decided for n customers and P products; all pair arrays are (n, P).

    `value` and `loss` are whole minor units, NaN is unknown. `rank` is 0 where the product is not offered, `channel`
    -1 where none is usable with its reason (a place in `channels.REASONS`), `contact_hour` NaN where unknown, `control`
    marks the control group. `offer_rows`, `offer_products` list the offers in the
    order of customer and rank, with `offer_tracks` (places in `tracks.REASONS`), `offer_terms`, `offer_reasons`
    (offers, 2), `offer_selections` (places in `explore.SELECTIONS`) and `offer_chances` (NaN unknown) beside them.
    """

    customer_ids: pa.Array
    propensity: Floats
    value: Floats
    loss: Floats
    masks: NDArray[np.uint64]
    rank: Integers
    channel: Integers
    channel_reason: Integers
    contact_hour: Floats
    hour_is_own: Flags
    control: Flags
    offer_rows: Integers
    offer_products: Integers
    offer_tracks: Integers
    offer_terms: terms.OfferTerms
    offer_reasons: Integers
    offer_selections: Integers
    offer_chances: Floats

    @property
    def counts(self) -> gate_counts.GateCounts:
        """What the gates refused."""
        return gate_counts.count(self.masks, len(self.offer_rows))


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessed:
    """What every product is worth to every customer of a block and which gates refuse it, before any is chosen.

    `control` marks the control group, `held_out` those of it who get nothing at all; shape (n,). `priority` is the
    value times the lever of each product, by which offers are ranked. `enough` marks the pairs that are worth their
    contact and may go out on the customer's channel: gates ask whether they are and may on any that is open. What a
    request does not ask for is not among them either.
    """

    added: candidates.Terms | None
    odds: value.Odds
    terms: terms.Terms
    worth: value.Values
    priority: Floats
    masks: NDArray[np.uint64]
    reach: Reach
    enough: Flags
    control: Flags
    held_out: Flags

    @property
    def open(self) -> Flags:
        """The pairs that may be offered, shape (n, P)."""
        passed: Flags = self.masks == 0
        return passed & self.enough & ~self.held_out[:, None]

    @property
    def demand(self) -> Demand:
        """What could be offered: the value of each pair times its lever, NaN where a gate refuses it."""
        worth = np.where(self.open, self.priority, np.nan)
        return Demand(value=worth, channel=self.reach.channel, cost=self.odds.cost)


def assess(block: DecisionBlock, bundle: Bundle, asked: Asked | None = None) -> Assessed:
    """Score, value and gate every product for every customer of the block; `asked` narrows what is left after that."""
    found = _assessed(block, bundle, asked)
    if asked is None or not asked.first.any():
        return found
    preferred: Flags = np.any(found.open & asked.first, axis=1)
    return _assessed(block, bundle, asked.only(preferred)) if preferred.any() else found


def _assessed(block: DecisionBlock, bundle: Bundle, asked: Asked | None) -> Assessed:
    catalogue, settings = bundle.catalogue, bundle.settings
    scores, added = bundle.fitted.scored(block.view)
    propensity = bundle.fitted.calibration.probabilities(scores)
    on_terms = terms.of(block, catalogue, settings.value.terms)
    loss = value.loss_of(block, catalogue, on_terms)
    ways = reach.ways(block, bundle, propensity, on_terms.margin, loss, asked=asked)
    case = Case(block=block, catalogue=catalogue, settings=settings, value=ways.best, amount=on_terms.amount)
    masks = gates.evaluate(case)
    passed: Flags = masks == 0
    chosen = ways.choose(passed if asked is None else passed & asked.among)
    worth = value.Values(value=chosen.value, loss=loss)
    policy = settings.exploration.control
    control = explore.controls(block.customer_ids, policy, bundle.as_of)
    enough = (worth.value > settings.gates.min_expected_value_minor) & catalogue.goes_out_on(chosen.channel)
    if asked is not None:
        enough &= asked.among & (chosen.channel >= 0)[:, None]
    return Assessed(
        added=added,
        odds=value.Odds(propensity=propensity, cost=chosen.cost, kept=chosen.kept),
        terms=on_terms,
        worth=worth,
        masks=masks,
        reach=chosen,
        priority=worth.value * catalogue.lever,
        enough=enough,
        control=control,
        held_out=control & np.bool_(policy.serves == "nothing"),
    )


def decide(
    block: DecisionBlock, bundle: Bundle, allotted: Flags | None = None, asked: Asked | None = None
) -> DecisionTable:
    """Decide every product for every customer of the block; rows never influence each other.

    Where the bundle has prices only what pays them is offered. `allotted`, shape (n, P), replaces that: the pairs that
    an allocation of the whole base gave to these customers, of which none that a gate refuses is offered all the same.
    Where offers are drawn (see `explore`) the draw is made first, and `allotted` takes from what was drawn. What a
    request `asked` for is narrowed before the draw.
    """
    return settle(block, bundle, assess(block, bundle, asked), allotted)


def settle(block: DecisionBlock, bundle: Bundle, found: Assessed, allotted: Flags | None = None) -> DecisionTable:
    """Decide as `decide` does, for a block that was assessed already."""
    catalogue, settings = bundle.catalogue, bundle.settings
    chosen = _drawn(block, bundle, found, allotted) if bundle.evidence else _best(bundle, found, allotted)
    rank = chosen.rank
    pairs = rows, products = offers_in_order(rank)
    break_even = value.break_even_of(catalogue, found.terms, found.odds, pairs)
    carried = terms.offered(block, catalogue, found.terms, pairs, break_even)
    return DecisionTable(
        customer_ids=block.customer_ids,
        propensity=found.odds.propensity,
        value=found.worth.value,
        loss=found.worth.loss,
        masks=found.masks,
        rank=rank,
        channel=found.reach.channel,
        channel_reason=found.reach.reason,
        contact_hour=block.contact_hour,
        hour_is_own=block.hour_is_own,
        control=found.control,
        offer_rows=rows,
        offer_products=products,
        offer_tracks=tracks.reasons(_tracks(block, catalogue, found, pairs), settings.tracks),
        offer_terms=carried,
        offer_reasons=top_reasons(found.added, bundle.phrases, pairs, _steps(block, bundle, pairs)),
        offer_selections=chosen.selection[rows, products],
        offer_chances=chosen.chance[rows, products],
    )


def _steps(block: DecisionBlock, bundle: Bundle, pairs: Places) -> StepTerms | None:
    """Return what the steps already taken towards each offer add to its log-odds."""
    codes = block.view.steps
    return None if codes is None else StepTerms(code=codes[pairs], added=np.log(bundle.fitted.factors))


def _best(bundle: Bundle, found: Assessed, allotted: Flags | None) -> Chosen:
    """Choose what is worth most; nothing is left to chance."""
    if allotted is None and bundle.prices is not None:
        allotted = bundle.prices.choose(found.demand, bundle.settings.top_n)
    is_open = found.open if allotted is None else found.open & allotted
    rank = explore.in_order(np.where(is_open, found.priority, -np.inf), bundle.settings.top_n)
    return Chosen(rank=rank, selection=np.zeros_like(rank), chance=np.ones(rank.shape))


def _drawn(block: DecisionBlock, bundle: Bundle, found: Assessed, allotted: Flags | None) -> Chosen:
    """Draw among what no gate refuses and, where there are prices, what pays them."""
    settings, evidence = bundle.settings, bundle.evidence
    assert evidence is not None
    worth, is_open = found.priority, found.open
    if bundle.prices is not None:
        worth = bundle.prices.paid(found.demand)
        is_open = worth > 0
    cost = found.odds.cost[:, None] + bundle.catalogue.offer_cost
    with np.errstate(divide="ignore", invalid="ignore"):
        # from a propensity of 0, where the contact is paid for nothing, the value rises in a straight line
        slope = bundle.catalogue.lever * (found.worth.value + cost) / found.odds.propensity
    offered = Candidates(
        customer_ids=block.customer_ids, propensity=found.odds.propensity, worth=worth, slope=slope, open=is_open
    )
    chosen = explore.choose(
        offered,
        settings.exploration,
        evidence,
        product_ids=bundle.catalogue.product_ids,
        as_of=bundle.as_of,
        top_n=settings.top_n,
    )
    return chosen if allotted is None else chosen.without(~allotted)


def offers_in_order(rank: Integers) -> tuple[Integers, Integers]:
    """Return the rows and products of the offers, by customer and then by rank."""
    pairs = np.flatnonzero(rank.ravel() > 0)
    rows, products = np.divmod(pairs, rank.shape[1])
    order = np.lexsort((rank[rows, products], rows))
    return rows[order], products[order]


def _tracks(block: DecisionBlock, catalogue: Catalogue, found: Assessed, pairs: Places) -> tracks.Pairs:
    rows, products = pairs
    return tracks.Pairs(
        refused=found.masks[rows, products] != 0,
        tier=block.tier[rows],
        value_tier=block.value_tier[rows],
        pace=block.pace[rows],
        needs_person=block.needs_person[rows],
        is_credit=catalogue.is_credit[products],
        amount=found.terms.amount[rows, products],
    )


def recommendation_rows(table: DecisionTable, bundle: Bundle, digest: str) -> pa.Table:
    """Return the offers as rows of the mart recommendations, in the order of its key.

    A decision's id is made of the bundle's digest, the customer and the product: the same whenever it is recomputed,
    and it can be looked up without a table.
    """
    rows, products = table.offer_rows, table.offer_products
    customers = table.customer_ids.take(pa.array(rows))
    product_ids = _pick(bundle.catalogue.product_ids, products)
    columns = {
        "customer_id": customers,
        "rank": pa.array(table.rank[rows, products]),
        "decision_id": pc.binary_join_element_wise(pa.scalar(digest), customers, product_ids, "-"),
        "product_id": product_ids,
        "channel": _pick(tuple(bundle.settings.contact_cost_minor), table.channel[rows]),
        **_offer_columns(bundle.catalogue, products),
        **_reach_columns(table, rows),
        "propensity": pa.array(table.propensity[rows, products]),
        "expected_value_minor": _whole(table.value[rows, products]),
        "expected_loss_minor": _whole(table.loss[rows, products]),
        "selection": _pick(explore.SELECTIONS, table.offer_selections),
        "selection_probability": pa.array(table.offer_chances, mask=np.isnan(table.offer_chances)),
        **{
            name: _pick(tuple(getattr(reason, field) for reason in tracks.REASONS), table.offer_tracks)
            for name, field in (("track", "track"), ("track_reason", "text_en"), ("track_reason_zh", "text_zh"))
        },
    }
    columns |= _terms_columns(table.offer_terms)
    for place in range(REASONS):
        columns[f"reason_{place + 1}"] = _pick(bundle.phrases.en, table.offer_reasons[:, place])
        columns[f"reason_{place + 1}_zh"] = _pick(bundle.phrases.zh, table.offer_reasons[:, place])
    return pa.table(columns).select(RECOMMENDATIONS.names).cast(arrow_schema(RECOMMENDATIONS))


def _terms_columns(told: terms.OfferTerms) -> dict[str, pa.Array]:
    return {
        "annual_rate": pa.array(told.rate, from_pandas=True),
        "limit_minor": _whole(told.limit),
        "amount_minor": _whole(told.amount),
        "break_even_default_probability": pa.array(told.break_even, from_pandas=True),
        "terms_note": _pick(tuple(note.text_en for note in terms.NOTES), told.note),
        "terms_note_zh": _pick(tuple(note.text_zh for note in terms.NOTES), told.note),
    }


def _offer_columns(catalogue: Catalogue, products: Integers) -> dict[str, pa.Array]:
    """Return the offer that each product is made in, itself where it has none, and what its value counts."""
    named = catalogue.offers.offer_ids if catalogue.offers else ("",) * catalogue.size
    ids = tuple(offer or product for offer, product in zip(named, catalogue.product_ids, strict=True))
    return {"offer_id": _pick(ids, products), "lever": pa.array(catalogue.lever[products])}


def _reach_columns(table: DecisionTable, rows: Integers) -> dict[str, pa.Array]:
    """Return why each offer goes out on its channel, and at which hour."""
    hour, reason = table.contact_hour[rows], table.channel_reason[rows]
    unknown = np.isnan(hour)
    whole = np.where(unknown, 0, hour).astype(np.int64)
    told = np.where(unknown, 2, np.where(table.hour_is_own[rows], 0, 1))
    return {
        "channel_reason": _pick(tuple(one.text_en for one in channels.REASONS), reason),
        "channel_reason_zh": _pick(tuple(one.text_zh for one in channels.REASONS), reason),
        "contact_hour": pa.array(whole, mask=unknown),
        "contact_day_part": _pick(tuple(map(responses.day_part, range(24))), np.where(unknown, -1, whole)),
        "contact_hour_reason": _pick(tuple(text for _, text, _ in responses.HOUR_REASONS), told),
        "contact_hour_reason_zh": _pick(tuple(text for _, _, text in responses.HOUR_REASONS), told),
    }


def decision_rows(table: DecisionTable, bundle: Bundle) -> pa.Table:
    """Return every pair as a row of the mart decisions, in the order of its key."""
    customers, products = table.masks.shape
    columns = {
        "customer_id": table.customer_ids.take(pa.array(np.repeat(np.arange(customers), products))),
        "product_id": _pick(bundle.catalogue.product_ids, np.tile(np.arange(products), customers)),
        "propensity": pa.array(table.propensity.ravel()),
        "expected_value_minor": _whole(table.value.ravel()),
        "refused_mask": pa.array(table.masks.ravel().astype(np.int64)),
        "rank": pa.array(table.rank.ravel(), mask=table.rank.ravel() == 0),
    }
    return pa.table(columns).select(DECISIONS.names).cast(arrow_schema(DECISIONS))


def control_rows(table: DecisionTable, bundle: Bundle) -> pa.Table:
    """Return the customers of the control group as rows of the mart control_group, in the order of its key."""
    policy, rows = bundle.settings.exploration.control, np.flatnonzero(table.control)
    same = {"control_period": explore.period_of(bundle.as_of, policy.period), "serves": policy.serves}
    columns = {
        "customer_id": table.customer_ids.take(pa.array(rows)),
        **{name: pa.array([word] * len(rows), pa.string()) for name, word in same.items()},
        "eligible_products": pa.array((table.masks[rows] == 0).sum(axis=1)),
        "offers": pa.array((table.rank[rows] > 0).sum(axis=1)),
    }
    return pa.table(columns).select(CONTROL_GROUP.names).cast(arrow_schema(CONTROL_GROUP))


def _pick(words: tuple[str, ...], places: Integers) -> pa.Array:
    """Return the words at the places; null where the place is negative."""
    return pa.array(words, pa.string()).take(pa.array(places, mask=places < 0))


def _whole(amounts: Floats) -> pa.Array:
    unknown = np.isnan(amounts)
    return pa.array(np.where(unknown, 0, amounts).astype(np.int64), mask=unknown)
