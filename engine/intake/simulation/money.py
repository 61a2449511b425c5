"""Transactions: income, fixed costs, spending, cards, foreign currency, and the running balance they add up to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from engine.domain.words import CATEGORIES, CHANNELS
from engine.intake.simulation import calendar, ids, spending
from engine.intake.simulation import contracts as contracts_of
from engine.intake.simulation.bookings import Bookings, book, everywhere, monthly, out_of_work
from engine.intake.simulation.contracts import Contracts
from engine.intake.simulation.people import EMPLOYMENT, People
from engine.intake.simulation.world import DAY, NEVER, Bools, Ints, World

PER_CHUNK = 10_000_000  # transaction numbers set aside for each chunk
SMALLEST_BALANCE = 500  # minor units; nobody's current account falls below this


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """All bookings in order of customer and time, with the balance of the current account after each."""

    bookings: Bookings
    balance_after: Ints
    closing_balance: Ints


def make(world: World, chunk: int, people: People, contracts: Contracts) -> Ledger:
    """Return the ledger of one chunk."""
    rng = world.rng(chunk, "money")
    current = contracts.of(world.product("current_account"), len(people))
    youth = contracts.of(world.product("youth_account"), len(people))
    main = np.where(current >= 0, current, youth)
    income = [_pay(rng, world, people, main), _gifts(rng, world, people, main)]
    fixed = [
        _rent(rng, world, people, main),
        _utilities(rng, world, people, main),
        _loan_instalments(world, contracts, main),
        _premiums(world, contracts, main),
        _investments(world, contracts, main),
        _tax(rng, world, people, main),
    ]
    spent = spending.make(rng, world, people, contracts=contracts, main=main, income=income, fixed=fixed)
    others = [
        _interest(world, people, contracts),
        _foreign(rng, world, people, contracts),
        _fraud(rng, world, people, contracts, main),
        _openings(world, contracts, current),
        _closings(contracts, current),
    ]
    return _settle(world, people, contracts, current, _in_order(world, contracts, [*income, *fixed, *spent, *others]))


def _pay(rng: np.random.Generator, world: World, people: People, main: Ints) -> Bookings:
    work = people.employment
    retired = work == EMPLOYMENT.index("retired")
    own = work == EMPLOYMENT.index("self_employed")
    earns = people.main_bank & (retired | own | (work == EMPLOYMENT.index("employed")))
    payday = np.where(retired, 15, np.array([5, 10, 10, 15, 25])[rng.integers(0, 5, len(people))])
    mask = everywhere(world, earns & (main >= 0)) & ~(out_of_work(world, people) & ~retired[:, None])
    # the self-employed are paid in most months, not in all
    mask &= ~own[:, None] | (rng.random(mask.shape) < 0.8)
    who, month, when = monthly(world, mask, payday, 3 * 3600 + 1800)
    noise = rng.normal(0, np.where(own[who], 0.35, 0.02))
    # a thirteenth salary before the Spring Festival
    bonus = np.where((world.month_of_year[month] == 1) & ~retired[who] & ~own[who], 1.8, 1.0)
    category = np.where(retired[who], CATEGORIES.index("pension"), CATEGORIES.index("salary"))
    return book(who, when, people.income_true[who] * np.exp(noise) * bonus, category, "transfer", contract=main[who])


def _gifts(rng: np.random.Generator, world: World, people: People, main: Ints) -> Bookings:
    """Transfers in: how money comes to a bank that is not the customer's main one."""
    chance = np.where(people.main_bank, 0.04, 0.24) * np.minimum(people.active, 1.6)
    mask = (rng.random((len(people), world.months)) < chance[:, None]) & (main >= 0)[:, None]
    who, month = np.nonzero(mask)
    amount = people.income_true[who] * rng.lognormal(-1.3, 0.7, len(who))
    return book(who, calendar.moments(rng, world, month), amount, "transfer_in", "transfer", contract=main[who])


