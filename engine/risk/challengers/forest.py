"""A random forest: trees that each saw other rows and characteristics, averaged.

It keeps no direction; it is here to show what is lost by keeping one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from threadpoolctl import threadpool_limits

from engine.config.challengers import ForestSettings
from engine.risk.challengers import trees
from engine.risk.challengers.additive import require_same
from engine.risk.challengers.scales import Scale
from engine.risk.challengers.training import Training
from engine.risk.challengers.trees import Ensemble, Nodes, Tree

Floats = NDArray[np.float64]
NAME: Final = "random_forest"


@dataclass(frozen=True, kw_only=True)
class RandomForest:
    """Scales and trees over them; the mean of the trees is the default probability."""

    scales: tuple[Scale, ...]
    trees: tuple[Tree, ...]

    @property
    def name(self) -> str:
        """The kind of model."""
        return NAME

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns that scoring reads."""
        return tuple(scale.name for scale in self.scales)

    @property
    def directions(self) -> dict[str, int]:
        """No characteristic has a direction: all are free."""
        return {scale.name: 0 for scale in self.scales if scale.bins.kind == "number"}

    def default_probability(self, columns: Mapping[str, pa.ChunkedArray], rows: int) -> Floats:
        """Return the default probability of every row."""
        codes = [scale.codes(columns, rows) for scale in self.scales]
        return self._ensemble.sums(codes, rows) / len(self.trees)

    def contributions(self, columns: Mapping[str, pa.ChunkedArray], rows: int) -> None:
        """Return None: characteristics meet in a tree, and what one adds hangs on the others."""
        return

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON keeps exactly."""
        return {"scales": [scale.to_dict() for scale in self.scales], "trees": [tree.to_dict() for tree in self.trees]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RandomForest:
        """Return the model that `to_dict` described."""
        return cls(
            scales=tuple(Scale.from_dict(scale) for scale in values["scales"]),
            trees=tuple(Tree.from_dict(tree) for tree in values["trees"]),
        )

    @cached_property
    def _ensemble(self) -> Ensemble:
        return Ensemble(self.trees, self.scales)


def fit(training: Training) -> RandomForest:
    """Learn the model; a characteristic at which no tree splits is left out.

    Raises
    ------
    NotEnoughData
        One class only.
    """
    training.require_both("random forest")
    matrix = training.plan.matrix(training.scales, training.codes)
    model = _forest(training.settings.challengers.random_forest, training.seed)
    with threadpool_limits(1):
        model.fit(matrix, training.bad, sample_weight=training.weights)
        told: Floats = model.predict_proba(matrix)[:, 1]
    grown = [trees.written(_nodes(one.tree_), training.plan) for one in model.estimators_]
    scales, kept = trees.joined(training.scales, grown, training.settings.binning.smoothing_bads)
    fitted = RandomForest(scales=scales, trees=kept)
    require_same(fitted.default_probability(training.columns, training.rows), told)
    return fitted


def _forest(settings: ForestSettings, seed: int) -> RandomForestClassifier:
    return RandomForestClassifier(
        n_estimators=settings.trees,
        max_leaf_nodes=settings.leaves,
        min_samples_leaf=settings.min_rows_in_leaf,
        max_samples=settings.rows_share,
        max_features=settings.characteristics_share,
        n_jobs=1,
        random_state=seed,
    )


def _nodes(found: Any) -> Nodes:
    return Nodes(
        is_leaf=found.children_left < 0,
        column=found.feature,
        threshold=found.threshold,
        missing_left=found.missing_go_to_left.astype(bool),
        left=found.children_left,
        right=found.children_right,
        value=found.value[:, 0, 1],
    )
