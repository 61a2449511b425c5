"""Who is at the app: what the settings say of it, and what a sign-in makes of somebody."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from engine.config.access import AccessSettings
from engine.config.load import load
from engine.domain.access import Role, Viewer
from engine.domain.errors import NotSignedIn
from engine.lake.workspace import Workspace


def settings(workspace: Workspace) -> AccessSettings:
    """Return who gets in and as what; raises SettingsFault, and then nobody gets in."""
    return load(AccessSettings, "access", workspace.settings_file)


def roles_of(rules: AccessSettings, claims: Mapping[str, Any], now: datetime) -> tuple[Role, ...]:
    """Return the roles of somebody who signed in, at least one.

    Raises
    ------
    NotSignedIn
        Nobody did, or too long ago, or as a member of no group that has a role.
    """
    if not claims.get("is_logged_in", False):
        raise NotSignedIn("signed_out")
    issued = claims.get("iat")
    if not isinstance(issued, (int, float)) or now - datetime.fromtimestamp(issued, UTC) > timedelta(hours=rules.hours):
        raise NotSignedIn("expired")
    found = rules.roles_of(_groups(claims, rules.claim))
    if not found:
        raise NotSignedIn("no_role")
    return found


def signed_in(rules: AccessSettings, claims: Mapping[str, Any], chosen: str | None, now: datetime) -> Viewer:
    """Return who signed in, in the role chosen among theirs, else in the first; raises NotSignedIn like `roles_of`."""
    roles = roles_of(rules, claims, now)
    name = claims.get(rules.name_claim)
    is_doubtful = rules.name_claim == "email" and claims.get("email_verified") is False
    if not isinstance(name, str) or not name.strip() or is_doubtful:
        raise NotSignedIn("no_name")
    return Viewer(name=name.strip(), role=Role(chosen) if chosen in roles else roles[0])


def _groups(claims: Mapping[str, Any], path: str) -> frozenset[str]:
    found: Any = claims.get(path)
    if found is None:  # the path reaches into a claim
        found = claims
        for part in path.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    if isinstance(found, str):
        return frozenset({found})
    return frozenset(one for one in found if isinstance(one, str)) if isinstance(found, (list, tuple)) else frozenset()
