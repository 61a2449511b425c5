"""How long contracts last: to their term, until the customer gives them up, or as long as the relationship.

What is given up can be taken again, as in any bank, so that demand and holdings must know the same ends.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.intake.simulation.people import People
from engine.intake.simulation.world import NEVER, YEAR, Floats, Ints, World

OPEN_END: Final = np.int64(2**62)
YEARS: Final = {"account": 60.0, "deposit": 14.0, "card": 14.0, "insurance": 9.0, "investment": 7.0, "loan": 6.0}
"""Mean years after which a customer gives a contract of a family up, where its term does not end it first."""
OTHER_YEARS: Final = 40.0


def ends(world: World, people: People, *, who: Ints, product: Ints, opened: Ints) -> Ints:
    """Return when each contract ends, OPEN_END for never; who asks twice about one contract gets one answer."""
    life = np.array([YEARS.get(each.family, OTHER_YEARS) for each in world.products])
    term = np.array([(each.typical_term_months or 0) / 12 for each in world.products])
    wished = -np.log1p(-_luck(world, people.number[who], product, opened)) * life[product] + 0.15
    # what has a term is given up before it, after a year at the earliest, or runs to it
    runs = np.where(term[product] > 0, np.minimum(term[product], np.where(wished > 1, wished, 99)), wished)
    ended = opened + (np.minimum(runs, 200) * YEAR).astype(np.int64)
    ended[np.isin(product, [world.product(name) for name in ("current_account", "debit_card")])] = OPEN_END
    youth = product == world.product("youth_account")
    oldest = world.products[world.product("youth_account")].max_age or 200
    ended[youth] = world.end + ((oldest - people.age[who[youth]]) * YEAR).astype(np.int64)
    left = np.where(people.closed[who] == NEVER, OPEN_END, people.closed[who])
    return np.asarray(np.minimum(ended, left), dtype=np.int64)


def _luck(world: World, number: Ints, product: Ints, opened: Ints) -> Floats:
    """Return a number in [0, 1) that depends on nothing but the contract and the seed (splitmix64)."""
    mixed = np.full(len(number), world.seed, dtype=np.uint64)
    for part in (number, product, opened):
        mixed = _scrambled(mixed + part.astype(np.uint64))
    return np.asarray((mixed >> np.uint64(11)).astype(np.float64) / 2**53, dtype=np.float64)


def _scrambled(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    value = value + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
