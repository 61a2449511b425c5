"""A receiver says what it loaded of a pull, and that is checked against what was there to be loaded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from engine.domain.errors import CheckFailed, UnknownName
from engine.domain.grants import Grant
from engine.domain.pulls import Contradicted
from engine.exports import releases
from engine.exports.releases import Release
from engine.numerics.chain import canonical, digest
from engine.store import AcknowledgementRecord, Acknowledgements
from engine.workflows import export_acks, pull_releases
from engine.workflows.pull_releases import ANY_CHANNEL, CHANGED, RECOMMENDATIONS, Shelf
from engine.workflows.service import Service


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a receiver says: of which audience (None for all offers) and channel, what came, and what became of it."""

    audience: str | None
    channel: str | None
    received_rows: int
    content_sha256: str
    loaded: int
    rejected: tuple[dict[str, Any], ...]


def acknowledge(service: Service, grant: Grant, run: str, said: Said) -> AcknowledgementRecord:
    """Keep what a receiver says of a run, or of a snapshot by its id; the same again gives the same answer.

    Raises
    ------
    NotGranted, UnknownName
    Contradicted
        The checksum is of nothing that was pulled of it, more rows are said to have come or to be loaded than there
        were, or the key said something else before.
    """
    grant.require("exports:ack")
    subject = said.audience or RECOMMENDATIONS
    if said.audience is not None:
        grant.require_audience(said.audience, (said.audience,))
    channel = said.channel or grant.channel or ANY_CHANNEL
    if channel != ANY_CHANNEL:
        grant.require_channel(channel)
    shelf = Shelf(service=service, subject=subject, channel=channel)
    made = {one.name: one for one in releases.every(shelf.folder)}
    if not made:
        raise UnknownName("pull", f"{subject} on {channel}", [])
    runs = {name: str(one.manifest["run_id"]) for name, one in made.items()}
    release = made[pull_releases.chosen(run, runs, next(reversed(made)), service)]
    _check(said, [release, *_changes_to(release, service, subject, channel)])
    body = canonical({"run": run, "subject": subject, "channel": channel, **_body(said)})
    record = AcknowledgementRecord(
        key_name=grant.name,
        subject=subject,
        channel=channel,
        snapshot=release.name,
        content_sha256=said.content_sha256,
        received_rows=said.received_rows,
        loaded=said.loaded,
        rejected=len(said.rejected),
        body_sha256=digest(body),
        acknowledged_at=datetime.now(UTC),
    )
    return Acknowledgements(service.store).enter(record, grant.actor)


@dataclass(frozen=True, slots=True, kw_only=True)
class SaidOfBundle:
    """What a receiver says of a bundle that came to it as files; `rejected` are the ids that it did not take."""

    audience: str
    channel: str | None
    received_rows: int
    content_sha256: str
    rejected: tuple[str, ...]


def acknowledge_bundle(service: Service, grant: Grant, run: str, said: SaidOfBundle) -> dict[str, Any]:
    """Enter that the key's destination has loaded a bundle: the next delta follows it. The same again changes nothing.

    Raises
    ------
    NotGranted
    UnknownName
        No such content was handed to the key's destination for that run.
    Contradicted
        It received another number of rows, said something else before, or has acknowledged a later bundle already.
    """
    grant.require("exports:ack")
    grant.require_audience(said.audience, (said.audience,))
    channel = said.channel or grant.channel
    if channel is not None:
        grant.require_channel(channel)
    ack = export_acks.Ack(
        audience=said.audience,
        preset=grant.destination,
        channel=channel,
        run_id=run,
        content_sha256=said.content_sha256,
        received_rows=said.received_rows,
        rejected=said.rejected,
    )
    try:
        return export_acks.acknowledge(service.home, ack, grant.actor)
    except CheckFailed as fault:
        raise Contradicted(str(fault), "content_sha256") from fault


def _changes_to(release: Release, service: Service, subject: str, channel: str) -> list[Release]:
    shelf = Shelf(service=service, subject=subject, channel=f"{channel}{CHANGED}")
    return [one for one in releases.every(shelf.folder) if one.manifest["to"] == release.name]


def _check(said: Said, pulled: list[Release]) -> None:
    meant = next((one for one in pulled if one.manifest["content_sha256"] == said.content_sha256), None)
    if meant is None:
        raise Contradicted(
            "Nothing that was pulled of this run has that content_sha256. Take it from the manifest, or from the "
            "answer that the rows came in.",
            "content_sha256",
        )
    if said.received_rows > meant.rows:
        raise Contradicted(f"{meant.rows:,} rows could be pulled, not {said.received_rows:,}.", "received_rows")
    if said.loaded + len(said.rejected) > said.received_rows:
        raise Contradicted("More rows were loaded or rejected than were received.", "loaded")


def _body(said: Said) -> dict[str, Any]:
    return {
        "received_rows": said.received_rows,
        "content_sha256": said.content_sha256,
        "loaded": said.loaded,
        "rejected": list(said.rejected),
    }
