"""Points per bin by logistic regression: each characteristic's evidence, then each step between its bins.

First one coefficient per characteristic, on its weights of evidence: the classical scorecard. Then the steps between
bins, in order of evidence, are fitted together. No step may go against the evidence and a ridge draws it towards
the coefficient, so that with few rows the classical scorecard remains and with many each bin earns its own points.

The likelihood with its ridge is concave, so that there is one answer. It is found by Newton's method under bounds
(non-negative least squares for each step), on one thread: the same on every run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from threadpoolctl import threadpool_limits

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Codes = NDArray[np.integer[Any]]

_BLOCK: Final = 16_384  # rows of the design made at once: they stay in the processor's cache
_ROUNDS: Final = 60
_SETTLED: Final = 1e-9  # largest change of a coefficient at which the answer stands
_KEPT_DIGITS: Final = 10  # beyond, the order of the rows would show


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One characteristic as the regression sees it.

    `evidence` has one value per bin, and last 0 for rows where nothing was asked; `rows` is how many (weighted) rows
    fell in each bin. `free` lets its coefficient have either sign, and its bins keep their evidence.
    """

    codes: Codes
    evidence: Floats
    rows: Floats
    free: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """What each bin adds to the log-odds of being good, per column (last, where nothing was asked: 0)."""

    tables: tuple[Floats, ...]
    intercept: float


def fit(columns: Sequence[Column], good: Bools, l2: float, step_l2: float, weights: Floats | None = None) -> Fitted:
    """Return the log-odds of every bin that make the outcomes most likely, given the ridge.

    Parameters
    ----------
    l2 : ridge on the coefficients of evidence.
    step_l2 : ridge that draws the steps between bins towards the coefficient of their characteristic.
    """
    with threadpool_limits(1):
        coarse = [_evidence(column) for column in columns]
        start = np.append(np.zeros(len(columns)), _even(good, weights))
        first = _solve(
            _Problem(columns=columns, bases=coarse, good=good, weights=weights, centre=0 * start, ridge=l2), start
        )
        fine = [_steps(column) for column in columns]
        whole = [np.full(basis.shape[1], value) for value, basis in zip(first[:-1], fine, strict=True)]
        centre = np.append(np.concatenate(whole), first[-1])
        theta = _solve(
            _Problem(columns=columns, bases=fine, good=good, weights=weights, centre=centre, ridge=step_l2), centre
        )
    tables = [np.round(basis @ part, _KEPT_DIGITS) for basis, part in zip(fine, _parts(theta, fine), strict=True)]
    return Fitted(tables=tuple(tables), intercept=round(float(theta[-1]), _KEPT_DIGITS))


def _even(good: Bools, weights: Floats | None) -> float:
    """Return the log-odds of being good of the whole sample."""
    rate = float(np.average(good, weights=weights))
    return float(np.log(rate / (1 - rate)))


def _evidence(column: Column) -> Floats:
    return column.evidence[:, np.newaxis]


def _steps(column: Column) -> Floats:
    """Return, per bin and step, how much the step adds: as much as the evidence rises there, to all bins above it.

    Less its mean over the rows that were asked, so that where nothing was asked 0 is an average answer.
    """
    if column.free:
        return _evidence(column)
    asked = column.evidence[:-1]
    levels = np.unique(asked)
    taken = (asked[:, np.newaxis] >= levels[np.newaxis, 1:]) * np.diff(levels)
    centred = taken - column.rows / column.rows.sum() @ taken
    return np.vstack([centred, np.zeros(centred.shape[1])])


