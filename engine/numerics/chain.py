"""A hash chain over entries: whoever edits, inserts, reorders or removes one in the middle breaks every later link.

A chain alone cannot show that its newest entries were cut off, or that it was rewritten from the start; a sealed
checkpoint kept elsewhere can (`engine.compliance.audit`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

GENESIS: Final = "0" * 64
"""What the first entry takes for the hash before it."""

# made once: a long chain is checked entry by entry
_ENCODER: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One entry of a chain as it was stored; `text` is its canonical form, None when it is no longer readable."""

    seq: int
    previous: str
    hash: str
    text: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """The first number at which a chain does not hold, and what is wrong there."""

    seq: int
    problem: str

    def __str__(self) -> str:
        return self.problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The newest link of a chain: its number and hash; 0 and `GENESIS` while the chain is empty."""

    seq: int = 0
    hash: str = GENESIS


def canonical(entry: Mapping[str, Any]) -> str:
    """Return an entry as JSON in the one form that is hashed: keys sorted, no spaces, characters as they are.

    Raises
    ------
    ValueError
        A number is not finite: JSON has no word for it.
    TypeError
        A value is not text, a number, true, false, null, a list or a mapping of these.
    """
    return _ENCODER.encode(entry)


def digest(text: str) -> str:
    """Return the SHA-256 of a text as 64 hexadecimal digits."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def link(previous: str, entry: Mapping[str, Any]) -> str:
    """Return the hash of an entry that follows the entry whose hash is `previous`."""
    return digest(previous + canonical(entry))


def walk(links: Iterable[Link]) -> tuple[Head, Break | None]:
    """Follow a chain from its first entry and return the last link that holds, and where it breaks, if it does.

    The links come in the order of their numbers, which begin at 1 and leave out none.
    """
    head = Head()
    for item in links:
        problem = _problem(head, item)
        if problem:
            return head, Break(seq=min(item.seq, head.seq + 1), problem=problem)
        head = Head(seq=item.seq, hash=item.hash)
    return head, None


def _problem(head: Head, item: Link) -> str | None:
    if item.seq > head.seq + 1:
        return f"entry {head.seq + 1} is missing: entry {item.seq} follows entry {head.seq}"
    if item.seq <= head.seq:
        return f"entry {item.seq} comes again after entry {head.seq}"
    if item.previous != head.hash:
        return f"entry {item.seq} does not follow from entry {head.seq}"
    if item.text is None or digest(item.previous + item.text) != item.hash:
        return f"entry {item.seq} was changed after it was written"
    return None
