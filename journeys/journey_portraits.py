"""The portrait of each journey type: what sets it apart from everyone else's journeys, and a name made of that.

A fact is a share of the type's customers against the share of all others: who ends with an event, begins with it, has
it, goes from it to another, does it again, or takes as little or as long as few do. Facts are ordered by Cohen's h, the
distance of two shares on the arcsine scale, so that 1 % against 10 % counts as much as 31 % against 53 %. Facts, paths
and channels are those of the customers that the types were learned from; sizes, durations and conversion are
everybody's.

A name begins with the fact that sets the type apart most. Where customers of other types are like that too, it goes on
with the fact that sets the type apart among those most.

References
----------
Cohen (1988), Statistical Power Analysis for the Behavioral Sciences, chapter 6, on h.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import sparse

from engine.numerics.intervals import wilson
from journeys import sequence_features
from journeys.histories import Histories, Ints
from journeys.journey_types import OUTSIDE, Found, Labels, Model
from journeys.journey_wording import Fact, JourneyType, Kind, Path, name
from journeys.sequence_features import CHANNEL, Floats

NOTABLE: Final = 0.5
"""The least h of a fact of a portrait; Cohen calls it a medium effect."""
FACTS: Final = 6
_LACKS_TOLD: Final = 2
_IN_NAME: Final = 3
_PURE: Final = 0.95  # a name needs no more when so many of the customers it fits are of the type
_MOST_OF_A_TYPE = 0.6  # a type is named after what most of it do
_HARDLY_ANY = 0.15
_OFTEN_THE_SAME = 0.1  # below it the most common path says less than the most central one


def describe(found: Found) -> tuple[JourneyType, ...]:
    """Describe every type, the largest first; none where none was found."""
    if found.model is None:
        return ()
    labels, distance = found.model.place(found.sample)
    shaping = found.model.shaping(found.sample)
    counts = found.model.space.words.counts(shaping).tocsc()
    traits = _traits(counts, sequence_features.seconds(shaping), found.model, labels)
    names = _names(counts, traits, labels)
    channels = _channel_facts(found.sample, labels, len(traits))
    paths = _paths(found.sample, labels, distance, len(traits))
    mix = _channel_mix(found.sample, labels, len(traits))
    return tuple(
        _described(
            found,
            number,
            facts=_told(_merged([*(trait.fact for trait in traits[number]), *channels[number]])),
            names=names[number],
            path=paths[number],
            channels=mix[number],
        )
        for number in range(len(traits))
    )


def _described(
    found: Found,
    number: int,
    *,
    facts: tuple[Fact, ...],
    names: tuple[str, str],
    path: Path,
    channels: tuple[tuple[str, float], ...],
) -> JourneyType:
    members = found.assigned.filter(pa.array(found.assigned.column("type").to_numpy() == number))
    customers = members.num_rows
    low, median, high = np.quantile(members.column("seconds").to_numpy(), [0.25, 0.5, 0.75])
    converted = None
    if found.model is not None and found.model.conversion:
        converted = int(np.count_nonzero(members.column("converted").to_numpy(zero_copy_only=False)))
    return JourneyType(
        number=number + 1,
        name_en=names[0],
        name_zh=names[1],
        customers=customers,
        share=customers / found.customers,
        facts=facts,
        path=path,
        median_events=float(np.median(members.column("events").to_numpy())),
        seconds=(float(low), float(median), float(high)),
        channels=channels,
        converted=converted,
        conversion=None if converted is None else converted / customers,
        conversion_interval=None if converted is None else wilson(converted, customers),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trait:
    """A fact that holds for a customer or not: where `marks` says so, or the term at `place` occurs `times` times."""

    fact: Fact
    place: int = -1
    times: int = 1
    marks: NDArray[np.bool_] | None = None

    def holds(self, counts: sparse.csc_matrix) -> NDArray[np.bool_]:
        """Mark the customers for whom it holds."""
        if self.marks is not None:
            return self.marks
        having: NDArray[np.bool_] = counts[:, [self.place]].toarray().ravel() >= self.times
        return ~having if self.fact.kind is Kind.LACKS else having


def _traits(counts: sparse.csc_matrix, seconds: Floats, model: Model, labels: Labels) -> list[list[_Trait]]:
    """Return the traits of every type, those that set it apart most first."""
    types, words = len(model.centres), model.space.words
    sizes = np.bincount(labels[labels >= 0], minlength=types)
    found = [list(_traits_of_time(seconds, labels == number)) for number in range(types)]
    for times in (1, 2):
        having = (counts >= times).astype(np.int64).tocsr()
        everyone = np.asarray(having.sum(axis=0)).ravel()
        here, elsewhere = _against(_customers_by_type(having, labels, types), everyone, sizes, len(labels))
        for number in range(types):
            found[number] += _traits_of_terms(words, here[number], elsewhere[number], times)
    return [
        sorted(own, key=lambda one: (-round(abs(one.fact.effect), 1), _ORDER.index(one.fact.kind), one.fact.what))
        for own in found
    ]


def _traits_of_time(seconds: Floats, own: NDArray[np.bool_]) -> Iterator[_Trait]:
    """Yield whether a type takes no longer than a quarter, or three quarters, of all customers do; or does."""
    bounds = np.unique(np.quantile(seconds, [0.25, 0.75]))
    for kind in (Kind.SHORT, Kind.LONG):
        sides = [(bound, (seconds <= bound) == (kind is Kind.SHORT)) for bound in bounds]
        found = [
            (_effect(marks[own].mean(), marks[~own].mean()), bound, marks) for bound, marks in sides if not marks.all()
        ]
        effect, bound, marks = max(found, key=lambda one: one[:2], default=(0.0, 0.0, own))
        if effect > 0:
            share, elsewhere = float(marks[own].mean()), float(marks[~own].mean())
            fact = Fact(kind=kind, what=(repr(float(bound)),), share=share, share_elsewhere=elsewhere, effect=effect)
            yield _Trait(fact=fact, marks=marks)


def _customers_by_type(having: NDArray[np.int64], labels: Labels, types: int) -> Ints:
    """Return how many customers of each type have each term, shape (types, terms)."""
    return np.stack(
        [np.asarray(having[np.flatnonzero(labels == number)].sum(axis=0)).ravel() for number in range(types)]
    )


def _against(having: Ints, everyone: Ints, sizes: Ints, customers: int) -> tuple[Floats, Floats]:
    """Return the shares within each type and among everyone else, shape (types, terms)."""
    others = np.maximum(customers - sizes, 1)[:, None]
    return having / np.maximum(sizes, 1)[:, None], (everyone - having) / others


def _effect(share: float, elsewhere: float) -> float:
    return float(2 * np.arcsin(np.sqrt(share)) - 2 * np.arcsin(np.sqrt(elsewhere)))


def _traits_of_terms(
    words: sequence_features.Vocabulary, shares: Floats, elsewhere: Floats, times: int
) -> Iterator[_Trait]:
    """Yield what terms say about a type, each had so many times at least; of repeats, only those of an event."""
    base = words.base
    for place, key in enumerate(words.keys.tolist()):
        before, after = (None, key - base * base) if key >= base * base else divmod(key, base)
        kind, what = _meaning(words, before, after)
        effect = _effect(shares[place], elsewhere[place])
        if times > 1:
            kind = Kind.REPEATS if kind is Kind.HAS and effect > 0 else None
        elif kind is Kind.HAS and effect < 0:
            kind = Kind.LACKS
        if kind is not None and (effect > 0 or kind is Kind.LACKS):
            share, other = float(shares[place]), float(elsewhere[place])
            fact = Fact(kind=kind, what=what, share=share, share_elsewhere=other, effect=effect)
            yield _Trait(fact=fact, place=place, times=times)


def _meaning(
    words: sequence_features.Vocabulary, before: int | None, after: int
) -> tuple[Kind | None, tuple[str, ...]]:
    """Return what a term means; nothing for terms about events that have no name here, and for repeats in a row."""
    first, second = None if before is None else words.name(before), words.name(after)
    if before is None:
        return (None, ()) if second is None else (Kind.HAS, (second,))
    if before == words.start and second is not None:
        return Kind.BEGINS, (second,)
    if after == words.end and first is not None:
        return Kind.ENDS, (first,)
    if first is None or second is None or first == second:
        return None, ()
    return Kind.GOES, (first, second)


def _channel_facts(sample: Histories, labels: Labels, types: int) -> list[list[Fact]]:
    """Return, per type, the channels through which more of its events go than of everyone else's."""
    column = sample.attributes.get(CHANNEL)
    if column is None:
        return [[] for _ in range(types)]
    counts = _channel_counts(sample, labels, types)
    everyone = np.bincount(column.codes[column.codes >= 0], minlength=len(column.values))
    found: list[list[Fact]] = []
    for number in range(types):
        share = counts[number] / max(counts[number].sum(), 1)
        elsewhere = (everyone - counts[number]) / max((everyone - counts[number]).sum(), 1)
        found.append(
            [
                Fact(kind=Kind.CHANNEL, what=(name,), share=float(one), share_elsewhere=float(other), effect=effect)
                for name, one, other in zip(column.values, share, elsewhere, strict=True)
                if (effect := _effect(one, other)) > 0
            ]
        )
    return found


