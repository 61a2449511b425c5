"""Credit applications with decisions and outcomes, driven by the true default probability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from engine.domain.words import APPLICATION_DECISIONS, CHANNELS
from engine.intake.simulation import bureau as bureaus
from engine.intake.simulation import contracts as contracts_of
from engine.intake.simulation import ids
from engine.intake.simulation.bureau import Bureau
from engine.intake.simulation.contracts import PER_CHUNK, Contracts
from engine.intake.simulation.demand import Demand
from engine.intake.simulation.people import People
from engine.intake.simulation.world import DAY, NEVER, YEAR, Floats, Ints, World, logistic, month_index, pick

APPROVED, DECLINED, WITHDRAWN, PENDING = (
    APPLICATION_DECISIONS.index(name) for name in ("approved", "declined", "withdrawn", "pending")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """The credit applications of one chunk, by customer and time. `contract` is the row booked, or -1."""

    number: Ints
    who: Ints
    product: Ints
    applied: Ints
    decided: Ints
    decision: Ints
    channel: Ints
    amount_minor: Ints
    contract: Ints
    booked: Ints
    true_pd: Floats
    defaulted: Ints

    def __len__(self) -> int:
        return len(self.who)

    @property
    def ids(self) -> pa.Array:
        """The application ids, in order."""
        return ids.numbered("P", self.number, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """Applications before their risk is known."""

    who: Ints
    product: Ints
    applied: Ints
    decided: Ints
    decision: Ints
    channel: Ints
    contract: Ints


def make(world: World, chunk: int, people: People, *, demand: Demand, contracts: Contracts, reports: Bureau) -> Credit:
    """Return the applications with decisions and outcomes, and write the consequences into the bureau's reports."""
    rng = world.rng(chunk, "credit")
    asked = _sorted([_in_journeys(rng, world, demand, contracts), *_in_branches(rng, world, demand, contracts)])
    booked = np.where(asked.contract >= 0, contracts.opened[asked.contract], NEVER)
    amount = contracts_of.amounts(rng, world, people, asked.who, asked.product)
    amount = np.where(asked.contract >= 0, contracts.amount_minor[asked.contract], amount)
    true_pd, defaulted = _default(rng, world, people, reports=reports, asked=asked, booked=booked)
    instalment = contracts_of.instalments(world, asked.product, amount)
    own = booked != NEVER
    bureaus.add_own_credit(world, reports, asked.who[own], booked[own], amount=amount[own], instalment=instalment[own])
    return Credit(
        number=chunk * PER_CHUNK + np.arange(len(asked.who)),
        who=asked.who,
        product=asked.product,
        applied=asked.applied,
        decided=asked.decided,
        decision=asked.decision,
        channel=asked.channel,
        amount_minor=amount,
        contract=asked.contract,
        booked=booked,
        true_pd=true_pd,
        defaulted=defaulted,
    )


def _in_journeys(rng: np.random.Generator, world: World, demand: Demand, contracts: Contracts) -> _Request:
    tries = demand.attempts
    credit = np.array([product.is_credit for product in world.products])
    rows = np.flatnonzero(credit[tries.product] & (tries.submitted != NEVER) & (tries.submitted <= world.end))
    submitted, opened = tries.submitted[rows], tries.opened[rows]
    waits = (rng.uniform(0.3, 5.0, len(rows)) * DAY).astype(np.int64)
    decided = submitted + np.where(opened != NEVER, ((opened - submitted) * 0.8).astype(np.int64), waits)
    contract_of = np.full(len(tries), -1)
    from_attempt = np.flatnonzero(contracts.attempt >= 0)
    contract_of[contracts.attempt[from_attempt]] = from_attempt
    decision = np.where(opened != NEVER, APPROVED, _refusals(rng, world, len(rows)))
    pending = decided > world.end
    return _Request(
        who=tries.who[rows],
        product=tries.product[rows],
        applied=submitted,
        decided=np.where(pending, NEVER, decided),
        decision=np.where(pending, PENDING, decision),
        channel=tries.channel[rows],
        contract=contract_of[rows],
    )


def _refusals(rng: np.random.Generator, world: World, size: int) -> Ints:
    return np.where(rng.random(size) < world.rules.credit.declined_share, DECLINED, WITHDRAWN)