def _rent(rng: np.random.Generator, world: World, people: People, main: Ints) -> Bookings:
    rents = people.main_bank & (main >= 0) & (rng.random(len(people)) < np.where(people.age < 38, 0.42, 0.14))
    share = rng.uniform(0.16, 0.32, len(people))
    who, _, when = monthly(world, everywhere(world, rents), rng.integers(1, 6, len(people)), 9 * 3600)
    return book(who, when, -people.income_true[who] * share[who], "rent", "transfer", contract=main[who])


def _utilities(rng: np.random.Generator, world: World, people: People, main: Ints) -> Bookings:
    pays = people.main_bank & (main >= 0) & (people.age > 22) & (rng.random(len(people)) < 0.55)
    mask = everywhere(world, pays) & ((np.arange(world.months) + people.number[:, None]) % 2 == 0)
    who, month, when = monthly(world, mask, rng.integers(8, 28, len(people)), 10 * 3600)
    # heating in winter, cooling in summer
    season = np.array([1.5, 1.4, 1.1, 0.8, 0.8, 1.1, 1.4, 1.4, 1.0, 0.8, 1.0, 1.4])[world.month_of_year[month] - 1]
    amount = 32_000 * season * np.exp(0.35 * people.income_z[who] + rng.normal(0, 0.2, len(who)))
    return book(who, when, -amount, "utilities", "transfer", contract=main[who])


def _running(world: World, contracts: Contracts, rows: Ints, main: Ints) -> Bools:
    """Mark the months that begin while a contract runs and its owner's main account is open. Shape (rows, months)."""
    starts = world.starts[:-1]
    closed = np.where(contracts.closed[rows] == NEVER, world.end + 1, contracts.closed[rows])
    mask: Bools = (starts > contracts.opened[rows][:, None]) & (starts < closed[:, None] - 28 * DAY)
    return mask & (main[contracts.who[rows]] >= 0)[:, None]


def _loan_instalments(world: World, contracts: Contracts, main: Ints) -> Bookings:
    loan = np.array([p.is_credit and p.typical_term_months is not None for p in world.products])
    rows = np.flatnonzero(loan[contracts.product])
    due = contracts_of.instalments(world, contracts.product[rows], contracts.amount_minor[rows])
    place, month = np.nonzero(_running(world, contracts, rows, main))
    day = 1 + contracts.who[rows] % 27
    who = contracts.who[rows][place]
    when = world.starts[month] + (day[place] - 1) * DAY + (2 * 3600 - world.zone_offset) % DAY
    return book(who, when, -due[place], "instalment", "transfer", contract=main[who])


