"""How often each group is offered each product: counts, apart from every decision.

Groups are of protected attributes. They are counted beside decisions that are already made and never reach the block
that a decision is made of, so that no score, gate or reason can depend on whose group somebody is in. What follows from
the counts is for a whole product: it is held back from everybody (`Catalogue.under_review`) or from nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.numerics.ratios import ratio
from engine.recommendations import columns
from engine.recommendations.frame import Flags, Floats, Integers
from engine.recommendations.gates import DEMANDED, Masks

NOT_RECORDED: Final = "not recorded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """The groups of n customers: the names of each attribute's groups, and the place of each customer's among them."""

    names: Mapping[str, tuple[str, ...]]
    codes: Mapping[str, Integers]

    def rows(self, part: slice) -> Groups:
        """Return a stretch of the customers."""
        return Groups(names=self.names, codes={name: codes[part] for name, codes in self.codes.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupCounts:
    """Customers of each group (G,), and of each product those let pass by what is demanded and those offered (G, P).

    Counts of two blocks add up to the counts of both.
    """

    names: Mapping[str, tuple[str, ...]]
    customers: Mapping[str, Integers]
    eligible: Mapping[str, Integers]
    offered: Mapping[str, Integers]

    def __add__(self, other: GroupCounts) -> GroupCounts:
        return GroupCounts(
            names=self.names,
            customers=_sum(self.customers, other.customers),
            eligible=_sum(self.eligible, other.eligible),
            offered=_sum(self.offered, other.offered),
        )


def groups_of(attributes: Mapping[str, pa.Array]) -> Groups:
    """Return the groups of customers from the attributes' texts; what is empty is the group "not recorded"."""
    names, codes = {}, {}
    for attribute, values in attributes.items():
        known = pc.fill_null(columns.plain(values), "")
        written = pc.if_else(pc.equal(known, ""), NOT_RECORDED, known)
        found = sorted(pc.unique(written).to_pylist())
        place = pc.index_in(written, value_set=pa.array(found, pa.string()))
        names[attribute], codes[attribute] = tuple(found), columns.integers(place)
    return Groups(names=names, codes=codes)


def count(groups: Groups, masks: Masks, rank: Integers) -> GroupCounts:
    """Count the customers of a block by group; `masks` and `rank` are (n, P) of the decisions made for them.

    Eligible are those whom no gate refuses that law, risk or the product itself demand: see `gates.DEMANDED`.
    """
    eligible, offered = (masks & np.uint64(DEMANDED)) == 0, rank > 0
    counts: dict[str, dict[str, Integers]] = {"customers": {}, "eligible": {}, "offered": {}}
    for attribute, codes in groups.codes.items():
        members = np.zeros((len(codes), len(groups.names[attribute])))
        members[np.arange(len(codes)), codes] = 1.0
        # sums of ones: exact, whatever their order
        counts["customers"][attribute] = members.sum(axis=0).astype(np.int64)
        counts["eligible"][attribute] = _tally(members, eligible)
        counts["offered"][attribute] = _tally(members, offered)
    return GroupCounts(names=groups.names, **counts)


def rate_ratio(offered: int, customers: int, offered_else: int, customers_else: int) -> float:
    """Return how often a group is offered something over how often all others are; NaN where nobody else is."""
    return ratio(ratio(offered, customers), ratio(offered_else, customers_else))


def rate_ratios(offered: Integers, customers: Integers) -> Floats:
    """Return `rate_ratio` of every group against all others together, shape (G,)."""
    everybody, all_offered = int(customers.sum()), int(offered.sum())
    return np.array(
        [
            rate_ratio(int(own), int(size), all_offered - int(own), everybody - int(size))
            for own, size in zip(offered, customers, strict=True)
        ]
    )


def _tally(members: Floats, flags: Flags) -> Integers:
    found: Integers = (members.T @ flags.astype(np.float64)).astype(np.int64)
    return found


def _sum(one: Mapping[str, Integers], other: Mapping[str, Integers]) -> dict[str, Integers]:
    return {name: one[name] + other[name] for name in one}
