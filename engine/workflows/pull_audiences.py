"""The audiences that a key may see, and the manifests of what may be pulled."""

from __future__ import annotations

from typing import Any

from engine.config.audiences import Audience
from engine.domain.grants import Grant
from engine.exports.releases import Release
from engine.lake import memberships
from engine.workflows import held_audiences, pull_members, pull_offers
from engine.workflows.held_audiences import Kept
from engine.workflows.service import Service

LATEST = "latest"


def listed(service: Service, grant: Grant) -> list[dict[str, Any]]:
    """Return the audiences that a key may see, by name, with the snapshot that was made last; raises NotGranted."""
    grant.require("audiences:read")
    known = held_audiences.kept(service.workspace)
    others = held_audiences.definitions(known)
    return [_shown(service, one, others) for name, one in sorted(known.items()) if grant.allows_audience(name)]


def one(service: Service, grant: Grant, audience: str) -> dict[str, Any]:
    """Return one audience; raises NotGranted or UnknownName."""
    grant.require("audiences:read")
    known = held_audiences.kept(service.workspace)
    grant.require_audience(audience, known)
    return _shown(service, known[audience], held_audiences.definitions(known))


def manifest(service: Service, grant: Grant, audience: str, run: str, channel: str | None) -> Release:
    """Return what may be pulled of an audience on a run, by its id, a snapshot's, or "latest".

    Raises
    ------
    NotGranted, UnknownName, NotEnoughData, RefusedByPolicy, RunExpired, RunMissing, MartMissing
    """
    grant.require("exports:read")
    found = pull_members.pullable(service, grant, audience, channel)
    return found.release(None if run == LATEST else run)


def offers_manifest(service: Service, grant: Grant, run: str, channel: str | None) -> Release:
    """Return what may be pulled of a run's offers; raises like `manifest`."""
    grant.require("exports:read")
    return pull_offers.release(service, grant, None if run == LATEST else run, channel)[0]


def _shown(service: Service, kept: Kept, others: dict[str, Audience]) -> dict[str, Any]:
    definition, record = kept.definition, kept.record
    snapshots = memberships.every(service.workspace, record.name)
    latest = snapshots[-1] if snapshots else None
    return {
        "id": record.name,
        "name": definition.name,
        "name_zh": definition.name_zh,
        "owner": definition.owner,
        "purpose": definition.purpose,
        "channels": list(definition.channels),
        "schedule": definition.schedule,
        "version": record.version,
        "is_verified": kept.verified(held_audiences.rule_hash(definition, others)) is not None,
        "is_retired": kept.retired is not None,
        "members": latest.size if latest else None,
        "run_id": latest.run_id if latest else None,
        "snapshot": pull_members.snapshot_id(latest) if latest else None,
        "as_of": latest.as_of if latest else None,
    }
