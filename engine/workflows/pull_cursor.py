"""Where a client stands in a listing: opaque to it, signed, and bound to the listing, the snapshot and the key."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import astuple, dataclass
from typing import Final

from engine.domain.grants import Grant
from engine.domain.pulls import CursorRefused

_SEAL: Final = 16  # bytes of the signature


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The next row of a listing of one snapshot.

    listing : "members", "changes" or "recommendations". subject : the audience, empty for none. against : the snapshot
    that changes are told from, empty for none. key : whose pull it is, by the key's name, which outlives a rotation.
    """

    listing: str
    subject: str
    channel: str
    snapshot: str
    against: str
    fields: tuple[str, ...]
    at: int
    key: str


def seal(place: Place, secret: bytes) -> str:
    """Return a place as an opaque text that nobody else can make."""
    told = json.dumps(astuple(place), ensure_ascii=False, separators=(",", ":")).encode()
    return urlsafe_b64encode(_signature(told, secret) + told).decode().rstrip("=")


def unseal(cursor: str, secret: bytes, *, listing: str, subject: str, grant: Grant) -> Place:
    """Return the place that a cursor names; raises CursorRefused for one of another listing, subject or key."""
    try:
        whole = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
    except ValueError:  # not ASCII, or not base64
        raise CursorRefused from None
    signature, told = whole[:_SEAL], whole[_SEAL:]
    if not hmac.compare_digest(signature, _signature(told, secret)):
        raise CursorRefused
    listed, about, channel, snapshot, against, fields, at, key = json.loads(told)
    place = Place(
        listing=listed,
        subject=about,
        channel=channel,
        snapshot=snapshot,
        against=against,
        fields=tuple(fields),
        at=at,
        key=key,
    )
    if (place.listing, place.subject, place.key) != (listing, subject, grant.name):
        raise CursorRefused
    return place


def _signature(told: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, b"cursor\0" + told, hashlib.sha256)[:_SEAL]
