"""From scores to probabilities: what share of the customers with such a score opened the product."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.isotonic import IsotonicRegression

from engine.recommendations.frame import Flags, Floats

# more bins than this tell nothing more about one product
_MOST_BINS = 20
_FEWEST_BINS = 2
# below this a curve of log-odds shared by all products is nearer the truth than a product's own
_FEWEST_BINS_OWN = 8


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


def fit(scores: Floats, labels: Flags, eligible: Flags, positives_per_bin: int, *, comparable: bool) -> Calibration:
    """Learn each product's curve from customers who could open it.

    Bins hold about equally many openings, so that a rare product gets few bins. Rates that fall with the score are
    pooled (isotonic regression). A product with fewer than two bins' worth of openings keeps its plain rate. Where
    scores are `comparable` between products because they are log-odds, one with few openings takes the curve of all.
    """
    shared = _curve(scores[eligible], labels[eligible], positives_per_bin)
    curves = []
    for product in range(scores.shape[1]):
        could = eligible[:, product]
        opened = labels[could, product]
        few = opened.sum() < _FEWEST_BINS_OWN * positives_per_bin
        own = _curve(scores[could, product], opened, positives_per_bin)
        curves.append(shared if comparable and few else own)
    return Calibration(scores=tuple(knots for knots, _ in curves), rates=tuple(rates for _, rates in curves))


def _curve(scores: Floats, opened: Flags, positives_per_bin: int) -> tuple[Floats, Floats]:
    positives = int(opened.sum())
    bins = min(_MOST_BINS, positives // positives_per_bin)
    if bins < _FEWEST_BINS:
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
