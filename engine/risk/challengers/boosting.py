"""Gradient boosted trees in which every number that has a direction counts that way and never the other.

Learned by scikit-learn's histogram boosting under monotone constraints, then written down as plain arrays. What was
written must say what the fitted model says of the training rows, to 1e-12, or there is no model: how scikit-learn
keeps its trees is no promise of its.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from engine.risk.challengers import trees
from engine.risk.challengers.additive import boosted, require_same
from engine.risk.challengers.scales import Scale
from engine.risk.challengers.training import Training
from engine.risk.challengers.trees import Ensemble, Nodes, Tree
from engine.risk.scorecard import default_probability

Floats = NDArray[np.float64]
NAME: Final = "monotone_boosting"


@dataclass(frozen=True, kw_only=True)
class MonotoneBoosting:
    """Scales, trees over them, and the directions kept; the trees add up to the log-odds of default."""

    scales: tuple[Scale, ...]
    trees: tuple[Tree, ...]
    baseline: float
    directions: Mapping[str, int]

    @property
    def name(self) -> str:
        """The kind of model."""
        return NAME

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns that scoring reads."""
        return tuple(scale.name for scale in self.scales)

    def default_probability(self, columns: Mapping[str, pa.ChunkedArray], rows: int) -> Floats:
        """Return the default probability of every row."""
        codes = [scale.codes(columns, rows) for scale in self.scales]
        return default_probability(-(self.baseline + self._ensemble.sums(codes, rows)))

    def contributions(self, columns: Mapping[str, pa.ChunkedArray], rows: int) -> None:
        """Return None: characteristics meet in a tree, and what one adds hangs on the others."""
        return

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON keeps exactly."""
        return {
            "scales": [scale.to_dict() for scale in self.scales],
            "trees": [tree.to_dict() for tree in self.trees],
            "baseline": self.baseline,
            "directions": dict(self.directions),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> MonotoneBoosting:
        """Return the model that `to_dict` described."""
        return cls(
            scales=tuple(Scale.from_dict(scale) for scale in values["scales"]),
            trees=tuple(Tree.from_dict(tree) for tree in values["trees"]),
            baseline=values["baseline"],
            directions=dict(values["directions"]),
        )

    @cached_property
    def _ensemble(self) -> Ensemble:
        return Ensemble(self.trees, self.scales)


def fit(training: Training) -> MonotoneBoosting:
    """Learn the model; a characteristic at which no tree splits is left out.

    Raises
    ------
    NotEnoughData
        One class only.
    """
    training.require_both("monotone boosting")
    made_of, ways = training.plan, training.directions
    settings = training.settings.challengers.monotone_boosting
    model = boosted(settings, made_of.monotone(training.scales, ways), training.seed)
    matrix = made_of.matrix(training.scales, training.codes)
    with threadpool_limits(1):
        model.fit(matrix, training.bad, sample_weight=training.weights)
        told: Floats = model.decision_function(matrix)
    grown = [trees.written(_nodes(iteration[0].nodes), made_of) for iteration in model._predictors]
    scales, kept = trees.joined(training.scales, grown, training.settings.binning.smoothing_bads)
    fitted = MonotoneBoosting(
        scales=scales,
        trees=kept,
        baseline=float(model._baseline_prediction[0, 0]),
        directions={scale.name: ways.get(scale.name, 0) for scale in scales},
    )
    codes = [scale.codes(training.columns, training.rows) for scale in scales]
    require_same(fitted.baseline + fitted._ensemble.sums(codes, training.rows), told)
    return fitted


def _nodes(nodes: Any) -> Nodes:
    return Nodes(
        is_leaf=nodes["is_leaf"].astype(bool),
        column=nodes["feature_idx"],
        threshold=nodes["num_threshold"],
        missing_left=nodes["missing_go_to_left"].astype(bool),
        left=nodes["left"],
        right=nodes["right"],
        value=nodes["value"],
    )
