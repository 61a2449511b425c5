"""Trees over the steps of characteristics, kept as plain arrays, and a way through all of them without walking.

For every split a row does not pass to the left, the leaves below the left side are out of reach. So each tree and
characteristic has a table from the step to the leaves still within reach, as bits of one word; the words of all
characteristics of the tree are joined by "and", and the lowest bit left is the leaf.

References
----------
Lucchese and others (2015), QuickScorer: a fast algorithm to rank documents with additive ensembles of regression trees.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.config.challengers import MOST_LEAVES
from engine.risk.binning import Codes
from engine.risk.challengers.plan import Plan
from engine.risk.challengers.scales import Scale

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Words = NDArray[np.uint64]
LEAF: Final = -1
"""What stands for the characteristic in a node that is a leaf."""
EVERY: Final = 1_000_000
"""A step beyond any scale: all ordinary values go left, and what is split off is the missing."""
BLOCK: Final = 8_192
"""Rows that go through the trees at once: their steps and words stay in the processor's cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """One tree, node by node, the root first and every child after its parent.

    A row goes left where its step of `characteristic` is at most `step`; special values and missing go where
    `other_left` says. Where `of_special` holds, it is the special values that are split, and all else is "other".
    `value` is what a leaf says.
    """

    characteristic: tuple[int, ...]
    of_special: tuple[bool, ...]
    step: tuple[int, ...]
    other_left: tuple[bool, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    value: tuple[float, ...]

    def leaves(self) -> Floats:
        """Return what the leaves say, from left to right."""
        return np.array([self.value[node] for node in self._leaves()])

    def reach(self, scales: Sequence[Scale]) -> dict[int, Words]:
        """Return, by characteristic, the leaves within reach of each of its steps, the leftmost in the lowest bit."""
        first, count = self._spans()
        words: dict[int, Words] = {}
        for node, at in self._splits():
            scale, left = scales[at], self.left[node]
            word = words.setdefault(at, np.full(scale.size, ~np.uint64(0)))
            below = np.uint64(((1 << count[left]) - 1) << first[left])
            word[~self._goes_left(node, scale)] &= ~below
        return words

    def steps(self) -> Iterator[tuple[int, int]]:
        """Yield the characteristic and the step of every split between ordinary values."""
        splits = ((at, self.step[node]) for node, at in self._splits() if not self.of_special[node])
        return ((at, step) for at, step in splits if step < EVERY)

    def renumbered(self, order: Mapping[int, int], places: Mapping[int, Mapping[int, int]]) -> Tree:
        """Return the tree for other scales: `order` is their new place by the old, `places` maps the steps of each."""
        splits = zip(self.characteristic, self.of_special, self.step, strict=True)
        steps = tuple(step if at == LEAF or special else places[at].get(step, EVERY) for at, special, step in splits)
        characteristic = tuple(at if at == LEAF else order[at] for at in self.characteristic)
        return replace(self, characteristic=characteristic, step=steps)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON keeps exactly."""
        return {name: list(getattr(self, name)) for name in self.__slots__}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Tree:
        """Return what `to_dict` described."""
        return cls(**{name: tuple(values[name]) for name in cls.__slots__})

    def _splits(self) -> Iterator[tuple[int, int]]:
        return ((node, at) for node, at in enumerate(self.characteristic) if at != LEAF)

    def _goes_left(self, node: int, scale: Scale) -> Bools:
        places = scale.special() if self.of_special[node] else scale.ordered()
        return np.where(np.isnan(places), self.other_left[node], places <= self.step[node])

    def _leaves(self) -> list[int]:
        """Return the leaves' nodes from left to right."""
        first, _ = self._spans()
        leaves = (node for node, at in enumerate(self.characteristic) if at == LEAF)
        return sorted(leaves, key=first.__getitem__)

    def _spans(self) -> tuple[list[int], list[int]]:
        """Return, by node, the place of the first leaf below it, counted from the left, and how many there are."""
        first, count = [0] * len(self.value), [1] * len(self.value)
        for node in reversed(range(len(count))):
            if self.characteristic[node] != LEAF:
                count[node] = count[self.left[node]] + count[self.right[node]]
        for node, _ in self._splits():
            first[self.left[node]] = first[node]
            first[self.right[node]] = first[node] + count[self.left[node]]
        return first, count


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """A tree as scikit-learn keeps it: one entry per node, and what a leaf holds beside its value is of no meaning."""

    is_leaf: Bools
    column: NDArray[np.int64]
    threshold: Floats
    missing_left: Bools
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: Floats


