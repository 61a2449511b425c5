"""From scores to probabilities: what share of the customers with such a score opened the product."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.isotonic import IsotonicRegression

from engine.recommendations.frame import Flags, Floats

# more bins than this tell nothing more about one product
_MOST_BINS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A rising curve for each product through (score, rate) knots, straight between them, level beyond them."""

    scores: tuple[Floats, ...]
    rates: tuple[Floats, ...]

    def probabilities(self, scores: Floats) -> Floats:
        """Return the probability that belongs to each score, shape (n, P)."""
        found = np.empty_like(scores)
        for product, (knots, rates) in enumerate(zip(self.scores, self.rates, strict=True)):
            found[:, product] = np.interp(np.ascontiguousarray(scores[:, product]), knots, rates)
        return found


def fit(scores: Floats, labels: Flags, eligible: Flags, positives_per_bin: int) -> Calibration:
    """Learn each product's curve from customers who could open it.

    Bins hold about equally many openings, so that a rare product gets few bins and a product with fewer than two
    bins' worth one level: its plain rate. Rates that fall with the score are pooled (isotonic regression).
    """
    curves = [
        _curve(scores[eligible[:, product], product], labels[eligible[:, product], product], positives_per_bin)
        for product in range(scores.shape[1])
    ]
    return Calibration(scores=tuple(knots for knots, _ in curves), rates=tuple(rates for _, rates in curves))


def _curve(scores: Floats, opened: Flags, positives_per_bin: int) -> tuple[Floats, Floats]:
    positives = int(opened.sum())
    bins = min(_MOST_BINS, positives // positives_per_bin)
    if bins < 2:
        return np.zeros(1), np.array([positives / max(len(opened), 1)])
    edges = np.unique(np.quantile(scores[opened], np.arange(1, bins) / bins))
    place = np.searchsorted(edges, scores, side="right")
    size = np.bincount(place, minlength=len(edges) + 1)
    held = size > 0
    middle = np.bincount(place, weights=scores, minlength=len(size))[held] / size[held]
    rate = np.bincount(place, weights=opened, minlength=len(size))[held] / size[held]
    rising = IsotonicRegression().fit_transform(middle, rate, sample_weight=size[held])
    return middle, np.asarray(rising, dtype=np.float64)


def expected_error(probabilities: Floats, labels: Flags, eligible: Flags, bins: int = 10) -> float:
    """Return the expected calibration error over all pairs that could be opened; NaN when there is none.

    Pairs are cut into bins of equal size by probability; the error is the mean, weighted by bin size, of the
    distance between mean probability and observed rate.
    """
    chance, opened = probabilities[eligible], labels[eligible]
    if len(chance) == 0:
        return float("nan")
    order = np.argsort(chance, kind="stable")
    parts = np.array_split(order, bins)
    gaps = [abs(chance[part].mean() - opened[part].mean()) * len(part) for part in parts if len(part)]
    return float(np.sum(gaps) / len(chance))
