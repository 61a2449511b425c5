"""Points per bin by logistic regression: each characteristic's evidence, then each step between its bins.

First one coefficient per characteristic, on its weights of evidence: the classical scorecard. Then the steps between
bins, in order of evidence, are fitted together. No step may go against the evidence and a ridge draws it towards
the coefficient, so that with few rows the classical scorecard remains and with many each bin earns its own points.

The likelihood with its ridge is concave, so that there is one answer. It is found by Newton's method under bounds
(non-negative least squares for each step), on one thread: the same on every run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from threadpoolctl import threadpool_limits

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Codes = NDArray[np.integer[Any]]

_BLOCK: Final = 16_384  # rows of the design made at once: they stay in the processor's cache
_SAMPLE: Final = 65_536  # rows that the curvature is taken from where there are many more
_GOLDEN: Final = 0.6180339887498949
_ROUNDS: Final = 60
_SETTLED: Final = 1e-9  # largest change of a coefficient at which the answer stands
_NEAR: Final = 1e-5  # and at which a start or a centre is near enough
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
        whole = _Problem(columns=columns, bases=coarse, good=good, weights=weights, centre=0 * start, ridge=l2)
        first = _solve(whole, start, _NEAR)
        fine = [_steps(column) for column in columns]
        steps = [np.full(basis.shape[1], value) for value, basis in zip(first[:-1], fine, strict=True)]
        centre = np.append(np.concatenate(steps), first[-1])
        theta = _solve(replace(whole, bases=fine, centre=centre, ridge=step_l2), centre, _SETTLED)
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
    """Coefficients with what is lost there and its slope."""

    theta: Floats
    loss: float
    slope: Floats


def _solve(problem: _Problem, start: Floats, settled: float) -> Floats:
    """Return the coefficients, the intercept last, at which the penalised likelihood is highest.

    Slopes are taken over all rows and decide where that is. The curvature only leads there, so that a sample is enough
    for it, and gives the start.
    """
    sample = _sampled(problem)
    if sample is not problem:
        start = _solve(sample, start, _NEAR)
    at, moved, hessian = _evaluate(problem, start), np.inf, None
    for _ in range(_ROUNDS):
        if hessian is None:
            hessian = _curvature(sample, at.theta)
        target = _bounded(hessian, hessian @ at.theta - at.slope, problem.free)
        moved_before, after = moved, _descend(problem, at, target)
        moved, at = float(np.abs(after.theta - at.theta).max()), after
        if moved < settled:
            break
        # near the answer the curvature hardly changes: a new one only while the steps do not shrink fast
        hessian = hessian if moved < 0.3 * moved_before else None
    return at.theta


def _sampled(problem: _Problem) -> _Problem:
    """Return the problem of some rows, each counting for several, or the problem itself if it is small."""
    rows = len(problem.good)
    if rows < 2 * _SAMPLE:
        return problem
    # steps of the golden ratio cover the rows evenly, and fall into step with no period that the file may have
    chosen = np.sort((np.arange(_SAMPLE) * _GOLDEN % 1.0 * rows).astype(np.intp))
    weights = np.ones(_SAMPLE) if problem.weights is None else problem.weights[chosen]
    return replace(
        problem,
        columns=[replace(one, codes=one.codes[chosen]) for one in problem.columns],
        good=problem.good[chosen],
        weights=weights * (rows / _SAMPLE),
    )


def _evaluate(problem: _Problem, theta: Floats) -> _Point:
    columns, parts = problem.columns, _parts(theta, problem.bases)
    tables = [basis @ part for basis, part in zip(problem.bases, parts, strict=True)]
    sums = [np.zeros(len(table)) for table in tables]
    lost, total = 0.0, 0.0
    for rows in _blocks(problem):
        log_odds, good = _log_odds(problem, tables, theta[-1], rows), problem.good[rows]
        chance, tail = _chance(log_odds)
        loss = np.log1p(tail) + np.maximum(log_odds, 0.0) - log_odds * good
        residual = chance - good
        if problem.weights is not None:
            loss, residual = loss * problem.weights[rows], residual * problem.weights[rows]
        for one, slope in zip(columns, sums, strict=True):
            np.add(slope, np.bincount(one.codes[rows], residual, minlength=len(slope)), out=slope)
        lost, total = lost + float(loss.sum()), total + float(residual.sum())
    slopes = [basis.T @ each for basis, each in zip(problem.bases, sums, strict=True)]
    away = theta - problem.centre
    return _Point(
        theta=theta,
        loss=lost + float(problem.penalty @ away**2) / 2,
        slope=np.concatenate([*slopes, [total]]) + problem.penalty * away,
    )


def _curvature(problem: _Problem, theta: Floats) -> Floats:
    """Return the Hessian, from blocks of the design."""
    hessian = np.diag(problem.penalty + 1e-9)
    tables = [basis @ part for basis, part in zip(problem.bases, _parts(theta, problem.bases), strict=True)]
    for rows in _blocks(problem):
        chance, _ = _chance(_log_odds(problem, tables, theta[-1], rows))
        doubt = chance * (1.0 - chance)
        if problem.weights is not None:
            doubt *= problem.weights[rows]
        parts = [basis.take(one.codes[rows], axis=0) for one, basis in zip(problem.columns, problem.bases, strict=True)]
        design = np.hstack([*parts, np.ones((len(doubt), 1))]) * np.sqrt(doubt)[:, np.newaxis]
        hessian += design.T @ design
    return hessian


def _blocks(problem: _Problem) -> Iterator[slice]:
    return (slice(start, start + _BLOCK) for start in range(0, len(problem.good), _BLOCK))


def _log_odds(problem: _Problem, tables: Sequence[Floats], intercept: float, rows: slice) -> Floats:
    log_odds = np.full(len(problem.good[rows]), intercept)
    for column, table in zip(problem.columns, tables, strict=True):
        log_odds += table.take(column.codes[rows])
    return log_odds


def _chance(log_odds: Floats) -> tuple[Floats, Floats]:
    """Return the probability, and e to the minus magnitude it was made from: neither end overflows."""
    tail = np.exp(-np.abs(log_odds))
    return np.where(log_odds >= 0, 1.0, tail) / (1.0 + tail), tail


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
