"""Tell the bank's own addresses that something is new: signed, thin, tried again after longer waits, not redirected."""

from __future__ import annotations

import ipaddress
import random
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from engine.config.webhooks import WebhookSettings
from engine.domain.errors import RefusedByPolicy, UnknownName
from engine.store import DeliveryRecord, DueDelivery, Store, Webhooks
from engine.store.journal import EVENTS
from engine.workflows import session, webhook_signing

_NAME: Final = re.compile("[a-z0-9_-]{1,40}")
_SHOWN: Final = 100


def add(home: Path, name: str, url: str, by: str, events: Sequence[str] = ()) -> dict[str, Any]:
    """Add an address and return it with its secret, which is told this once; one that is there gets a new secret.

    events : those it is told of; none for all.

    Raises
    ------
    RefusedByPolicy
        The address is not https, holds a password, or is another one than the name's; or nobody answers for it.
    UnknownName
        There is no such event.
    """
    if not by.strip():
        raise RefusedByPolicy("Somebody must answer for a webhook by name. Give it with --by.")
    if not _NAME.fullmatch(name):
        raise RefusedByPolicy(f'"{name}" is no name of a webhook. Use small letters, digits, _ and -, at most 40.')
    for event in events:
        if event not in EVENTS:
            raise UnknownName("event", event, EVENTS)
    _check_address(url)
    workspace = session.workspace_at(home)
    settings = session.settings(workspace, WebhookSettings, "webhooks")
    secret = webhook_signing.new_secret()
    workspace.home.mkdir(parents=True, exist_ok=True)
    with Store(session.database_url(workspace), actor=by) as store:
        made = Webhooks(store).add(name, url, events, secret, timedelta(hours=settings.overlap_hours))
    return {"name": made.name, "url": made.url, "events": made.events, "secret": secret}


def remove(home: Path, name: str, by: str) -> dict[str, Any]:
    """Tell an address nothing more; raises UnknownName."""
    with Store(session.database_url(session.workspace_at(home)), actor=by) as store:
        gone = Webhooks(store).remove(name)
    return {"name": gone.name, "url": gone.url, "removed_at": gone.removed_at}


def listed(home: Path, status: str | None = None) -> dict[str, Any]:
    """Return the webhooks, and what they were or are to be told, the newest first; "dead" are the dead letters."""
    workspace = session.workspace_at(home)
    if not session.has_register(workspace):
        return {"webhooks": [], "deliveries": []}
    with Store(session.database_url(workspace)) as store:
        webhooks = Webhooks(store)
        found = webhooks.deliveries(_SHOWN, status)
        return {"webhooks": [asdict(one) for one in webhooks.every()], "deliveries": [asdict(one) for one in found]}


def test(home: Path, name: str) -> dict[str, Any]:
    """Send an address a message of the type "test" now and return how that went; raises UnknownName."""
    workspace = session.workspace_at(home)
    settings = session.settings(workspace, WebhookSettings, "webhooks")
    with Store(session.database_url(workspace)) as store:
        webhooks = Webhooks(store)
        made = webhooks.enqueue_test(name)
        for due in webhooks.take(made.due_at, timedelta(seconds=settings.lease_seconds), made.message_id):
            outcome, delivered = _send(due, settings)
            webhooks.settle(due.delivery, outcome, delivered=delivered, again_at=None)
            return {"name": name, "message_id": made.message_id, "delivered": delivered, "outcome": outcome}
    return {"name": name, "message_id": made.message_id, "delivered": False, "outcome": "somebody else is sending it"}


def deliver(home: Path) -> dict[str, int]:
    """Try every delivery that is due, once each, and return how many were delivered, put off, and given up."""
    workspace = session.workspace_at(home)
    if not session.has_register(workspace):
        return {"delivered": 0, "put_off": 0, "dead": 0}
    with Store(session.database_url(workspace)) as store:
        return deliver_from(store, session.settings(workspace, WebhookSettings, "webhooks"))


def deliver_from(store: Store, settings: WebhookSettings) -> dict[str, int]:
    """Do the same on an opened store; several processes may do so at once, each delivery is one's alone."""
    counts, webhooks = {"delivered": 0, "put_off": 0, "dead": 0}, Webhooks(store)
    began = datetime.now(UTC)  # what is put off from here on is for another time
    while webhooks.is_any_due(began):
        for one in webhooks.take(began, timedelta(seconds=settings.lease_seconds)):
            outcome, delivered = _send(one, settings)
            again_at = None if delivered else _again_at(one.delivery, settings)
            webhooks.settle(one.delivery, outcome, delivered=delivered, again_at=again_at)
            counts["delivered" if delivered else "put_off" if again_at else "dead"] += 1
    return counts


def retry(home: Path, name: str, by: str) -> dict[str, Any]:
    """Make the dead letters of an address due again; raises UnknownName."""
    with Store(session.database_url(session.workspace_at(home)), actor=by) as store:
        return {"name": name, "due_again": Webhooks(store).revive(name)}


def _send(due: DueDelivery, settings: WebhookSettings) -> tuple[str, bool]:
    """Try a delivery; return how it went, in words without anything that the receiver said, and whether it arrived."""
    body = due.delivery.payload.encode()
    headers = webhook_signing.headers(due.delivery.message_id, body, datetime.now(UTC), due.secrets)
    try:
        _check_address(due.url)  # whoever may write to the database must not choose where the bank's servers ask
        answer = httpx.post(
            due.url,
            content=body,
            headers={**headers, "Content-Type": "application/json"},
            timeout=settings.timeout_seconds,
            follow_redirects=False,  # whoever answers must be who the bank named
            trust_env=False,
        )
    except (httpx.HTTPError, httpx.InvalidURL, RefusedByPolicy) as fault:
        return type(fault).__name__, False
    return f"status {answer.status_code}", answer.is_success


def _again_at(delivery: DeliveryRecord, settings: WebhookSettings) -> datetime | None:
    """Return when a delivery is tried again, None when it was tried often enough."""
    if delivery.attempts > len(settings.retry_seconds):
        return None
    wait = settings.retry_seconds[delivery.attempts - 1]
    jitter = random.SystemRandom().uniform(-settings.jitter_share, settings.jitter_share)
    return datetime.now(UTC) + timedelta(seconds=wait * (1 + jitter))


def _check_address(url: str) -> None:
    """Raise RefusedByPolicy unless an address is https without a password in it; http is for this machine alone."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise RefusedByPolicy("That is no address. Write it as https://host/path.") from None
    if not host or parts.username or parts.password or parts.fragment:
        raise RefusedByPolicy("The address needs a host, and no user, password or fragment: https://host/path.")
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host)):
        return
    raise RefusedByPolicy("A webhook is told over https; http is for addresses on this machine alone.")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False
