"""How customers stand at each month's end: days past due, collections, care and fraud, as the bank's own systems say.

A delay of 30 to 89 days is one that the bureau counts too, and only whoever defaults is 90 days late or more. The
bureau hears of a default in the month after it, so its reports lack the delay that led there: the bank knows earlier.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from engine.intake.simulation import bureau as bureaus
from engine.intake.simulation.bureau import Bureau
from engine.intake.simulation.contracts import Contracts
from engine.intake.simulation.credit import Credit
from engine.intake.simulation.lives import OPEN_END
from engine.intake.simulation.money import Ledger
from engine.intake.simulation.people import People
from engine.intake.simulation.world import DAY, NEVER, YEAR, Bools, Floats, Ints, World, logistic, month_index

HANDED_OVER: Final = 61  # days past due from which collections take over
PLAN_MONTHS: Final = 2  # months for which they stay with whoever has paid up
FRAIL: Final = 75  # years of age from which care is needed more often
MOST_EARLY: Final = 0.35


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The reports of one chunk by customer and month; `days` is NEVER where nothing is or was owed."""

    who: Ints
    reported: Ints
    days: Ints
    in_collections: Bools
    vulnerable: Bools
    hardship: Bools
    fraud_block: Bools


def make(
    world: World, chunk: int, people: People, *, contracts: Contracts, credit: Credit, reports: Bureau, ledger: Ledger
) -> Standing:
    """Return a report at each month's end from the first on that says anything of a customer."""
    rng = world.rng(chunk, "standing")
    ends = world.starts[1:] - 1
    borrows = _borrows(world, people, contracts)
    days = _early(rng, world, people, reports, borrows)
    for who, missed, paid in (_cured(rng, world, reports, borrows), _defaulted(rng, world, credit)):
        _late(days, ends, who, missed=missed, paid=paid)
    collected = _in_collections(days)
    vulnerable = _vulnerable(rng, world, people, ends)
    hardship = _hardship(rng, world, people, ends=ends, borrows=borrows[:, 1:], days=days)
    blocked = _blocked(rng, world, people, ends, ledger)
    told = borrows[:, 1:] | (days > 0) | vulnerable | hardship | blocked
    alive = people.alive(ends[None, :], np.arange(len(people))[:, None])
    # the credit of whoever has left is reported on until nothing is overdue, and nothing will be
    left = (people.closed != NEVER)[:, None] & (people.closed[:, None] <= ends)
    owed = np.logical_or.accumulate((days > 0)[:, ::-1], axis=1)[:, ::-1] & left
    at = who, month = np.nonzero(np.logical_or.accumulate(told, axis=1) & (alive | owed))
    return Standing(
        who=who,
        reported=ends[month],
        days=np.where(borrows[:, 1:] | (days > 0) | owed, days, NEVER)[at],
        in_collections=collected[at],
        vulnerable=vulnerable[at],
        hardship=hardship[at],
        fraud_block=blocked[at],
    )


def _borrows(world: World, people: People, contracts: Contracts) -> Bools:
    """Mark who has credit open at the beginning of the history and at each month's end. Shape (n, 1 + months)."""
    rows = np.flatnonzero(np.array([product.is_credit for product in world.products])[contracts.product])
    closed = np.where(contracts.closed[rows] == NEVER, OPEN_END, contracts.closed[rows])
    moments = np.concatenate([[world.start], world.starts[1:] - 1])
    change = np.zeros((len(people), len(moments) + 1), dtype=np.int64)
    np.add.at(change, (contracts.who[rows], np.searchsorted(moments, contracts.opened[rows])), 1)
    np.add.at(change, (contracts.who[rows], np.searchsorted(moments, closed)), -1)
    found: Bools = np.cumsum(change, axis=1)[:, :-1] > 0
    return found


def _early(rng: np.random.Generator, world: World, people: People, reports: Bureau, borrows: Bools) -> Ints:
    """Return days past due of 1 to 29 at month's ends, most of them few, that are paid before the next month's end."""
    size, months = len(people), world.months
    who, month = np.repeat(np.arange(size), months), np.tile(np.arange(months), size)
    risk = logistic(bureaus.default_logit(world, people, reports, who, month)).reshape(size, months)
    chance = np.minimum(world.rules.standing.early_share * np.sqrt(risk / 0.03), MOST_EARLY)
    late = (rng.random(chance.shape) < chance) & borrows[:, :-1] & borrows[:, 1:]
    days: Ints = np.where(late, np.minimum(rng.geometric(0.15, late.shape), 29), 0)
    return days


