"""From scores to probabilities: what share of the customers with such a score opened the product."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from sklearn.isotonic import IsotonicRegression

from engine.numerics.intervals import UNDEFINED, Interval
from engine.recommendations.frame import Flags, Floats, Integers

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
    curves: tuple[tuple[Integers, Floats, Floats], ...] = field(init=False, repr=False, compare=False)
    """Each different curve once, behind the places of the products that it belongs to."""

    def __post_init__(self) -> None:
        """Find the products that share a curve: where openings are few, most do."""
        owners: dict[tuple[bytes, bytes], list[int]] = {}
        for product, (knots, rates) in enumerate(zip(self.scores, self.rates, strict=True)):
            owners.setdefault((knots.tobytes(), rates.tobytes()), []).append(product)
        curves = tuple((np.array(one), self.scores[one[0]], self.rates[one[0]]) for one in owners.values())
        object.__setattr__(self, "curves", curves)

    def probabilities(self, scores: Floats) -> Floats:
        """Return the probability that belongs to each score, shape (n, P)."""
        found = np.empty_like(scores)
        for products, knots, rates in self.curves:
            found[:, products] = np.interp(scores[:, products], knots, rates)
        return found


def fit(
    scores: Floats,
    labels: Flags,
    eligible: Flags,
    positives_per_bin: int,
    *,
    comparable: bool,
    weights: Floats | None = None,
) -> Calibration:
    """Learn each product's curve from customers who could open it.

    Bins hold about equally many openings, so that a rare product gets few bins. Rates that fall with the score are
    pooled (isotonic regression). A product with fewer than two bins' worth of openings keeps its plain rate. Where
    scores are `comparable` between products because they are probabilities already, one with few openings takes the
    curve of all, and 0 and 1 stay what they are. `weights` say how much each row counts.
    """
    pair_weights = np.broadcast_to((np.ones(len(scores)) if weights is None else weights)[:, None], scores.shape)

    def curve(rows: Flags | tuple[Flags, int]) -> tuple[Floats, Floats]:
        return _curve(scores[rows], labels[rows], pair_weights[rows], positives_per_bin, ends=comparable)

    shared = curve(eligible)
    curves = []
    for product in range(scores.shape[1]):
        could = eligible[:, product]
        few = labels[could, product].sum() < _FEWEST_BINS_OWN * positives_per_bin
        curves.append(shared if comparable and few else curve((could, product)))
    return Calibration(scores=tuple(knots for knots, _ in curves), rates=tuple(rates for _, rates in curves))


def _curve(
    scores: Floats, opened: Flags, weights: Floats, positives_per_bin: int, *, ends: bool
) -> tuple[Floats, Floats]:
    positives = int(opened.sum())
    bins = min(_MOST_BINS, positives // positives_per_bin)
    if bins < _FEWEST_BINS:
        return np.zeros(1), np.array([float(weights @ opened) / max(float(weights.sum()), 1.0)])
    edges = np.unique(np.quantile(scores[opened], np.arange(1, bins) / bins))
    place = np.searchsorted(edges, scores, side="right")
    size = np.bincount(place, weights=weights, minlength=len(edges) + 1)
    held = size > 0
    middle = np.bincount(place, weights=weights * scores, minlength=len(size))[held] / size[held]
    rate = np.bincount(place, weights=weights * opened, minlength=len(size))[held] / size[held]
    rising = np.asarray(IsotonicRegression().fit_transform(middle, rate, sample_weight=size[held]), dtype=np.float64)
    if ends:
        return np.concatenate([[0.0], middle, [1.0]]), np.concatenate([[0.0], rising, [1.0]])
    return middle, rising


def expected_error(probabilities: Floats, labels: Flags, eligible: Flags, bins: int = 10) -> float:
    """Return the expected calibration error over all pairs that could be opened; NaN when there is none.

    Pairs are cut into bins of equal size by probability; the error is the mean, weighted by bin size, of the
    distance between mean probability and observed rate.
    """
    pairs = int(eligible.sum())
    if pairs == 0:
        return float("nan")
    return float(np.abs(_gaps(probabilities, labels, eligible, bins).sum(axis=0)).sum() / pairs)


def error_interval(
    probabilities: Floats, labels: Flags, eligible: Flags, seed: int, *, bins: int = 10, draws: int = 200
) -> Interval:
    """Return the 95 % interval of the expected calibration error, customers drawn again with the seed.

    The basic bootstrap: resampled errors lie above the error itself, as it does above the truth, so that distances
    are taken to the other side; cut at 0, and wide enough to hold the error. Undefined for fewer than two customers.
    """
    if len(labels) < 2 or not eligible.any():
        return UNDEFINED
    gaps, random = _gaps(probabilities, labels, eligible, bins), np.random.default_rng([seed, 98])
    pairs = eligible.sum(axis=1).astype(np.float64)
    found = np.empty(draws)
    for draw in range(draws):
        times = np.bincount(random.integers(0, len(gaps), len(gaps)), minlength=len(gaps)).astype(np.float64)
        found[draw] = np.abs(times @ gaps).sum() / max(float(times @ pairs), 1.0)
    error = float(np.abs(gaps.sum(axis=0)).sum() / pairs.sum())
    low, high = np.quantile(found, [0.025, 0.975])
    return Interval(lower=min(max(2 * error - float(high), 0.0), error), upper=max(2 * error - float(low), error))


def _gaps(probabilities: Floats, labels: Flags, eligible: Flags, bins: int) -> Floats:
    """Return what each customer adds to the distance in each bin, probability less opening, shape (n, bins)."""
    row, product = np.nonzero(eligible)
    chance = probabilities[row, product]
    order = np.argsort(chance, kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    for number, part in enumerate(np.array_split(order, bins)):
        place[part] = number
    gap = chance - labels[row, product]
    summed = np.bincount(row * bins + place, weights=gap, minlength=len(labels) * bins)
    return np.asarray(summed.reshape(len(labels), bins), dtype=np.float64)