def _in_branches(rng: np.random.Generator, world: World, demand: Demand, contracts: Contracts) -> list[_Request]:
    """Return the applications made outside journeys: those booked, and those refused."""
    credit = np.array([product.is_credit for product in world.products])
    rows = np.flatnonzero(credit[contracts.product] & (contracts.attempt < 0) & (contracts.opened >= world.start))
    opened = contracts.opened[rows]
    # not before the month in which it was opened: the report of that month was the one at hand
    first = world.starts[month_index(world, opened)]
    applied = np.maximum(opened - (rng.uniform(0.5, 4.0, len(rows)) * DAY).astype(np.int64), first)
    spots = [CHANNELS.index(name) for name in ("branch", "call_centre", "app", "web")]
    booked = _Request(
        who=contracts.who[rows],
        product=contracts.product[rows],
        applied=applied,
        decided=applied + ((opened - applied) * 0.6).astype(np.int64),
        decision=np.full(len(rows), APPROVED),
        channel=np.array(spots)[pick(rng, [0.6, 0.15, 0.15, 0.1], len(rows))],
        contract=rows,
    )
    size = len(demand.refused_who)
    decided = demand.refused_at + (rng.uniform(0.3, 5.0, size) * DAY).astype(np.int64)
    pending = decided > world.end
    refused = _Request(
        who=demand.refused_who,
        product=demand.refused_product,
        applied=demand.refused_at,
        decided=np.where(pending, NEVER, decided),
        decision=np.where(pending, PENDING, _refusals(rng, world, size)),
        channel=np.array(spots)[pick(rng, [0.6, 0.15, 0.15, 0.1], size)],
        contract=np.full(size, -1),
    )
    return [booked, refused]


def _sorted(parts: list[_Request]) -> _Request:
    names = ("who", "product", "applied", "decided", "decision", "channel", "contract")
    merged = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    order = np.lexsort((merged["product"], merged["applied"], merged["who"]))
    return _Request(**{name: column[order] for name, column in merged.items()})


def _default(
    rng: np.random.Generator, world: World, people: People, *, reports: Bureau, asked: _Request, booked: Ints
) -> tuple[Floats, Ints]:
    """Return the true default probabilities, and when each booked application defaulted (NEVER if it did not).

    A default shows in the later reports, so whoever applies after one is looked at a second time.
    """
    month = month_index(world, asked.applied)
    noise = rng.normal(0, world.rules.credit.noise, len(month))
    draw, delay, later = rng.random(len(month)), rng.beta(1.5, 1.7, len(month)), rng.exponential(1, len(month))
    first_look = logistic(bureaus.default_logit(world, people, reports, asked.who, month) + noise)
    early = _default_times(first_look, draw, delay, later, booked)
    hit = np.flatnonzero((early != NEVER) & (early <= world.end))
    bureaus.mark_defaults(world, reports, asked.who[hit], early[hit])
    first_default = np.full(len(people), np.int64(2**62))
    np.minimum.at(first_default, asked.who[hit], early[hit])
    second_look = logistic(bureaus.default_logit(world, people, reports, asked.who, month) + noise)
    true_pd = np.where(asked.applied > first_default[asked.who], second_look, first_look)
    return true_pd, _default_times(true_pd, draw, delay, later, booked)


def _default_times(true_pd: Floats, draw: Floats, delay: Floats, later: Floats, booked: Ints) -> Ints:
    """Return instants of default: within 12 months with the true probability, seldom after; at the earliest day 90."""
    within = booked + ((92 + 270 * delay) * DAY).astype(np.int64)
    after = booked + ((366 + later * 365 / np.maximum(0.35 * true_pd, 1e-6)) * DAY).clip(0, 4e9).astype(np.int64)
    when = np.where(draw < true_pd, within, after)
    return np.where(booked == NEVER, NEVER, when)


def application_columns(world: World, people: People, credit: Credit) -> dict[str, pa.Array | Ints]:
    """Return the columns of the applications table."""
    term = np.array([product.typical_term_months or NEVER for product in world.products])[credit.product]
    return {
        "application_id": credit.ids,
        "customer_id": people.ids.take(pa.array(credit.who)),
        "product_id": ids.words(credit.product, [product.product_id for product in world.products]),
        "applied_at": credit.applied,
        "decision": ids.words(credit.decision, APPLICATION_DECISIONS),
        "decided_at": credit.decided,
        "requested_minor": credit.amount_minor,
        "term_months": term,
        "instalment_minor": contracts_of.instalments(world, credit.product, credit.amount_minor),
        "channel": ids.words(credit.channel, CHANNELS),
    }


def outcome_columns(world: World, people: People, credit: Credit) -> dict[str, pa.Array | Ints]:
    """Return the columns of the outcomes table: one row per booked application, as far as its behaviour is known."""
    rows = np.flatnonzero(credit.booked != NEVER)
    known = (credit.defaulted[rows] != NEVER) & (credit.defaulted[rows] <= world.end)
    elapsed = np.where(known, credit.defaulted[rows], world.end) - credit.booked[rows]
    term = np.array([product.typical_term_months or 0 for product in world.products])[credit.product[rows]]
    left = np.where(term > 0, 1 - elapsed / YEAR * 12 / np.maximum(term, 1), np.where(known, 0.9, 0.45))
    return {
        "application_id": credit.ids.take(pa.array(rows)),
        "customer_id": people.ids.take(pa.array(credit.who[rows])),
        "product_id": ids.words(credit.product[rows], [product.product_id for product in world.products]),
        "booked_at": credit.booked[rows],
        "observed_until": np.full(len(rows), world.end),
        "defaulted_at": np.where(known, credit.defaulted[rows], NEVER),
        "exposure_minor": (credit.amount_minor[rows] * np.clip(left, 0.02, 1)).astype(np.int64),
    }
