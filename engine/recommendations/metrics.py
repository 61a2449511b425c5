"""How well a ranking names what customers opened next, and how sure that is."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from engine.numerics.intervals import UNDEFINED, Interval
from engine.recommendations.frame import Flags, Floats

MAP_VARIANT: Final = "divided by min(k, number relevant)"
"""The variant of the mean average precision that races report."""

_CLOSEST: Final = 1e-6
_TAIL: Final = 0.025


def ranks(scores: Floats, eligible: Flags) -> NDArray[np.int64]:
    """Return the rank of each product for each customer, 1 the best; equal scores rank in the order of the products.

    Products that cannot be opened rank after all that can.
    """
    order = np.argsort(np.where(eligible, -scores, np.inf), axis=1, kind="stable")
    found = np.empty_like(order)
    np.put_along_axis(found, order, np.arange(1, scores.shape[1] + 1)[None, :].repeat(len(scores), axis=0), axis=1)
    return found


def average_precision(
    ranked: NDArray[np.int64], relevant: Flags, k: int, *, out_of: Literal["reachable", "relevant"] = "reachable"
) -> Floats:
    """Return the average precision at k of each customer, NaN without anything relevant.

    `out_of` names the variant. "reachable" divides by min(k, number relevant), as Kaggle, Spark and implicit do: naming
    the only relevant product first is 1, whatever k is. "relevant" divides by the number relevant, as RecTools does:
    with k = 1 and six relevant the best that can be reached is 1/6.
    """
    hit = np.where(relevant & (ranked <= k), ranked, 0)
    # relevant products at or above each rank, counted for each product that is a hit
    at_or_above = np.zeros(hit.shape, dtype=np.int64)
    for product in range(hit.shape[1]):
        others = hit[:, product, np.newaxis]
        at_or_above += (others > 0) & (others <= hit)
    precision = np.where(hit > 0, at_or_above / np.maximum(hit, 1), 0.0)
    wanted = relevant.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        best = np.minimum(wanted, k) if out_of == "reachable" else wanted
        found: Floats = np.where(wanted > 0, precision.sum(axis=1) / best, np.nan)
    return found


def expected_average_precision(ranked: NDArray[np.int64], outcomes: Flags, chances: Floats, k: int) -> Floats:
    """Return the average precision at k that each order of the products can expect.

    Which products are taken together matters: two orders of the same chances of single products can differ.

    Parameters
    ----------
    ranked : shape (orders, P), the rank of each product, 1 the best.
    outcomes : shape (S, P), the sets of products that may be taken, each with its chance in `chances`, shape (S,).
        A set of nothing counts for 0.
    """
    orders, sets = len(ranked), len(outcomes)
    each = average_precision(np.repeat(ranked, sets, axis=0), np.tile(outcomes, (orders, 1)), k)
    found: Floats = np.nan_to_num(each).reshape(orders, sets) @ chances
    return found


def recall(ranked: NDArray[np.int64], relevant: Flags, k: int) -> Floats:
    """Return the share of what is relevant that each customer finds among the first k, NaN without anything."""
    wanted = relevant.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = np.where(wanted > 0, (relevant & (ranked <= k)).sum(axis=1) / wanted, np.nan)
    return found


def log_loss(probabilities: Floats, opened: Flags, eligible: Flags) -> Floats:
    """Return the negative log-likelihood of what each customer opened, summed over what they could have, shape (n,).

    A proper score: no probabilities have a lower expectation than the true ones. A chance of 0 or 1 counts as 1e-6 from
    it.
    """
    chance = np.clip(probabilities, _CLOSEST, 1 - _CLOSEST)
    found: Floats = -(np.where(opened, np.log(chance), np.log1p(-chance)) * eligible).sum(axis=1)
    return found


def interval_of_mean(values: Floats) -> Interval:
    """Return the 95 % interval of the mean of values between 0 and 1; undefined for fewer than two.

    Student's interval, cut at 0 and 1. Where no two values differ it would be a point however few there are; then the
    interval holds every mean that leaves them a chance of 2.5 % to be all alike.
    """
    if len(values) < 2:
        return UNDEFINED
    mean, spread = float(values.mean()), float(values.std(ddof=1))
    if spread == 0.0:
        alike = _TAIL ** (1 / len(values))
        return Interval(lower=mean * alike, upper=mean * alike + 1 - alike)
    lower, upper = _student(mean, spread, len(values))
    return Interval(lower=max(lower, 0.0), upper=min(upper, 1.0))


def interval_of_difference(values: Floats) -> Interval:
    """Return the 95 % interval of the mean of paired differences; undefined for fewer than two."""
    if len(values) < 2:
        return UNDEFINED
    lower, upper = _student(float(values.mean()), float(values.std(ddof=1)), len(values))
    return Interval(lower=lower, upper=upper)


def _student(mean: float, spread: float, size: int) -> tuple[float, float]:
    half = float(student.ppf(1 - _TAIL, size - 1)) * spread / size**0.5
    return mean - half, mean + half


def hit_rate(ranked: NDArray[np.int64], relevant: Flags, k: int) -> float:
    """Return the share of customers with something relevant who find any of it among the first k; NaN without any."""
    wanted: Flags = np.any(relevant, axis=1)
    if not wanted.any():
        return float("nan")
    found: Flags = np.any(relevant & (ranked <= k), axis=1)
    return float(found[wanted].mean())


def coverage(ranked: NDArray[np.int64], eligible: Flags, k: int) -> float:
    """Return the share of all products that the first k of at least one customer name."""
    return float(((ranked <= k) & eligible).any(axis=0).mean())
