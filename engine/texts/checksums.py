"""Check digits of cards, resident ids and IBANs, for whole columns at a time."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Bytes = NDArray[np.uint8]

_RESIDENT_WEIGHTS: Final = np.array([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2])
_RESIDENT_CHECKS: Final = np.frombuffer(b"10X98765432", dtype=np.uint8)
_LONGEST_IBAN: Final = 34
_LONGEST_CARD: Final = 19


def _letters(texts: Any, width: int, *, left: bool) -> Bytes:
    """Return ASCII texts as a matrix of bytes, (n, width), cut and filled up with zeros on one side."""
    pad = pc.ascii_lpad if left else pc.ascii_rpad
    cut = pc.utf8_slice_codeunits(texts, -width) if left else pc.utf8_slice_codeunits(texts, 0, width)
    joined = pad(cut, width, "0").to_numpy(zero_copy_only=False).astype(f"S{width}")
    return np.frombuffer(joined.tobytes(), dtype=np.uint8).reshape(len(joined), width)


def luhn(digits: Any) -> Bools:
    """Say of each text of digits whether its last one is the check digit of a card; more than 19 are cut from the left.

    References
    ----------
    ISO/IEC 7812-1, annex B.
    """
    numbers = _letters(digits, _LONGEST_CARD, left=True).astype(np.int64) - ord("0")
    doubled = 2 * numbers[:, -2::-2]
    total = numbers[:, ::-2].sum(axis=1) + (doubled - 9 * (doubled > 9)).sum(axis=1)
    valid: Bools = total % 10 == 0
    return valid


def resident_id(texts: Any) -> Bools:
    """Say of each text of 18 digits, the last maybe an X, whether it passes as a resident identity number of China.

    References
    ----------
    GB 11643-1999, with ISO 7064:1983, MOD 11-2.
    """
    letters = _letters(texts, 18, left=False)
    numbers = letters[:, :17].astype(np.int64) - ord("0")
    valid: Bools = _RESIDENT_CHECKS[(numbers @ _RESIDENT_WEIGHTS) % 11] == letters[:, 17]
    size: Bools = pc.equal(pc.utf8_length(texts), 18).to_numpy(zero_copy_only=False)
    return valid & size


def iban(texts: Any) -> Bools:
    """Say of each text of capital letters and digits whether it passes as an IBAN: 97 leaves 1.

    References
    ----------
    ISO 13616, with ISO/IEC 7064, MOD 97-10.
    """
    moved = pc.replace_substring_regex(texts, "^(.{0,4})(.*)$", r"\2\1")
    # zeros in front add nothing to the remainder
    letters = _letters(moved, _LONGEST_IBAN, left=True).astype(np.int64)
    rest = np.zeros(len(letters), dtype=np.int64)
    for place in range(_LONGEST_IBAN):
        letter = letters[:, place]
        is_digit = letter <= ord("9")
        rest = np.where(is_digit, rest * 10 + letter - ord("0"), rest * 100 + letter - ord("A") + 10) % 97
    size = pc.utf8_length(texts).to_numpy(zero_copy_only=False)
    valid: Bools = (rest == 1) & (size >= 15) & (size <= _LONGEST_IBAN)
    return valid
