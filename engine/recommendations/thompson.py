"""Thompson sampling: how likely each product is to be taken is drawn from what is known of it; the best draw wins.

What is known of a product with propensity p of which `cases` could be observed is Beta(p * cases, (1 - p) * cases), so
that much evidence hardly moves the choice and little moves it often. `chance_of_winning` says with which probability a
product wins, by numerical integration and not by drawing again and again.

References
----------
Thompson (1933), Biometrika 25; Russo et al. (2018), A Tutorial on Thompson Sampling. The trapezoidal rule for analytic
functions that vanish at both ends: Trefethen and Weideman (2014), SIAM Review 56.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import special

from engine.recommendations.frame import Floats, Integers

STATED_ERROR: Final = 1e-6
"""How far a chance of winning may be from the truth."""

_ENOUGH: Final = 1e-8  # difference of two rules, one with twice the nodes; the better of the two is nearer by far
_NODES: Final = 33
_MOST_NODES: Final = 65_537  # for a belief of hardly any evidence against one of a hundred thousand cases
_SURE: Final = 1e-13  # what is left of a tail; a rival who falls short by more than that is no rival
_CELLS: Final = 1 << 18  # pairs times nodes at a time: bounds the memory
_PAIRS: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Beliefs:
    """What is known of n customers and P products, shape (n, P).

    A draw x of the belief Beta(a, b) is worth `slope` * x + `offset` in minor units. `enters` is the chance that the
    product takes part at all: 0 where it may not, below 1 while it is not mature.
    """

    a: Floats
    b: Floats
    slope: Floats
    offset: Floats
    enters: Floats


def shapes(propensity: Floats, cases: Floats) -> tuple[Floats, Floats]:
    """Return the parameters of the beliefs: the mean is the propensity, as sure as that many cases allow.

    Less evidence than one success that is expected and one failure counts as that much: below, a Beta is nearly all 0
    or 1, which nobody believes of a product that is new. A propensity of 0 or 1 is a hair's breadth away from it.
    """
    mean = np.clip(propensity, 1e-9, 1 - 1e-9)
    known = np.maximum(cases, 1.0 / np.minimum(mean, 1 - mean))
    return mean * known, (1 - mean) * known


def drawn_worth(beliefs: Beliefs, uniform: Floats) -> Floats:
    """Return what each pair is worth at the draw that evenly spread numbers stand for; minus infinity if it is out."""
    worth = np.full(uniform.shape, -np.inf)
    takes_part = beliefs.enters > 0
    x = special.betaincinv(beliefs.a[takes_part], beliefs.b[takes_part], uniform[takes_part])
    worth[takes_part] = beliefs.slope[takes_part] * x + beliefs.offset[takes_part]
    return worth


def maturity(positives: Floats, share_at_start: float, mature_positives: int) -> Floats:
    """Return the share of customers that a product reaches with so many openings: a straight ramp up to 1."""
    ramp: Floats = np.minimum(share_at_start + (1 - share_at_start) * positives / mature_positives, 1.0)
    return ramp


def chance_of_winning(beliefs: Beliefs, rows: Integers, products: Integers) -> Floats:
    """Return with which chance each named pair takes part and is worth more than all others of its customer.

    The chance is the integral over the pair's own belief of the product, over its rivals, of the chance that a rival
    does not take part or is worth less. It is taken over the logit of the draw by the trapezoidal rule, with twice the
    nodes until that moves it by less than 1e-8; it is within `STATED_ERROR` of the truth. Slopes of pairs that can take
    part are above 0.
    """
    found = np.empty(len(rows))
    for start in range(0, len(rows), _PAIRS):
        part = slice(start, start + _PAIRS)
        found[part] = _integrated(beliefs, rows[part], products[part])
    return found


def _integrated(beliefs: Beliefs, rows: Integers, products: Integers) -> Floats:
    one = _Pairs.of(beliefs, rows, products)
    value = one.integral(_NODES)
    open_still = np.arange(len(rows))
    nodes = _NODES
    while len(open_still) and nodes < _MOST_NODES:
        nodes = 2 * nodes - 1
        few = max(_CELLS // nodes, 1)
        parts = [open_still[start : start + few] for start in range(0, len(open_still), few)]
        better = np.concatenate([one.some(part).integral(nodes) for part in parts])
        moved = np.abs(better - value[open_still])
        value[open_still] = better
        open_still = open_still[moved > _ENOUGH]
    return np.clip(value * one.enters, 0.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pairs:
    """Pairs to integrate, with the ends of their logits; `rivals` are (m, P) columns of the beliefs."""

    a: Floats
    b: Floats
    slope: Floats
    offset: Floats
    enters: Floats
    low: Floats
    high: Floats
    rivals: Beliefs

    @staticmethod
    def of(beliefs: Beliefs, rows: Integers, products: Integers) -> _Pairs:
        own = [getattr(beliefs, name)[rows, products] for name in ("a", "b", "slope", "offset", "enters")]
        a, b = own[0], own[1]
        middle, spread = np.log(a / b), np.sqrt(1 / a + 1 / b)
        reach = 8 * spread
        others = [getattr(beliefs, name)[rows] for name in ("a", "b", "slope", "offset", "enters")]
        others[4][np.arange(len(rows)), products] = 0.0
        made = _Pairs(
            a=a,
            b=b,
            slope=own[2],
            offset=own[3],
            enters=own[4],
            # beyond eight spreads of the middle, and where the tail falls no faster than exp(a z), less than 1e-13
            low=middle - reach - 32 / a,
            high=middle + reach + 32 / b,
            rivals=Beliefs(a=others[0], b=others[1], slope=others[2], offset=others[3], enters=others[4]),
        )
        return made._without_the_hopeless()

    def _without_the_hopeless(self) -> _Pairs:
        """Leave out rivals who are worth less than even the least that the pair is ever worth."""
        least = self.slope * special.expit(self.low) + self.offset
        hopeless = self._below(least[:, None], self.rivals) > 1 - _SURE
        enters = np.where(hopeless, 0.0, self.rivals.enters)
        return self._with(self.low, self.high, Beliefs(**_columns(self.rivals) | {"enters": enters}))

    def some(self, index: Integers) -> _Pairs:
        own = {name: getattr(self, name)[index] for name in ("a", "b", "slope", "offset", "enters", "low", "high")}
        return _Pairs(**own, rivals=Beliefs(**{name: one[index] for name, one in _columns(self.rivals).items()}))

    def _with(self, low: Floats, high: Floats, rivals: Beliefs) -> _Pairs:
        own = {name: getattr(self, name) for name in ("a", "b", "slope", "offset", "enters")}
        return _Pairs(**own, low=low, high=high, rivals=rivals)

    @staticmethod
    def _below(worth: Floats, rivals: Beliefs) -> Floats:
        """Return the chance that a rival who takes part is worth less than that, 1 for one who does not; (m, P)."""
        below = np.ones(np.broadcast_shapes(worth.shape, rivals.a.shape))
        takes_part = rivals.enters > 0
        x = (np.broadcast_to(worth, below.shape)[takes_part] - rivals.offset[takes_part]) / rivals.slope[takes_part]
        below[takes_part] = special.betainc(rivals.a[takes_part], rivals.b[takes_part], np.clip(x, 0.0, 1.0))
        return below

    def integral(self, nodes: int) -> Floats:
        """Return the chance of winning for pairs that take part, by so many nodes."""
        step = (self.high - self.low) / (nodes - 1)
        z = self.low[:, None] + step[:, None] * np.arange(nodes)
        a, b = self.a[:, None], self.b[:, None]
        # the logarithm of the density of the logit of a Beta; log(1 + e^z) without overflow
        log_density = a * z - (a + b) * np.logaddexp(0.0, z) - special.betaln(a, b)
        won = np.exp(log_density)
        worth = self.slope[:, None] * special.expit(z) + self.offset[:, None]
        pair, rival = np.nonzero(self.rivals.enters > 0)
        # rivals one after the other: the product of the same factors in the same order for one row as for many
        for place in range(int(np.bincount(pair, minlength=1).max()) if len(pair) else 0):
            of_pair, at = _nth(pair, rival, place)
            x = (worth[of_pair] - self.rivals.offset[of_pair, at][:, None]) / self.rivals.slope[of_pair, at][:, None]
            below = special.betainc(
                self.rivals.a[of_pair, at][:, None], self.rivals.b[of_pair, at][:, None], np.clip(x, 0.0, 1.0)
            )
            enters = self.rivals.enters[of_pair, at][:, None]
            won[of_pair] *= 1 - enters + enters * below
        # both ends carry nothing, so that their halves need not be taken off
        summed: Floats = np.add.accumulate(won, axis=1)[:, -1]
        return summed * step


def _nth(pair: Integers, rival: Integers, place: int) -> tuple[Integers, Integers]:
    """Return the pairs that have more than `place` rivals, and the rival at that place."""
    first = np.searchsorted(pair, np.unique(pair))
    sizes = np.diff(np.append(first, len(pair)))
    chosen = first[sizes > place] + place
    return pair[chosen], rival[chosen]


def _columns(beliefs: Beliefs) -> dict[str, Floats]:
    return {name: getattr(beliefs, name) for name in ("a", "b", "slope", "offset", "enters")}
