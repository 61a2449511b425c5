"""How counts stand in sentences, and the one name that is no value."""

from __future__ import annotations

from typing import Final

NO_SEGMENT: Final = "(none)"
"""Name of the segment or group of customers whose value is not known."""


def grouped(count: int) -> str:
    """Return a count with a space between thousands."""
    return f"{count:,}".replace(",", " ")
