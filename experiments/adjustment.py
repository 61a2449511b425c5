"""Take out of an effect what was known before the start: regression on covariates, from moments alone.

Each arm has its own slopes and is evaluated at the covariates' means over all arms of the experiment, so that control
has one adjusted value whichever variant it is compared with. CUPED is the case of one covariate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from experiments import effects
from experiments.effects import ALPHA, Effect
from experiments.estimates import ArmEstimate
from experiments.moments import Moments

Floats = NDArray[np.float64]
Term = str | tuple[str, str]
"""What is estimated: the mean of a column, or the ratio of the means of two."""

REDUNDANT: Final = 1e-8
"""A covariate of whose variance the covariates before it leave less than this share adds nothing and is dropped."""

NOTHING: Final = "fewer than two customers in a group, or nothing below the line of a ratio"

UNITS_PER_SLOPE: Final = 10
"""An arm with fewer units per covariate takes the slopes of all arms together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdjustedEffect:
    """An effect with and without the covariates.

    variance_removed : the share of the variance of the difference that the covariates took out; below 0 when they
        added some. None when either effect is undefined.
    """

    adjusted: Effect
    unadjusted: Effect
    variance_removed: float | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JointEstimates:
    """The estimates of the arms of an experiment by a method that lets arms share something.

    An arm that nothing can be said about (fewer than two units, nothing below the line of a ratio) is not among them.

    covariance : between the arms' adjusted estimates, shape (arms, arms), in the order of `arms`.
    own : per arm, the part of its variance that it shares with no other; its degrees of freedom are the estimate's.
    """

    method: str
    arms: tuple[str, ...]
    adjusted: Mapping[str, ArmEstimate]
    unadjusted: Mapping[str, ArmEstimate]
    covariance: Floats
    own: Mapping[str, float]

    def effect(self, variant: str, control: str, *, alpha: float = ALPHA) -> AdjustedEffect:
        """Compare two arms, adjusted and not."""
        if not {variant, control} <= set(self.arms):
            nothing = Effect(method=self.method, reason=NOTHING)
            return AdjustedEffect(
                adjusted=nothing, unadjusted=replace(nothing, method="unadjusted"), variance_removed=None
            )
        one, other = self.adjusted[variant], self.adjusted[control]
        # what the arms share rests on all units; only the rest has few degrees of freedom
        degrees = effects.welch_degrees(
            replace(one, variance=self.own[variant]), replace(other, variance=self.own[control])
        )
        adjusted = effects.contrast(
            one,
            other,
            method=self.method,
            covariance=float(self.covariance[self.arms.index(variant), self.arms.index(control)]),
            alpha=alpha,
            degrees=degrees,
        )
        plain = effects.contrast(self.unadjusted[variant], self.unadjusted[control], method="unadjusted", alpha=alpha)
        removed = None
        if adjusted.standard_error is not None and plain.standard_error is not None:
            removed = 1 - (adjusted.standard_error / plain.standard_error) ** 2
        return AdjustedEffect(adjusted=adjusted, unadjusted=plain, variance_removed=removed)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Adjustment(JointEstimates):
    """The estimates of all arms adjusted by regression; they share the covariates' means.

    used, dropped : the covariates that entered, and those that the ones before them make redundant.
    slopes : per arm, shape (used,). Where `own_slopes` is false for an arm, those of all arms together or given ones.
    """

    used: tuple[Term, ...]
    dropped: tuple[Term, ...]
    slopes: Mapping[str, Floats]
    own_slopes: Mapping[str, bool]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Fit:
    """An arm's slopes and how sure they are.

    own : fitted on this arm alone; otherwise on all arms together, or given.
    spread : the outcome's sample variance about the regression, per unit, for the degrees of freedom used up.
    uncertainty : the slopes' covariance over the squared scale of the outcome, shape (k, k); 0 for given slopes.
    """

    slopes: Floats
    own: bool
    spread: float
    degrees: float
    uncertainty: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Arm:
    """One arm's terms, outcome first: their values, and the sample covariance of their linear forms per unit."""

    n: int
    values: Floats
    spread: Floats


