"""Pages of what may be pulled: permission first, then the audit entry, then the rows without whoever withdrew since.

The first page of a pull is entered in the audit log with the number of rows that follow, before any of them leaves; its
cursor proves that to the next pages, which are read without looking anything up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from engine.config.exports import ExportSettings
from engine.domain.errors import RefusedByPolicy, UnknownName
from engine.domain.grants import Grant
from engine.domain.pulls import ResyncRequired
from engine.exports.presets.base import destination
from engine.exports.releases import ID, Lines, Reader, Release
from engine.workflows import pull_changes, pull_members, pull_offers, pull_releases, session
from engine.workflows.pull_cursor import Place, seal, unseal
from engine.workflows.pull_held import About, Held
from engine.workflows.pull_releases import RECOMMENDATIONS, Shelf
from engine.workflows.service import Service

MEMBERS: Final = "members"
CHANGES: Final = "changes"
OFFERS: Final = "recommendations"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a request asks for: how many rows, which fields (None for all), and where it stands (None at the start)."""

    limit: int
    fields: tuple[str, ...] | None = None
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """Where a client of changes stands, None for nowhere, and whether it takes most of its members out if told so."""

    snapshot: str | None
    allow_shrink: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some rows of a release as JSON objects.

    withheld : rows of this page that are left out, since their customer must not be contacted any more.
    next : the cursor of the next page, None at the end.
    """

    release: Release
    place: Place
    objects: pa.Array
    withheld: int
    limit: int
    next: str | None


@dataclass(slots=True)
class Desk:
    """What serves pages: a reader that keeps what it read last, and who is held on each channel."""

    service: Service
    held: Held
    reader: Reader = field(default_factory=Reader)

    @classmethod
    def of(cls, service: Service) -> Desk:
        """Return a desk that has read nothing yet."""
        return cls(service, Held(service))

    def members(
        self, grant: Grant, audience: str, asked: Asked, run: str | None = None, channel: str | None = None
    ) -> Page:
        """Return a page of an audience's members who may be contacted on a channel.

        Raises
        ------
        NotGranted, UnknownName, NotEnoughData, RefusedByPolicy, RunMissing, MartMissing
        RowCapReached, RunExpired, RunRevoked, CursorRefused
        """
        if asked.cursor is not None:
            place = self._continued(grant, asked.cursor, MEMBERS, audience, "audiences:read")
            shelf = Shelf(service=self.service, subject=audience, channel=place.channel)
            release = shelf.pinned(place.snapshot)
            self._refuse_revoked(grant, audience, release, place.channel)
            return self._page(release, place, asked.limit)
        pullable = pull_members.pullable(self.service, grant, audience, channel)
        release = pullable.release(run)
        place = self._begun(grant, MEMBERS, pullable.shelf, release, asked)
        self._enter(grant, place, release)
        return self._page(release, place, asked.limit)

    def changes(self, grant: Grant, audience: str, since: Since, asked: Asked, channel: str | None = None) -> Page:
        """Return a page of what leads from a snapshot to the latest one: removes first, then adds and updates.

        Raises
        ------
        RefusedByPolicy
            Nobody may leave, or more members would be removed than `max_removed_share` and the client allow.
        ResyncRequired
            The snapshot is kept no longer, or was never pulled.
        NotGranted, UnknownName, NotEnoughData, RunMissing, MartMissing, RowCapReached, RunExpired
        RunRevoked, CursorRefused
        """
        if asked.cursor is not None:
            place = self._continued(grant, asked.cursor, CHANGES, audience, "audiences:read")
            release = self._changed(audience, place.channel).pinned(place.snapshot)
            self._refuse_revoked(grant, audience, release, place.channel)
            return self._page(release, place, asked.limit)
        pullable = pull_members.pullable(self.service, grant, audience, channel)
        now = pullable.release()
        before = pullable.shelf.kept(since.snapshot) if since.snapshot is not None else None
        if before is None:
            told = "that snapshot was not pulled, or is kept no longer"
            raise ResyncRequired(since.snapshot or "the beginning", now.name, told)
        run_id = str(before.manifest["run_id"])
        if pull_members.is_revoked(self.service, audience, pullable.destination, run_id):
            raise ResyncRequired(before.name, now.name, "that snapshot was taken back")
        if not since.allow_shrink:
            self._refuse_shrinking(before, now)
        release = self._difference(before, now, audience, pullable.channel)
        place = self._begun(grant, CHANGES, pullable.shelf, release, asked)
        named = place.fields and (pull_changes.OP, *_without(place.fields, pull_changes.OP))
        place = replace(place, against=before.name, fields=named)
        self._enter(grant, place, release)
        return self._page(release, place, asked.limit)

    def offers(self, grant: Grant, asked: Asked, run: str | None = None, channel: str | None = None) -> Page:
        """Return a page of a run's offers, of all customers; raises like `members`."""
        if asked.cursor is not None:
            place = self._continued(grant, asked.cursor, OFFERS, "", "recommendations:read")
            shelf = Shelf(service=self.service, subject=RECOMMENDATIONS, channel=place.channel)
            return self._page(shelf.pinned(place.snapshot), place, asked.limit)
        release, shelf = pull_offers.release(self.service, grant, run, channel)
        place = self._begun(grant, OFFERS, shelf, release, asked)
        self._enter(grant, place, release)
        return self._page(release, place, asked.limit)

    def _refuse_shrinking(self, before: Release, now: Release) -> None:
        """Refuse what takes most members out at once, as exports do; whoever withdrew is not counted."""
        most = session.settings(self.service.workspace, ExportSettings, "exports").max_removed_share
        gone = pull_changes.gone(before, now)
        if gone > most * before.rows:
            raise RefusedByPolicy(
                f"{gone:,} of {before.rows:,} members of {before.name} would be removed, more than the share of "
                f"{most:g} that max_removed_share allows. If that is meant, ask again with allow_shrink=true."
            )

    def _refuse_revoked(self, grant: Grant, audience: str, release: Release, channel: str) -> None:
        where, run_id = destination(grant.destination, channel), str(release.manifest["run_id"])
        pull_members.refuse_revoked(self.service, audience, where, (release.name, run_id))

    def _continued(self, grant: Grant, cursor: str, listing: str, subject: str, scope: str) -> Place:
        grant.require(scope)
        place = unseal(cursor, self.service.secret, listing=listing, subject=subject, grant=grant)
        if subject:
            grant.require_audience(subject, (subject,))
        if place.channel != pull_releases.ANY_CHANNEL:
            grant.require_channel(place.channel)
        return place

    def _begun(self, grant: Grant, listing: str, shelf: Shelf, release: Release, asked: Asked) -> Place:
        return Place(
            listing=listing,
            subject="" if shelf.subject == RECOMMENDATIONS else shelf.subject,
            channel=shelf.channel,
            snapshot=release.name,
            against="",
            fields=_fields(release, asked.fields),
            at=0,
            key=grant.name,
        )

    def _changed(self, audience: str, channel: str) -> Shelf:
        return Shelf(service=self.service, subject=audience, channel=f"{channel}{pull_releases.CHANGED}")

    def _difference(self, before: Release, now: Release, audience: str, channel: str) -> Release:
        """Return the changes between two releases as things are now; those that a cursor pins stay as they were."""
        about = About.of(now, channel)
        revision, held = self.held.now(about)
        settings = session.settings(self.service.workspace, ExportSettings, "exports")

        def make() -> pull_releases.Made:
            freed = self.held.freed_since(about, before.made_at)
            rows = pull_changes.rows(before, now, held, freed, settings.refresh_days)
            names = ("run_id", "purpose")
            return rows, {name: now.manifest[name] for name in names} | {"since": before.name, "to": now.name}

        name = f"{before.name}--{now.name}--{revision.newest}.{revision.lifted}"
        return self._changed(audience, channel).made(name, make, anew=True)

    def _enter(self, grant: Grant, place: Place, release: Release) -> None:
        """Enter the pull in the audit log: nothing has left yet."""
        details = {
            "listing": place.listing,
            "snapshot": release.name,
            "channel": place.channel,
            "fields": list(place.fields or release.manifest["fields"]),
            "content_sha256": release.manifest["content_sha256"],
        }
        subject = f"audience/{place.subject}" if place.subject else f"run/{release.manifest['run_id']}"
        self.service.keyring.release(grant, release.rows, subject, details)

    def _page(self, release: Release, place: Place, limit: int) -> Page:
        lines = self.reader.lines(release, place.fields or release.manifest["fields"], place.at, limit)
        off = self._held_among(lines, release, place)
        left = lines.objects if off is None else lines.objects.filter(pc.invert(off))
        after = place.at + len(lines.ids)
        return Page(
            release=release,
            place=place,
            objects=left,
            withheld=len(lines.ids) - len(left),
            limit=limit,
            next=seal(replace(place, at=after), self.service.secret) if after < release.rows else None,
        )

    def _held_among(self, lines: Lines, release: Release, place: Place) -> Any:
        """Mark the rows that must not leave, each by the channel it is for; None where nobody is held."""
        one = place.channel != pull_releases.ANY_CHANNEL
        off: Any = None
        for channel in (place.channel,) if one else pc.unique(lines.channels).to_pylist():
            _, held = self.held.now(About.of(release, channel))
            if len(held):
                here = pc.is_in(lines.ids, value_set=held)
                here = here if one else pc.and_(here, pc.equal(lines.channels, channel))
                off = here if off is None else pc.or_(off, here)
        if off is not None and place.listing == CHANGES:  # a remove lowers what is allowed: it always leaves
            off = pc.and_(off, pc.invert(pc.match_substring(lines.objects, '"op":"remove"')))
        return off


def _fields(release: Release, asked: tuple[str, ...] | None) -> tuple[str, ...]:
    """Return the fields of a listing, none for all of them; the id is always among them."""
    known: Sequence[str] = release.manifest["fields"]
    if asked is None:
        return ()
    for name in asked:
        if name not in known:
            raise UnknownName("field", name, known)
    return tuple(name for name in known if name in {ID, *asked})


def _without(names: Sequence[Any], one: str) -> tuple[Any, ...]:
    return tuple(name for name in names if name != one)