def _cured(rng: np.random.Generator, world: World, reports: Bureau, borrows: Bools) -> tuple[Ints, Ints, Ints]:
    """Return customer, instant missed and instant paid of delays of 30 to 89 days on credit of this bank."""
    drawn = rng.random(reports.late_days.shape) < world.rules.standing.own_share
    who, month = np.nonzero(drawn & (reports.late_days > 0) & (reports.late_days < 90))
    worst = reports.late_days[who, month]
    length = world.starts[month + 1] - world.starts[month]
    # within that month it came to 30 or 60 days, and was paid before the next 30 were over
    missed = world.starts[month] + (rng.random(len(who)) * length).astype(np.int64) - worst * DAY
    paid = missed + worst * DAY + (rng.random(len(who)) * 29 * DAY).astype(np.int64)
    first, last = (month_index(world, when) for when in (missed, paid))
    ours = borrows[who, first] & borrows[who, last + 1]
    return who[ours], missed[ours], paid[ours]


def _defaulted(rng: np.random.Generator, world: World, credit: Credit) -> tuple[Ints, Ints, Ints]:
    """Return the same of the defaults, those to come included: their first instalments are missed before."""
    settled = rng.random(len(credit)) < world.rules.standing.settled_share
    later = rng.uniform(60, 400, len(credit)) * DAY
    rows = np.flatnonzero(credit.defaulted != NEVER)
    paid = np.where(settled[rows], credit.defaulted[rows] + later[rows].astype(np.int64), OPEN_END)
    return credit.who[rows], credit.defaulted[rows] - 90 * DAY, paid


def _late(days: Ints, ends: Ints, who: Ints, *, missed: Ints, paid: Ints) -> None:
    """Write what is past due at each month's end, in place; of several delays the longest counts."""
    row, month = np.nonzero((missed[:, None] <= ends) & (ends < paid[:, None]))
    np.maximum.at(days, (who[row], month), (ends[month] - missed[row]) // DAY)


def _in_collections(days: Ints) -> Bools:
    handed_over = days >= HANDED_OVER
    with_them = handed_over.copy()
    for back in range(1, PLAN_MONTHS + 1):
        with_them[:, back:] |= handed_over[:, :-back]
    return with_them


def _vulnerable(rng: np.random.Generator, world: World, people: People, ends: Ints) -> Bools:
    share = world.rules.standing.vulnerable_share * np.where(people.age >= FRAIL, 3.0, 1.0)
    begins: Floats = rng.uniform(world.start - 2 * YEAR, world.end, len(people))
    lasts: Floats = rng.exponential(1.5 * YEAR, len(people))
    begins = np.where(rng.random(len(people)) < share, begins, np.inf)
    return _between(ends, begins, begins + lasts)


def _hardship(
    rng: np.random.Generator, world: World, people: People, *, ends: Ints, borrows: Bools, days: Ints
) -> Bools:
    """Mark borrowers who lost their job a while ago, or are more than 30 days late, as far as they tell the bank."""
    tells = rng.random(len(people)) < world.rules.standing.hardship_share
    lost = np.where(people.job_lost == NEVER, np.inf, people.job_lost + 45.0 * DAY)
    found_work: Floats = people.job_found.astype(np.float64)
    jobless = _between(ends, lost, found_work + 30.0 * DAY) & borrows
    found: Bools = tells[:, None] & (jobless | (days > 30))
    return found


def _blocked(rng: np.random.Generator, world: World, people: People, ends: Ints, ledger: Ledger) -> Bools:
    """Mark whom a burst of fraud has met, for some weeks, and who is suspected of something."""
    bookings = ledger.bookings
    burst = np.full(len(people), -np.inf)
    np.maximum.at(burst, bookings.who[bookings.fraud], bookings.when[bookings.fraud].astype(np.float64))
    weeks = rng.uniform(2, 9, len(people)) * 7 * DAY
    waits: Floats = rng.exponential(YEAR / max(world.rules.standing.suspected_yearly, 1e-9), len(people))
    since: Floats = waits + float(world.start)
    cleared: Floats = since + rng.exponential(0.5 * YEAR, len(people))
    return _between(ends, burst, burst + weeks) | _between(ends, since, cleared)


def _between(ends: Ints, begins: Floats, over: Floats) -> Bools:
    inside: Bools = (ends >= begins[:, None]) & (ends < over[:, None])
    return inside


def columns(people: People, standing: Standing) -> dict[str, pa.Array | Ints | Bools]:
    """Return the columns of the standing table."""
    return {
        "customer_id": people.ids.take(pa.array(standing.who)),
        "reported_at": standing.reported,
        "days_past_due": standing.days,
        "in_collections": standing.in_collections,
        "vulnerable": standing.vulnerable,
        "hardship": standing.hardship,
        "fraud_block": standing.fraud_block,
    }
