"""Try a way of learning on rows it has not seen: every row is predicted by a model of the other parts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold

from engine.config.challengers import CalibrationSettings
from engine.domain.errors import NotEnoughData
from engine.risk import calibrators, metrics, models
from engine.risk.challengers.training import Training
from engine.risk.scorecard import NAME as SCORECARD

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Unseen:
    """Out-of-fold predictions of one model.

    `raw` is what the model said, `probability` the same set right by a calibrator learned on the other parts; `fold`
    is the part of every row, and `fit_seconds` the processor time of one fit, on average.
    """

    name: str
    raw: Floats
    probability: Floats
    fold: Rows
    fit_seconds: float

    def auc_by_fold(self, bad: NDArray[np.bool_]) -> list[float]:
        """Return the AUC of every part."""
        return [metrics.auc(self.raw[self.fold == part], bad[self.fold == part]).value for part in np.unique(self.fold)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The rows of one part, the training that all other rows make, and what its steps and directions took to find."""

    own: Rows
    training: Training
    tried: Training
    prepared_seconds: float


def parts(training: Training, folds: int, *, prepare: bool = True) -> tuple[Part, ...]:
    """Return the rows in stratified parts, drawn by the training's seed; fewer where a class has fewer rows.

    Each part's training is prepared once for all models that are tried on it; the scorecard alone needs none of that.

    Raises
    ------
    NotEnoughData
        A class has fewer than two rows.
    """
    training.require_both("cross-validation")
    fewest = int(min(training.bad.sum(), (~training.bad).sum()))
    if fewest < 2:
        raise NotEnoughData("cross-validation", "one class has a single row", "two rows or more of each")
    cut = StratifiedKFold(min(folds, fewest), shuffle=True, random_state=training.seed)
    split = cut.split(np.zeros(training.rows), training.bad)
    return tuple(_part(training, own, others, prepare) for others, own in split)


def unseen(name: str, training: Training, made: Sequence[Part], settings: CalibrationSettings) -> Unseen:
    """Return what the named model says of every row when it has not seen it."""
    raw, fold, seconds = np.empty(training.rows), np.empty(training.rows, dtype=np.intp), 0.0
    for at, part in enumerate(made):
        began = time.process_time()
        model = models.fit(name, part.training)
        # the scorecard cuts its own bins; the others share steps and directions, which each would need alone
        seconds += time.process_time() - began + (0.0 if name == SCORECARD else part.prepared_seconds)
        raw[part.own] = model.default_probability(part.tried.columns, part.tried.rows)
        fold[part.own] = at
    return Unseen(
        name=name,
        raw=raw,
        probability=_set_right(raw, fold, training, settings),
        fold=fold,
        fit_seconds=seconds / len(made),
    )


def _part(training: Training, own: Rows, others: Rows, prepare: bool) -> Part:
    rest, began = training.part(others), time.process_time()
    if prepare:
        rest.prepare()
    return Part(own=own, training=rest, tried=training.part(own), prepared_seconds=time.process_time() - began)


def _set_right(raw: Floats, fold: Rows, training: Training, settings: CalibrationSettings) -> Floats:
    probability = np.empty(len(raw))
    for part in np.unique(fold):
        own, rest = fold == part, fold != part
        weights = None if training.weights is None else training.weights[rest]
        found = calibrators.fit(settings.method, raw[rest], training.bad[rest], weights)
        probability[own] = found.apply(raw[own])
    return probability
