"""A stable place between 0 and 1 for any text: the same on every machine, in Python and on every engine.

The first 52 bits of sha256("<salt>:<unit>") over 2^52: every value is an exact float, so that the scalar and the
table form agree to the bit. Python's hash() and the engines' own hash functions differ from each other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, Final

import ibis
import numpy as np
from numpy.typing import NDArray

_HEX: Final = "0123456789abcdef"
# 52 bits: as many whole hex digits as the 53 bits of a float take without rounding
_DIGITS: Final = 13


def share_of(unit: str, salt: str) -> float:
    """Return the unit's place in [0, 1) under a salt; evenly spread, independent between salts."""
    digest = hashlib.sha256(f"{salt}:{unit}".encode()).hexdigest()
    return int(digest[:_DIGITS], 16) / 16**_DIGITS


def shares_of(units: Iterable[str], salt: str) -> NDArray[np.float64]:
    """Return the place of every unit, in order."""
    head = f"{salt}:".encode()
    digests = b"".join([hashlib.sha256(head + unit.encode()).digest() for unit in units])
    # the first of the four 64-bit words of each digest, without its last three hex digits
    places = np.frombuffer(digests, dtype=">u8").reshape(-1, 4)[:, 0] >> np.uint64(12)
    return places.astype(np.float64) / 16**_DIGITS


def share_column(unit: Any, salt: str) -> Any:
    """Return the place of every unit of an Ibis text column; null where the unit is null.

    Each hex digit is looked up by its position, since engines do not agree on how to read a hexadecimal number.
    """
    digest = (salt + ":" + unit).hexdigest("sha256")
    place = _position(digest.substr(0, 1))
    for index in range(1, _DIGITS):
        place = place * 16 + _position(digest.substr(index, 1))
    return place / float(16**_DIGITS)


def _position(digit: Any) -> Any:
    # as a float, which holds 13 digits exactly: Spark finds in 32 bits and would overflow at the eighth
    return ibis.literal(_HEX).find(digit).cast("float64")