def _premiums(world: World, contracts: Contracts, main: Ints) -> Bookings:
    """Yearly premiums, in the month of the year in which the policy began."""
    insured = np.array([product.family == "insurance" for product in world.products])
    rows = np.flatnonzero(insured[contracts.product])
    began = (contracts.opened[rows] // DAY / 30.4369).astype(np.int64) % 12
    mask = _running(world, contracts, rows, main) & (began[:, None] == (world.month_of_year - 1))
    place, month = np.nonzero(mask)
    who = contracts.who[rows][place]
    when = world.starts[month] + (contracts.who[rows][place] % 20) * DAY + 5 * 3600
    return book(who, when, -contracts.amount_minor[rows][place], "insurance_premium", "transfer", contract=main[who])


def _investments(world: World, contracts: Contracts, main: Ints) -> Bookings:
    """Quarterly savings into index fund plans."""
    rows = np.flatnonzero(contracts.product == world.product("index_fund"))
    place, month = np.nonzero(_running(world, contracts, rows, main) & (world.month_of_year % 3 == 1))
    who = contracts.who[rows][place]
    when = world.starts[month] + 11 * DAY + 4 * 3600
    return book(who, when, -contracts.amount_minor[rows][place] // 14, "investment", "transfer", contract=main[who])


def _tax(rng: np.random.Generator, world: World, people: People, main: Ints) -> Bookings:
    """The yearly settlement of income tax, between March and June."""
    pays = people.main_bank & (main >= 0) & (people.income_z > 0.6) & (rng.random(len(people)) < 0.5)
    settles = 3 + people.number % 4
    mask = everywhere(world, pays) & (world.month_of_year == settles[:, None])
    who, _, when = monthly(world, mask, 2 + people.number % 25, 11 * 3600)
    return book(who, when, -people.income_true[who] * 0.35, "tax", "transfer", contract=main[who])


def _interest(world: World, people: People, contracts: Contracts) -> Bookings:
    """Interest of savings accounts, on the 20th of June and December."""
    rows = np.flatnonzero(contracts.product == world.product("savings_account"))
    starts = world.starts[:-1]
    closed = np.where(contracts.closed[rows] == NEVER, world.end + 1, contracts.closed[rows])
    mask = (starts > contracts.opened[rows][:, None]) & (starts + 20 * DAY < closed[:, None])
    place, month = np.nonzero(mask & (world.month_of_year % 6 == 0))
    rate = world.products[world.product("savings_account")].annual_rate
    who = contracts.who[rows][place]
    amount = np.maximum(people.income_true[who] * rate * 1.8, 100)
    return book(who, starts[month] + 19 * DAY + 17 * 3600, amount, "interest", "transfer", contract=rows[place])


def _foreign(rng: np.random.Generator, world: World, people: People, contracts: Contracts) -> Bookings:
    """Bookings on foreign currency accounts, in the account's own currency."""
    rows = np.flatnonzero(contracts.product == world.product("fx_account"))
    place, month = np.nonzero(rng.random((len(rows), world.months)) < 0.45)
    who, when = contracts.who[rows][place], calendar.moments(rng, world, month, calendar.OFFICE, 0.2)
    comes_in = rng.random(len(who)) < 0.5
    amount = rng.lognormal(11.0, 0.9, len(who)) * np.where(comes_in, 1, -1)
    category = np.where(comes_in, CATEGORIES.index("transfer_in"), CATEGORIES.index("travel"))
    channel = np.where(comes_in, CHANNELS.index("transfer"), CHANNELS.index("card"))
    return book(who, when, amount, category, channel, contract=rows[place])


def _fraud(rng: np.random.Generator, world: World, people: People, contracts: Contracts, main: Ints) -> Bookings:
    """Bursts of payments within an hour of the night, on the main account of a few customers."""
    size = int(np.ceil(len(people) * world.rules.fraud_share))
    victims = rng.permutation(np.flatnonzero((main >= 0) & people.main_bank))[:size]
    payments = rng.integers(5, 12, len(victims))
    who = np.repeat(victims, payments)
    night = world.start + rng.integers(30, (world.end - world.start) // DAY - 1, len(victims)) * DAY
    start = night + (3 * 3600 - world.zone_offset) % DAY
    when = np.repeat(start, payments) + rng.integers(0, 3600, len(who))
    amount = -rng.lognormal(11.6, 0.6, len(who))
    return book(who, when, amount, "shopping", "card", contract=main[who], fraud=True)


def _openings(world: World, contracts: Contracts, current: Ints) -> Bookings:
    """The first deposit on current accounts opened within the history; `_settle` fills in the amount."""
    rows = current[current >= 0]
    rows = rows[contracts.opened[rows] >= world.start]
    return book(
        contracts.who[rows], contracts.opened[rows], np.zeros(len(rows)), "transfer_in", "branch", contract=rows
    )


def _closings(contracts: Contracts, current: Ints) -> Bookings:
    """The last withdrawal from current accounts that are closed; `_settle` fills in the amount."""
    rows = current[current >= 0]
    rows = rows[contracts.closed[rows] != NEVER]
    return book(
        contracts.who[rows], contracts.closed[rows] - 1, np.zeros(len(rows)), "transfer_out", "branch", contract=rows
    )


def _in_order(world: World, contracts: Contracts, parts: Sequence[Bookings]) -> Bookings:
    """Join bookings, drop those outside their contract's life or the extract, and sort by customer and time."""
    names = ("who", "when", "amount", "category", "channel", "contract", "fraud")
    merged = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    opened, closed = contracts.opened[merged["contract"]], contracts.closed[merged["contract"]]
    when = merged["when"]
    valid = (merged["contract"] >= 0) & (when >= np.maximum(opened, world.start)) & (when <= world.end)
    valid &= (closed == NEVER) | (when < closed)
    rows = np.flatnonzero(valid)
    order = rows[np.argsort((merged["who"][rows] << 33) + (when[rows] - world.start), kind="stable")]
    return Bookings(**{name: column[order] for name, column in merged.items()})


def _settle(world: World, people: People, contracts: Contracts, current: Ints, rows: Bookings) -> Ledger:
    """Run the balance of every current account through its bookings, from an opening that keeps it above zero."""
    on_current = rows.contract == current[rows.who]
    flow = np.where(on_current, rows.amount, 0)
    starts = np.flatnonzero(np.diff(rows.who, prepend=-1))
    running = np.cumsum(flow)
    running -= np.repeat(running[starts] - flow[starts], np.diff(np.append(starts, len(rows))))
    lowest = np.zeros(len(people), dtype=np.int64)
    lowest[rows.who[starts]] = np.minimum.reduceat(running, starts) if len(starts) else 0
    opening = np.maximum(_opening_balance(world, people), SMALLEST_BALANCE - lowest)
    balance = running + opening[rows.who]
    amount = rows.amount.copy()
    first = on_current & (rows.when == contracts.opened[rows.contract]) & (rows.amount == 0)
    amount[first] = opening[rows.who[first]]
    last = on_current & (rows.when == contracts.closed[rows.contract] - 1) & (rows.amount == 0)
    amount[last] = -balance[last]
    balance[last] = 0
    closing = np.full(len(contracts), NEVER)
    held = np.flatnonzero(current >= 0)
    closing[current[held]] = opening[held]
    order = np.flatnonzero(on_current)
    closing[rows.contract[order]] = balance[order]
    settled = Bookings(**{**{name: getattr(rows, name) for name in rows.__slots__}, "amount": amount})
    return Ledger(bookings=settled, balance_after=np.where(on_current, balance, NEVER), closing_balance=closing)


def _opening_balance(world: World, people: People) -> Ints:
    """Return what a current account begins with: half a month's income, more for the wealthy and the main bank."""
    wealth = np.array([segment.wealth_months for segment in world.rules.segments])[people.segment]
    spread = np.exp(1.1 * (people.active - 1) - 0.3)
    share = np.where(people.main_bank, 0.5, 0.18) * (0.5 + 0.15 * wealth)
    opening: Ints = (people.income_true * share * np.clip(spread, 0.2, 6)).astype(np.int64)
    return opening


def columns(
    world: World, chunk: int, people: People, contracts: Contracts, ledger: Ledger
) -> dict[str, pa.Array | Ints]:
    """Return the columns of the transactions table."""
    rows = ledger.bookings
    fx = contracts.product[rows.contract] == world.product("fx_account")
    return {
        "transaction_id": transaction_ids(chunk, np.arange(len(rows))),
        "customer_id": people.ids.take(pa.array(rows.who)),
        "holding_id": contracts.ids.take(pa.array(rows.contract)),
        "booked_at": rows.when,
        "amount_minor": rows.amount,
        "currency": ids.words(np.where(fx, 1 + rows.who % 3, 0), contracts_of.currencies(world)),
        "category": ids.words(rows.category, CATEGORIES),
        "channel": ids.words(rows.channel, CHANNELS),
        "balance_after_minor": ledger.balance_after,
    }


def transaction_ids(chunk: int, rows: Ints) -> pa.Array:
    """Return the ids of a chunk's bookings by place."""
    return ids.numbered("T", chunk * PER_CHUNK + rows, 11)