def _channel_counts(sample: Histories, labels: Labels, types: int) -> Ints:
    """Return how many events of each type came through each channel, shape (types, channels)."""
    column = sample.attributes[CHANNEL]
    label = labels[sample.owners()]
    known = (column.codes >= 0) & (label >= 0)
    flat = np.bincount(
        label[known].astype(np.int64) * len(column.values) + column.codes[known], minlength=types * len(column.values)
    )
    return flat.reshape(types, len(column.values))


def _channel_mix(sample: Histories, labels: Labels, types: int) -> list[tuple[tuple[str, float], ...]]:
    if CHANNEL not in sample.attributes:
        return [()] * types
    values, counts = sample.attributes[CHANNEL].values, _channel_counts(sample, labels, types)
    return [
        tuple(
            (values[place], float(row[place] / row.sum()))
            for place in np.argsort(-row, kind="stable")
            if row[place]
        )
        for row in counts
    ]  # fmt: skip


_ORDER: Final = list(Kind)
_CANDIDATES: Final = 60  # traits from which a name is made


def _merged(facts: list[Fact]) -> list[Fact]:
    """Order facts by their effect; events that as many have, or lack, become one fact."""
    together: dict[tuple[Kind, tuple[str, ...], float, float], list[Fact]] = {}
    for fact in facts:
        own = () if fact.kind in (Kind.HAS, Kind.LACKS) else fact.what
        together.setdefault((fact.kind, own, round(fact.share, 2), round(fact.share_elsewhere, 2)), []).append(fact)
    merged = [
        replace(group[0], what=tuple(name for fact in group for name in fact.what)) if len(group) > 1 else group[0]
        for group in together.values()
    ]
    return sorted(merged, key=lambda fact: (-round(abs(fact.effect), 1), _ORDER.index(fact.kind), fact.what))


