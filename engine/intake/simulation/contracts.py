"""The contracts behind the holdings: opened, ended, worth what."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from engine.intake.simulation import ids, lives
from engine.intake.simulation.demand import Demand
from engine.intake.simulation.people import People
from engine.intake.simulation.world import NEVER, YEAR, Ints, World

PER_CHUNK = 1_000_000  # contract and application numbers set aside for each chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class Contracts:
    """The holdings of one chunk, sorted by customer and opening. `attempt` is the attempt that opened it, or -1."""

    number: Ints
    who: Ints
    product: Ints
    opened: Ints
    closed: Ints
    amount_minor: Ints
    attempt: Ints

    def __len__(self) -> int:
        return len(self.who)

    @property
    def ids(self) -> pa.Array:
        """The holding ids, in order."""
        return ids.numbered("A", self.number, 10)

    def of(self, product: int, customers: int) -> Ints:
        """Return, per customer, the row of the first contract of a product, or -1."""
        rows = np.flatnonzero(self.product == product)[::-1]
        first = np.full(customers, -1)
        first[self.who[rows]] = rows
        return first


def make(world: World, chunk: int, people: People, demand: Demand) -> Contracts:
    """Return every contract that was open at some time of the history."""
    rng = world.rng(chunk, "holdings")
    opening = np.flatnonzero((demand.attempts.opened != NEVER) & (demand.attempts.opened <= world.end))
    who = np.concatenate([demand.bought_who, demand.attempts.who[opening]])
    product = np.concatenate([demand.bought_product, demand.attempts.product[opening]])
    opened = np.concatenate([demand.bought_at, demand.attempts.opened[opening]])
    attempt = np.concatenate([np.full(len(demand.bought_who), -1), opening])
    ended = lives.ends(world, people, who=who, product=product, opened=opened)
    closed = np.where(ended <= world.end, ended, NEVER)
    kept = (opened <= world.end) & ((closed == NEVER) | (closed > np.maximum(world.start, opened)))
    order = np.flatnonzero(kept)[np.lexsort((product[kept], opened[kept], who[kept]))]
    amount = amounts(rng, world, people, who[order], product[order])
    return Contracts(
        number=chunk * PER_CHUNK + np.arange(len(order)),
        who=who[order],
        product=product[order],
        opened=opened[order],
        closed=closed[order],
        amount_minor=amount,
        attempt=attempt[order],
    )


def amounts(rng: np.random.Generator, world: World, people: People, who: Ints, product: Ints) -> Ints:
    """Return first deposits, sums lent, limits and yearly premiums: typical ones, more for higher incomes."""
    typical = np.array([each.typical_amount_minor for each in world.products])[product]
    scale = np.exp(0.55 * people.income_z[who] + rng.normal(-0.1, 0.45, len(who)))
    return (np.maximum(np.round(typical * scale / 10_000), typical > 0) * 10_000).astype(np.int64)


def columns(world: World, people: People, contracts: Contracts, current_balance: Ints) -> dict[str, pa.Array | Ints]:
    """Return the columns of the holdings table; `current_balance` per contract is NEVER where bookings tell none."""
    open_now = contracts.closed == NEVER
    credit = np.array([product.is_credit for product in world.products])[contracts.product]
    revolving = np.array([p.is_credit and p.typical_term_months is None for p in world.products])[contracts.product]
    balance = np.where(current_balance == NEVER, _balances(world, people, contracts), current_balance)
    insured = np.array([product.family == "insurance" for product in world.products])[contracts.product]
    fx = contracts.product == world.product("fx_account")
    debit = contracts.product == world.product("debit_card")
    return {
        "holding_id": contracts.ids,
        "customer_id": people.ids.take(pa.array(contracts.who)),
        "product_id": ids.words(contracts.product, [product.product_id for product in world.products]),
        "opened_at": contracts.opened,
        "closed_at": contracts.closed,
        "currency": ids.words(np.where(fx, 1 + contracts.who % 3, 0), currencies(world)),
        "opening_minor": np.where(debit, NEVER, np.where(revolving, 0, contracts.amount_minor)),
        "limit_minor": np.where(revolving, contracts.amount_minor, NEVER),
        "balance_minor": np.where(insured | debit, NEVER, np.where(open_now, np.where(credit, -balance, balance), 0)),
        "balance_at": np.where(open_now, world.end, contracts.closed),
    }


def currencies(world: World) -> list[str]:
    """Return the base currency, then three others that the bank keeps (repeated if there are fewer)."""
    others = [code for code in world.rates if code != world.base_currency] or [world.base_currency]
    return [world.base_currency, *(others[place % len(others)] for place in range(3))]


def _balances(world: World, people: People, contracts: Contracts) -> Ints:
    """Return balances at the end: savings by wealth, loans as far as not repaid, cards as far as used; positive."""
    wealth = np.array([segment.wealth_months for segment in world.rules.segments])[people.segment]
    # one number per customer and product between 0 and 1, without a random stream: the golden-ratio sequence
    luck = (people.number[contracts.who] * 0.6180339887 + contracts.product * 0.7548776662) % 1
    saved = (wealth * people.income_true)[contracts.who] * 0.35 * np.exp(2.4 * (luck - 0.5))
    family = np.array([product.family for product in world.products])[contracts.product]
    term = np.array([product.typical_term_months or 0 for product in world.products])[contracts.product]
    age_months = (world.end - contracts.opened) / YEAR * 12
    owed = contracts.amount_minor * np.clip(1 - age_months / np.maximum(term, 1), 0.02, 1)
    used = contracts.amount_minor * (0.05 + 0.9 * luck**2)
    placed = contracts.amount_minor * (0.7 + 0.8 * luck)
    credit = np.array([product.is_credit for product in world.products])[contracts.product]
    saved = np.where(contracts.product == world.product("premium_account"), 0.5 * placed, saved)
    positive = np.where(family == "investment", placed, np.where(term > 0, contracts.amount_minor, saved))
    return np.where(credit, np.where(term > 0, owed, used), positive).astype(np.int64)


def instalments(world: World, product: Ints, amount: Ints) -> Ints:
    """Return the instalment a month in minor units: an annuity, or 3 % of a revolving limit."""
    rate = np.array([each.annual_rate / 12 for each in world.products])[product]
    term = np.array([each.typical_term_months or 0 for each in world.products])[product]
    annuity = amount * rate / np.maximum(1 - (1 + rate) ** -np.maximum(term, 1), 1e-12)
    return np.where(term > 0, annuity, 0.03 * amount).astype(np.int64)
