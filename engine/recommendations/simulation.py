"""Two policies side by side on the same customers, before either goes live: what reaches whom, at what worth.

Both decide the very blocks that a run decided, by the kernel that decides for real. Blocks are taken one after the
other and only sums are kept, so memory is that of a block, and one number for each customer. Nothing is written and
nothing is learned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from engine.numerics.ratios import ratio
from engine.recommendations import fairness, gate_counts, sensitivity, tracks
from engine.recommendations.bundle import Bundle
from engine.recommendations.decide import Assessed, DecisionTable, assess, settle
from engine.recommendations.fairness import GroupCounts, Groups
from engine.recommendations.frame import TIERS, VALUE_TIERS, DecisionBlock, Flags, Floats, Integers
from engine.recommendations.gate_counts import GateCounts
from engine.recommendations.gates import DEMANDED
from engine.recommendations.sensitivity import Sensitivity

SAMPLE: Final = 20
"""Customers that are named for each kind of change."""
UNDER_SERVED_SHARE: Final = 0.05
"""Customers whose best propensity is among the lowest twentieth count as under-served."""

GAINS, LOSES, OTHER, SAME = "gains", "loses", "other_products", "same"
MOVES: Final = (GAINS, LOSES, OTHER, SAME)
"""More offers, fewer, as many but others, exactly the same; the code of a move is its place here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """What a policy comes to; sums of two blocks are those of both. Amounts are minor units.

    `offers`, `first`, `value` and `loss` are by product (P,), `channels` and `tracks` count offers; `loss` is what is
    expected to be lost: propensity x loss if taken. `by_group` counts by protected group, with one column more than
    there are products for any offer at all.
    """

    customers: int
    reached: int
    offers: Integers
    first: Integers
    value: Floats
    loss: Floats
    channels: Integers
    tracks: Integers
    gates: GateCounts
    by_group: GroupCounts
    sensitivity: Sensitivity

    def __add__(self, other: Reached) -> Reached:
        return Reached(**{name: getattr(self, name) + getattr(other, name) for name in self.__slots__})


@dataclass(slots=True)
class Moved:
    """Who gains and who loses: customers by group of each breakdown and move (G, 4), and named ones of each move."""

    counts: dict[str, Integers] = field(default_factory=dict)
    value: dict[str, Floats] = field(default_factory=dict)
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    named: dict[str, list[tuple[float, str]]] = field(default_factory=lambda: {move: [] for move in MOVES[:3]})

    def add(self, block: DecisionBlock, groups: Groups, move: Integers, gained: Floats) -> None:
        """Count a block; `gained` is what each customer's offers are worth more, minor units."""
        for breakdown, codes in groups.codes.items():
            self.names.setdefault(breakdown, groups.names[breakdown])
            shape = (len(groups.names[breakdown]), len(MOVES))
            counts = self.counts.setdefault(breakdown, np.zeros(shape, dtype=np.int64))
            np.add.at(counts, (codes, move), 1)
            values = self.value.setdefault(breakdown, np.zeros(shape[0]))
            values += np.bincount(codes, weights=gained, minlength=shape[0])
        for code, name in enumerate(MOVES[:3]):
            self._name(name, block, np.flatnonzero(move == code), gained)

    def _name(self, move: str, block: DecisionBlock, rows: Integers, gained: Floats) -> None:
        most = rows[np.argsort(-np.abs(gained[rows]), kind="stable")[:SAMPLE]]
        ids = block.customer_ids.take(most).to_pylist() if len(most) else []
        all_named = self.named[move] + list(zip(gained[most].tolist(), ids, strict=True))
        self.named[move] = sorted(all_named, key=lambda one: (-abs(one[0]), one[1]))[:SAMPLE]


