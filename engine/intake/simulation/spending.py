"""Everyday spending by category, on the account or the credit card, scaled to what comes in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from engine.config.simulation import Spending
from engine.domain.words import CATEGORIES, CHANNELS
from engine.intake.simulation import calendar
from engine.intake.simulation.bookings import Bookings, book, out_of_work
from engine.intake.simulation.contracts import Contracts
from engine.intake.simulation.people import People
from engine.intake.simulation.world import DAY, NEVER, Floats, Ints, World, expand

# category: share of bookings, median amount in minor units, months in which it doubles, channels (share app, web, card)
KINDS: Final[dict[Spending, tuple[float, int, tuple[int, ...], tuple[float, float, float]]]] = {
    "groceries": (0.30, 16_000, (), (0.45, 0.05, 0.50)),
    "dining": (0.20, 11_000, (), (0.50, 0.05, 0.45)),
    "shopping": (0.19, 26_000, (11,), (0.55, 0.25, 0.20)),
    "travel": (0.06, 60_000, (7, 8, 10), (0.45, 0.30, 0.25)),
    "health": (0.05, 20_000, (), (0.30, 0.10, 0.60)),
    "education": (0.03, 70_000, (2, 9), (0.50, 0.40, 0.10)),
    "cash": (0.08, 60_000, (1, 2), (0.0, 0.0, 0.0)),
    "transfer_out": (0.06, 70_000, (1, 2), (0.70, 0.20, 0.0)),
    "fees": (0.02, 1_500, (), (0.0, 0.0, 0.0)),
    "refund": (0.01, 14_000, (11, 12), (0.5, 0.5, 0.0)),
}
ON_CARD: Final = ("groceries", "dining", "shopping", "travel")


def make(
    rng: np.random.Generator,
    world: World,
    people: People,
    *,
    contracts: Contracts,
    main: Ints,
    income: Sequence[Bookings],
    fixed: Sequence[Bookings],
) -> list[Bookings]:
    """Return spending, and the monthly settlement of credit cards."""
    rate = _rates(world, people) * (main >= 0)[:, None]
    cell, _ = expand(rng.poisson(rate).ravel())
    who, month = cell // world.months, cell % world.months
    kind = _kinds(rng, world, people, who, month)
    when = calendar.moments(rng, world, month, calendar.SHOPS, 1.35)
    raw = _raw_amounts(rng, people, who, kind)
    card = _card(world, people, contracts)
    usable = (card >= 0)[who] & np.isin(kind, [list(KINDS).index(name) for name in ON_CARD])
    opened = np.where(card >= 0, contracts.opened[card], NEVER)[who]
    by_card = usable & (when > opened) & (rng.random(len(who)) < 0.55)
    amount = raw * _budget_factor(people, who, raw, income, fixed)[who]
    refund = kind == list(KINDS).index("refund")
    signed = np.where(refund, amount, -amount).astype(np.int64)
    category = np.array([CATEGORIES.index(name) for name in KINDS])[kind]
    channel = np.where(by_card, CHANNELS.index("card"), _channels(rng, people, who, kind))
    spent = book(who, when, signed, category, channel, contract=np.where(by_card, card[who], main[who]))
    return [
        spent,
        *_settlements(
            world, people, main=main, card=card, who=who[by_card], month=month[by_card], amount=amount[by_card]
        ),
    ]


def _rates(world: World, people: People) -> Floats:
    """Return expected bookings per customer and month: habit, season, and what life brings."""
    truth = np.array([segment.spending_per_month for segment in world.rules.segments])[people.segment]
    habit = truth * people.active * np.where(people.main_bank, 1.35, 0.72)
    season = np.array(calendar.SPENDING_BY_MONTH)[world.month_of_year - 1]
    rate = habit[:, None] * season
    rate *= np.where(out_of_work(world, people), 0.6, 1.0)
    starts = world.starts[:-1]
    rate *= np.where((people.child[:, None] != NEVER) & (starts > people.child[:, None]), 1.25, 1.0)
    moving = (people.moved[:, None] != NEVER) & (abs(starts - people.moved[:, None]) < 45 * DAY)
    rate *= np.where(moving, 1.4, 1.0)
    return np.asarray(rate * fading(world, people), dtype=np.float64)


def fading(world: World, people: People) -> Floats:
    """Return how active customers are by month: 0 outside the relationship, fading before they leave."""
    starts, ends = world.starts[:-1], world.starts[1:]
    here = (people.joined[:, None] < ends) & ((people.closed[:, None] == NEVER) | (people.closed[:, None] > starts))
    leaving = (people.closed[:, None] != NEVER) & (people.closed[:, None] < starts + 120 * DAY)
    return np.asarray(here * np.where(leaving, 0.45, 1.0), dtype=np.float64)


def _kinds(rng: np.random.Generator, world: World, people: People, who: Ints, month: Ints) -> Ints:
    """Draw the category of each booking from its segment's taste and the season."""
    segments = len(world.rules.segments)
    share = np.empty((segments, 12, len(KINDS)))
    for place, (name, (weight, _, peaks, _)) in enumerate(KINDS.items()):
        taste = np.array([segment.taste.get(name, 1.0) for segment in world.rules.segments])
        season = np.array([2.0 if moon in peaks else 1.0 for moon in range(1, 13)])
        share[:, :, place] = weight * taste[:, None] * season
    edges = np.cumsum(share, axis=2)
    edges /= edges[:, :, -1:]
    row = people.segment[who] * 12 + world.month_of_year[month] - 1
    # one lookup in a single rising list: group number + share within the group
    rising = (edges.reshape(-1, len(KINDS)) + np.arange(segments * 12)[:, None]).ravel()
    found = np.searchsorted(rising, row + rng.random(len(who)), side="right") - row * len(KINDS)
    return np.asarray(np.clip(found, 0, len(KINDS) - 1), dtype=np.int64)


