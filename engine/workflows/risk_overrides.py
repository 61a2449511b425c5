"""Overrides of lending decisions: one person tightens, two free, anybody takes back; the next run goes by them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, cast, get_args

from engine.config.risk import RiskSettings
from engine.domain.errors import RefusedByPolicy, UnknownName
from engine.domain.words import PRODUCT_FAMILIES
from engine.lake.workspace import Workspace
from engine.numerics.chain import canonical, digest
from engine.risk import overrides
from engine.risk.overrides import Override, OverrideKind
from engine.store import NewOverride, OverrideRecord, Store
from engine.workflows import session
from engine.workflows.explain import CustomerMissing
from engine.workflows.view import customer

KINDS: Final[tuple[str, ...]] = get_args(OverrideKind)


def in_force(workspace: Workspace, as_of: datetime) -> tuple[Override, ...]:
    """Return the overrides that a run of that date goes by: not taken back, and not ended by then."""
    with Store(session.database_url(workspace)) as store:
        kept = [_override(one) for one in store.overrides() if one.revoked_at is None]
    return overrides.in_force(kept, as_of)


def facts(live: tuple[Override, ...]) -> dict[str, Any]:
    """Return what a run's manifest says of the overrides it went by; nothing where there were none."""
    if not live:
        return {}
    moments = ("made_at", "expires_at")
    rows = [{**one.to_row(), **{name: getattr(one, name).isoformat() for name in moments}} for one in live]
    return {"overrides": digest(canonical({"in_force": rows}))}


def add(home: Path, wanted: NewOverride, owner: str) -> dict[str, Any]:
    """Make an override; the next run goes by it, once it has the persons it needs.

    Raises
    ------
    WorkspaceMissing
    CustomerMissing
    UnknownName
        There is no such kind or family.
    RefusedByPolicy
        No owner or note, no amount where one is needed, or it would hold longer than the policy allows.
    """
    workspace = session.workspace_at(home)
    workspace.report()
    if not customer.exists(workspace, wanted.customer_id):
        raise CustomerMissing
    _check(wanted, owner, session.settings(workspace, RiskSettings, "risk").overrides.max_days)
    with Store(session.database_url(workspace), actor=owner) as store:
        return _shown(store.add_override(wanted))


def agree(home: Path, override_id: int, second: str) -> dict[str, Any]:
    """Agree to another person's override; raises UnknownName or RefusedByPolicy."""
    with _store(home, second) as store:
        return _shown(store.agree_to_override(override_id))


def revoke(home: Path, override_id: int, by: str) -> dict[str, Any]:
    """Take an override back; raises UnknownName or RefusedByPolicy."""
    with _store(home, by) as store:
        return _shown(store.revoke_override(override_id))


def listed(home: Path, customer_id: str | None = None) -> list[dict[str, Any]]:
    """Return every override ever made, of one customer or of all, the oldest first, with how it stands now."""
    with _store(home, "wayline") as store:
        return [_shown(one) for one in store.overrides(customer_id)]


def _store(home: Path, actor: str) -> Store:
    if not actor.strip():
        raise RefusedByPolicy("An override needs the name of a person. Give it with --by.")
    return Store(session.database_url(session.workspace_at(home)), actor=actor)


def _check(wanted: NewOverride, owner: str, max_days: int) -> None:
    if wanted.kind not in KINDS:
        raise UnknownName("kind of override", wanted.kind, KINDS)
    if wanted.family is not None and wanted.family not in PRODUCT_FAMILIES:
        raise UnknownName("family of products", wanted.family, PRODUCT_FAMILIES)
    if not owner.strip() or not wanted.note.strip():
        raise RefusedByPolicy("An override needs an owner and a note that says why. Give them with --by and --note.")
    if wanted.kind in ("approve", "limit") and (wanted.limit_minor is None or wanted.limit_minor < 0):
        raise RefusedByPolicy(
            f'An override of the kind "{wanted.kind}" needs an amount of 0 or more. Give it with --limit-minor.'
        )
    now = datetime.now(UTC)
    if not now < wanted.expires_at <= now + timedelta(days=max_days):
        raise RefusedByPolicy(
            f"An override must end after now and within {max_days} days, not on {wanted.expires_at:%Y-%m-%d}. "
            "The longest time is max_days under [risk.overrides]."
        )


def _override(one: OverrideRecord) -> Override:
    return Override(
        override_id=one.override_id,
        customer_id=one.customer_id,
        family=one.family,
        kind=cast(OverrideKind, one.kind),
        limit_minor=one.limit_minor,
        owner=one.owner,
        second=one.second,
        made_at=one.made_at,
        expires_at=one.expires_at,
    )


def _shown(one: OverrideRecord) -> dict[str, Any]:
    return {**asdict(one), "status": _status(one)}


def _status(one: OverrideRecord) -> str:
    """Say how an override stands: revoked, ended, agreed, or of one person, who can only tighten."""
    if one.revoked_at is not None:
        return "revoked"
    if one.expires_at <= datetime.now(UTC):
        return "ended"
    return "two_persons" if one.second is not None else "one_person"
