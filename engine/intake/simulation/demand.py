"""Who takes which product and when: month by month, through journeys or directly, and the true propensities."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from engine.intake.simulation import bureau as bureaus
from engine.intake.simulation import journeys, lives
from engine.intake.simulation.bureau import Bureau
from engine.intake.simulation.journeys import Attempts
from engine.intake.simulation.people import EMPLOYMENT, People
from engine.intake.simulation.world import DAY, NEVER, YEAR, Bools, Floats, Ints, World, pick_by_row

LIFE_EVENTS = ("child", "move")
QUARTER = 90  # days ahead that a propensity speaks of
# travel insurance is bought before the Spring Festival and the summer, cars before the Spring Festival
SEASONS = {
    "travel_insurance": (1.8, 1.2, 0.7, 1.0, 1.1, 1.4, 1.6, 1.1, 1.0, 0.9, 0.5, 0.8),
    "auto_loan": (1.4, 0.8, 0.9, 0.9, 1.0, 1.0, 0.9, 0.9, 1.1, 1.0, 1.0, 1.2),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a chunk's customers took.

    `bought_*` lists every purchase outside journeys, prior ones included; `refused_*` the credit applications
    outside journeys that the bank did not approve; `propensity` is true for the QUARTER days after the extract.
    """

    bought_who: Ints
    bought_product: Ints
    bought_at: Ints
    refused_who: Ints
    refused_product: Ints
    refused_at: Ints
    attempts: Attempts
    propensity: Floats


@dataclass(slots=True)
class _State:
    """The moving state of the monthly walk: until when what is owned, which journeys were entered, the lists so far.

    `until` holds for each customer and product when the contract that was opened last ends, 0 without one.
    """

    until: Ints
    entered: Bools
    bought: list[tuple[Ints, Ints, Ints]] = field(default_factory=list)
    refused: list[tuple[Ints, Ints, Ints]] = field(default_factory=list)
    attempts: list[Attempts] = field(default_factory=list)

    def owned(self, when: int) -> Bools:
        """Mark what is owned at an instant; what was given up by then can be taken again."""
        held: Bools = self.until > when
        return held

    def take(self, world: World, people: People, who: Ints, product: Ints, opened: Ints) -> None:
        """Own what was opened until it ends."""
        ended = lives.ends(world, people, who=who, product=product, opened=opened)
        np.maximum.at(self.until, (who, product), ended)


class Appetite:
    """The rates at which the customers of a chunk take products, given what they own. Rates are per month."""

    def __init__(self, world: World, people: People) -> None:
        self.world, self.people = world, people
        names = [product.product_id for product in world.products]
        self.base = _base_rates(world, people)
        self.after = [
            (names.index(demand.product_id), other if other in LIFE_EVENTS else names.index(other), factor)
            for demand in world.rules.demand
            for other, factor in demand.after.items()
        ]
        self.requires = [
            (column, names.index(product.requires_product_id))
            for column, product in enumerate(world.products)
            if product.requires_product_id in names
        ]
        self.season = np.ones((len(names), 12))
        for name, factors in SEASONS.items():
            if name in names:
                self.season[names.index(name)] = factors
        self.multiple = np.array([product.multiple for product in world.products])
        self.youngest = np.array([product.min_age for product in world.products])
        self.oldest = np.array([product.max_age or 200 for product in world.products])

    def rates(self, owned: Bools, when: int, month_of_year: int) -> Floats:
        """Return the rate a month at which each customer takes each product, shape (n, products)."""
        rate = self.base * self.season[:, month_of_year - 1]
        for product, other, factor in self.after:
            held = self._met(other, when) if isinstance(other, str) else owned[:, other]
            rate[:, product] *= np.where(held, factor, 1.0)
        for product, needed in self.requires:
            rate[:, product] *= owned[:, needed]
        rate *= ~owned | self.multiple
        age = self.people.age - (self.world.end - when) / YEAR
        rate *= (age[:, None] >= self.youngest) & (age[:, None] <= self.oldest)
        return rate

    def _met(self, event: str, when: int) -> Bools:
        moment = self.people.child if event == "child" else self.people.moved
        met: Bools = (moment != NEVER) & (moment <= when)
        return met


