"""Journey types: customers whose journeys look alike, found without being told what to look for.

A sample of customers, drawn by a hash of their ids, is laid out as points (`journeys/sequence_features.py`) and parted
by k-means. Each number of types is judged by its silhouette and by whether the types are found again: how far, on
customers drawn anew with replacement, the parting agrees with the first by the adjusted Rand index. Of the numbers
that agree by `STABLE` or more, the fewest types are chosen whose silhouette times agreement comes within `ALIKE` of the
best: a silhouette alone would set every common variant apart.

Everybody is then assigned to the nearest centre, block by block. A customer belongs to none who lies far beyond those
of the nearest type (Tukey's outer fence of their distances) and farther from its centre than the next centre is, or
most of whose events and transitions nobody else has.

References
----------
Rousseeuw (1987), Journal of Computational and Applied Mathematics 20, on the silhouette. Hubert and Arabie (1985),
Journal of Classification 2, on the index. Hennig (2007), Computational Statistics and Data Analysis 52, on resampling.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, silhouette_score
from threadpoolctl import threadpool_limits

from engine.domain.errors import SettingsFault
from engine.lake.engine import Engine
from journeys import customer_runs, sequence_features
from journeys import histories as blocks
from journeys.event_log import EventLog
from journeys.histories import Histories
from journeys.sequence_features import CHANNEL, Floats, Space

Labels = NDArray[np.int32]
Making = Callable[[Histories], Histories]

OUTSIDE: Final = -1
"""The type of a customer who is like none."""

SAMPLE: Final = 20_000
"""Customers that types are learned from."""
FEWEST_CUSTOMERS: Final = 50
FEWEST, MOST = 2, 10
SMALLEST_SHARE: Final = 0.01
STABLE: Final = 0.8
ALIKE: Final = 0.02
_RESAMPLES, _RESAMPLED = 10, 4_000
_JUDGED: Final = 2_000
_RESTARTS: Final = 5
_JUDGE, _DRAW = 1, 2  # streams of the seed
_KNOWN: Final = 0.5  # a customer of whose terms fewer are common to others is like nobody
_BETWEEN: Final = 8  # arrays of the length of the events that placing customers takes
_WEAK: Final = 0.25  # Kaufman and Rousseeuw (1990): below it there is no structure to speak of

ASSIGNED: Final = pa.schema(
    [
        ("customer", pa.string()),
        ("type", pa.int32()),
        ("distance", pa.float64()),
        ("events", pa.int64()),
        ("seconds", pa.float64()),
        ("converted", pa.bool_()),
    ]
)
"""One row is a customer. `type` counts from 0, `OUTSIDE` for a customer like none; seconds from first to last event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A number of types that was tried.

    stability : mean adjusted Rand index over resamples; 1 found again exactly, 0 as chance would.
    smallest_share : share of the sample in the smallest type.
    """

    types: int
    silhouette: float
    stability: float
    smallest_share: float
    chosen: bool

    @property
    def score(self) -> float:
        """What numbers of types are compared by: the silhouette, less what is not found again."""
        return self.silhouette * self.stability


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """The types: their centres in a space, and how far from its centre a customer of each may lie."""

    space: Space
    centres: Floats
    fences: Floats
    conversion: tuple[str, ...]

    def shaping(self, histories: Histories) -> Histories:
        """Return the histories without the conversions, which do not shape the types."""
        return _without(histories, self.conversion)

    def place(self, histories: Histories) -> tuple[Labels, Floats]:
        """Return the type of every customer, `OUTSIDE` for one like none, and the distance to the nearest centre."""
        shaping = self.shaping(histories)
        label, distance = np.empty(len(shaping), dtype=np.int32), np.empty(len(shaping))
        # some customers at once: what lies between is many times as large as their events
        for some, part in customer_runs.of(shaping, _BETWEEN):
            nearest, distance[some] = _nearest(self.space.points(part), self.centres)
            alike = (distance[some] <= self.fences[nearest]) & (self.space.known_shares(part) >= _KNOWN)
            label[some] = np.where(alike, nearest, OUTSIDE)
        return label, distance


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """Types, numbered from the largest, with the customers they were learned from and where everybody belongs.

    `model` is None, with a reason, when there are no types to speak of. `sample` is in order of customers.
    """

    model: Model | None
    reason: str | None
    choices: tuple[Choice, ...]
    customers: int
    sample: Histories
    assigned: pa.Table

    def notes(self) -> tuple[str, ...]:
        """Return what to know before believing the types: that they shade into each other, or change with the draw."""
        chosen = [choice for choice in self.choices if choice.chosen]
        weak = [
            f"The types shade into each other: silhouette {one.silhouette:.2f}, below {_WEAK}."
            for one in chosen
            if one.silhouette < _WEAK
        ]
        unsteady = [
            f"The types are not steady: on customers drawn anew they agree by {one.stability:.2f}, below {STABLE}."
            for one in chosen
            if one.stability < STABLE
        ]
        conversion = () if self.model is None else self.model.conversion
        apart = [f"{', '.join(conversion)} shape no type: a path ends with the last event beside them."]
        drawn = len(self.sample)
        part = [f"Learned from {drawn:,} of {self.customers:,} customers, drawn by a hash of their ids; all assigned."]
        return (*weak, *unsteady, *(apart if conversion else []), *(part if drawn < self.customers else []))


def find(
    engine: Engine,
    log: EventLog,
    as_of: datetime,
    *,
    conversion: Sequence[str] = (),
    names: Sequence[str] | None = None,
    seed: int = 0,
    types: int | None = None,
    sample: int = SAMPLE,
    journeys: Making | None = None,
    attributes: Sequence[str] = (),
) -> Found:
    """Find the types of the journeys in a log.

    Parameters
    ----------
    conversion : names of the events that count as a conversion; they do not shape the types, so that how many of a
        type convert says something.
    names : the events that count; None for all.
    types : how many to make, steady or not; None to choose the number.
    sample : how many customers to learn from.
    journeys : makes other journeys, in place of customers, of the histories of a block and their attributes named.

    Raises
    ------
    SettingsFault
        Fewer than two types are asked for.
    """
    channel = log.channel if log.channel in log.table.columns else None
    read = sorted({*attributes, *([] if channel is None else [channel])})

    def mapped(function: partial[pa.Table]) -> pa.Table:
        return log.map_blocks(engine, function, as_of, names=names, attributes=read)

    events = log.events(as_of, names=names)
    customers = int(engine.arrow(events.aggregate(n=events.customer.nunique())).column("n")[0].as_py() or 0)
    share = min(1.0, sample / max(customers, 1))
    drawn = in_order(mapped(partial(_drawn, share=share, seed=seed, channel=channel, journeys=journeys)))
    model, choices, reason = fit(drawn, conversion=tuple(conversion), seed=seed, types=types)
    if model is None:
        return Found(
            model=None,
            reason=reason,
            choices=choices,
            customers=customers,
            sample=drawn,
            assigned=ASSIGNED.empty_table(),
        )
    assigned = mapped(partial(_assigned, model=model, channel=channel, journeys=journeys)).sort_by("customer")
    model, assigned = _by_size(model, assigned)
    return Found(
        model=model, reason=None, choices=choices, customers=assigned.num_rows, sample=drawn, assigned=assigned
    )


def fit(
    histories: Histories, *, conversion: tuple[str, ...] = (), seed: int = 0, types: int | None = None
) -> tuple[Model | None, tuple[Choice, ...], str | None]:
    """Learn types from customers in order of their ids; None, with a reason, where there are none to be had."""
    if types is not None and types < FEWEST:
        raise SettingsFault(
            "journey types", [f"{types} types: expected {FEWEST} or more, or none to choose the number."]
        )
    if len(histories) < FEWEST_CUSTOMERS:
        return None, (), f"{len(histories)} customers; types need {FEWEST_CUSTOMERS} or more."
    shaping = _without(histories, conversion)
    space = sequence_features.learn(shaping, seed)
    points = space.points(shaping)
    # rounded: journeys that are alike are one point, whatever the last digits of the arithmetic
    different = len(np.unique(points.round(9), axis=0))
    if different < max(FEWEST, types or 0):
        return None, (), f"{different} different journeys; not enough to part."
    numbers = range(FEWEST, min(MOST, different) + 1) if types is None else [types]
    tried = [_tried(points, number, seed) for number in numbers]
    fits = [one for one in tried if types is not None or _steady(one[0])]
    if not fits:
        steadiest = max((choice for choice, _ in tried), key=lambda one: one.stability)
        reason = (
            f"no number of types from {FEWEST} to {tried[-1][0].types} was found again on customers drawn anew with "
            f"types of {SMALLEST_SHARE:.0%} or more; the steadiest, {steadiest.types}, agreed by "
            f"{steadiest.stability:.2f} where {STABLE} is needed."
        )
        return None, tuple(choice for choice, _ in tried), reason
    best = max(choice.score for choice, _ in fits)
    chosen, centres = next(one for one in fits if one[0].score >= best - ALIKE)
    choices = tuple(_marked(choice, chosen.types) for choice, _ in tried)
    nearest, distance = _nearest(points, centres)
    fences = np.array([_fence(distance[nearest == number]) for number in range(len(centres))])
    apart = np.sqrt(((centres[:, None] - centres[None]) ** 2).sum(axis=2))
    np.fill_diagonal(apart, np.inf)
    fences = np.maximum(fences, apart.min(axis=1))
    return Model(space=space, centres=centres, fences=fences, conversion=conversion), choices, None


def _steady(choice: Choice) -> bool:
    return choice.stability >= STABLE and choice.smallest_share >= SMALLEST_SHARE


def _tried(points: Floats, types: int, seed: int) -> tuple[Choice, Floats]:
    """Part the points into so many types; return how good the parting is, and its centres."""
    centres = _k_means(points, types, [seed, types], _RESTARTS)
    labels, _ = _nearest(points, centres)
    judged = _some(len(points), _JUDGED, np.random.default_rng([seed, _JUDGE]))
    sizes = np.bincount(labels, minlength=types)
    silhouette = 0.0
    if 1 < len(np.unique(labels[judged])) < len(judged):
        with threadpool_limits(1):
            silhouette = float(silhouette_score(points[judged], labels[judged]))
    choice = Choice(
        types=types,
        # rounded: the last digits of a mean of distances say nothing, and must not decide
        silhouette=round(silhouette, 6),
        stability=round(_stability(points, labels, types, judged, seed), 6),
        smallest_share=float(sizes.min() / len(points)),
        chosen=False,
    )
    return choice, centres


def _stability(points: Floats, labels: Labels, types: int, judged: NDArray[np.intp], seed: int) -> float:
    """Return how well types learned on customers drawn with replacement agree with the labels."""
    rng = np.random.default_rng([seed, _DRAW, types])
    agreed = []
    for resample in range(_RESAMPLES):
        rows = rng.integers(0, len(points), min(len(points), _RESAMPLED))
        again = _k_means(points[rows], types, [seed, types, resample + 1], restarts=2)
        agreed.append(adjusted_rand_score(labels[judged], _nearest(points[judged], again)[0]))
    return float(np.mean(agreed))


def _marked(choice: Choice, chosen: int) -> Choice:
    return Choice(
        types=choice.types,
        silhouette=choice.silhouette,
        stability=choice.stability,
        smallest_share=choice.smallest_share,
        chosen=choice.types == chosen,
    )


def _k_means(points: Floats, types: int, seed: Sequence[int], restarts: int) -> Floats:
    state = np.random.RandomState(list(seed))
    types = min(types, len(np.unique(points.round(9), axis=0)))
    # one thread: sums in one order give one result, to the last bit
    with threadpool_limits(1):
        centres: Floats = KMeans(types, n_init=restarts, random_state=state).fit(points).cluster_centers_
    return centres


def _nearest(points: Floats, centres: Floats) -> tuple[Labels, Floats]:
    distance = np.empty((len(points), len(centres)))
    for number, centre in enumerate(centres):
        distance[:, number] = np.sqrt(((points - centre) ** 2).sum(axis=1))
    nearest = distance.argmin(axis=1).astype(np.int32)
    return nearest, distance[np.arange(len(points)), nearest]


def _fence(distances: Floats) -> float:
    """Return the distance beyond which a customer is far out: three spans of the middle half above it (Tukey, 1977)."""
    if not len(distances):
        return np.inf
    lower, upper = np.quantile(distances, [0.25, 0.75])
    return float(upper + 3 * (upper - lower)) if upper > lower else np.inf


def _some(size: int, most: int, rng: np.random.Generator) -> NDArray[np.intp]:
    return np.arange(size) if size <= most else np.sort(rng.choice(size, most, replace=False))


def _without(histories: Histories, names: tuple[str, ...]) -> Histories:
    """Return the histories without events of some names."""
    codes = [histories.event.code_of(name) for name in names]
    return histories.keep(~np.isin(histories.event.codes, codes)) if names else histories


def _read(block: pa.Table, channel: str | None, journeys: Making | None) -> Histories:
    """Return the journeys of a block, with the channel alone for an attribute."""
    found = blocks.of(block)
    found = found if journeys is None else journeys(found)
    attributes = {} if channel is None else {CHANNEL: found.attributes[channel]}
    return Histories(ids=found.ids, starts=found.starts, at=found.at, event=found.event, attributes=attributes)


def _drawn(
    block: pa.Table, *, share: float, seed: int, channel: str | None, journeys: Making | None = None
) -> pa.Table:
    """Return the events of the customers that the draw falls on, with their place in the customer's order."""
    found = _read(block, channel, journeys)
    place = pd.util.hash_array(
        found.ids.cast(pa.string()).to_numpy(zero_copy_only=False), hash_key=f"{seed % 10**16:016d}", categorize=False
    )
    chosen = place < np.uint64(share * (2**64 - 1)) if share < 1 else np.ones(len(found), dtype=np.bool_)
    rows = np.flatnonzero(np.repeat(chosen, np.diff(found.starts)))
    columns = {
        blocks.CUSTOMER: found.ids.cast(pa.string()).take(pa.array(found.owners()[rows])),
        blocks.EVENT: found.event.texts(rows),
        blocks.AT: pa.array(found.at[rows], pa.timestamp("us")),
        blocks.SEQ: pa.array(rows),
    }
    if channel is not None:
        columns[CHANNEL] = found.attributes[CHANNEL].texts(rows)
    return pa.table(columns)


