"""Whether the arms have as many units as planned: once, at every look, by day, by dimension and between changes.

Every test takes counts. A look at an experiment that still runs needs `sequential_test`: its p-value may be looked at
every day, for ever, and is below a level no more often than the level says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from math import exp, inf, log
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, gammaln, logsumexp

from engine.numerics import multiplicity

ALARM: Final = 0.001
"""A ratio this unlikely is a fault of assignment or logging, not chance: the usual threshold of one look."""

SEQUENTIAL_ALARM: Final = 0.01
"""The same for a test that allows for every look: 28 daily looks at .001 each are wrong .008 of the time."""

CONCENTRATIONS: Final = (10.0, 100.0, 1_000.0, 10_000.0)
"""How closely the sequential test's alternatives lie around the plan, as if so many units had been seen: a mixture.

The first finds a split that is far off among few units, the last one that is a point off among many.
"""

FEWEST: Final = 5
"""The chi-square approximation is trusted where every arm expects this many units."""

Counts = Mapping[str, int]
Weights = Mapping[str, float]
Method = Literal["chi_square", "binomial", "sequential"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioTest:
    """A test of counts against planned weights.

    statistic : chi-square, infinite with anyone in an arm of weight 0, whatever method gave the p-value.
    degrees : of freedom of it; arms of weight 0 have none.
    """

    statistic: float
    degrees: int
    p_value: float
    method: Method = "chi_square"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRatio:
    """The test of one day or one value of a dimension; `adjusted_p_value` allows for the number of them (Holm)."""

    group: str
    counts: Counts
    p_value: float
    adjusted_p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """Days in a row, first and last included, in which units were split in one way. `shares` are those found."""

    first: date
    last: date
    counts: Counts

    @property
    def name(self) -> str:
        """The name of its stratum: the days it spans."""
        return f"{self.first.isoformat()}..{self.last.isoformat()}"

    @property
    def shares(self) -> dict[str, float]:
        """The share of each arm; nobody has no shares."""
        units = sum(self.counts.values())
        return {name: count / units for name, count in self.counts.items()} if units else {}


def ratio_test(observed: Counts, weights: Weights) -> RatioTest | None:
    """Test counts against weights by chi-square, for one look; None when nobody was observed.

    Arms of weight 0 expect nobody and are no degree of freedom; anyone seen in one is impossible (p = 0).
    """
    planned, seen, impossible = _planned(observed, weights)
    degrees = len(planned) - 1
    if impossible:
        return RatioTest(statistic=inf, degrees=degrees, p_value=0.0)
    if not seen.sum():
        return None
    expected = seen.sum() * planned
    statistic = float(((seen - expected) ** 2 / expected).sum())
    return RatioTest(statistic=statistic, degrees=degrees, p_value=float(chdtrc(degrees, statistic)))


def exact_test(observed: Counts, weights: Weights) -> RatioTest | None:
    """Test small counts by the exact binomial test: each arm against all others, corrected for their number.

    With two arms that is one test and no correction.

    References
    ----------
    Clopper and Pearson (1934), Biometrika 26; correction by Bonferroni.
    """
    from scipy.stats import binomtest  # noqa: PLC0415  half a second to import, and few questions need it

    found = ratio_test(observed, weights)
    if found is None or found.statistic == inf:
        return found
    planned, seen, _ = _planned(observed, weights)
    units = int(seen.sum())
    single = [float(binomtest(int(k), units, share).pvalue) for k, share in zip(seen, planned, strict=True)]
    tests = 1 if len(single) <= 2 else len(single)
    return RatioTest(
        statistic=found.statistic,
        degrees=found.degrees,
        p_value=min(1.0, tests * min(single, default=1.0)),
        method="binomial",
    )


def once(observed: Counts, weights: Weights) -> RatioTest | None:
    """Test counts for one look, exactly where an arm expects fewer than `FEWEST` units."""
    planned, seen, _ = _planned(observed, weights)
    few = len(planned) > 0 and seen.sum() * planned.min() < FEWEST
    return exact_test(observed, weights) if few else ratio_test(observed, weights)


def sequential_test(
    observed: Counts, weights: Weights, *, concentrations: Sequence[float] = CONCENTRATIONS
) -> RatioTest | None:
    """Test counts so far by a p-value that is right however often it is looked at; None when nobody was observed.

    It is 1 over the Bayes factor of Dirichlet alternatives around the plan, and never above 1.

    References
    ----------
    Lindon and Malek (2022), NeurIPS, Anytime-valid inference for multinomial count data, equation 9.
    """
    found = ratio_test(observed, weights)
    if found is None or found.statistic == inf:
        return found
    planned, seen, _ = _planned(observed, weights)
    evidence = float(_log_bayes_factor(seen, planned, concentrations))
    return RatioTest(
        statistic=found.statistic, degrees=found.degrees, p_value=exp(min(0.0, -evidence)), method="sequential"
    )


def by_group(
    groups: Mapping[str, Counts], weights: Weights, *, looks: bool, plans: Mapping[str, Weights] | None = None
) -> tuple[GroupRatio, ...]:
    """Test every day, epoch or value of a dimension on its own; the p-values are adjusted together (Holm).

    looks : with True each is tested sequentially, for groups that still grow from look to look, such as countries.
        Days do not: each is tested once, when it is over. Groups without units are left out.
    plans : weights of groups that were planned otherwise, such as the steps of a ramp.
    """
    own = plans or {}
    found = {
        name: sequential_test(counts, own.get(name, weights)) if looks else once(counts, own.get(name, weights))
        for name, counts in groups.items()
    }
    tests = {name: test.p_value for name, test in found.items() if test is not None}
    adjusted = multiplicity.holm(list(tests.values()))
    return tuple(
        GroupRatio(group=name, counts=groups[name], p_value=p, adjusted_p_value=float(after))
        for (name, p), after in zip(tests.items(), adjusted, strict=True)
    )


def epochs(daily: Mapping[date, Counts], *, alarm: float = ALARM) -> tuple[Epoch, ...]:
    """Find the days on which the split changed: spans of days whose split is one and the same.

    A span is cut where the two sides differ most (chi-square of homogeneity), as long as that difference stays below
    `alarm` after a correction for the number of places where it could have been cut. Returns one epoch when nothing
    changed, none for no days.

    References
    ----------
    Binary segmentation: Vostrikova (1981), Soviet Mathematics Doklady 24.
    """
    if not daily:
        return ()
    days = sorted(daily)
    arms = list(dict.fromkeys(name for day in days for name in daily[day]))
    seen = np.array([[daily[day].get(name, 0) for name in arms] for day in days], dtype=np.float64)
    cuts = [0, *sorted(_cuts(seen, 0, len(days), alarm)), len(days)]
    return tuple(
        Epoch(
            first=days[start],
            last=days[end - 1],
            counts={name: int(count) for name, count in zip(arms, seen[start:end].sum(axis=0), strict=True)},
        )
        for start, end in pairwise(cuts)
    )


def _cuts(seen: NDArray[np.float64], start: int, end: int, alarm: float) -> list[int]:
    """Return the days before which the split changes, from `start` to `end`, in order; `seen` is (days, arms)."""
    span = seen[start:end]
    span = span[:, span.sum(axis=0) > 0]
    arms = span.shape[1]
    if len(span) < 2 or arms < 2:
        return []
    before = np.cumsum(span, axis=0)[:-1]
    statistic = _homogeneity(before, span.sum(axis=0) - before)
    best = int(np.argmax(statistic))
    if float(chdtrc(arms - 1, statistic[best])) * (len(seen) - 1) >= alarm:
        return []
    cut = start + best + 1
    return [*_cuts(seen, start, cut, alarm), cut, *_cuts(seen, cut, end, alarm)]


def _homogeneity(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return chi-square of two sides of each cut, of shape (cuts, arms); 0 where it is not to be trusted."""
    sides = one.sum(axis=1), other.sum(axis=1)
    arms = (one + other) / (sides[0] + sides[1])[:, None]
    statistic = np.zeros(len(one))
    trusted = np.ones(len(one), dtype=bool)
    for row, side in zip((one, other), sides, strict=True):
        expected = side[:, None] * arms
        # a side that expects hardly anybody in some arm says nothing yet: the change shows some days later
        trusted &= expected.min(axis=1) >= FEWEST
        statistic += np.divide((row - expected) ** 2, expected, out=np.zeros_like(row), where=expected > 0).sum(axis=1)
    return np.where(trusted, statistic, 0.0)


def _log_bayes_factor(
    seen: NDArray[np.float64], planned: NDArray[np.float64], concentrations: Sequence[float]
) -> NDArray[np.float64]:
    """Return the log of the evidence against the plan, for counts of shape (..., arms)."""
    plan = (seen * np.log(planned)).sum(axis=-1)
    found = []
    for concentration in concentrations:
        prior = concentration * planned
        drawn = (gammaln(prior + seen) - gammaln(prior)).sum(axis=-1)
        whole = gammaln(concentration + seen.sum(axis=-1)) - gammaln(concentration)
        found.append(drawn - whole - plan)
    return np.asarray(logsumexp(found, axis=0) - log(len(found)))


def _planned(observed: Counts, weights: Weights) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Return the planned shares and the counts of the arms of a weight above 0, and who is in one of weight 0."""
    names = [name for name, weight in weights.items() if weight > 0]
    shares = np.array([weights[name] for name in names], dtype=np.float64)
    seen = np.array([observed.get(name, 0) for name in names], dtype=np.float64)
    impossible = sum(observed.get(name, 0) for name, weight in weights.items() if weight <= 0)
    return shares / shares.sum() if names else shares, seen, impossible
