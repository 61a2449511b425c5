"""Random numbers that depend on nothing but who is drawn for: the same alone, in a block and in a replay.

A customer's key comes from sha256 (`numerics.hashing`), and the numbers from it by the mixing function of splitmix64,
each under the name of what it is drawn for. Another product in the catalogue changes no number of the others.

References
----------
Steele, Lea and Flood (2014), OOPSLA, Fast splittable pseudorandom number generators.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.numerics.hashing import shares_of
from engine.recommendations.frame import Floats

Keys = NDArray[np.uint64]

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)
_BITS: Final = 2.0**52


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """Numbers evenly spread over 0 to 1, both left out, for n customers."""

    keys: Keys

    @staticmethod
    def of(customers: Iterable[str], salt: str) -> Draws:
        """Return what is drawn for customers under a salt."""
        return Draws(keys=_keys(customers, salt))

    def each(self, purpose: str) -> Floats:
        """Return one number a customer for a purpose, shape (n,)."""
        return _uniform(self.keys, _keys([purpose], "purpose"))

    def pairs(self, products: Sequence[str], purpose: str) -> Floats:
        """Return one number a customer and product for a purpose, shape (n, P)."""
        return _uniform(self.keys[:, None], _keys(products, f"purpose:{purpose}")[None, :])


def _keys(names: Iterable[str], salt: str) -> Keys:
    return (shares_of(names, salt) * _BITS).astype(np.uint64)


def _uniform(key: Keys, stream: Keys) -> Floats:
    mixed = _mixed(_mixed(key + _GOLDEN) ^ _mixed(stream))
    # the middle of one of 2^53 equal parts: never 0 and never 1
    found: Floats = ((mixed >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    return np.minimum(found, 1 - 2.0**-53)


def _mixed(word: Keys) -> Keys:
    """Return words of which every bit depends on every bit given; sums and products are of 64 bits and wrap."""
    word = (word ^ (word >> np.uint64(30))) * _FIRST
    word = (word ^ (word >> np.uint64(27))) * _SECOND
    return word ^ (word >> np.uint64(31))
