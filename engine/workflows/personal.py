"""What the bank holds of a person: masked for all, and in full to who gives a reason that is kept first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from engine.domain.access import Right, Viewer
from engine.domain.errors import RefusedByPolicy, UnknownName
from engine.domain.masks import mask
from engine.lake.workspace import Workspace
from engine.store import Store
from engine.workflows import session
from engine.workflows.view import reading

REASONS: Final = ("customer_asked", "complaint", "fraud_check", "correction", "credit_review", "audit", "other")
"""Why somebody may have to see personal data; "other" has to be told in words."""
MOST_OF_A_NOTE: Final = 300
ACTION: Final = "personal.revealed"
"""What the audit trail calls it."""
_NAMES: Final = ("full_name",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Masked:
    """One personal field of a customer: what it is, and what is left of its value."""

    field: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Revealed:
    """One personal field of a customer in full. It is shown once and kept nowhere."""

    field: str
    value: str


def masked(viewer: Viewer, workspace: Workspace, customer_id: str) -> tuple[Masked, ...]:
    """Return the personal fields of a customer, masked: a name to who may see names, the rest to who may reveal it.

    An empty field is left out, and so is all where the bank has no customer of that id.
    """
    if not viewer.may(Right.SEE_NAMES):
        return ()
    whole = viewer.may(Right.SEE_PERSONAL)
    return tuple(
        Masked(field=field, value=mask(field, value))
        for field, value in _fields(workspace, customer_id)
        if whole or field in _NAMES
    )


def reveal(viewer: Viewer, workspace: Workspace, customer_id: str, reason: str, note: str = "") -> tuple[Revealed, ...]:
    """Return the personal fields of a customer in full, after who asked and why was written to the audit trail.

    Raises
    ------
    NotAllowed
    UnknownName
        No such reason; see REASONS.
    RefusedByPolicy
        The reason "other" without a note, a note too long, or nothing to reveal.
    StoreUnavailable
        The audit trail cannot be written: nothing is shown then.
    """
    viewer.require(Right.SEE_PERSONAL)
    said = checked(reason, note)
    found = tuple(Revealed(field=field, value=value) for field, value in _fields(workspace, customer_id))
    if not found:
        raise RefusedByPolicy("Nothing personal is held of this customer, so there is nothing to reveal.")
    details = {"fields": sorted({one.field for one in found}), "reason": reason, "note": said}
    with Store(session.database_url(workspace), actor=viewer.name) as store:
        store.audit(ACTION, f"customer:{customer_id}", details | {"role": viewer.role.value})
    return found


def checked(reason: str, note: str) -> str:
    """Return the note as it is kept; raises UnknownName, RefusedByPolicy like `reveal`."""
    if reason not in REASONS:
        raise UnknownName("reason", reason, REASONS)
    said = " ".join(note.split())
    if reason == "other" and not said:
        raise RefusedByPolicy('The reason "other" has to be told in words. Write why the data are needed.')
    if len(said) > MOST_OF_A_NOTE:
        raise RefusedByPolicy(f"The note has {len(said)} signs: expected at most {MOST_OF_A_NOTE}. Shorten it.")
    return said


def _fields(workspace: Workspace, customer_id: str) -> Iterator[tuple[str, str]]:
    """Yield the personal fields of a customer that hold something, each with its value as text."""
    for row in _rows(workspace, "customers", ("full_name", "birth_date"), customer_id):
        for field, value in row.items():
            if value is not None:
                yield field, _text(value)
    found = _rows(workspace, "identities", ("id_type", "id_value"), customer_id)
    for row in sorted(found, key=lambda one: (one["id_type"], one["id_value"])):
        yield str(row["id_type"]), str(row["id_value"])


def _rows(workspace: Workspace, table: str, columns: tuple[str, ...], customer_id: str) -> list[dict[str, Any]]:
    folder = workspace.curated(table)
    if not folder.is_dir():
        return []
    text = f"SELECT {', '.join(columns)} FROM {table} WHERE customer_id = ?"
    rows = reading.sql({table: folder}, text, (customer_id,))
    return reading.records(rows.astype(object).where(rows.notna(), None))


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).date().isoformat() if value.tzinfo else value.date().isoformat()
    return value.isoformat() if isinstance(value, date) else str(value)