@dataclass(slots=True)
class Served:
    """The best propensity that each customer could be offered under a policy, NaN where nothing can be."""

    best: list[Floats] = field(default_factory=list)
    lowest: list[tuple[float, str]] = field(default_factory=list)

    def add(self, block: DecisionBlock, assessed: Assessed) -> None:
        """Take a block in."""
        found = np.where(assessed.open, assessed.odds.propensity, -np.inf).max(axis=1, initial=-np.inf)
        found = np.where(np.isinf(found), np.nan, found)
        self.best.append(found)
        some = np.flatnonzero(~np.isnan(found))
        rows = some[np.argsort(found[some], kind="stable")[:SAMPLE]]
        ids = block.customer_ids.take(rows).to_pylist() if len(rows) else []
        self.lowest = sorted(self.lowest + list(zip(found[rows].tolist(), ids, strict=True)))[:SAMPLE]

    def counts(self, threshold: float) -> dict[str, int]:
        """Count customers with nothing, with nothing above the threshold, and the well served."""
        best = np.concatenate(self.best) if self.best else np.zeros(0)
        nothing = int(np.isnan(best).sum())
        well = int((best > threshold).sum())
        return {"nothing": nothing, "under_served": len(best) - nothing - well, "well_served": well}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Both policies, who gains and loses between them, and how well customers are served; None without customers."""

    before: Reached | None
    after: Reached | None
    moved: Moved
    served_before: Served
    served_after: Served

    @property
    def threshold(self) -> float:
        """The propensity up to which a customer counts as under-served, of the first policy; NaN without any."""
        parts = self.served_before.best
        return under_served_threshold(np.concatenate(parts) if parts else np.zeros(0), UNDER_SERVED_SHARE)


def compare(
    blocks: Iterable[DecisionBlock],
    before: Bundle,
    after: Bundle,
    *,
    protected: Groups,
    breakdowns: Groups,
    progress: Callable[[int], None] | None = None,
) -> Comparison:
    """Decide every block under both bundles and add up.

    Parameters
    ----------
    blocks : the customers, each once.
    protected : the protected groups of all customers in the order of the blocks; counted, and never decided by.
    breakdowns : other groups by which gains and losses are counted, beside the tiers of value and of risk.
    progress : told how many customers are done after each block.
    """
    sides: list[Reached | None] = [None, None]
    moved, served, done = Moved(), (Served(), Served()), 0
    for block in blocks:
        part = slice(done, done + block.size)
        groups, tables = protected.rows(part), []
        for place, bundle in enumerate((before, after)):
            found = assess(block, bundle)
            table = settle(block, bundle, found)
            counted, so_far = _reached(bundle, found, table, groups), sides[place]
            sides[place] = counted if so_far is None else so_far + counted
            served[place].add(block, found)
            tables.append(table)
        moved.add(block, _tiers(block, breakdowns.rows(part)), *_move(*tables))
        done += block.size
        if progress is not None:
            progress(done)
    return Comparison(before=sides[0], after=sides[1], moved=moved, served_before=served[0], served_after=served[1])


def under_served_threshold(propensities: Floats, share: float) -> float:
    """Return the propensity up to which a customer is among so small a share of the lowest; NaN without any.

    It is that of the last customer in the share, counted up to a whole one; NaN among the values is passed over.
    """
    known = np.sort(propensities[~np.isnan(propensities)])
    if not len(known):
        return float("nan")
    return float(known[max(int(np.ceil(share * len(known) - 1e-9)), 1) - 1])


def _reached(bundle: Bundle, found: Assessed, table: DecisionTable, groups: Groups) -> Reached:
    rows, products = table.offer_rows, table.offer_products
    size, offered = bundle.catalogue.size, table.rank > 0
    worth, risked = table.value[rows, products], (table.propensity * np.nan_to_num(table.loss))[rows, products]
    anybody = np.any(offered, axis=1)
    least = np.min(table.masks & np.uint64(DEMANDED), axis=1)
    with_any = np.column_stack([table.masks, least]), np.column_stack([table.rank, anybody])
    return Reached(
        customers=len(anybody),
        reached=int(anybody.sum()),
        offers=np.bincount(products, minlength=size),
        first=np.bincount(np.nonzero(table.rank == 1)[1], minlength=size),
        value=_sums(products, worth, size),
        loss=_sums(products, risked, size),
        channels=np.bincount(table.channel[rows], minlength=len(bundle.settings.contact_cost_minor)),
        tracks=np.bincount(table.offer_tracks, minlength=len(tracks.REASONS)),
        gates=gate_counts.count(table.masks, len(rows)),
        by_group=fairness.count(groups, *with_any),
        sensitivity=sensitivity.measure(found, bundle.catalogue.lever),
    )


def _sums(places: Integers, values: Floats, size: int) -> Floats:
    return np.bincount(places, weights=values, minlength=size).astype(np.float64)


def _move(before: DecisionTable, after: DecisionTable) -> tuple[Integers, Floats]:
    """Return the move of each customer, a place in MOVES, and what their offers are worth more."""
    then, now = before.rank > 0, after.rank > 0
    more = now.sum(axis=1) - then.sum(axis=1)
    same: Flags = np.all(before.rank == after.rank, axis=1)
    move = np.select([more > 0, more < 0, ~same], [0, 1, 2], 3)
    return move.astype(np.int64), _worth(after, now) - _worth(before, then)


def _worth(table: DecisionTable, offered: Flags) -> Floats:
    found: Floats = np.where(offered, np.nan_to_num(table.value), 0.0).sum(axis=1)
    return found


def _tiers(block: DecisionBlock, others: Groups) -> Groups:
    value_names = (*VALUE_TIERS, "unknown")
    codes = {
        "value_tier": np.where(block.value_tier < 0, len(VALUE_TIERS), block.value_tier),
        "risk_tier": block.tier,
        **others.codes,
    }
    names: Mapping[str, Any] = {"value_tier": value_names, "risk_tier": tuple(map(str, TIERS)), **others.names}
    return Groups(names=names, codes=codes)


def change_of(before: float, after: float) -> float:
    """Return how much a sum changes as a share of what it was; NaN where it was nothing."""
    return ratio(after - before, before)
