"""When things happen: weekdays, hours of the day, and the seasons of a Chinese year."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np

from engine.intake.simulation.world import DAY, Floats, Ints, World

# relative activity by hour of the local day, 0 to 23
ONLINE: Final = (1, 1, 0, 0, 0, 1, 3, 6, 9, 10, 10, 10, 12, 10, 9, 9, 9, 10, 12, 14, 16, 15, 10, 4)
SHOPS: Final = (0, 0, 0, 0, 0, 0, 1, 4, 8, 9, 11, 14, 14, 10, 9, 10, 11, 13, 15, 13, 10, 6, 3, 1)
OFFICE: Final = (0, 0, 0, 0, 0, 0, 0, 0, 2, 12, 14, 12, 5, 8, 12, 12, 10, 3, 0, 0, 0, 0, 0, 0)

# relative spending by calendar month: Spring Festival, summer, the sales of November, December
SPENDING_BY_MONTH: Final = (1.28, 1.12, 0.90, 0.92, 1.0, 0.98, 1.06, 1.04, 0.98, 1.02, 1.12, 1.20)


@lru_cache(maxsize=8)
def _day_edges(world_start: int, days: int, weekend: float) -> Floats:
    """Return the running sum of the days' weights; 1970-01-01 was a Thursday."""
    weekday = (world_start // DAY + 3 + np.arange(days)) % 7
    return np.concatenate([[0.0], np.cumsum(np.where(weekday >= 5, weekend, 1.0))])


def moments(
    rng: np.random.Generator,
    world: World,
    month: Ints,
    hours: tuple[int, ...] = ONLINE,
    weekend: float = 1.0,
) -> Ints:
    """Draw one instant within each month of the history; `weekend` weighs Saturdays and Sundays against other days."""
    edges = _day_edges(world.start, (world.end + 1 - world.start) // DAY, weekend)
    bounds = edges[(world.starts - world.start) // DAY]
    aim = bounds[month] + rng.random(len(month)) * (bounds[month + 1] - bounds[month])
    day = np.searchsorted(edges, aim, side="right") - 1
    return at_hours(rng, world, world.start + np.minimum(day, len(edges) - 2) * DAY, hours)


def at_hours(rng: np.random.Generator, world: World, day: Ints, hours: tuple[int, ...]) -> Ints:
    """Return instants on the given days (first seconds in UTC), spread over local hours by weight.

    The local day is taken for the day in UTC, which is right for all but the small hours of the night.
    """
    share = np.array(hours, dtype=np.float64) / sum(hours)
    lookup = np.searchsorted(np.cumsum(share), (np.arange(4096) + 0.5) / 4096)
    hour = lookup[rng.integers(0, 4096, len(day))]
    second = hour * 3600 + rng.integers(0, 3600, len(day)) - world.zone_offset
    return np.asarray(day + second % DAY, dtype=np.int64)
