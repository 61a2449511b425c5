"""What was handed over, read page by page: the manifest, the members of a run, and what changed since another run.

A page is of one content, which never changes once it was handed over; a newer export of the same run is another one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from engine.config.exports import ExportSettings
from engine.domain.errors import UnknownName, WaylineError
from engine.exports import audience_verify, members
from engine.exports.audience_manifest import Manifest
from engine.lake.workspace import Workspace
from engine.store import BundleRecord, Store
from engine.workflows import export_states, held_audiences, session

_FIELDS: Final = tuple(column.name for column in members.COLUMNS)
"""What a page may show: never a contact, which only a bundle carries."""


class ResyncRequired(WaylineError):
    """What changed since a run cannot be told any more: the receiver takes all members of a run instead."""

    def __init__(self, audience: str, run_id: str) -> None:
        self.audience, self.run_id = audience, run_id
        super().__init__(
            f'What "{audience}" was on run {run_id} is not remembered any more. Take all members of the latest run, '
            "then changes since that one."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """A content that was handed over and the file of its members, sorted by external_id."""

    bundle: BundleRecord
    members: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Rows in the order of their ids; `after` is the id to go on behind, None at the end."""

    rows: pa.Table
    after: str | None


def latest(home: Path, audience: str, destination: str, run_id: str | None = None) -> Handed:
    """Return what was handed to a destination last, or last of one run.

    Raises
    ------
    UnknownName
        No such audience, or nothing of it (of that run) was handed there.
    ResyncRequired
        Its members are not remembered any more.
    """
    workspace = session.workspace_at(home)
    held_audiences.one_of(held_audiences.kept(workspace), audience)
    with Store(session.database_url(workspace)) as store:
        every = [one for one in store.export_bundles(audience) if one.destination == destination]
    found = [one for one in every if run_id in (None, one.run_id)]
    if not found:
        known = dict.fromkeys(one.run_id for one in every)
        raise UnknownName(f'run on which "{audience}" was exported to {destination}', run_id or "latest", known)
    return _handed(workspace, found[0])


def of_content(home: Path, audience: str, destination: str, run_id: str, content_sha256: str) -> Handed:
    """Return exactly one content that was handed over, such as the one that a cursor names; raises like `latest`."""
    workspace = session.workspace_at(home)
    with Store(session.database_url(workspace)) as store:
        for one in store.export_bundles(audience, run_id):
            if (one.destination, one.content_sha256) == (destination, content_sha256):
                return _handed(workspace, one)
    raise UnknownName(f'export of "{audience}" on run {run_id}', content_sha256[:12], [])


def manifest(home: Path, handed: Handed) -> Manifest:
    """Return the manifest of a bundle as it lies in the workspace.

    Raises
    ------
    UnknownName
        The bundle was written to another place, or a newer export of the run has replaced it.
    CheckFailed
        The manifest is not what was written.
    """
    workspace, one = session.workspace_at(home), handed.bundle
    folders = sorted((workspace.exports / one.audience / one.run_id).glob(f"{one.destination.replace('/', '-')}-*"))
    for folder in folders:
        found = audience_verify.read_manifest(folder)
        if found.content_sha256 == one.content_sha256:
            return found
    raise UnknownName(f'bundle of "{one.audience}" on run {one.run_id}', one.content_sha256[:12], [])


def page(handed: Handed, after: str | None, limit: int) -> Page:
    """Return members of a content behind an id, `limit` of them at most; None begins at the first."""
    found = [rows.select(list(_FIELDS)) for rows in export_states.pages(handed.members, after, limit)]
    rows = pa.concat_tables(found) if found else members.nothing_held(False)
    return Page(rows=rows, after=rows[members.ID][-1].as_py() if rows.num_rows == limit else None)


def changes(home: Path, since: Handed, now: Handed) -> members.Change:
    """Return what leads from one content to another of the same audience and destination, without contacts.

    All of it: `add`, `update` and `remove` are each sorted by id, so that a page is a slice of them.
    """
    workspace = session.workspace_at(home)
    settings = session.settings(workspace, ExportSettings, "exports")
    before, current = (pq.read_table(one.members, columns=list(_FIELDS)) for one in (since, now))
    schema = members.schema(False)
    return members.change(before.cast(schema), current.cast(schema), settings.refresh_days)


def _handed(workspace: Workspace, one: BundleRecord) -> Handed:
    place = export_states.path(workspace, one.audience, one.run_id, one.destination, one.content_sha256)
    if not place.is_file():
        raise ResyncRequired(one.audience, one.run_id)
    return Handed(bundle=one, members=place)
