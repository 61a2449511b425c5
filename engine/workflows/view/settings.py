"""What an administrator looks after: who may do what, keys of campaign tools, presets, rules, what runs by itself.

No secret is read here; that of a new key is told once, by the answer to its making.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from engine.config.access import AccessSettings
from engine.config.api import ApiSettings
from engine.config.exports import ExportSettings
from engine.domain.access import RIGHTS, SMALL_GROUP, Right, Role, Viewer
from engine.lake.workspace import Workspace
from engine.workflows import api_keys, schedule, session, webhooks
from engine.workflows.view.guard import needs


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule in force: its name, its value, and where it is set; None where it is no setting."""

    name: str
    value: str
    setting: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """An address that is told of events, by its host alone: the rest of an address may hold a secret."""

    name: str
    host: str
    events: tuple[str, ...]
    delivered: int
    pending: int
    dead: int
    last: datetime | None


@needs(Right.ADMINISTER)
def access(workspace: Workspace) -> AccessSettings:
    """Return who gets in and as what."""
    return session.settings(workspace, AccessSettings, "access")


@needs(Right.ADMINISTER)
def rights() -> Mapping[Right, frozenset[Role]]:
    """Return who holds each right, in the order in which rights are told."""
    return {right: frozenset(role for role in Role if right in RIGHTS[role]) for right in Right}


@needs(Right.ADMINISTER)
def presets(workspace: Workspace) -> dict[str, dict[str, Any]]:
    """Return what one file may hold at each vendor, by preset."""
    found = session.settings(workspace, ExportSettings, "exports").presets.model_dump(mode="json")
    return {name: {key: value for key, value in limits.items() if value is not None} for name, limits in found.items()}


@needs(Right.ADMINISTER)
def rules(workspace: Workspace) -> tuple[Rule, ...]:
    """Return the rules on masking, small groups, second persons and how long things are kept."""
    exports = session.settings(workspace, ExportSettings, "exports")
    api = session.settings(workspace, ApiSettings, "api")
    hours = session.settings(workspace, AccessSettings, "access").hours
    return (
        Rule(name="masking", value="", setting=None),
        Rule(name="small_groups", value=str(SMALL_GROUP), setting=None),
        Rule(name="approval_rows", value=str(exports.approval.rows_above), setting="[exports.approval] rows_above"),
        Rule(name="valid_days", value=str(exports.valid_days), setting="[exports] valid_days"),
        Rule(name="snapshot_days", value=str(exports.snapshot_days), setting="[exports] snapshot_days"),
        Rule(name="feed_days", value=str(exports.suppression_feed_days), setting="[exports] suppression_feed_days"),
        Rule(name="pull_days", value=str(api.snapshot_days), setting="[api] snapshot_days"),
        Rule(name="sign_in_hours", value=f"{hours:g}", setting="[access] hours"),
        Rule(name="audit_kept", value="", setting=None),
    )


@needs(Right.ADMINISTER)
def keys(home: Path) -> list[dict[str, Any]]:
    """Return every key ever made and how it stands, without secrets."""
    found: list[dict[str, Any]] = api_keys.listed(home)["keys"]
    return found


def create_key(
    viewer: Viewer, home: Path, name: str, *, scopes: Sequence[str], destination: str, days: int
) -> dict[str, Any]:
    """Make a key under the viewer's name; see `api_keys.create`. Raises NotAllowed too."""
    viewer.require(Right.ADMINISTER)
    return api_keys.create(home, name, viewer.name, scopes=scopes, destination=destination, days=days)


def rotate_key(viewer: Viewer, home: Path, name: str, *, days: int, overlap_hours: float) -> dict[str, Any]:
    """Replace a key under the viewer's name; see `api_keys.rotate`. Raises NotAllowed too."""
    viewer.require(Right.ADMINISTER)
    return api_keys.rotate(home, name, viewer.name, days=days, overlap_hours=overlap_hours)


def revoke_key(viewer: Viewer, home: Path, name: str) -> dict[str, Any]:
    """End a key under the viewer's name; see `api_keys.revoke`. Raises NotAllowed too."""
    viewer.require(Right.ADMINISTER)
    return api_keys.revoke(home, name, viewer.name)


@needs(Right.ADMINISTER)
def schedules(home: Path) -> list[dict[str, Any]]:
    """Return what runs at set times, with what came of the last time."""
    return schedule.listed(home)


@needs(Right.ADMINISTER)
def hooks(home: Path) -> tuple[Hook, ...]:
    """Return the addresses that are told of events, with how that went."""
    found = webhooks.listed(home)
    told = []
    for one in found["webhooks"]:
        if one["removed_at"] is not None:
            continue
        own = [each for each in found["deliveries"] if each["webhook"] == one["name"]]
        counted = {status: sum(each["status"] == status for each in own) for status in ("delivered", "pending", "dead")}
        last = max((each["ended_at"] for each in own if each["ended_at"] is not None), default=None)
        host = urlsplit(one["url"]).hostname or ""
        told.append(Hook(name=one["name"], host=host, events=tuple(one["events"]), last=last, **counted))
    return tuple(told)