def adjust(
    arms: Mapping[str, Moments],
    outcome: Term,
    covariates: Sequence[Term],
    *,
    slopes: Sequence[float] | None = None,
) -> Adjustment | None:
    """Adjust the outcome of every arm for covariates measured before the start.

    Parameters
    ----------
    arms : moments of all columns named by the terms, for every arm of the experiment.
    covariates : in order of importance: of several that say the same, the first stays.
    slopes : fixed ones for all arms, one per covariate, such as CUPED's from past data; fitted in each arm without.

    Returns
    -------
    Adjustment or None
        None when no arm can be estimated, or a ratio covariate divides by 0 over all arms. Without any usable
        covariate the adjusted estimates are the plain ones.

    The variance is that of the influence function: the spread about each arm's regression, the uncertainty of its
    slopes where it is evaluated, and the uncertainty of the covariates' common means, which the arms share.

    References
    ----------
    Lin (2013), Annals of Applied Statistics 7; Deng et al. (2013), WSDM (CUPED); Negi and Wooldridge (2021),
    Econometric Reviews 40, for the covariates' means being estimated.
    """
    if slopes is not None and len(slopes) != len(covariates):
        raise ValueError(f"{len(slopes)} slopes for {len(covariates)} covariates: expected one for each")
    found = {name: _terms(moments, (outcome, *covariates)) for name, moments in arms.items()}
    known = {name: arm for name, arm in found.items() if arm is not None}
    if not known:
        return None
    names = tuple(known)
    units = sum(arm.n for arm in known.values())
    within = sum(((arm.n - 1) * arm.spread for arm in known.values()), np.zeros((len(covariates) + 1,) * 2))
    kept = np.arange(len(covariates), dtype=np.int64) if slopes is not None else _independent(within[1:, 1:])
    means = pooled_means(arms[name] for name in names)
    at_means = [linear_form(arms[names[0]].columns, means, covariates[place]) for place in kept]
    centre = np.array([form[0] for form in at_means if form is not None])
    if len(centre) < len(kept):
        return None
    fits = {name: _fit(arm, within, units - len(names), kept, slopes) for name, arm in known.items()}
    away = {name: centre - arm.values[1:][kept] for name, arm in known.items()}
    adjusted = {name: _evaluate(arm, kept, fits[name], away[name]) for name, arm in known.items()}
    own = {name: adjusted[name].variance for name in names}
    covariance = _shared(known, kept, fits, units) + _of_common_slopes(fits, away) + np.diag(list(own.values()))
    return Adjustment(
        method="regression_adjusted",
        arms=names,
        adjusted={
            name: replace(adjusted[name], variance=float(covariance[place, place])) for place, name in enumerate(names)
        },
        unadjusted={name: _plain(arm) for name, arm in known.items()},
        covariance=covariance,
        own=own,
        used=tuple(covariates[place] for place in kept),
        dropped=tuple(term for place, term in enumerate(covariates) if place not in kept),
        slopes={name: fit.slopes for name, fit in fits.items()},
        own_slopes={name: fit.own for name, fit in fits.items()},
    )


def linear_form(columns: Sequence[str], means: Floats, term: Term) -> tuple[float, Floats] | None:
    """Return a term's value at these means and its derivatives by them, shape (columns,); None for a ratio to 0.

    For a ratio the derivatives are those of the delta method: (numerator - ratio * denominator) / mean denominator.
    """
    form = np.zeros(len(columns))
    if isinstance(term, str):
        place = columns.index(term)
        form[place] = 1.0
        return float(means[place]), form
    above, below = columns.index(term[0]), columns.index(term[1])
    if means[below] == 0:
        return None
    value = float(means[above] / means[below])
    form[above] += 1 / means[below]
    form[below] -= value / means[below]
    return value, form


def pooled_means(arms: Iterable[Moments]) -> Floats:
    """Return the means of the columns over all units of all arms, shape (columns,)."""
    every = list(arms)
    units = sum(moments.n for moments in every)
    return np.asarray(sum((moments.n / units * moments.means for moments in every), np.zeros(len(every[0].columns))))


def _plain(arm: _Arm) -> ArmEstimate:
    return ArmEstimate(
        value=float(arm.values[0]), variance=float(arm.spread[0, 0]) / arm.n, n=arm.n, degrees=float(arm.n - 1)
    )


def _terms(moments: Moments, terms: Sequence[Term]) -> _Arm | None:
    if moments.n < 2:
        return None
    found = [linear_form(moments.columns, moments.means, term) for term in terms]
    known = [one for one in found if one is not None]
    if len(known) < len(found):
        return None
    forms = np.array([form for _, form in known])
    return _Arm(
        n=moments.n, values=np.array([value for value, _ in known]), spread=forms @ moments.covariance @ forms.T
    )


