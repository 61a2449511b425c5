"""What a running server holds open: the workspace, its database, the limits; opened once, shared by all requests."""

from __future__ import annotations

import ipaddress
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from engine.config.api import ApiSettings
from engine.domain.errors import RefusedByPolicy
from engine.domain.grants import Grant
from engine.lake.files import write_synced
from engine.lake.workspace import Workspace
from engine.store import Journal, Keyring, Store
from engine.store.keyring import split
from engine.workflows import session

_SECRET: Final = "api.secret"
_USED_SECONDS: Final = 60  # how often the moments of last use are written down


@dataclass(slots=True, kw_only=True)
class Service:
    """An opened workspace; safe to use from several threads.

    `secret` signs the cursors, so that nobody can make one up; it survives a restart.
    """

    workspace: Workspace
    store: Store
    settings: ApiSettings
    secret: bytes
    keyring: Keyring
    journal: Journal
    _used: dict[str, datetime] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _written_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def home(self) -> Path:
        """The workspace's folder."""
        return self.workspace.home

    def grant(self, key_id: str, secret: str) -> Grant:
        """Return what a key allows; raises KeyRefused."""
        return self.keyring.grant(key_id, secret)

    def grant_of(self, whole: str) -> Grant:
        """Return what a whole key allows, as it was told when it was made; raises KeyRefused."""
        return self.grant(*split(whole))

    def note_use(self, grant: Grant) -> bool:
        """Remember that a key was used now; return whether it is time to write that down."""
        now = datetime.now(UTC)
        with self._lock:
            self._used[grant.key_id] = now
            return (now - self._written_at).total_seconds() >= _USED_SECONDS

    def write_uses(self) -> None:
        """Write down when keys were last used."""
        with self._lock:
            used, self._used = self._used, {}
            self._written_at = datetime.now(UTC)
        if used:
            self.keyring.used(used)


@contextmanager
def opened(home: Path) -> Iterator[Service]:
    """Open a workspace for a server and close it at the end; the tables of the database are brought up to date.

    Raises
    ------
    StoreUnavailable, SettingsFault
    """
    workspace = session.workspace_at(home)
    settings = session.settings(workspace, ApiSettings, "api")
    workspace.home.mkdir(parents=True, exist_ok=True)
    with Store(session.database_url(workspace), actor="api") as store:
        store.upgrade()
        service = Service(
            workspace=workspace,
            store=store,
            settings=settings,
            secret=_secret(workspace),
            keyring=Keyring(store),
            journal=Journal(store),
        )
        try:
            yield service
        finally:
            service.write_uses()


def refuse_public(host: str, *, allowed: bool) -> None:
    """Refuse to listen where other machines reach the server, unless that was asked for in so many words.

    Raises
    ------
    RefusedByPolicy
    """
    if allowed or host == "localhost":
        return
    with suppress(ValueError):
        if ipaddress.ip_address(host).is_loopback:
            return
    raise RefusedByPolicy(
        f"{host} can be reached by other machines, and the API speaks plain HTTP. Put a proxy with TLS before it that "
        f"listens there, or add --public when one is in front of it already."
    )


def _secret(workspace: Workspace) -> bytes:
    """Return the workspace's own secret, made once, readable by its owner alone."""
    path = workspace.home / _SECRET
    if not path.is_file():
        fresh = path.with_name(f".{_SECRET}-{secrets.token_hex(4)}")
        write_synced(fresh, secrets.token_bytes(32))
        fresh.chmod(0o600)
        with suppress(FileExistsError):
            os.link(fresh, path)  # whoever comes first wins, and everybody reads the same
        fresh.unlink()
    return path.read_bytes()
