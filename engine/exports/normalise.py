"""Addresses and numbers in the one form that is compared or hashed; what is none becomes unknown.

A value that looks like a hash already is not believed: it is no address, so it is refused like any other text.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

_EMAIL: Final = r"^[^\s@,;<>\"]+@[^\s@,;<>\"]+\.[^\s@,;<>\"]+$"
_SEPARATORS: Final = r"[\s().\-/]"
_E164: Final = r"^\+[1-9][0-9]{6,14}$"


def email(column: Any) -> Any:
    """Return addresses of e-mail without blanks around, in small letters; null for what is no address.

    Dots and +tags are kept: they are part of the address, and the networks keep them too.
    """
    trimmed = pc.utf8_lower(pc.utf8_trim_whitespace(column))
    return _where(pc.match_substring_regex(trimmed, _EMAIL), trimmed)


def phone(column: Any) -> Any:
    """Return telephone numbers in E.164, such as +8613800138000; null for one without its country code."""
    bare = pc.replace_substring_regex(pc.utf8_trim_whitespace(column), _SEPARATORS, "")
    international = pc.replace_substring_regex(bare, "^00", "+")
    return _where(pc.match_substring_regex(international, _E164), international)


def hashed_email(column: Any) -> pa.Array:
    """Return the SHA-256 of normalised addresses in small hex; null for what is no address."""
    return sha256(email(column))


def hashed_phone(column: Any, *, plus: bool) -> pa.Array:
    """Return the SHA-256 of E.164 numbers in small hex, with the plus sign or of the digits alone."""
    number = phone(column)
    return sha256(number if plus else pc.replace_substring(number, "+", ""))


def sha256(column: Any) -> pa.Array:
    """Return the SHA-256 of each text in small hex, unsalted; null stays null."""
    plain = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    # hashlib takes one text at a time; all the rest is done on whole columns
    return pa.array(
        [None if text is None else hashlib.sha256(text.encode()).hexdigest() for text in plain.to_pylist()], pa.string()
    )


def _where(condition: Any, column: Any) -> Any:
    return pc.if_else(pc.fill_null(condition, False), column, pa.scalar(None, pa.string()))
