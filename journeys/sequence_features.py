"""Histories as points: which events and transitions a customer has, how long it took, through which channels.

Three blocks of coordinates stand side by side, each scaled to a total variance of its own:

    sequence   events and transitions (with start and end), 1 + log of how often, weighted by their rarity (TF-IDF),
               each customer's vector of length 1, cut to its main directions by a singular value decomposition
    numbers    logarithms of the number of events and of the seconds from the first to the last
    channels   the share of the customer's events in each channel, where the log has channels

A space is learned on some customers and then places any others, block by block; a customer's point depends on nobody
else's.

References
----------
Salton and Buckley (1988), Information Processing and Management 24, on TF-IDF. Halko, Martinsson and Tropp (2011), SIAM
Review 53, on the randomised decomposition.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils.extmath import randomized_svd
from threadpoolctl import threadpool_limits

from journeys.histories import Codes, Histories, Ints

Floats = NDArray[np.float64]

CHANNEL: Final = "channel"
"""The attribute of histories that holds the channel."""

TERMS: Final = 2_000
"""At most so many events and transitions are looked at, those of most customers first."""
DIRECTIONS: Final = 12
WEIGHTS: Final = {"sequence": 1.0, "numbers": 0.3, "channels": 0.2}
"""Variance of each block of coordinates: what happened counts most, how long and through what somewhat."""
_RAREST = 0.002  # a term that fewer of the customers have says nothing about a type
_CHANNELS = 12
_CUT = 0.01  # numbers are cut at this share from either end


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Vocabulary:
    """The events and transitions that are looked at, by name, so that blocks with other codes can be read.

    Event number len(events) is any other one, the next two are the start and the end. A transition is the key
    before * base + after; an event alone is base * base + its number. `keys` is sorted.
    """

    events: tuple[str, ...]
    keys: Ints

    @property
    def base(self) -> int:
        """How many numbers events have: the known ones, another one, start and end."""
        return len(self.events) + 3

    @property
    def start(self) -> int:
        """The number of the start of a history."""
        return len(self.events) + 1

    @property
    def end(self) -> int:
        """The number of the end of a history."""
        return len(self.events) + 2

    def name(self, number: int) -> str | None:
        """Return the name of an event; None for any other one, start and end."""
        return self.events[number] if number < len(self.events) else None

    def numbers(self, histories: Histories) -> Ints:
        """Return the number of every event."""
        known = {name: place for place, name in enumerate(self.events)}
        lookup = np.array([known.get(name, len(self.events)) for name in histories.event.values] + [0], dtype=np.int64)
        return lookup[histories.event.codes]

    def counts(self, histories: Histories) -> sparse.csr_matrix:
        """Return how often each customer has each term, shape (customers, terms)."""
        owner, keys = _terms(histories, self.numbers(histories), self)
        place = np.minimum(np.searchsorted(self.keys, keys), max(len(self.keys) - 1, 0))
        known = self.keys[place] == keys if len(self.keys) else np.zeros(len(keys), dtype=np.bool_)
        shape = (len(histories), len(self.keys))
        ones = np.ones(int(known.sum()))
        counted = sparse.coo_matrix((ones, (owner[known], place[known])), shape=shape).tocsr()
        counted.sum_duplicates()
        return counted


def vocabulary(histories: Histories) -> Vocabulary:
    """Return the terms that enough customers have, those of most customers first where there are too many."""
    every = Vocabulary(events=histories.event.values, keys=np.zeros(0, dtype=np.int64))
    owner, keys = _terms(histories, histories.event.codes.astype(np.int64), every)
    found, place = np.unique(keys, return_inverse=True)
    pairs = np.unique(owner.astype(np.int64) * max(len(found), 1) + place)
    customers = np.bincount(pairs % max(len(found), 1), minlength=len(found))
    enough = np.flatnonzero((customers >= max(2.0, _RAREST * len(histories))) & (customers > 0))
    kept = enough[np.argsort(-customers[enough], kind="stable")[:TERMS]]
    return Vocabulary(events=every.events, keys=np.sort(found[kept]))


def _terms(histories: Histories, event: Ints, words: Vocabulary) -> tuple[Codes, Ints]:
    """Return the owner and the key of every event and of every transition, the one into the end included."""
    owner = histories.owners()
    before = np.where(histories.first_of_customer(), words.start, np.concatenate([[0], event[:-1]])[: len(event)])
    filled = np.flatnonzero(np.diff(histories.starts) > 0)
    last = event[histories.starts[filled + 1] - 1]
    base = words.base
    keys = [before * base + event, last * base + words.end, base * base + event]
    owners = [owner, filled.astype(np.int32), owner]
    return np.concatenate(owners), np.concatenate(keys)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Space:
    """Where customers lie, learned from some of them.

    rarity : weight of each term. directions : shape (terms, d). The other arrays centre and scale the columns of the
    numbers and of the channels.
    """

    words: Vocabulary
    rarity: Floats
    directions: Floats
    sequence_scale: float
    lower: Floats
    upper: Floats
    centre: Floats
    scale: Floats
    channels: tuple[str, ...]
    channel_scale: float

    def points(self, histories: Histories) -> Floats:
        """Return the point of every customer, shape (customers, d)."""
        with threadpool_limits(1):
            sequence = _weighted(self.words.counts(histories), self.rarity) @ self.directions * self.sequence_scale
        numbers = (np.clip(_numbers(histories), self.lower, self.upper) - self.centre) * self.scale
        channels = channel_shares(histories, self.channels) * self.channel_scale
        return np.column_stack([sequence, numbers, channels])

    def known_shares(self, histories: Histories) -> Floats:
        """Return the share of each customer's events and transitions that are looked at; 1 without any."""
        known = np.asarray(self.words.counts(histories).sum(axis=1)).ravel()
        events = np.diff(histories.starts)
        # each event, each transition into one, and the one into the end
        return np.asarray(np.where(events > 0, known / (2 * events + 1), 1.0))