def in_order(events: pa.Table) -> Histories:
    """Return histories with the customers in order of their ids, whatever order the events come in."""
    ids = events.column(blocks.CUSTOMER).combine_chunks().dictionary_encode()
    names = ids.dictionary.to_pylist()
    ranks = {name: rank for rank, name in enumerate(sorted(names))}
    rank = np.array([ranks[name] for name in names], dtype=np.int64)
    at = events.schema.get_field_index(blocks.CUSTOMER)
    found = blocks.of(events.set_column(at, blocks.CUSTOMER, pa.array(rank[np.asarray(ids.indices)])))
    return Histories(
        ids=pa.array(sorted(names), pa.string()).take(found.ids),
        starts=found.starts,
        at=found.at,
        event=found.event,
        attributes=found.attributes,
    )


def _assigned(block: pa.Table, *, model: Model, channel: str | None, journeys: Making | None = None) -> pa.Table:
    found = _read(block, channel, journeys)
    label, distance = model.place(found)
    codes = [found.event.code_of(name) for name in model.conversion]
    converted = np.zeros(len(found), dtype=np.bool_)
    converted[found.owners()[np.isin(found.event.codes, codes)]] = True
    return pa.table(
        [
            found.ids.cast(pa.string()),
            label,
            distance,
            np.diff(found.starts),
            sequence_features.seconds(found),
            converted,
        ],
        schema=ASSIGNED,
    )


def _by_size(model: Model, assigned: pa.Table) -> tuple[Model, pa.Table]:
    """Number the types from the largest, equal sizes by centre; a type of nobody goes."""
    label = assigned.column("type").to_numpy()
    sizes = np.bincount(label[label >= 0], minlength=len(model.centres))
    order = sorted(np.flatnonzero(sizes), key=lambda at: (-sizes[at], tuple(model.centres[at].round(9))))
    number = np.full(len(model.centres) + 1, OUTSIDE, dtype=np.int32)
    number[order] = np.arange(len(order))
    numbered = Model(
        space=model.space, centres=model.centres[order], fences=model.fences[order], conversion=model.conversion
    )
    at = assigned.schema.get_field_index("type")
    return numbered, assigned.set_column(at, "type", pa.array(number[label], pa.int32()))
