"""Attempts at the journeys: which steps were reached and when, with the true probability of each step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from scipy.special import ndtr, ndtri

from engine.config.simulation import CreditTruth
from engine.domain.words import CHANNELS
from engine.intake.simulation import calendar
from engine.intake.simulation.people import People
from engine.intake.simulation.world import DAY, NEVER, Bools, Floats, Ints, World

# median time from step to step, and the longest, as shares of the window: they sum to 0.8, so that who completes a
# journey completes it in time
MEDIAN_LAG = (0.0002, 0.025, 0.035, 0.006, 0.085, 0.08)
LONGEST_LAG = (0.05, 0.15, 0.15, 0.12, 0.18, 0.15)
LAG_SPREAD = 1.0  # standard deviation of the logarithm of a lag
SHORTEST_LAG = 20  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """Attempts at journeys. `times` has one column per step, NEVER beyond `depth`; times may lie after the extract.

    `submitted` and `opened` repeat two of its columns.
    """

    who: Ints
    journey: Ints
    product: Ints
    channel: Ints
    depth: Ints
    times: Ints
    submitted: Ints
    opened: Ints

    def __len__(self) -> int:
        return len(self.who)


def columns_of(world: World, code: int) -> list[int]:
    """Return the catalogue columns of one journey's products."""
    return [world.product(product_id) for product_id in world.rules.journeys[code].products]


def product_columns(world: World) -> list[int]:
    """Return the catalogue columns of all products that have a journey."""
    return sorted({column for code in range(len(world.rules.journeys)) for column in columns_of(world, code)})


def hazards(world: World, code: int) -> Floats:
    """Return the true probability of each step, shape (segments, transitions): odds scale by segment."""
    base = np.array(world.rules.journeys[code].conversion)
    odds = base / np.maximum(1 - base, 1e-12) * np.array([[each.journey_odds] for each in world.rules.segments])
    return np.asarray(odds / (1 + odds), dtype=np.float64)


def conversion(world: World, people: People, code: int) -> Floats:
    """Return each customer's true probability of opening a product once the journey is entered."""
    reach: Floats = hazards(world, code)[:, : _opening(world, code)].prod(axis=1)[people.segment]
    return reach


def entry_rates(world: World, people: People, code: int, rate: Floats) -> tuple[Floats, Floats]:
    """Return the rate a month of entering a journey, and the wish for each of its products.

    It is as high as the demand needs it to be, given how few of those who enter also open a product.
    """
    wanted = rate[:, columns_of(world, code)] * (1 - world.rules.credit.direct_share)
    return wanted.sum(axis=1) / conversion(world, people, code), wanted


def attempt(
    rng: np.random.Generator,
    world: World,
    people: People,
    code: int,
    *,
    month: int,
    who: Ints,
    product: Ints,
    standing: Floats,
) -> Attempts:
    """Return one attempt per customer in `who`, begun within the month.

    `standing` is where each stands in default risk among those who may enter: the bank's decision leans on it.
    """
    truth = world.rules.journeys[code]
    chance = hazards(world, code)[people.segment[who]]
    goes_on = rng.random(chance.shape) < chance
    opening = _opening(world, code)
    if world.products[int(columns_of(world, code)[0])].is_credit:
        goes_on[:, opening - 1] = approved(rng, standing, chance[:, opening - 1], world.rules.credit)
    depth = 1 + np.cumprod(goes_on, axis=1).sum(axis=1)
    entered = calendar.moments(rng, world, np.full(len(who), month))
    times = entered[:, None] + np.pad(np.cumsum(_lags(rng, world, code, len(who)), axis=1), ((0, 0), (1, 0)))
    times = np.where(np.arange(len(truth.steps)) < depth[:, None], times, NEVER)
    return Attempts(
        who=who,
        journey=np.full(len(who), code),
        product=product,
        channel=_channels(rng, people, who),
        depth=depth,
        times=times,
        submitted=times[:, opening - 1],
        opened=times[:, opening],
    )


def approved(rng: np.random.Generator, standing: Floats, chance: Floats, truth: CreditTruth) -> Bools:
    """Decide applications: each is approved with its chance exactly, and the riskier ones less often than others."""
    by_risk = truth.approval_by_risk
    clear = ndtri(np.clip(standing, 1e-9, 1 - 1e-9))
    score = by_risk * clear + np.sqrt(1 - by_risk**2) * rng.normal(0, 1, len(standing))
    passed: Bools = score < ndtri(chance)
    return passed