def learn(histories: Histories, seed: int) -> Space:
    """Learn a space from customers in order of their ids."""
    words = vocabulary(histories)
    counts = words.counts(histories)
    having = np.bincount(counts.indices, minlength=len(words.keys))
    rarity = np.log((1 + len(histories)) / (1 + having)) + 1
    weighted = _weighted(counts, rarity)
    wanted = min(DIRECTIONS, *weighted.shape)
    directions = np.zeros((len(words.keys), 0))
    if wanted:
        with threadpool_limits(1):
            _, _, found = randomized_svd(weighted, wanted, n_iter=6, random_state=np.random.RandomState([seed, wanted]))
        directions = found.T
    numbers = _numbers(histories)
    lower, upper = np.quantile(numbers, [_CUT, 1 - _CUT], axis=0)
    cut = np.clip(numbers, lower, upper)
    spread = cut.std(axis=0)
    wide = np.sqrt(WEIGHTS["numbers"] / 2) / np.where(spread > 1e-9, spread, np.inf)
    channels = _common_channels(histories)
    return Space(
        words=words,
        rarity=rarity,
        directions=directions,
        sequence_scale=_to_variance(weighted @ directions, WEIGHTS["sequence"]),
        lower=lower,
        upper=upper,
        centre=cut.mean(axis=0),
        scale=wide,
        channels=channels,
        channel_scale=_to_variance(channel_shares(histories, channels), WEIGHTS["channels"]),
    )


def _weighted(counts: sparse.csr_matrix, rarity: Floats) -> sparse.csr_matrix:
    """Return 1 + log of the counts times the rarity of the terms, each row of length 1; a row of nothing stays so."""
    made = counts.copy()
    made.data = (1 + np.log(made.data)) * rarity[made.indices]
    rows = np.repeat(np.arange(made.shape[0]), np.diff(made.indptr))
    length = np.sqrt(np.bincount(rows, weights=made.data**2, minlength=made.shape[0]))
    made.data /= length[rows]
    return made


def _to_variance(points: Floats, variance: float) -> float:
    """Return the factor that gives points a total variance; 0 where they are all one."""
    total = float(points.var(axis=0).sum()) if points.size else 0.0
    return float(np.sqrt(variance / total)) if total > 1e-12 else 0.0


def seconds(histories: Histories) -> Floats:
    """Return the seconds from each customer's first event to the last; 0 without events."""
    filled = np.flatnonzero(np.diff(histories.starts) > 0)
    spans = np.zeros(len(histories))
    spans[filled] = (histories.at[histories.starts[filled + 1] - 1] - histories.at[histories.starts[filled]]) / 1e6
    return spans


def _numbers(histories: Histories) -> Floats:
    return np.column_stack([np.log1p(np.diff(histories.starts)), np.log1p(seconds(histories))])


def _common_channels(histories: Histories) -> tuple[str, ...]:
    column = histories.attributes.get(CHANNEL)
    if column is None:
        return ()
    counts = np.bincount(column.codes[column.codes >= 0], minlength=len(column.values))
    order = np.argsort(-counts, kind="stable")[:_CHANNELS]
    return tuple(column.values[place] for place in order if counts[place])


def channel_shares(histories: Histories, channels: tuple[str, ...]) -> Floats:
    """Return the share of each customer's events in each channel, shape (customers, channels)."""
    column = histories.attributes.get(CHANNEL)
    shares = np.zeros((len(histories), len(channels)))
    if column is None or not channels:
        return shares
    place = {name: number for number, name in enumerate(channels)}
    lookup = np.array([place.get(name, -1) for name in column.values] + [-1], dtype=np.int64)
    channel, owner = lookup[column.codes], histories.owners()
    known = channel >= 0
    flat = np.bincount(owner[known] * len(channels) + channel[known], minlength=shares.size)
    events = np.maximum(np.diff(histories.starts), 1)
    return np.asarray(flat.reshape(shares.shape) / events[:, None])