def _told(facts: list[Fact]) -> tuple[Fact, ...]:
    """Return the facts of a portrait: notable, few of them about what is lacking, none about events told before."""
    kept: list[Fact] = []
    told: set[str] = set()
    for fact in facts:
        known = fact.kind is not Kind.CHANNEL and told.issuperset(fact.what)
        enough = fact.kind is Kind.LACKS and sum(one.kind is Kind.LACKS for one in kept) >= _LACKS_TOLD
        if abs(fact.effect) >= NOTABLE and not known and not enough:
            kept.append(fact)
            told.update(fact.what)
    return tuple(kept[:FACTS])


def _names(counts: sparse.csc_matrix, traits: Sequence[Sequence[_Trait]], labels: Labels) -> list[tuple[str, str]]:
    """Return a name per type in English and Chinese, never the same: a number is the last resort."""
    names: list[tuple[str, str]] = []
    for number, own in enumerate(traits):
        chosen: list[_Trait] = []
        fits = np.ones(len(labels), dtype=np.bool_)
        candidates = [trait for trait in own if _names_well(trait.fact)][:_CANDIDATES]
        marks = [trait.holds(counts) for trait in candidates]
        while len(chosen) < _IN_NAME and (labels[fits] == number).mean() < _PURE:
            told = {event for trait in chosen for event in trait.fact.what}
            # how long it takes says little before what happened
            fresh = [
                not told.issuperset(trait.fact.what) and (trait.marks is None or bool(chosen)) for trait in candidates
            ]
            best = _most_telling(marks, fits, labels == number, fresh)
            if best is None:
                break
            chosen.append(candidates[best])
            fits &= marks[best]
        english, chinese = name([trait.fact for trait in chosen])
        if english in [one for one, _ in names]:
            english, chinese = f"{english} ({number + 1})", f"{chinese}（{number + 1}）"
        names.append((english, chinese))
    return names


