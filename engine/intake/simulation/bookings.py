"""Bookings as columns, and the monthly grid that regular ones come from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.domain.words import CATEGORIES, CHANNELS
from engine.intake.simulation.people import People
from engine.intake.simulation.world import DAY, NEVER, Bools, Floats, Ints, World


@dataclass(frozen=True, slots=True, kw_only=True)
class Bookings:
    """Bookings of one chunk, one array per attribute; `contract` is a row of the contracts."""

    who: Ints
    when: Ints
    amount: Ints
    category: Ints
    channel: Ints
    contract: Ints
    fraud: Bools

    def __len__(self) -> int:
        return len(self.who)


def book(
    who: Ints, when: Ints, amount: Ints | Floats, category: str | Ints, channel: str | Ints, *, contract: Ints,
    fraud: bool = False,
) -> Bookings:  # fmt: skip
    """Return bookings; a word for category or channel holds for all of them."""
    size = len(who)
    return Bookings(
        who=who,
        when=when,
        amount=np.asarray(amount).astype(np.int64),
        category=np.full(size, CATEGORIES.index(category)) if isinstance(category, str) else category,
        channel=np.full(size, CHANNELS.index(channel)) if isinstance(channel, str) else channel,
        contract=contract,
        fraud=np.full(size, fraud),
    )


def monthly(world: World, mask: Bools, day: Ints, second: int) -> tuple[Ints, Ints, Ints]:
    """Return customer, month and instant for each marked month, on the customer's day of the month."""
    who, month = np.nonzero(mask)
    last_day = (world.starts[month + 1] - world.starts[month]) // DAY
    when = world.starts[month] + (np.minimum(day[who], last_day) - 1) * DAY
    # what falls on a weekend is booked on the Friday before, if that is the same month
    weekday = (when // DAY + 3) % 7
    when = np.where((weekday >= 5) & (day[who] > 2), when - (weekday - 4) * DAY, when)
    return who, month, when + (second - world.zone_offset) % DAY


def everywhere(world: World, owners: Bools) -> Bools:
    """Return a mask of all months for the customers marked."""
    return np.repeat(owners[:, None], world.months, axis=1)


def out_of_work(world: World, people: People) -> Bools:
    """Mark the months in which a customer has no pay. Shape (n, months)."""
    starts = world.starts[:-1]
    lost: Bools = (people.job_lost[:, None] != NEVER) & (starts > people.job_lost[:, None])
    return lost & (starts <= people.job_found[:, None])
