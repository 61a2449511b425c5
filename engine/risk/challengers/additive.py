"""A sum of one table per characteristic, learned by boosting trees that look at one characteristic each.

Compiled through the public interface alone: the fitted model is asked about every step of every characteristic, and
what it answers is the table. The sum must be the model's own answer on the training rows to 1e-12.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from engine.config.challengers import BoostingSettings
from engine.risk.binning import Codes
from engine.risk.challengers.plan import Plan
from engine.risk.challengers.scales import Scale

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
EXACT: Final = 1e-12
"""How far what was written down may be from what scikit-learn says; sums of floats in another order differ by 1e-14."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """Log-odds of default: `baseline` plus, per scale, what `tables` says of the step."""

    baseline: float
    tables: tuple[Floats, ...]

    def of(self, codes: Sequence[Codes], rows: int) -> Floats:
        """Return the log-odds of every row."""
        total = np.full(rows, self.baseline)
        for table, code in zip(self.tables, codes, strict=True):
            total += table.take(code)
        return total


def boosted(
    settings: BoostingSettings, monotone: Sequence[int], seed: int, apart: Sequence[set[int]] | None = None
) -> HistGradientBoostingClassifier:
    """Return boosting ready to be fitted; `apart` names the columns that alone may meet in one tree."""
    return HistGradientBoostingClassifier(
        learning_rate=settings.learning_rate,
        max_iter=settings.trees,
        max_leaf_nodes=settings.leaves,
        min_samples_leaf=settings.min_rows_in_leaf,
        l2_regularization=settings.l2,
        monotonic_cst=list(monotone),
        interaction_cst=None if apart is None else list(apart),
        early_stopping=False,
        random_state=seed,
    )


def learn(
    scales: Sequence[Scale],
    codes: Sequence[Codes],
    made_of: Plan,
    bad: Bools,
    settings: BoostingSettings,
    *,
    seed: int,
    directions: Mapping[str, int],
    weights: Floats | None = None,
) -> Sum:
    """Return the sum learned from rows whose steps are `codes`; each table averages 0 over them."""
    model = boosted(settings, made_of.monotone(scales, directions), seed, made_of.apart())
    matrix = made_of.matrix(scales, codes)
    with threadpool_limits(1):
        model.fit(matrix, bad, sample_weight=weights)
        compiled = _compiled(model, scales, made_of)
        told: Floats = model.decision_function(matrix)
    require_same(compiled.of(codes, len(bad)), told)
    return _centred(compiled, codes)


def require_same(written: Floats, told: Floats) -> None:
    """Raise RuntimeError when what was written down is not what the fitted model says."""
    gap = float(np.abs(written - told).max(initial=0.0))
    if gap > EXACT * max(1.0, float(np.abs(told).max(initial=0.0))):
        raise RuntimeError(f"the model written down differs by {gap:g} from the one fitted: do not use it")


def _compiled(model: HistGradientBoostingClassifier, scales: Sequence[Scale], made_of: Plan) -> Sum:
    nothing = [np.array([scale.size - 1], dtype=np.intp) for scale in scales]
    baseline = float(model.decision_function(made_of.matrix(scales, nothing))[0])
    tables = []
    for at, scale in enumerate(scales):
        steps = [np.repeat(code, scale.size) for code in nothing]
        steps[at] = np.arange(scale.size, dtype=np.intp)
        tables.append(model.decision_function(made_of.matrix(scales, steps)) - baseline)
    return Sum(baseline=baseline, tables=tuple(tables))


def _centred(found: Sum, codes: Sequence[Codes]) -> Sum:
    means = [float(table.take(code).mean()) for table, code in zip(found.tables, codes, strict=True)]
    moved = tuple(table - mean for table, mean in zip(found.tables, means, strict=True))
    return Sum(baseline=found.baseline + sum(means), tables=moved)