def _opening(world: World, code: int) -> int:
    return world.rules.journeys[code].steps.index("product_opened")


def _lags(rng: np.random.Generator, world: World, code: int, size: int) -> Ints:
    """Return seconds from step to step, shape (size, transitions)."""
    median, longest = _lag_bounds(world, code)
    drawn = median * np.exp(rng.normal(0, LAG_SPREAD, (size, len(median))))
    lags: Ints = np.clip(drawn, SHORTEST_LAG, longest).astype(np.int64)
    return lags


def _lag_bounds(world: World, code: int) -> tuple[Floats, Floats]:
    """Return the median and the longest seconds from each step to the next."""
    window = world.rules.journeys[code].window_days * DAY
    steps = len(world.rules.journeys[code].steps) - 1
    median, longest = (np.resize(np.array(shares), steps) * window for shares in (MEDIAN_LAG, LONGEST_LAG))
    return median, longest * min(1.0, 0.8 * window / longest.sum())


def share_in_time(world: World, code: int, days: float) -> float:
    """Return the share of those who enter within so many days, and will open, who open within them too."""
    to_opening = _lags(np.random.default_rng(0), world, code, 20_000)[:, : _opening(world, code)].sum(axis=1)
    # entries are spread evenly over the days
    return float(np.clip(1 - to_opening / (days * DAY), 0.0, 1.0).mean())


def _channels(rng: np.random.Generator, people: People, who: Ints) -> Ints:
    """Return the channel of each attempt, as an index of CHANNELS: app before web before branch before phone."""
    draw = rng.random(len(who))
    app, web, branch, phone = (CHANNELS.index(name) for name in ("app", "web", "branch", "call_centre"))
    in_person = np.where(rng.random(len(who)) < 0.8, branch, phone)
    online = np.where(people.web[who] & (draw < 0.62), web, in_person)
    online = np.where(people.web[who] & ~people.app[who] & (draw < 0.85), web, online)
    return np.where(people.app[who] & (draw < np.where(people.web[who], 0.60, 0.90)), app, online)


def joined(parts: Sequence[Attempts], world: World) -> Attempts:
    """Return all attempts as one; journeys of fewer steps are padded with NEVER."""
    steps = max(len(journey.steps) for journey in world.rules.journeys)
    flat = [each.name for each in fields(Attempts) if each.name != "times"]
    merged = {name: np.concatenate([getattr(part, name) for part in parts]) for name in flat}
    times = [np.pad(part.times, ((0, 0), (0, steps - part.times.shape[1])), constant_values=NEVER) for part in parts]
    return Attempts(times=np.concatenate(times), **merged)


def remaining(world: World, people: People, attempts: Attempts) -> Floats:
    """Return, per attempt still under way at the end of the extract, the true chance that it yet opens; else 0.

    Whoever goes on does so soon, so that the chance of the next step falls with the time since the last one.
    """
    seen = ((attempts.times != NEVER) & (attempts.times <= world.end)).sum(axis=1)
    chance = np.zeros(len(attempts))
    for code in range(len(world.rules.journeys)):
        opening = _opening(world, code)
        where = np.flatnonzero((attempts.journey == code) & (seen >= 1) & (seen <= opening))
        step = seen[where] - 1
        hazard = hazards(world, code)[:, :opening]
        rest = np.pad(np.cumprod(hazard[:, ::-1], axis=1)[:, ::-1], ((0, 0), (0, 1)), constant_values=1.0)
        segment = people.segment[attempts.who[where]]
        goes_on = hazard[segment, step]
        waits = goes_on * _still_waits(world, code, step, world.end - attempts.times[where, step])
        chance[where] = waits / (waits + 1 - goes_on) * rest[segment, step + 1]
    return chance


def _still_waits(world: World, code: int, step: Ints, waited: Ints) -> Floats:
    """Return the share of those who will go on from a step who have not done so after so many seconds."""
    median, longest = _lag_bounds(world, code)
    since = np.maximum(waited, SHORTEST_LAG / 2)
    later = np.where(since < SHORTEST_LAG, 1.0, 1 - ndtr(np.log(since / median[step]) / LAG_SPREAD))
    return np.where(since < longest[step], later, 0.0)


def observed_depth(world: World, attempts: Attempts) -> Ints:
    """Return how many steps of each attempt the extract can show."""
    depth: Ints = ((attempts.times != NEVER) & (attempts.times <= world.end)).sum(axis=1)
    return depth
