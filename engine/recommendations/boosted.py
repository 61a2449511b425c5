"""Boosted trees as the challenger: one model of pairs, with the product and what the candidates say of it as features.

scikit-learn grows the trees. Scoring is ours: a tree of at most eight leaves is eight bits, each feature rules leaves
out by one look into a small table, and the one bit left names the leaf. That costs a tenth of walking the trees for
every pair, gives the same bits for one row as for many, and needs nothing but arrays in the bundle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from engine.config.recommendations import Training
from engine.recommendations.candidates import Ease, GroupPopularity, PairRules, Terms, group_popularity, rows_of_group
from engine.recommendations.frame import Flags, Floats, Integers, View
from engine.recommendations.panel import Panel
from engine.recommendations.propensity import chance

Bytes = NDArray[np.uint8]
Places = NDArray[np.intp]

_LEAVES: Final = 8
_BINS: Final = 63
_MOST_BINS: Final = 255
_PRODUCT: Final = 0
_ROWS: Final = 4096
_LEAST_RATE: Final = 1e-6
# rounded so that a threshold between two values is met alike by one row and by many
_DIGITS: Final = 9
# what the candidates say of a pair: EASE, the best rule, and the log-odds of the group's rate
_SAID: Final = 3
_LOWEST_BIT: Final = np.array([0] + [(mask & -mask).bit_length() - 1 for mask in range(1, 256)], dtype=np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class BoostedTrees:
    """Log-odds of each pair: the leaves of T trees added to `base`.

    A look is a table of 8-bit masks by the code of one feature. `tree` says of each look which tree it belongs to and
    `feature` which feature it reads: first the product, then the D features of the view, the P holdings, how many are
    held, and what the candidates say of the pair. `starts` cuts `thresholds` into those of each feature; a
    value's code is how many thresholds lie below it, an unknown value's is one more than there are. `masks` holds the
    tables one after the other, from `place` on. `leaves` is (T, 8).
    """

    kind: ClassVar[str] = "boosted_trees"
    ease: Ease
    rules: PairRules
    groups: GroupPopularity
    tree: Integers
    feature: Integers
    place: Integers
    masks: Bytes
    thresholds: Floats
    starts: Integers
    leaves: Floats
    base: float

    @property
    def term_names(self) -> tuple[str, ...]:
        """No term."""
        return ()

    def scores(self, view: View) -> Floats:
        """Return the probability of each pair, shape (n, P)."""
        total = np.full(view.owned.shape, self.base)
        looks = self._looks(view.owned.shape[1])
        for start in range(0, view.size, _ROWS):
            part = slice(start, start + _ROWS)
            self._add(view.rows(part), looks, total[part])
        return chance(total)

    def terms(self, view: View) -> Terms | None:
        """Return None: no sum of terms says what trees do."""
        return None

    def _looks(self, products: int) -> list[list[tuple[int, Bytes]]]:
        """Return for each tree its looks: the feature and its table of masks."""
        # without a look at all, where no tree found anything to ask, there is no end either
        ends = np.append(self.place[1:], len(self.masks))[: len(self.place)]
        found: list[list[tuple[int, Bytes]]] = [[] for _ in self.leaves]
        for tree, feature, start, end in zip(self.tree, self.feature, self.place, ends, strict=True):
            found[tree].append((int(feature), self.masks[start:end]))
        return found

    def _add(self, view: View, looks: list[list[tuple[int, Bytes]]], total: Floats) -> None:
        customers, pairs = self._codes(view)
        first_pair = len(customers) + 1
        for tree, leaves in zip(looks, self.leaves, strict=True):
            by_customer = np.full(view.size, 255, dtype=np.uint8)
            by_product = np.full(view.owned.shape[1], 255, dtype=np.uint8)
            by_pair = None
            for feature, table in tree:
                if feature == _PRODUCT:
                    by_product &= table
                elif feature < first_pair:
                    by_customer &= table.take(customers[feature - 1])
                else:
                    seen = table.take(pairs[feature - first_pair])
                    by_pair = seen if by_pair is None else by_pair & seen
            value = leaves[_LOWEST_BIT]
            if by_pair is not None:
                total += value.take((by_pair & by_customer[:, None] & by_product).astype(np.intp))
                continue
            for mask in np.unique(by_product):
                total += np.where(by_product == mask, value[by_customer & mask][:, None], 0.0)

    def _codes(self, view: View) -> tuple[Places, Places]:
        """Return the code of each feature of the customers (features, n) and of the pairs (_SAID, n, P)."""
        columns = customer_columns(view)
        said = said_of(view, self.ease, self.rules, self.groups)
        return (
            np.stack([self._code(place + 1, column) for place, column in enumerate(columns)]),
            np.stack([self._code(len(columns) + 1 + place, one) for place, one in enumerate(said)]),
        )

    def _code(self, feature: int, values: Floats) -> Places:
        thresholds = self.thresholds[self.starts[feature] : self.starts[feature + 1]]
        codes = np.searchsorted(thresholds, values, side="left")
        return np.where(np.isnan(values), len(thresholds) + 1, codes).astype(np.intp)


def customer_columns(view: View) -> list[Floats]:
    """Return the features of the customers: those of the view, the holdings, and how many are held."""
    known = [view.x[:, place].astype(np.float64) for place in range(view.x.shape[1])]
    held = [view.owned[:, place].astype(np.float64) for place in range(view.owned.shape[1])]
    return [*known, *held, view.owned.sum(axis=1).astype(np.float64)]


def said_of(view: View, ease: Ease, rules: PairRules, groups: GroupPopularity) -> list[Floats]:
    """Return what the candidates say of every pair, three arrays (n, P)."""
    rates = np.clip(rows_of_group(groups.rates, view.group), _LEAST_RATE, 1 - _LEAST_RATE)
    said = (ease.scores(view), rules.scores(view), np.log(rates / (1 - rates)))
    return [np.round(one, _DIGITS) for one in said]


def fit(panel: Panel, ease: Ease, rules: PairRules, settings: Training, seed: int) -> BoostedTrees:
    """Grow the trees on all openings and a sample of the pairs without; the level is put right for the sampling."""
    groups = group_popularity(panel.view.group, panel.labels, panel.eligible, settings.group_prior)
    rows, products, correction = _pairs(panel, settings.negatives, seed)
    said = said_of(panel.view, ease, rules, groups)
    columns = [column[rows] for column in customer_columns(panel.view)]
    columns += [one[rows, products] for one in said]
    # a feature of which nothing is known has no thresholds to look for; a constant one is never split at either
    columns = [np.zeros(len(rows)) if np.isnan(one).all() else one for one in columns]
    known, codes = np.unique(products, return_inverse=True)
    model = HistGradientBoostingClassifier(
        max_iter=settings.boosted_trees,
        learning_rate=settings.boosted_learning_rate,
        max_leaf_nodes=_LEAVES,
        max_bins=max(_BINS, min(len(known), _MOST_BINS)),
        min_samples_leaf=settings.min_positives,
        categorical_features=[_PRODUCT] if len(known) <= _MOST_BINS else None,
        early_stopping=False,
        random_state=seed % 2**31,
    )
    with threadpool_limits(1):
        model.fit(
            np.column_stack([codes, *columns]),
            panel.labels[rows, products],
            sample_weight=panel.row_weights[rows],
        )
    trees = [predictors[0].nodes for predictors in model._predictors]
    sets = [predictors[0].raw_left_cat_bitsets for predictors in model._predictors]
    # a product of which nothing was seen is an unknown one
    code_of = np.full(panel.view.owned.shape[1], -1, dtype=np.int64)
    code_of[known] = np.arange(len(known))
    thresholds, starts = _thresholds(trees, len(columns) + 1)
    looks = [
        (tree, feature, table)
        for tree, nodes in enumerate(trees)
        for feature, table in _tables(nodes, sets[tree], thresholds, starts, code_of)
    ]
    sizes = np.array([len(table) for _, _, table in looks], dtype=np.int64)
    return BoostedTrees(
        ease=ease,
        rules=rules,
        groups=groups,
        tree=np.array([tree for tree, _, _ in looks], dtype=np.int64),
        feature=np.array([feature for _, feature, _ in looks], dtype=np.int64),
        place=np.concatenate([[0], sizes.cumsum()[:-1]]).astype(np.int64) if looks else np.zeros(0, dtype=np.int64),
        masks=np.concatenate([table for _, _, table in looks]) if looks else np.zeros(0, dtype=np.uint8),
        thresholds=thresholds,
        starts=starts,
        leaves=np.array([_leaves(nodes) for nodes in trees]),
        base=float(model._baseline_prediction.ravel()[0]) + correction,
    )


def _pairs(panel: Panel, negatives: int, seed: int) -> tuple[Integers, Integers, float]:
    yes = np.argwhere(panel.labels & panel.eligible)
    no = np.flatnonzero((~panel.labels & panel.eligible).ravel())
    size = max(2 * len(yes), min(negatives, 10 * len(yes)))
    kept = np.sort(np.random.default_rng([seed, 97]).permutation(no)[:size])
    rows = np.concatenate([yes[:, 0], kept // panel.labels.shape[1]])
    products = np.concatenate([yes[:, 1], kept % panel.labels.shape[1]])
    return rows, products, float(np.log(max(len(kept), 1) / max(len(no), 1)))


def _thresholds(trees: list[Any], features: int) -> tuple[Floats, Integers]:
    """Return the thresholds of each feature, ascending, and where those of each feature begin."""
    found: list[set[float]] = [set() for _ in range(features)]
    for nodes in trees:
        for node in nodes:
            if not node["is_leaf"] and not node["is_categorical"]:
                found[node["feature_idx"]].add(float(node["num_threshold"]))
    parts = [np.array(sorted(one)) for one in found]
    starts = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
    return np.concatenate([*parts, np.zeros(0)]), starts


def _leaves(nodes: Any) -> list[float]:
    """Return the values of the leaves from left to right, filled up to eight."""
    values = [float(nodes[place]["value"]) for place in _in_order(nodes, 0)]
    return values + [0.0] * (_LEAVES - len(values))


def _in_order(nodes: Any, place: int) -> list[int]:
    node = nodes[place]
    if node["is_leaf"]:
        return [place]
    return _in_order(nodes, int(node["left"])) + _in_order(nodes, int(node["right"]))


def _tables(nodes: Any, sets: Any, thresholds: Floats, starts: Integers, code_of: Integers) -> list[tuple[int, Bytes]]:
    """Return for each feature that a tree asks about which leaves are still possible, by the feature's code.

    The table of the product is by product; `code_of` says which number each had when the trees were grown.
    """
    bit = {place: 1 << order for order, place in enumerate(_in_order(nodes, 0))}
    found: dict[int, Bytes] = {}
    for node in nodes[nodes["is_leaf"] == 0]:
        feature = int(node["feature_idx"])
        own = thresholds[starts[feature] : starts[feature + 1]]
        goes_left = _products_left(node, sets, code_of) if feature == _PRODUCT else _codes_left(node, own)
        left = sum(bit[place] for place in _in_order(nodes, int(node["left"])))
        right = sum(bit[place] for place in _in_order(nodes, int(node["right"])))
        allowed = np.where(goes_left, 255 & ~right, 255 & ~left).astype(np.uint8)
        found[feature] = allowed if feature not in found else found[feature] & allowed
    return sorted(found.items())


def _codes_left(node: Any, thresholds: Floats) -> Flags:
    """Return by code whether a node sends it to the left; the last code is the unknown."""
    left: Flags = np.arange(len(thresholds) + 2) <= np.searchsorted(thresholds, float(node["num_threshold"]))
    left[-1] = bool(node["missing_go_to_left"])
    return left


def _products_left(node: Any, sets: Any, code_of: Integers) -> Flags:
    if not node["is_categorical"]:
        left: Flags = code_of <= float(node["num_threshold"])
    else:
        words, codes = sets[int(node["bitset_idx"])].astype(np.int64), np.maximum(code_of, 0)
        left = (words[codes // 32] >> (codes % 32)) & 1 == 1
    return np.where(code_of < 0, bool(node["missing_go_to_left"]), left)
