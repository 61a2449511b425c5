"""Customers like a few: a logistic regression that tells the seeds from others, tried on seeds it has not seen.

Whoever is no seed counts as unlike, though many may be alike: the scores therefore order customers and are no
probabilities. The features are those of the propensities, without the protected ones that the settings name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from engine.config.recommendations import Training
from engine.domain.errors import NotEnoughData
from engine.numerics.separation import Estimate, auc
from engine.recommendations import columns, frame
from engine.recommendations.frame import Flags, Floats, View
from engine.recommendations.linear import exact_sums, exact_weights
from engine.recommendations.propensity import LARGEST_TERM, scaling

LEAST_SEEDS: Final = 50
"""Fewer seeds than these, ten in each fold, say too little of any feature and leave the interval too wide."""

_FOLDS: Final = 5
_PENALTY: Final = 1.0  # of standardised terms; seeds are few beside what a propensity learns from
_TOLD: Final = 5  # features told, the heaviest


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookalikes:
    """Whom a model chose, the most alike first, and how well it tells seeds that it has not seen from others.

    `seeds` are those among the customers, `unknown_seeds` those listed who are none; `candidates` are all others.
    `telling` names the features with the largest weights and whether more of it is more alike.
    """

    chosen: pa.Array
    seeds: int
    unknown_seeds: int
    candidates: int
    separation: Estimate
    telling: tuple[tuple[str, bool], ...]


def choose(
    features: pa.Table,
    names: Sequence[str],
    seeds: pa.Array,
    *,
    size: int | None,
    share: float | None,
    training: Training,
    draw: int,
) -> Lookalikes:
    """Return the customers most like the seeds, who are none of them; of equal scores the lower id first.

    Parameters
    ----------
    features : the mart features, one row per customer.
    names : columns of it to learn from: see `panel.model_features`.
    size, share : how many, or what part of all who are no seeds, rounded up; one of them.
    draw : what the folds and the sample of others descend from.

    Raises
    ------
    NotEnoughData
        Too few seeds are customers, nobody else is, or unseen seeds cannot be told from others: the 95 % interval of
        the area under the curve includes one half.
    """
    ids = columns.plain(features["customer_id"])
    is_seed = columns.places(ids, seeds) >= 0
    known = int(is_seed.sum())
    _check(known, len(seeds), len(ids))
    terms, told = _terms(features, names, ids)
    learned = _learned(is_seed, training.negatives, np.random.default_rng(draw))
    unseen = _unseen(terms[learned], is_seed[learned], draw)
    separation = auc(unseen, is_seed[learned])
    # seeds that are told apart without a single mistake leave nothing to make an interval of
    if not (separation.lower > 0.5 or separation.value == 1.0):
        raise NotEnoughData(
            "lookalikes",
            f"the {known} seeds cannot be told from other customers (area under the curve {separation.value:.3f}, "
            f"95 % interval {separation.lower:.3f} to {separation.upper:.3f})",
            "seeds that have something in common, or more of them",
        )
    weights = _weights(terms[learned], is_seed[learned])
    others = np.flatnonzero(~is_seed)
    wanted = size if size is not None else int(np.ceil((share or 0.0) * len(others)))
    # features that a customer differs by in the last bit only must not order them
    scores = exact_sums(terms[others], exact_weights(weights[:, None], LARGEST_TERM))[:, 0]
    order = np.lexsort((ids.to_numpy(zero_copy_only=False)[others].astype(str), -scores))[:wanted]
    heaviest = np.argsort(-np.abs(weights), kind="stable")[:_TOLD]
    return Lookalikes(
        chosen=ids.take(pa.array(others[order])),
        seeds=known,
        unknown_seeds=len(seeds) - known,
        candidates=len(others),
        separation=separation,
        telling=tuple((told[place], bool(weights[place] > 0)) for place in heaviest if weights[place]),
    )


def _check(known: int, listed: int, customers: int) -> None:
    if known < LEAST_SEEDS:
        told = f"{known} of {listed} seeds are customers of the run" if known < listed else f"there are {known} seeds"
        raise NotEnoughData("lookalikes", told, f"at least {LEAST_SEEDS}, to learn what they have in common")
    if known == customers:
        raise NotEnoughData("lookalikes", "every customer is a seed", "customers who are none")


def _terms(features: pa.Table, names: Sequence[str], ids: pa.Array) -> tuple[Floats, tuple[str, ...]]:
    x = frame.matrix(features, names, np.arange(len(ids)))
    nothing = np.zeros((len(ids), 0), dtype=bool)
    view = View(owned=nothing, x=x, group=np.zeros(len(ids), dtype=np.int64))
    scaled = scaling(view, tuple(names))
    return scaled.apply(view), (*names, *(f"{names[place]} unknown" for place in scaled.flag_missing))


def _learned(is_seed: Flags, most: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Return the rows to learn from: all seeds, and a sample of the others."""
    others = np.flatnonzero(~is_seed)
    if len(others) > most:
        others = random.choice(others, size=most, replace=False)
    return np.sort(np.concatenate([np.flatnonzero(is_seed), others]))


def _unseen(terms: Floats, is_seed: Flags, draw: int) -> Floats:
    """Return for each row the score of a model that did not see it: folds with equal shares of the seeds."""
    random = np.random.default_rng(draw)
    fold = np.empty(len(terms), dtype=np.int64)
    for rows in (np.flatnonzero(is_seed), np.flatnonzero(~is_seed)):
        fold[rows] = random.permutation(np.arange(len(rows)) % _FOLDS)
    scores = np.empty(len(terms))
    for part in range(_FOLDS):
        held = fold == part
        scores[held] = terms[held] @ _weights(terms[~held], is_seed[~held])
    return scores


def _weights(terms: Floats, is_seed: Flags) -> Floats:
    model = LogisticRegression(C=1.0 / _PENALTY, solver="lbfgs", max_iter=500)
    with threadpool_limits(1):  # sums in one order, so that the same seeds choose the same customers
        model.fit(terms, is_seed)
    weights: Floats = model.coef_[0]
    return weights
