"""Trouble on the way: events after a step that change the odds of going on, and some that only look like trouble.

Who goes on is drawn before, without regard to friction. A friction is then given to those who went on and to those who
did not with the probabilities that Bayes' theorem asks for. The result is the same as if the friction had come first
and had multiplied the odds, and over all attempts each step keeps its stated probability exactly.
"""

from __future__ import annotations

import numpy as np

from engine.config.simulation import FrictionTruth
from engine.intake.simulation import journeys, visits
from engine.intake.simulation.journeys import Attempts
from engine.intake.simulation.people import People
from engine.intake.simulation.visits import Visits
from engine.intake.simulation.world import NEVER, Floats, Ints, World

MINUTES_TO_TROUBLE = 10.0  # median from the step to the friction
MINUTES_TO_REPEAT = 40.0  # median from the friction to doing the step once more
DELAY_SPREAD = 0.9  # standard deviation of the logarithm of either


def make(world: World, chunk: int, people: People, attempts: Attempts) -> list[Visits]:
    """Return the friction events of one chunk and the steps that were done once more after them."""
    rng = world.rng(chunk, "frictions")
    return [
        _met(rng, world, people, attempts, code=code, friction=friction)
        for code, journey in enumerate(world.rules.journeys)
        for friction in journey.frictions
    ]


def odds_apart(chance: Floats, share: float, odds_ratio: float) -> tuple[Floats, Floats]:
    """Return the probabilities of going on with and without the friction, which average to `chance`.

    They solve share * with + (1 - share) * without = chance and odds(with) = odds_ratio * odds(without): the positive
    root of a quadratic, in the form that stays exact where the odds ratio is 1.
    """
    excess = odds_ratio - 1
    linear = (1 - share) + share * odds_ratio - chance * excess
    without = 2 * chance / (linear + np.sqrt(linear**2 + 4 * (1 - share) * excess * chance))
    return odds_ratio * without / (1 + excess * without), without


def _met(
    rng: np.random.Generator, world: World, people: People, attempts: Attempts, *, code: int, friction: FrictionTruth
) -> Visits:
    step = world.rules.journeys[code].steps.index(friction.step)
    rows = np.flatnonzero((attempts.journey == code) & (attempts.times[:, step] != NEVER))
    since, following = attempts.times[rows, step], attempts.times[rows, step + 1]
    went_on = following != NEVER
    chance = journeys.hazards(world, code)[people.segment[attempts.who[rows]], step]
    troubled, _ = odds_apart(chance, friction.share, friction.odds_ratio)
    given = np.where(went_on, troubled / chance, (1 - troubled) / np.maximum(1 - chance, 1e-300)) * friction.share
    met = rng.random(len(rows)) < given
    again = met & (rng.random(len(rows)) < friction.repeated_share)
    # of those who went on, both lie before the next step: at most two fifths and four fifths of the way
    room = np.where(went_on, following - since, np.iinfo(np.int64).max // 4)
    trouble = since + np.minimum(_seconds(rng, MINUTES_TO_TROUBLE, len(rows)), room * 2 // 5)
    repeat = trouble + np.minimum(_seconds(rng, MINUTES_TO_REPEAT, len(rows)), room * 2 // 5)
    known = visits.names(world)
    who = np.concatenate([rows[met], rows[again]])
    name = np.repeat([known.index(friction.event), known.index(friction.step)], [met.sum(), again.sum()])
    return visits.events_of(
        attempts.who[who], np.concatenate([trouble[met], repeat[again]]), name, attempts.channel[who],
        product=attempts.product[who], traceable=True,
    )  # fmt: skip


def _seconds(rng: np.random.Generator, minutes: float, size: int) -> Ints:
    drawn: Ints = np.clip(minutes * 60 * np.exp(rng.normal(0, DELAY_SPREAD, size)), 5, 86_400).astype(np.int64)
    return drawn


def effects(world: World) -> dict[str, list[str] | list[float]]:
    """Return the true effects, one row per friction: how many meet it, and by what it multiplies the odds."""
    rows = [(journey, friction) for journey in world.rules.journeys for friction in journey.frictions]
    return {
        "journey": [journey.journey for journey, _ in rows],
        "step": [friction.step for _, friction in rows],
        "signal": [friction.event for _, friction in rows],
        "share": [friction.share for _, friction in rows],
        "odds_ratio": [friction.odds_ratio for _, friction in rows],
    }