def _most_telling(
    marks: Sequence[NDArray[np.bool_]], fits: NDArray[np.bool_], own: NDArray[np.bool_], fresh: Sequence[bool]
) -> int | None:
    """Return the mark that sets a type apart most among the customers that fit so far, fresh ones first; or None."""
    inside, others = fits & own, fits & ~own
    effects = [round(_effect(mark[inside].mean(), mark[others].mean()), 1) for mark in marks]
    telling = [place for place, effect in enumerate(effects) if effect >= NOTABLE]
    # of equals the first
    return max(telling, key=lambda place: (fresh[place], effects[place], -place), default=None)


def _names_well(fact: Fact) -> bool:
    return fact.share <= _HARDLY_ANY if fact.kind is Kind.LACKS else fact.share >= _MOST_OF_A_TYPE


def _paths(sample: Histories, labels: Labels, distance: Floats, types: int) -> list[Path]:
    """Return the path of each type: the most common one where it is common, else that of the most central customer."""
    signature, first_of_run = _signatures(sample)
    found = []
    for number in range(types):
        members = np.flatnonzero(labels == number)
        if not len(members):
            found.append(Path(events=(), times=(), share=None))
            continue
        paths, where, counts = np.unique(signature[members], return_index=True, return_counts=True)
        # of paths that are as common, the one that the first customer takes
        best = min(np.flatnonzero(counts == counts.max()), key=lambda at: where[at])
        share = counts[best] / len(members)
        common = members[signature[members] == paths[best]]
        central = members[np.argmin(distance[members])] if share < _OFTEN_THE_SAME else common[0]
        found.append(_path(sample, int(central), first_of_run, float(share) if share >= _OFTEN_THE_SAME else None))
    return found


def _signatures(sample: Histories) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """Return a number per customer that is the same for equal paths, repeats in a row apart, and where runs begin."""
    event = sample.event.codes
    first = sample.first_of_customer()
    first[1:] |= event[1:] != event[:-1]
    place = np.cumsum(first) - 1
    begins = (
        place[np.minimum(sample.starts[:-1], max(sample.n_events - 1, 0))] if sample.n_events else sample.starts[:-1]
    )
    runs = np.flatnonzero(first)
    position = np.arange(len(runs)) - begins[sample.owners()[runs]]
    # a polynomial in an odd number modulo 2^64, over codes that are scattered first
    powers = np.cumprod(np.full(int(position.max(initial=0)) + 1, 0x9E3779B97F4A7C15, dtype=np.uint64))
    scattered = np.random.default_rng(0).integers(1, 2**63, len(sample.event.values) + 1).astype(np.uint64)
    terms = scattered[event[runs]] * powers[position]
    sums = np.zeros(len(sample), dtype=np.uint64)
    np.add.at(sums, sample.owners()[runs], terms)
    return sums, first


def _path(sample: Histories, customer: int, first_of_run: NDArray[np.bool_], share: float | None) -> Path:
    begin, end = sample.starts[customer], sample.starts[customer + 1]
    runs = begin + np.flatnonzero(first_of_run[begin:end])
    times = np.diff(np.append(runs, end))
    names = [sample.event.values[code] for code in sample.event.codes[runs]]
    return Path(events=tuple(names), times=tuple(times.tolist()), share=share)


def outside(found: Found) -> int:
    """Return how many customers are like no type."""
    return int(np.count_nonzero(found.assigned.column("type").to_numpy() == OUTSIDE))
