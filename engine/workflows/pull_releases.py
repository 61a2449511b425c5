"""The releases of a workspace: made when they are first asked for, pinned, kept as long as the settings say.

They lie under `pulls/`: of an audience in a folder of its own for each channel, of all offers under `_recommendations`.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from engine.domain.errors import UnknownName
from engine.domain.pulls import RunExpired
from engine.exports import releases
from engine.exports.releases import Release
from engine.workflows.service import Service

RECOMMENDATIONS: Final = "_recommendations"
ANY_CHANNEL: Final = "any"
CHANGED: Final = "_changes"  # follows the channel in the name of the folder of changes

Made = tuple[pa.Table, Mapping[str, Any]]
"""The rows of a release with what its manifest says of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """The releases of one subject on one channel."""

    service: Service
    subject: str
    channel: str

    @property
    def folder(self) -> Path:
        """Where they lie."""
        return self.service.workspace.home / "pulls" / self.subject / self.channel

    def made(self, snapshot: str, make: Callable[[], Made], *, anew: bool = False) -> Release:
        """Return a release, made now where it is not there yet; whoever asks meanwhile waits for it.

        anew : one that was made longer ago than the settings keep one is made again, instead of refused.

        Raises
        ------
        RunExpired
        """
        found = releases.read(self.folder / snapshot)
        if found is None or (anew and found.made_at < self._oldest()):
            with self._alone():
                releases.tidy(self.folder, self._oldest())
                found = releases.read(self.folder / snapshot) or self._write(snapshot, *make())
        return self._checked(found)

    def _write(self, snapshot: str, rows: pa.Table, facts: Mapping[str, Any]) -> Release:
        now = datetime.now(UTC)
        until = now + timedelta(days=self.service.settings.snapshot_days)
        dates = {"made_at": now.isoformat(timespec="microseconds"), "expires_at": until.isoformat(timespec="seconds")}
        return releases.write(self.folder / snapshot, rows, {"snapshot": snapshot, **dates, **facts})

    def kept(self, snapshot: str) -> Release | None:
        """Return a release that was made, None where it was not or is kept no longer."""
        found = {one.name: one for one in releases.every(self.folder)}.get(snapshot)
        return found if found is not None and found.made_at >= self._oldest() else None

    def pinned(self, snapshot: str) -> Release:
        """Return the release that a cursor names; raises RunExpired when it is kept no longer."""
        found = releases.read(self.folder / snapshot)
        if found is None:
            raise RunExpired(snapshot, self.service.settings.snapshot_days)
        return self._checked(found)

    def _checked(self, found: Release) -> Release:
        if found.made_at < self._oldest():
            raise RunExpired(found.name, self.service.settings.snapshot_days)
        return found

    def _oldest(self) -> datetime:
        return datetime.now(UTC) - timedelta(days=self.service.settings.snapshot_days)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def chosen(asked: str | None, snapshots: Mapping[str, str], latest: str, service: Service) -> str:
    """Return which snapshot is meant by its own id or by that of its run; without one, the latest.

    snapshots : the run of each snapshot that can be made or was, by its id; of a run's several the last one is meant.

    Raises
    ------
    RunExpired
        The run was made here, and is kept no longer.
    UnknownName
    """
    if asked is None:
        return latest
    if asked in snapshots:
        return asked
    of_run = [name for name, run_id in snapshots.items() if run_id == asked]
    if of_run:
        return of_run[-1]
    if asked in {one.run_id for one in service.store.runs()}:
        raise RunExpired(asked, service.settings.snapshot_days)
    raise UnknownName("run", asked, list(snapshots)[-5:])
