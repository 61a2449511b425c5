"""Names of persons as the store keeps them: whoever answers for something is told apart by name."""

from __future__ import annotations


def name(person: str) -> str:
    """Return a name with single spaces and none at its ends."""
    return " ".join(person.split())


def same(one: str, other: str) -> bool:
    """Whether two names are one person's, whatever the case and the spaces."""
    return name(one).casefold() == name(other).casefold()