def _raw_amounts(rng: np.random.Generator, people: People, who: Ints, kind: Ints) -> Floats:
    median = np.array([median for _, median, _, _ in KINDS.values()])[kind]
    amount: Floats = median * np.exp(0.5 * people.income_z[who] + rng.normal(0, 0.7, len(who)))
    return amount


def _budget_factor(
    people: People, who: Ints, raw: Floats, income: Sequence[Bookings], fixed: Sequence[Bookings]
) -> Floats:
    """Return by how much each customer's spending is scaled, so that most of what comes in goes out again."""
    size = len(people)
    comes_in = sum(np.bincount(part.who, part.amount, size) for part in income)
    goes_out = -sum(np.bincount(part.who, part.amount, size) for part in fixed)
    thrift = np.where(people.segment == 4, 0.99, 0.93)
    target = np.maximum(comes_in * thrift - goes_out, 0.15 * comes_in)
    factor = target / np.maximum(np.bincount(who, raw, size), 1.0)
    return np.where(comes_in > 0, np.clip(factor, 0.25, 12.0), 0.5)


def _card(world: World, people: People, contracts: Contracts) -> Ints:
    """Return, per customer, the contract of the credit card used most, or -1."""
    card = np.full(len(people), -1)
    for name in ("credit_card_classic", "credit_card_travel", "credit_card_gold"):
        held = contracts.of(world.product(name), len(people))
        card = np.where(held >= 0, held, card)
    return card


def _channels(rng: np.random.Generator, people: People, who: Ints, kind: Ints) -> Ints:
    """Return where each booking was made; customers without the app pay by card, and transfer in branches."""
    app, web, card, atm, branch, transfer = (
        CHANNELS.index(name) for name in ("app", "web", "card", "atm", "branch", "transfer")
    )
    share = np.cumsum(np.array([shares for *_, shares in KINDS.values()]), axis=1)[kind]
    draw = rng.random(len(who))
    rest = np.array([atm if name == "cash" else branch if name == "transfer_out" else transfer for name in KINDS])[kind]
    chosen = np.where(
        draw < share[:, 0], app, np.where(draw < share[:, 1], web, np.where(draw < share[:, 2], card, rest))
    )
    rest_or_card = np.where(share[:, 2] > share[:, 1], card, rest)
    offline = ((chosen == app) & ~people.app[who]) | ((chosen == web) & ~people.web[who])
    return np.where(offline, rest_or_card, chosen)


def _settlements(
    world: World, people: People, *, main: Ints, card: Ints, who: Ints, month: Ints, amount: Floats
) -> list[Bookings]:
    """Pay each month's card spending on the 18th of the next: out of the account, into the card."""
    cells = np.bincount(who * world.months + month, amount, len(people) * world.months)
    owed = cells.reshape(len(people), world.months)[:, :-1].astype(np.int64)
    owner, at = np.nonzero((owed > 0) & (main >= 0)[:, None])
    when = world.starts[at + 1] + 17 * DAY + 6 * 3600
    paid = owed[owner, at]
    return [
        book(owner, when, -paid, "transfer_out", "transfer", contract=main[owner]),
        book(owner, when + 60, paid, "transfer_in", "transfer", contract=card[owner]),
    ]
