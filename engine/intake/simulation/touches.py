"""Touches before a journey: enquiries through channels, of which some truly raise the odds of opening the product.

Paths of touches are a first-order Markov chain. Attempts that open no product follow the chain of the settings; those
that do follow it with each path weighted by the odds ratios of its touches. A chain weighted by a product over its
steps is a first-order chain again, so that attribution by removal from a first-order chain has an exact true answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.config.simulation import TouchTruth
from engine.domain.words import CHANNELS
from engine.intake.simulation import calendar, visits
from engine.intake.simulation.journeys import Attempts
from engine.intake.simulation.people import People
from engine.intake.simulation.visits import Visits
from engine.intake.simulation.world import DAY, NEVER, Bools, Floats, Ints, World


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A first-order chain over n channels: probabilities of the first touch, of the next, and of none after it.

    `first` has shape (n + 1,), its last place is a path without touches; `following` has shape (n, n + 1), its last
    column ends the path.
    """

    first: Floats
    following: Floats


def chains(truth: TouchTruth) -> tuple[Chain, Chain]:
    """Return the chain of attempts that open no product and that of attempts that open one."""
    names = [each.channel for each in truth.channels]
    following = np.array([[each.following.get(name, 0.0) for name in names] for each in truth.channels])
    ends = 1 - following.sum(axis=1)
    first = truth.share * np.array([each.first for each in truth.channels])
    plain = Chain(first=np.append(first, 1 - truth.share), following=np.column_stack([following, ends]))
    weight = np.array([each.odds_ratio for each in truth.channels])
    # what the rest of a path weighs on average after a touch of each channel (Doob's transform)
    rest = np.linalg.solve(np.eye(len(names)) - following * weight, ends)
    entering = np.append(first * weight * rest, 1 - truth.share)
    onward = np.column_stack([following * (weight * rest), ends]) / rest[:, None]
    return plain, Chain(first=entering / entering.sum(), following=onward)


def passing(chain: Chain) -> Floats:
    """Return the share of paths with any touch that pass through each channel, shape (n,)."""
    size = len(chain.following)
    shares = np.empty(size)
    for channel in range(size):
        others = np.flatnonzero(np.arange(size) != channel)
        among = chain.following[np.ix_(others, others)]
        ends_without = np.linalg.solve(np.eye(size - 1) - among, chain.following[others, -1])
        shares[channel] = 1 - chain.first[others] @ ends_without / chain.first[:-1].sum()
    return shares


def make(world: World, chunk: int, people: People, attempts: Attempts) -> Visits:
    """Return the touches of one chunk.

    Only attempts have them whose customer was there, and seen, all the days before: no path is cut short.
    """
    truth = world.rules.touches
    rng = world.rng(chunk, "touches")
    begun = attempts.times[:, 0] - (truth.days + 1) * DAY
    rows = np.flatnonzero((begun > world.start) & (begun > people.joined[attempts.who]))
    path, channel = _paths(rng, truth, attempts.opened[rows] != NEVER)
    entered = attempts.times[rows, 0][path]
    day = (entered // DAY - 1 - rng.integers(0, truth.days, len(path))) * DAY
    when = calendar.at_hours(rng, world, day, calendar.OFFICE)
    when = when[np.lexsort((when, path))]  # instants in order along each path, whose touches are in order already
    spots = np.array([CHANNELS.index(each.channel) for each in truth.channels])
    name = np.full(len(path), visits.names(world).index(truth.event))
    return visits.events_of(
        attempts.who[rows][path], when, name, spots[channel], product=attempts.product[rows][path]
    )  # fmt: skip


def _paths(rng: np.random.Generator, truth: TouchTruth, opens: Bools) -> tuple[Ints, Ints]:
    """Return the path and the channel of each touch, in order of the path; paths without touches have none."""
    plain, weighted = chains(truth)
    first = np.cumsum(np.stack([plain.first, weighted.first]), axis=1)
    following = np.cumsum(np.stack([plain.following, weighted.following]), axis=2)
    over = len(truth.channels)
    walking, kind = np.arange(len(opens)), opens.astype(np.int64)
    at = _drawn(rng, first[kind])
    trail: list[tuple[Ints, Ints]] = []
    while True:
        going = at < over
        walking, at = walking[going], at[going]
        if not len(walking):
            break
        trail.append((walking, at))
        at = _drawn(rng, following[kind[walking], at])
    if not trail:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    path, channel = (np.concatenate(column) for column in zip(*trail, strict=True))
    order = np.argsort(path, kind="stable")  # rounds follow each other, so that a stable sort keeps the path's order
    return path[order], channel[order]


def _drawn(rng: np.random.Generator, edges: Floats) -> Ints:
    """Draw one code per row of running sums."""
    below: Ints = (rng.random(len(edges))[:, None] >= edges).sum(axis=1)
    return np.asarray(np.minimum(below, edges.shape[1] - 1), dtype=np.int64)


def effects(truth: TouchTruth) -> dict[str, list[str] | list[float]]:
    """Return the true effects, one row per channel.

    `lift` multiplies the odds of opening with each touch; `removal_effect` is the share of the paths with any touch
    and an opening that pass through the channel: what is lost when a first-order chain loses it.
    """
    _, weighted = chains(truth)
    return {
        "channel": [each.channel for each in truth.channels],
        "lift": [each.odds_ratio for each in truth.channels],
        "removal_effect": passing(weighted).tolist(),
    }
