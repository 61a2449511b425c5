"""Compare within strata and put them together again: by planned shares, or by the shares found in all arms.

Takes out of an effect what differs between strata by chance; with one stratum per epoch of an allocation that was
changed on the way, also what differs because of the change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Final

import numpy as np
from numpy.typing import NDArray

from experiments.adjustment import JointEstimates, Term, linear_form
from experiments.estimates import ArmEstimate
from experiments.moments import Moments

Floats = NDArray[np.float64]
Strata = Mapping[str, Mapping[str, Moments]]
"""The moments of each arm and stratum; a stratum that an arm does not name has nobody of that arm in it."""

FEWEST: Final = 10
"""Units that an arm should have in a stratum: with fewer its spread is too unsure for the interval to hold."""

MERGED: Final = "merged"
"""The name of the stratum that the thin ones make together."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PostStratification(JointEstimates):
    """The estimates of all arms put together from strata; they share the strata's shares, unless those were planned.

    shares : of each stratum compared, adding up to 1; those too thin in some arm are one stratum, `MERGED`.
    merged : which those are; with all of them merged nothing was stratified.
    """

    shares: Mapping[str, float]
    merged: tuple[str, ...]


def post_stratify(
    arms: Strata, outcome: Term, *, shares: Mapping[str, float] | None = None, fewest: int = FEWEST
) -> PostStratification | None:
    """Estimate every arm within strata and put the strata together.

    Parameters
    ----------
    arms : at least one stratum of each arm.
    shares : planned shares of the strata, in any unit; the shares over all arms unless given.
    fewest : units that the smallest arm should have in a stratum, going by its share of all; with fewer the stratum is
        merged with others, as it is with fewer than two in any arm.

    Returns
    -------
    PostStratification or None
        None when no arm can be estimated.

    Raises
    ------
    ValueError
        A stratum has units and no planned share.

    The variance is that given the split of the strata over the arms; estimated shares add the variance of the strata's
    effects over the number of units.

    References
    ----------
    Miratrix, Sekhon and Yu (2013), J. R. Statist. Soc. B 75, 369-396.
    """
    arms = {name: cells for name, cells in arms.items() if sum(cell.n for cell in cells.values()) > 1}
    if not arms:
        return None
    units = sum(moments.n for cells in arms.values() for moments in cells.values())
    seen = _units_by_stratum(arms)
    if shares is not None:
        without = sorted(name for name, count in seen.items() if count and shares.get(name, 0.0) <= 0)
        if without:
            raise ValueError(f"strata {without} have units and no planned share")
        seen = {name: seen.get(name, 0) for name, share in shares.items() if share > 0}
    merged = _thin(arms, seen, fewest)
    weights = shares if shares is not None else {name: float(count) for name, count in seen.items()}
    share = _shares(weights, seen, merged)
    cells = {name: _cells(arms[name], share, merged) for name in arms}
    parts = {name: _put_together(cells[name], share, outcome) for name in arms}
    plain = {name: _put_together([reduce(add, cells[name])], {"all": 1.0}, outcome) for name in arms}
    names = tuple(name for name in arms if parts[name] is not None and plain[name] is not None)
    known = [part for name in names if (part := parts[name]) is not None]
    if not names:
        return None
    weight = np.array(list(share.values()))
    away = np.array([part.away for part in known])
    shared = away * weight @ away.T / units if shares is None else np.zeros((len(names),) * 2)
    covariance = shared + np.diag([part.estimate.variance for part in known])
    return PostStratification(
        method="post_stratified",
        arms=names,
        adjusted={
            name: ArmEstimate(
                value=part.estimate.value,
                variance=float(covariance[place, place]),
                n=part.estimate.n,
                degrees=part.estimate.degrees,
            )
            for place, (name, part) in enumerate(zip(names, known, strict=True))
        },
        unadjusted={name: part.estimate for name in names if (part := plain[name]) is not None},
        covariance=covariance,
        own={name: part.estimate.variance for name, part in zip(names, known, strict=True)},
        shares=share,
        merged=merged,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Part:
    """One arm: its estimate, and how far each stratum lies from it, shape (strata,)."""

    estimate: ArmEstimate
    away: Floats


def _units_by_stratum(arms: Strata) -> dict[str, int]:
    seen: dict[str, int] = {}
    for cells in arms.values():
        for name, moments in cells.items():
            seen[name] = seen.get(name, 0) + moments.n
    return {name: count for name, count in seen.items() if count}


def _thin(arms: Strata, seen: Mapping[str, int], fewest: int) -> tuple[str, ...]:
    """Return the strata that must be merged, perhaps all of them.

    Judged by the units that the smallest arm should have in a stratum, not by those it got: merging the strata that
    came out unbalanced would leave in just the imbalance that stratifying is to take out.
    """
    by_arm = [sum(cell.n for cell in cells.values()) for cells in arms.values()]
    smallest = min(by_arm) / sum(by_arm)

    def enough(names: list[str]) -> bool:
        if sum(seen[name] for name in names) * smallest < fewest:
            return False
        counts = (sum(cells[name].n for name in names if name in cells) for cells in arms.values())
        return all(count > 1 for count in counts)

    thin = [name for name in seen if not enough([name])] if len(seen) > 1 else []
    rest = sorted((name for name in seen if name not in thin), key=lambda name: (seen[name], name))
    while thin and rest and not enough(thin):
        thin.append(rest.pop(0))  # the smallest joins: it loses the least
    return tuple(thin)


def _shares(weights: Mapping[str, float], seen: Mapping[str, int], merged: tuple[str, ...]) -> dict[str, float]:
    whole = sum(weights[name] for name in seen)
    share = {name: weights[name] / whole for name in seen if name not in merged}
    if merged:
        share[MERGED] = sum(weights[name] for name in merged) / whole
    return share


def _cells(cells: Mapping[str, Moments], share: Mapping[str, float], merged: tuple[str, ...]) -> list[Moments]:
    """Return the moments of one arm in the order of the shares, the thin strata added up."""
    together = [cells[name] for name in merged if name in cells]
    return [reduce(add, together) if name == MERGED and merged else cells[name] for name in share]


def _put_together(cells: list[Moments], share: Mapping[str, float], outcome: Term) -> _Part | None:
    columns = cells[0].columns
    weight = np.array(list(share.values()))
    means = np.array([cell.means for cell in cells])
    made = linear_form(columns, weight @ means, outcome)
    if made is None:
        return None
    value, form = made
    spread = np.array([form @ cell.covariance @ form for cell in cells])
    counts = np.array([cell.n for cell in cells])
    parts = weight**2 * np.maximum(spread, 0.0) / counts
    variance = float(parts.sum())
    uncertain = float((parts**2 / (counts - 1)).sum())
    estimate = ArmEstimate(
        value=value,
        variance=variance,
        n=int(counts.sum()),
        degrees=variance**2 / uncertain if uncertain else float(counts.sum() - len(cells)),
    )
    return _Part(estimate=estimate, away=(means - weight @ means) @ form)