def _base_rates(world: World, people: People) -> Floats:
    """Return rates a month before anything that changes: segment, income, age and work. Shape (n, products)."""
    rate = np.zeros((len(people), len(world.products)))
    for demand in world.rules.demand:
        column = world.product(demand.product_id)
        family = world.products[column].family
        affinity = np.array([segment.affinity.get(family, 1.0) for segment in world.rules.segments])
        bell = np.exp(-0.5 * ((people.age - demand.age_peak) / demand.age_spread) ** 2)
        rate[:, column] = demand.yearly_rate / 12 * affinity[people.segment] * bell
        rate[:, column] *= np.exp(demand.income * people.income_z)
        if world.products[column].is_credit:
            barred = np.isin(people.employment, [EMPLOYMENT.index("unemployed")])
            rate[:, column] *= np.where(barred, 0.4, 1.0)
    # a second id is a side relationship; main-bank customers take more of everything
    return rate * np.where(people.twin_of >= 0, 0.3, np.where(people.main_bank, 1.25, 0.8))[:, None]


def make(world: World, chunk: int, people: People, credit: Bureau) -> Demand:
    """Walk through the history month by month and return what was taken, tried and refused."""
    rng = world.rng(chunk, "demand")
    appetite = Appetite(world, people)
    names = [product.product_id for product in world.products]
    state = _State(
        until=np.zeros((len(people), len(names)), dtype=np.int64),
        entered=np.zeros((len(people), len(world.rules.journeys)), dtype=np.bool_),
    )
    _own_accounts(world, people, state)
    _own_before(rng, appetite, state)
    for month in range(world.months):
        start = world.month_starts[month]
        rate = appetite.rates(state.owned(start), start, int(world.month_of_year[month]))
        rate *= _free_to_buy(world, people, month)[:, None]
        logit = bureaus.default_logit(world, people, credit, np.arange(len(people)), np.full(len(people), month))
        _enter_journeys(rng, world, people, state, month=month, rate=rate, logit=logit)
        rate *= ~state.owned(start) | appetite.multiple  # not again what a journey of this month will open
        _buy_directly(rng, world, people, state, month=month, rate=_outside_journeys(world, rate), logit=logit)
    attempts = journeys.joined(state.attempts, world)
    who, product, at = (np.concatenate(column) for column in zip(*state.bought, strict=True))
    refused = [np.concatenate(column) for column in zip(*state.refused, strict=True)]
    return Demand(
        bought_who=who,
        bought_product=product,
        bought_at=at,
        refused_who=refused[0],
        refused_product=refused[1],
        refused_at=refused[2],
        attempts=attempts,
        propensity=_propensities(world, people, appetite, state, attempts),
    )


