"""What was done, by whom and why: the audit log by page, whether it is whole, what an entry changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from engine.compliance.audit import Verification, verify
from engine.domain.access import Right, Viewer
from engine.numerics.chain import Head
from engine.store import AuditRecord, Store
from engine.store.trail import Sought
from engine.workflows import replay, session
from engine.workflows.view.guard import needs

ROWS: Final = 25
"""Entries of a page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which entries are asked for; an empty text asks for all. Days are UTC, the first and the last included."""

    since: date | None = None
    until: date | None = None
    actor: str = ""
    action: str = ""
    subject: str = ""
    customer_id: str = ""

    def sought(self) -> Sought:
        """Return it as the store is asked."""
        return Sought(
            since=None if self.since is None else _midnight(self.since),
            until=None if self.until is None else _midnight(self.until + timedelta(days=1)),
            actor=self.actor,
            action=self.action,
            subject=self.subject,
            customer_id=self.customer_id,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One detail of an entry: what it was in the entry before on the same subject, and what it is now."""

    detail: str
    before: Any
    after: Any


def found(viewer: Viewer, home: Path, what: Filters, offset: int = 0) -> tuple[int, list[AuditRecord]]:
    """Return how many entries there are, and one page of them, the newest first; looking makes no database.

    Who may not see what everybody did is given their own acts alone.
    """
    workspace = session.workspace_at(home)
    if not session.has_register(workspace):
        return 0, []
    own = what if viewer.may(Right.SEE_AUDIT) else replace(what, actor=viewer.name)
    with Store(session.database_url(workspace)) as store:
        total, rows = store.audit_sought(own.sought(), ROWS, offset)
    return total, [_as_seen(viewer, row) for row in rows]


def named(viewer: Viewer, home: Path) -> tuple[list[str], list[str]]:
    """Return who stands in the log and which acts do, each by name: one's own alone where one sees only these."""
    workspace = session.workspace_at(home)
    if not viewer.may(Right.SEE_AUDIT) or not session.has_register(workspace):
        return [viewer.name], []
    with Store(session.database_url(workspace)) as store:
        return store.audit_named()


def changes(viewer: Viewer, home: Path, entry: AuditRecord) -> list[Change]:
    """Return what an entry says beside the entry before it on the same subject, what differs first."""
    with Store(session.database_url(session.workspace_at(home))) as store:
        earlier = store.audit_before(entry.seq)
    if earlier is not None and not viewer.may(Right.SEE_AUDIT) and earlier.actor != viewer.name:
        earlier = None  # somebody else's act
    told, now = _flat({} if earlier is None else _as_seen(viewer, earlier).details), _flat(entry.details)
    rows = [Change(detail=name, before=told.get(name), after=value) for name, value in now.items()]
    return sorted(rows, key=lambda one: (one.before == one.after, one.detail))


@needs(Right.SEE_AUDIT)
def newest(home: Path) -> Head:
    """Return the number and hash of the newest entry; 0 where there is no log yet."""
    workspace = session.workspace_at(home)
    if not session.has_register(workspace):
        return Head()
    with Store(session.database_url(workspace)) as store:
        return store.audit_head()


@needs(Right.SEE_AUDIT)
def whole(home: Path, _stamp: str = "") -> Verification | None:
    """Return whether the chain of the log holds, every entry looked at; None where there is no log yet.

    `_stamp` is what tells a remembered answer from that of before.
    """
    workspace = session.workspace_at(home)
    if not session.has_register(workspace):
        return None
    with Store(session.database_url(workspace)) as store, store.audit_links() as links:
        return verify(links)


def replayed(viewer: Viewer, home: Path, customer_id: str, run_id: str | None = None) -> dict[str, Any]:
    """Decide again for a customer and say whether it comes out the same; see `replay.customer`.

    What is refused and worth is told to who may see risk; to others whether it is equal.
    """
    viewer.require(Right.SEE_AUDIT, Right.SEE_CUSTOMERS)
    told = replay.customer(home, customer_id, run_id)
    if viewer.may(Right.SEE_RISK):
        return told
    products = [{name: one[name] for name in ("product_id", "decision_id", "equal")} for one in told["products"]]
    return {name: told[name] for name in ("customer_id", "run_id", "equal")} | {"products": products}


_OF_RISK: Final = ("risk.", "override.", "model.")


def _as_seen(viewer: Viewer, entry: AuditRecord) -> AuditRecord:
    """Return an entry without the details of what the viewer's role does not see: what was done stays."""
    of_case = entry.action.startswith("case.") and not viewer.may(Right.SEE_CASES)
    of_risk = entry.action.startswith(_OF_RISK) and not viewer.may(Right.SEE_RISK)
    return replace(entry, details={}) if of_case or of_risk else entry


def _flat(details: Mapping[str, Any], lead: str = "") -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name, value in details.items():
        if isinstance(value, Mapping):
            told |= _flat(value, f"{lead}{name}.")
        else:
            told[f"{lead}{name}"] = value
    return told


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
