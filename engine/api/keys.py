"""Who asks: the key of a request, what it allows, and how often it may ask."""

from __future__ import annotations

import hashlib
import time
from base64 import b64decode
from collections import OrderedDict
from dataclasses import dataclass, field
from math import ceil
from typing import Annotated, Final, TypeVar

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from pyrate_limiter import Duration, Rate, RateItem, StateBucket

from engine.api.problems import Problem
from engine.domain.grants import Grant, KeyRefused
from engine.store.keyring import split
from engine.workflows.pulls import Desk
from engine.workflows.service import Service

SCHEMES: Final = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A whole key, as it was told when it was made."},
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": "For tools that know nothing else: the key's id as the user, the key as the password.",
    },
}
"""How a key may be sent, as OpenAPI tells it."""

_MOST: Final = 10_000  # keys and addresses that are remembered; the one unused for longest is forgotten

_T = TypeVar("_T")


@dataclass(slots=True)
class Gatekeeper:
    """Looks keys up, remembers them for a moment, and holds each to its pace. Lives in the server's event loop."""

    service: Service
    _known: OrderedDict[bytes, tuple[float, Grant]] = field(default_factory=OrderedDict)
    _buckets: OrderedDict[str, StateBucket] = field(default_factory=OrderedDict)

    async def admit(self, header: str | None, address: str) -> Grant:
        """Return what the key in an Authorization header allows.

        Raises
        ------
        KeyRefused
            There is none, or not a valid one.
        Problem
            The key, or for want of one the address, has asked too often.
        """
        settings = self.service.settings
        try:
            grant = await self._looked_up(header)
        except KeyRefused:
            self._hold_to(f"address/{address}", settings.refused_per_minute)
            raise
        self._hold_to(f"key/{grant.key_id}", grant.requests_per_minute or settings.requests_per_minute)
        if self.service.note_use(grant):
            await run_in_threadpool(self.service.write_uses)
        return grant

    async def _looked_up(self, header: str | None) -> Grant:
        key_id, secret = _credentials(header)
        place = hashlib.sha256(f"{key_id}\0{secret}".encode("utf-8", "surrogatepass")).digest()
        known = self._known.get(place)
        if known is not None and time.monotonic() < known[0] and time.time() < known[1].expires_at.timestamp():
            return known[1]
        grant = await run_in_threadpool(self.service.grant, key_id, secret)
        _remember(self._known, place, (time.monotonic() + self.service.settings.key_cache_seconds, grant))
        return grant

    def _hold_to(self, whose: str, per_minute: int) -> None:
        bucket = self._buckets.get(whose)
        if bucket is None or bucket.rates[0].limit != per_minute:
            # a tenth of a minute's requests may come at once
            bucket = StateBucket([Rate(per_minute, Duration.MINUTE, max(per_minute // 10, 1))])
        _remember(self._buckets, whose, bucket)
        item = RateItem(whose, int(time.monotonic() * 1_000))
        if not bucket.put(item):
            wait = max(ceil(int(bucket.waiting(item)) / 1_000), 1)  # type: ignore[arg-type]  # kept in this process
            detail = f"{per_minute:,} requests a minute are allowed. Wait {wait} s."
            raise Problem("too_many_requests", detail, headers={"Retry-After": str(wait)})


def _remember(kept: OrderedDict[str, _T] | OrderedDict[bytes, _T], name: str | bytes, value: _T) -> None:
    kept[name] = value  # type: ignore[index]  # each is used with names of one kind
    kept.move_to_end(name)  # type: ignore[arg-type]
    if len(kept) > _MOST:
        kept.popitem(last=False)


def _credentials(header: str | None) -> tuple[str, str]:
    """Return the id and the secret that a header names; raises KeyRefused."""
    scheme, _, given = (header or "").partition(" ")
    match scheme.lower():
        case "bearer":
            return split(given.strip())
        case "basic":
            try:
                user, _, password = b64decode(given.strip(), validate=True).decode("utf-8").partition(":")
            except ValueError:
                raise KeyRefused from None
            return user, password.rpartition(".")[2]  # the whole key, or its secret alone
        case _:
            raise KeyRefused


async def granted(request: Request) -> Grant:
    """Return what the request's key allows; every route that shows or takes data depends on it."""
    gatekeeper: Gatekeeper = request.app.state.gatekeeper
    address = request.client.host if request.client else "-"
    grant = await gatekeeper.admit(request.headers.get("authorization"), address)
    request.state.key_id = grant.key_id
    return grant


def serving(request: Request) -> Service:
    """Return what the server holds open."""
    service: Service = request.app.state.service
    return service


def desk(request: Request) -> Desk:
    """Return what serves pages."""
    found: Desk = request.app.state.desk
    return found


Granted = Annotated[Grant, Depends(granted)]
Serving = Annotated[Service, Depends(serving)]
Pulling = Annotated[Desk, Depends(desk)]