def _own_accounts(world: World, people: People, state: _State) -> None:
    """Open the account that starts the relationship: a youth account below 18, else a current account."""
    young = people.age - (world.end - people.joined) / YEAR < 18
    coming_of_age = people.joined + np.maximum((18 - people.age) * YEAR + (world.end - people.joined), 0).astype(
        np.int64
    )
    adult = np.where(young, np.maximum(coming_of_age, people.joined) // DAY * DAY + DAY // 8, people.joined)
    youth, current = world.product("youth_account"), world.product("current_account")
    who = np.flatnonzero(young)
    state.bought.append((who, np.full(len(who), youth), people.joined[who]))
    closed = np.where(people.closed == NEVER, world.end, people.closed)
    who = np.flatnonzero((adult < closed) & (adult <= world.end))
    state.bought.append((who, np.full(len(who), current), adult[who]))
    state.take(world, people, who, np.full(len(who), current), adult[who])
    children = np.flatnonzero(young)
    state.take(world, people, children, np.full(len(children), youth), people.joined[children])


def _own_before(rng: np.random.Generator, appetite: Appetite, state: _State) -> None:
    """Give long-standing customers what they took before the history began."""
    world, people = appetite.world, appetite.people
    since_joined = (world.start - people.joined) / YEAR
    for column, product in enumerate(world.products):
        # what runs for a term and was taken earlier has ended by now
        years = np.minimum(since_joined, min((product.typical_term_months or 120) / 12, 10.0))
        rate = appetite.rates(state.owned(world.start), world.start, 6)[:, column] * 12
        chance = 1 - np.exp(-0.75 * rate * np.maximum(years, 0))
        who = np.flatnonzero((rng.random(len(people)) < chance) & (years > 0))
        when = world.start - (rng.random(len(who)) ** 1.3 * years[who] * YEAR).astype(np.int64)
        when = np.minimum(np.maximum(when, people.joined[who] + 600), world.start - 1)
        state.bought.append((who, np.full(len(who), column), when))
        state.take(world, people, who, np.full(len(who), column), when)


def _free_to_buy(world: World, people: People, month: int) -> Bools:
    """Mark customers who joined before the month and do not leave within 100 days after it."""
    end = world.month_starts[month + 1]
    stays = (people.closed == NEVER) | (people.closed > end + 100 * DAY)
    free: Bools = (people.joined < world.month_starts[month]) & stays
    return free


def _outside_journeys(world: World, rate: Floats) -> Floats:
    """Return the rates of sales outside journeys: all of most products, a share of those that have a journey."""
    direct = rate.copy()
    direct[:, journeys.product_columns(world)] *= world.rules.credit.direct_share
    return direct


def _enter_journeys(
    rng: np.random.Generator, world: World, people: People, state: _State, *, month: int, rate: Floats, logit: Floats
) -> None:
    """Let customers enter each journey at most once in the history, and own what they open in it."""
    for code in range(len(world.rules.journeys)):
        entering, wanted = journeys.entry_rates(world, people, code, rate)
        chance = (1 - np.exp(-entering)) * ~state.entered[:, code]
        who = np.flatnonzero(rng.random(len(chance)) < chance)
        product = np.array(journeys.columns_of(world, code))[pick_by_row(rng, wanted[who])]
        standing = weighted_standing(rng, logit, chance, people.segment)[who]
        attempts = journeys.attempt(rng, world, people, code, month=month, who=who, product=product, standing=standing)
        state.attempts.append(attempts)
        state.entered[who, code] = True
        opened = attempts.opened != NEVER
        state.take(world, people, who[opened], product[opened], attempts.opened[opened])


def weighted_standing(rng: np.random.Generator, value: Floats, weight: Floats, group: Ints) -> Floats:
    """Return where each value stands within its group, 0 to 1: the weighted share below it, ties broken at random.

    Whoever is drawn from a group with these weights has a standing that is uniform between 0 and 1.
    """
    order = np.lexsort((value, group))
    ordered, groups = weight[order], group[order]
    through = np.cumsum(ordered)
    first = np.searchsorted(groups, groups)
    before = np.where(first > 0, through[np.maximum(first - 1, 0)], 0.0)
    total = through[np.searchsorted(groups, groups, side="right") - 1] - before
    below = through - ordered - before + rng.random(len(value)) * ordered
    standing = np.empty(len(value))
    standing[order] = np.clip(below / np.maximum(total, 1e-300), 0.0, 1.0)
    return standing


def _buy_directly(
    rng: np.random.Generator, world: World, people: People, state: _State, *, month: int, rate: Floats, logit: Floats
) -> None:
    """Sell in branches and by phone. Credit is applied for there too: the bank approves by risk."""
    truth = world.rules.credit
    credit = np.array([product.is_credit for product in world.products])
    chance = 1 - np.exp(-rate / np.where(credit, truth.approval, 1.0))
    who, product = np.nonzero(rng.random(rate.shape) < chance)
    when = _moments(rng, world, month, len(who))
    standing = weighted_standing(rng, logit, np.ones(len(logit)), np.zeros(len(logit), dtype=np.int64))[who]
    refused = credit[product] & ~journeys.approved(rng, standing, np.full(len(who), truth.approval), truth)
    state.bought.append((who[~refused], product[~refused], when[~refused]))
    state.refused.append((who[refused], product[refused], when[refused]))
    state.take(world, people, who[~refused], product[~refused], when[~refused])


def _moments(rng: np.random.Generator, world: World, month: int, size: int) -> Ints:
    """Draw office-hour instants within a month of the history."""
    first, last = world.month_starts[month], world.month_starts[month + 1]
    day = first + rng.integers(0, (last - first) // DAY, size) * DAY
    second = (9 * 3600 + rng.integers(0, 8 * 3600, size) - world.zone_offset) % DAY
    return np.asarray(np.minimum(day + second, world.end), dtype=np.int64)


def _propensities(world: World, people: People, appetite: Appetite, state: _State, attempts: Attempts) -> Floats:
    """Return the true probability that each customer takes each product within QUARTER days of the extract's end."""
    rate = appetite.rates(state.owned(world.end), world.end, 12) / appetite.season[:, 11]
    ahead = [(int(world.month_of_year[-1]) + step) % 12 for step in range(3)]
    rate *= appetite.season[:, ahead].mean(axis=1)
    rate *= (people.closed == NEVER)[:, None]
    months = QUARTER / 30.44
    stays_away = np.exp(-_outside_journeys(world, rate) * months)
    for code in range(len(world.rules.journeys)):
        columns = journeys.columns_of(world, code)
        entering, wanted = journeys.entry_rates(world, people, code, rate)
        share = wanted / np.maximum(wanted.sum(axis=1, keepdims=True), 1e-300)
        in_time = journeys.share_in_time(world, code, QUARTER)
        enters = (1 - np.exp(-entering * months)) * ~state.entered[:, code] * in_time
        stays_away[:, columns] *= 1 - share * (enters * journeys.conversion(world, people, code))[:, None]
    under_way = journeys.remaining(world, people, attempts)
    stays_away[attempts.who, attempts.product] *= 1 - under_way
    return 1 - stays_away