class Ensemble:
    """Many trees made ready to be summed over rows, without a walk from node to node."""

    def __init__(self, trees: Sequence[Tree], scales: Sequence[Scale]) -> None:
        self._reach = [list(tree.reach(scales).items()) for tree in trees]
        self._leaves = [tree.leaves() for tree in trees]
        if any(len(leaves) > MOST_LEAVES for leaves in self._leaves):
            raise ValueError(f"a tree has more than {MOST_LEAVES} leaves, more than fit one word")

    def sums(self, codes: Sequence[Codes], rows: int) -> Floats:
        """Return the sum of what the trees say of every row, added tree by tree in their order."""
        total = np.zeros(rows)
        for start in range(0, rows, BLOCK):
            block = [code[start : start + BLOCK] for code in codes]
            for reach, leaves in zip(self._reach, self._leaves, strict=True):
                total[start : start + BLOCK] += leaves[_leaf(reach, block)] if reach else leaves[0]
        return total


def _leaf(reach: Sequence[tuple[int, Words]], codes: Sequence[Codes]) -> NDArray[np.intp]:
    """Return the leaf of every row: the lowest bit that every characteristic leaves."""
    first, *others = reach
    word = first[1].take(codes[first[0]])
    for at, table in others:
        word &= table.take(codes[at])
    # the lowest bit alone, minus one, has as many bits as there are leaves before it
    before = (word & (~word + np.uint64(1))) - np.uint64(1)
    leaf: NDArray[np.intp] = np.bitwise_count(before).astype(np.intp)
    return leaf


def written(nodes: Nodes, made_of: Plan) -> Tree:
    """Return the tree that scikit-learn grew over the columns of a plan; its thresholds lie between whole steps."""
    column = np.where(nodes.is_leaf, 0, nodes.column)
    split = ~nodes.is_leaf
    step = np.where(split, np.minimum(np.floor(nodes.threshold), EVERY), 0.0)
    return Tree(
        characteristic=tuple(np.where(split, np.array(made_of.scale)[column], LEAF).tolist()),
        of_special=tuple((split & np.array(made_of.of_special)[column]).tolist()),
        step=tuple(step.astype(np.int64).tolist()),
        other_left=tuple((split & nodes.missing_left).tolist()),
        left=tuple(np.where(split, nodes.left, 0).tolist()),
        right=tuple(np.where(split, nodes.right, 0).tolist()),
        value=tuple(np.where(split, 0.0, nodes.value).tolist()),
    )


def joined(
    scales: Sequence[Scale], trees: Sequence[Tree], smoothing_bads: float
) -> tuple[tuple[Scale, ...], tuple[Tree, ...]]:
    """Return the scales that some tree splits at, with these steps alone, and the trees for them: the same sums."""
    used: dict[int, set[int]] = {at: set() for tree in trees for at in tree.characteristic if at != LEAF}
    for tree in trees:
        for at, step in tree.steps():
            used[at].add(step)
    kept = sorted(used)
    places = {at: {step: place for place, step in enumerate(sorted(used[at]))} for at in kept}
    new = (scales[at].joined([0, *(step + 1 for step in sorted(used[at]))], smoothing_bads) for at in kept)
    order = {at: place for place, at in enumerate(kept)}
    return tuple(new), tuple(tree.renumbered(order, places) for tree in trees)
