"""What each arm would have brought each unit, learnt from other units: the predictions of doubly robust estimates."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

FOLDS: Final = 5

_RIDGE: Final = 1.0  # as much as one unit at one standard deviation: steadies arms with few units, and fades with more


def cross_fitted(features: Floats, arm: Places, reward: Floats, fold: Places, *, n_arms: int) -> Floats:
    """Predict the reward of every arm for every unit by a linear model of each arm, learnt in the other folds.

    Parameters
    ----------
    features : shape (n, p), finite, known before the decision. Columns that are constant count for nothing.
    arm, reward, fold : shape (n,). Units that hang together belong in one fold.

    Returns
    -------
    array, shape (n, n_arms)
        An arm without units in the other folds is predicted by the mean reward of those folds; 0 without any unit.

    References
    ----------
    Chernozhukov et al. (2018), Econometrics J. 21, on cross-fitting; Hoerl and Kennard (1970), Technometrics 12.
    """
    n = len(reward)
    centre, spread = (features.mean(axis=0), features.std(axis=0)) if n else (np.zeros(features.shape[1]),) * 2
    varies = spread > 0
    scaled = np.column_stack([np.ones(n), (features[:, varies] - centre[varies]) / spread[varies]])
    made = np.zeros((n, n_arms))
    penalty = _RIDGE * np.eye(scaled.shape[1])
    penalty[0, 0] = 0.0
    for place in np.unique(fold):
        inside, outside = fold == place, fold != place
        everyone = float(reward[outside].mean()) if outside.any() else 0.0
        for one in range(n_arms):
            learnt = outside & (arm == one)
            if not learnt.any():
                made[inside, one] = everyone
                continue
            rows = scaled[learnt]
            weights = np.linalg.solve(rows.T @ rows + penalty, rows.T @ reward[learnt])
            made[inside, one] = scaled[inside] @ weights
    return made


def folds(group: Places, seed: int) -> Places:
    """Return the fold of every row, 0 to FOLDS - 1: drawn by seed, all rows of a group in one. Groups count from 0."""
    groups = int(group.max()) + 1 if len(group) else 0
    return np.asarray(np.random.default_rng(seed).permutation(groups)[group] % FOLDS, dtype=np.int64)
