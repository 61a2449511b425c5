"""Whether an audit trail is whole: the chain of hashes, and a sealed checkpoint that is kept outside the database.

The chain shows an entry that was edited, inserted, moved or taken out. That the newest entries were cut off, or that
everything was written anew, only a checkpoint shows: the number and hash of an entry, sealed with a key that whoever
can write to the database does not have.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from engine.numerics.chain import Break, Head, Link, walk

_MINIMUM_KEY_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What the chain's newest entry was at some time, and the seal that nobody makes without the key."""

    seq: int
    hash: str
    seal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What a check of the trail found: how many entries hold, the newest of them, and the first fault."""

    entries: int
    head: str
    broken_at: int | None
    problem: str | None

    @property
    def whole(self) -> bool:
        """True when nothing is wrong."""
        return self.problem is None


def seal(head: Head, key: bytes) -> Checkpoint:
    """Return the checkpoint of a chain's newest entry, to be kept where the database's writers cannot reach.

    Raises
    ------
    ValueError
        The key is shorter than 32 bytes.
    """
    if len(key) < _MINIMUM_KEY_BYTES:
        raise ValueError(f"the key has {len(key)} bytes: expected {_MINIMUM_KEY_BYTES} or more")
    return Checkpoint(seq=head.seq, hash=head.hash, seal=_seal(head, key))


def verify(links: Iterable[Link], checkpoint: Checkpoint | None = None, key: bytes = b"") -> Verification:
    """Check the whole trail in the order of its numbers, and against a checkpoint when there is one."""
    if checkpoint is not None and not hmac.compare_digest(_seal(_head(checkpoint), key), checkpoint.seal):
        return Verification(entries=0, head="", broken_at=None, problem="the checkpoint's seal is not of this key")
    seen = _Seen(checkpoint.seq if checkpoint else 0)
    head, fault = walk(seen.watch(links))
    fault = fault or _against(checkpoint, head, seen)
    return Verification(
        entries=head.seq,
        head=head.hash,
        broken_at=fault.seq if fault else None,
        problem=fault.problem if fault else None,
    )


class _Seen:
    """Remembers the hash of one entry while the links go by, so that a trail is read once."""

    def __init__(self, seq: int) -> None:
        self.seq = seq
        self.hash: str | None = Head().hash if seq == 0 else None

    def watch(self, links: Iterable[Link]) -> Iterator[Link]:
        for item in links:
            if item.seq == self.seq:
                self.hash = item.hash
            yield item


def _against(checkpoint: Checkpoint | None, head: Head, seen: _Seen) -> Break | None:
    if checkpoint is None or seen.hash == checkpoint.hash:
        return None
    if seen.hash is None:
        cut = f"the trail ends at entry {head.seq}, but entry {checkpoint.seq} was sealed: the newest entries are gone"
        return Break(seq=head.seq + 1, problem=cut)
    rewritten = f"entry {checkpoint.seq} is not the one that was sealed: the trail was written anew"
    return Break(seq=checkpoint.seq, problem=rewritten)


def _head(checkpoint: Checkpoint) -> Head:
    return Head(seq=checkpoint.seq, hash=checkpoint.hash)


def _seal(head: Head, key: bytes) -> str:
    return hmac.new(key, f"{head.seq}:{head.hash}".encode(), hashlib.sha256).hexdigest()
