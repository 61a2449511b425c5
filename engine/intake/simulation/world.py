"""What every part of the simulated bank shares: the calendar, the catalogue by index, and the random streams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from engine.config.products import Catalogue, ProductSettings
from engine.config.simulation import SimulationSettings
from engine.domain.errors import SettingsFault

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

DAY: Final = 86_400
YEAR: Final = 365.25 * DAY
NEVER: Final = int(np.iinfo(np.int64).min)
"""Stands for "no value" in integer columns and "did not happen" in instants; becomes null when written."""

# one random stream per part, so that a change in one part leaves the draws of the others alone
STREAMS: Final = (
    "people", "identities", "bureau", "demand", "holdings", "credit", "money", "visits", "talks", "consents",
    "feedback", "experiments", "watchlists", "dirt", "frictions", "touches", "standing",
    "credit_lines",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The bank to be simulated. Instants are whole seconds since 1970 in UTC; `end` is the last one of the extract."""

    rules: SimulationSettings
    products: tuple[ProductSettings, ...]
    rates: dict[str, float]
    base_currency: str
    seed: int
    customers: int
    until: date
    months: int
    start: int
    end: int
    zone_offset: int
    month_starts: tuple[int, ...]

    @property
    def starts(self) -> Ints:
        """The first second of each month of the history and, last, the second after its end."""
        return np.array(self.month_starts, dtype=np.int64)

    @property
    def month_of_year(self) -> Ints:
        """The calendar month, 1 to 12, of each month of the history."""
        return np.array([month_of(start) for start in self.month_starts[:-1]], dtype=np.int64)

    @property
    def chunks(self) -> int:
        """How many chunks of customers the bank is made in."""
        return -(-self.customers // self.rules.chunk_customers)

    def product(self, product_id: str) -> int:
        """Return the place of a product in the catalogue."""
        return [product.product_id for product in self.products].index(product_id)

    def rng(self, chunk: int, stream: str) -> np.random.Generator:
        """Return the random stream of one part of one chunk: the same whoever works on it, and when."""
        return np.random.default_rng([self.seed, chunk, STREAMS.index(stream)])


def month_of(second: int) -> int:
    """Return the calendar month, 1 to 12, that a second lies in."""
    return datetime.fromtimestamp(second, UTC).month


def seconds(day: date) -> int:
    """Return the first second of a day in UTC."""
    return int(datetime.combine(day, time(), UTC).timestamp())


def make(
    *,
    customers: int,
    seed: int,
    until: date,
    months: int,
    catalogue: Catalogue,
    rates: dict[str, float],
    base_currency: str,
    time_zone: str,
    rules: SimulationSettings,
) -> World:
    """Return the world of a bank whose history of `months` whole months ends with the day `until`.

    Raises
    ------
    SettingsFault
        The size or the length is out of range, or the rules name products that the catalogue lacks.
    """
    _check(customers, months, catalogue, rules)
    starts = _month_starts(until, months)
    noon = datetime.combine(until, time(12), ZoneInfo(time_zone))
    offset = noon.utcoffset()
    return World(
        rules=rules,
        products=catalogue.products,
        rates=rates,
        base_currency=base_currency,
        seed=seed,
        customers=customers,
        until=until,
        months=months,
        start=starts[0],
        end=starts[-1] - 1,
        zone_offset=int(offset.total_seconds()) if offset else 0,
        month_starts=tuple(starts),
    )


def _month_starts(until: date, months: int) -> list[int]:
    """Return months + 1 seconds: the first of each month, and the second after the last day."""
    last = until.year * 12 + until.month - 1
    firsts = [date(month // 12, month % 12 + 1, 1) for month in range(last - months + 1, last + 1)]
    return [*(seconds(first) for first in firsts), seconds(until) + DAY]


def _check(customers: int, months: int, catalogue: Catalogue, rules: SimulationSettings) -> None:
    known = {product.product_id for product in catalogue.products}
    named = {demand.product_id for demand in rules.demand} | {"current_account", "youth_account"}
    faults = [f'product "{name}" is not in the catalogue. Add it, or take it out.' for name in sorted(named - known)]
    if not 1 <= customers <= 10_000_000:
        faults.append(f"customers = {customers}: expected 1 to 10,000,000.")
    if not 4 <= months <= 60:
        faults.append(f"months = {months}: expected 4 to 60, enough for the experiments to close.")
    if faults:
        raise SettingsFault("simulation", faults)


def pick(rng: np.random.Generator, shares: Sequence[float] | Floats, size: int) -> Ints:
    """Draw `size` codes 0, 1, ... with the given shares, which are scaled to sum to 1."""
    edges = np.cumsum(np.asarray(shares, dtype=np.float64))
    return np.searchsorted(edges / edges[-1], rng.random(size), side="right").astype(np.int64)


def pick_by_row(rng: np.random.Generator, shares: Floats) -> Ints:
    """Draw one code per row from a matrix of shares, shape (n, codes); a row of zeros gives code 0."""
    edges = np.cumsum(shares, axis=1)
    edges /= np.maximum(edges[:, -1:], 1e-300)
    below: Ints = (rng.random(len(shares))[:, None] >= edges).sum(axis=1).astype(np.int64)
    return np.asarray(np.minimum(below, shares.shape[1] - 1), dtype=np.int64)


def expand(counts: Ints) -> tuple[Ints, Ints]:
    """Return, for counts per owner, the owner of each item and its place among the owner's items."""
    owner = np.repeat(np.arange(len(counts)), counts)
    first = np.cumsum(counts) - counts
    return owner, np.arange(len(owner)) - np.repeat(first, counts)


def logistic(logit: Floats) -> Floats:
    """Return the probability of a logit."""
    result: Floats = 1 / (1 + np.exp(-logit))
    return result


def month_index(world: World, when: Ints) -> Ints:
    """Return the month of the history, 0-based, that each instant lies in; clipped to the history."""
    return np.clip(np.searchsorted(world.starts, when, side="right") - 1, 0, world.months - 1)