def _parts(theta: Floats, bases: Sequence[Floats]) -> list[Floats]:
    return np.split(theta[:-1], np.cumsum([basis.shape[1] for basis in bases])[:-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Problem:
    """The columns as linear functions of the coefficients (`bases`, a row per bin), the outcomes and the ridge."""

    columns: Sequence[Column]
    bases: Sequence[Floats]
    good: Bools
    weights: Floats | None
    centre: Floats
    ridge: float

    @property
    def penalty(self) -> Floats:
        """The ridge per coefficient; none on the intercept."""
        return np.append(np.full(len(self.centre) - 1, self.ridge), 0.0)

    @property
    def free(self) -> Bools:
        """Which coefficients may be negative."""
        widths = [basis.shape[1] for basis in self.bases]
        return np.append(np.repeat([column.free for column in self.columns], widths), True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Point:
    """Coefficients with what is lost there, its slope, and how much each row's outcome is in doubt."""

    theta: Floats
    loss: float
    slope: Floats
    doubt: Floats


def _solve(problem: _Problem, start: Floats) -> Floats:
    """Return the coefficients, the intercept last, at which the penalised likelihood is highest."""
    at, moved, hessian = _evaluate(problem, start), np.inf, None
    for _ in range(_ROUNDS):
        if hessian is None:
            hessian = _curvature(problem, at.doubt)
        target = _bounded(hessian, hessian @ at.theta - at.slope, problem.free)
        moved_before, after = moved, _descend(problem, at, target)
        moved, at = float(np.abs(after.theta - at.theta).max()), after
        if moved < _SETTLED:
            break
        # near the answer the curvature hardly changes: a new one only while the steps do not shrink fast
        hessian = hessian if moved < 0.1 * moved_before else None
    return at.theta


def _evaluate(problem: _Problem, theta: Floats) -> _Point:
    log_odds = np.full(len(problem.good), theta[-1])
    for column, basis, part in zip(problem.columns, problem.bases, _parts(theta, problem.bases), strict=True):
        log_odds += (basis @ part)[column.codes]
    # e to the minus magnitude: neither end overflows
    tail = np.exp(-np.abs(log_odds))
    chance = np.where(log_odds >= 0, 1.0, tail) / (1.0 + tail)
    lost = np.log1p(tail) + np.maximum(log_odds, 0.0) - log_odds * problem.good
    residual, doubt = chance - problem.good, chance * (1.0 - chance)
    if problem.weights is not None:
        lost, residual, doubt = lost * problem.weights, residual * problem.weights, doubt * problem.weights
    sums = (np.bincount(one.codes, residual, minlength=len(one.evidence)) for one in problem.columns)
    slopes = [basis.T @ total for basis, total in zip(problem.bases, sums, strict=True)]
    away = theta - problem.centre
    return _Point(
        theta=theta,
        loss=float(lost.sum() + problem.penalty @ away**2 / 2),
        slope=np.concatenate([*slopes, [residual.sum()]]) + problem.penalty * away,
        doubt=doubt,
    )


def _curvature(problem: _Problem, doubt: Floats) -> Floats:
    """Return the Hessian, from blocks of the design."""
    hessian = np.diag(problem.penalty + 1e-9)
    scale = np.sqrt(doubt)
    for start in range(0, len(doubt), _BLOCK):
        rows = slice(start, start + _BLOCK)
        parts = [basis[one.codes[rows]] for one, basis in zip(problem.columns, problem.bases, strict=True)]
        design = np.hstack([*parts, np.ones((len(parts[0]), 1))]) * scale[rows, np.newaxis]
        hessian += design.T @ design
    return hessian


def _bounded(hessian: Floats, linear: Floats, free: Bools) -> Floats:
    """Return the lowest point of x'Hx / 2 - linear'x where what is not free is 0 or more."""
    lower = np.linalg.cholesky(hessian)
    signed = np.hstack([lower.T, -lower.T[:, free]])
    found, _ = nnls(signed, np.linalg.solve(lower, linear), maxiter=50 * len(linear))
    target: Floats = found[: len(linear)]
    target[free] -= found[len(linear) :]
    return target


def _descend(problem: _Problem, at: _Point, target: Floats) -> _Point:
    """Return the point on the way to the target, half as far each time until nothing is lost by going there."""
    step = 1.0
    for _ in range(30):
        after = _evaluate(problem, at.theta + step * (target - at.theta))
        if after.loss <= at.loss + 1e-12 * abs(at.loss):
            return after
        step /= 2
    return at