def _independent(spread: Floats) -> NDArray[np.int64]:
    """Return the places of the covariates that those before them do not already determine, by Cholesky in order."""
    kept: list[int] = []
    rows: list[Floats] = []
    for place, own in enumerate(np.diag(spread)):
        if not own > 0:
            continue
        left = spread[place] / sqrt(own)
        scaled = left / np.sqrt(np.where(np.diag(spread) > 0, np.diag(spread), 1.0))
        for row in rows:
            scaled = scaled - row * row[place]
        if scaled[place] < REDUNDANT:
            continue
        rows.append(scaled / sqrt(scaled[place]))
        kept.append(place)
    return np.array(kept, dtype=np.int64)


def _fit(
    arm: _Arm, within: Floats, within_degrees: int, kept: NDArray[np.int64], given: Sequence[float] | None
) -> _Fit:
    """Fit an arm's slopes on its own units where they suffice, on those of all arms where they do not.

    within : sums of squares and products about each arm's means, shape (terms, terms), with so many degrees of freedom.
    """
    count = len(kept)
    if given is not None:
        slopes = np.asarray(given, dtype=np.float64)
        spread = _about(arm.spread, kept, slopes)
        return _Fit(
            slopes=slopes, own=False, spread=spread, degrees=float(arm.n - 1), uncertainty=np.zeros((count, count))
        )
    own = arm.n >= UNITS_PER_SLOPE * count + 2
    own = own and len(_independent(arm.spread[1:, 1:][np.ix_(kept, kept)])) == count
    freedom = arm.n - 1 if own else within_degrees
    products = arm.spread * (arm.n - 1) if own else within
    slopes, inverse = _least_squares(products, kept)
    left = max(freedom - count, 1)
    return _Fit(
        slopes=slopes,
        own=own,
        spread=_about(arm.spread, kept, slopes) * freedom / left,
        degrees=(arm.n - 1) * left / freedom,
        uncertainty=_about(products, kept, slopes) / left * inverse,
    )


def _about(spread: Floats, kept: NDArray[np.int64], slopes: Floats) -> float:
    """Return what is left of the outcome's variance, or sum of squares, about a regression with these slopes."""
    form = np.zeros(len(spread))
    form[0] = 1.0
    form[kept + 1] = -slopes
    return max(float(form @ spread @ form), 0.0)


def _least_squares(products: Floats, kept: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return the slopes of the outcome on the kept covariates and the inverse of the covariates' products."""
    places = kept + 1
    # solved on correlations, so that covariates of very different size do not disturb each other
    scale = np.sqrt(products[places, places])
    inverse = np.linalg.inv(products[np.ix_(places, places)] / np.outer(scale, scale)) / np.outer(scale, scale)
    return inverse @ products[places, 0], inverse


def _evaluate(arm: _Arm, kept: NDArray[np.int64], fit: _Fit, away: Floats) -> ArmEstimate:
    """Return the arm's value at the common means, with the variance that it shares with no other arm."""
    variance = fit.spread / arm.n
    if fit.own:
        variance += float(away @ fit.uncertainty @ away)
    return ArmEstimate(value=float(arm.values[0] + fit.slopes @ away), variance=variance, n=arm.n, degrees=fit.degrees)


def _of_common_slopes(fits: Mapping[str, _Fit], away: Mapping[str, Floats]) -> Floats:
    """Return the covariance between the arms that share slopes, which comes from these being estimated."""
    shared = np.zeros((len(fits),) * 2)
    common = [(place, name) for place, (name, fit) in enumerate(fits.items()) if not fit.own]
    for row, one in common:
        for column, other in common:
            shared[row, column] = float(away[one] @ fits[one].uncertainty @ away[other])
    return shared


def _shared(arms: Mapping[str, _Arm], kept: NDArray[np.int64], fits: Mapping[str, _Fit], units: int) -> Floats:
    """Return the covariance between arms that comes from evaluating all of them at one estimated set of means.

    A unit moves every arm's value by slopes (x - mean) / units, and its own arm's by its residual / n besides. Fitted
    slopes leave the two uncorrelated; common or given slopes do not.
    """
    every = np.array([fits[name].slopes for name in arms]).reshape(len(arms), len(kept))
    places = kept + 1
    common = sum(
        (arm.n / units * arm.spread[np.ix_(places, places)] for arm in arms.values()), np.zeros((len(kept),) * 2)
    )
    shared = every @ common @ every.T / units
    for place, fit in enumerate(fits.values()):
        if fit.own:  # the square of an unsure slope is too large by its variance
            shared[place, place] -= float((common * fit.uncertainty).sum()) / units
    crossed = (
        np.array(
            [
                every @ (arm.spread[places, 0] - arm.spread[np.ix_(places, places)] @ fits[name].slopes)
                for name, arm in arms.items()
            ]
        ).reshape(len(arms), len(arms))
        / units
    )
    return np.asarray(shared + crossed + crossed.T)
