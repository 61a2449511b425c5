"""Compare within strata, with or without covariates: one call for both, from the moments of each stratum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from experiments import adjustment, stratification
from experiments.adjustment import JointEstimates, Term
from experiments.moments import Moments

_OF_STRATUM: Final = "stratum "


def adjusted(
    arms: Mapping[str, Moments],
    strata: Mapping[str, Mapping[str, Moments]],
    outcome: Term,
    covariates: Sequence[str],
) -> JointEstimates | None:
    """Return the estimates of all arms within strata; with covariates, by one regression on those and the strata.

    arms : every arm with at least one unit. strata : of each arm the moments of each stratum, also of empty ones, in
        the same order.

    None where an arm has too few units.
    """
    if not covariates:
        some = {arm: {name: one for name, one in found.items() if one.n} for arm, found in strata.items()}
        return stratification.post_stratify(some, outcome)
    names = list(next(iter(strata.values())))[1:]
    widened = {arm: _with_strata(arms[arm], found, names) for arm, found in strata.items()}
    return adjustment.adjust(widened, outcome, (*covariates, *(_OF_STRATUM + name for name in names)))


def _with_strata(whole: Moments, strata: Mapping[str, Moments], names: Sequence[str]) -> Moments:
    """Return the moments with a column for each named stratum that is 1 in it and 0 elsewhere."""
    p, count = len(whole.columns), len(names)
    inside = [strata[name].about(whole.shift) for name in names]
    products = np.zeros((p + count, p + count))
    products[:p, :p] = whole.products
    for place, one in enumerate(inside):
        products[p + place, :p] = products[:p, p + place] = one.total
        products[p + place, p + place] = one.n
    return Moments(
        columns=(*whole.columns, *(_OF_STRATUM + name for name in names)),
        n=whole.n,
        shift=np.concatenate([whole.shift, np.zeros(count)]),
        total=np.concatenate([whole.total, [float(one.n) for one in inside]]),
        products=products,
    )
