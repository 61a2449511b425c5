"""Default models: proposed by their owner, approved by another person, retired by anybody, never deleted.

A model lies here whole, under the hash of its content. The audit log keeps the hash that was proposed and the one that
was approved, so that a row which was changed with its hash is found too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy.orm import defer
from sqlmodel import Session, col, select

from engine.domain.errors import ModelSpoilt, RefusedByPolicy, UnknownName
from engine.numerics.chain import canonical, digest
from engine.store import persons, trail
from engine.store.records import ModelRecord
from engine.store.tables import ModelRow

PROPOSED: Final = "model.proposed"
APPROVED: Final = "model.approved"
RETIRED: Final = "model.retired"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewModel:
    """A model that somebody proposes.

    purpose : "runs", whose customers it would grade, or "files". model : which kind of model decides.
    source : the run or file that it was learned from. learned_until : nothing later was known; None where not told.
    content : the model as JSON. card : its card as JSON, where it has one. figures : how it did on unseen rows.
    """

    purpose: str
    model: str
    source: str
    learned_until: datetime | None
    content: str
    card: str | None
    figures: Mapping[str, Any]
    note: str


def propose(session: Session, wanted: NewModel, owner: str, now: datetime) -> ModelRecord:
    """Enter a model as a challenger.

    Raises
    ------
    RefusedByPolicy
        The very same model is a challenger or the champion already.
    """
    hashed = digest(wanted.content)
    same = col(ModelRow.content_hash) == hashed
    earlier = session.exec(_light().where(same, col(ModelRow.status) != "retired")).first()
    if earlier is not None:
        raise RefusedByPolicy(
            f"This is model {earlier.model_id}, which {earlier.owner} proposed on {earlier.proposed_at:%Y-%m-%d}: "
            f"it is the {earlier.status} already."
        )
    row = ModelRow(
        purpose=wanted.purpose,
        model=wanted.model,
        source=wanted.source,
        learned_until=wanted.learned_until,
        content=wanted.content,
        content_hash=hashed,
        card=wanted.card,
        figures=canonical(wanted.figures),
        owner=persons.name(owner),
        note=wanted.note,
        proposed_at=now,
        status="challenger",
    )
    session.add(row)
    session.flush()
    return record(row)


def approve(
    session: Session, model_id: int, approver: str, note: str, now: datetime
) -> tuple[ModelRecord, ModelRecord | None]:
    """Make a challenger the champion of its purpose; return it, and the champion that gave way to it, if any.

    Raises
    ------
    UnknownName
        There is no such model.
    RefusedByPolicy
        The approver is its owner, or it is no challenger any more.
    ModelSpoilt
        It is not what was proposed.
    """
    row = _row(session, model_id)
    if row.status != "challenger":
        raise RefusedByPolicy(f"Model {model_id} {_how(row)}. Propose it again, or approve another.")
    if persons.same(approver, row.owner):
        raise RefusedByPolicy(f"Model {model_id} is {row.owner}'s own: another person must approve it.")
    _check(session, row, PROPOSED, still=True)
    champion = _champion(session, row.purpose)
    replaced = None
    if champion is not None:
        replaced = _retired(session, champion, approver, f"gave way to model {model_id}", now)
    row.status, row.approver, row.approval_note, row.approved_at = "champion", persons.name(approver), note, now
    session.add(row)
    session.flush()
    return record(row), replaced


def retire(session: Session, model_id: int, by: str, note: str, now: datetime) -> ModelRecord:
    """Retire a challenger or the champion; it stays on record. Raises UnknownName or RefusedByPolicy like `approve`."""
    row = _row(session, model_id)
    if row.status == "retired":
        raise RefusedByPolicy(f"Model {model_id} {_how(row)}.")
    return _retired(session, row, by, note, now)


def listed(session: Session) -> list[ModelRecord]:
    """Return every model ever proposed, the oldest first."""
    return [record(row) for row in session.exec(_light().order_by(col(ModelRow.model_id)))]


def champion(session: Session, purpose: str) -> tuple[ModelRecord, str] | None:
    """Return the approved model of a purpose and its content; None where nobody approved one.

    Raises
    ------
    ModelSpoilt
        It is not what was approved.
    """
    row = _champion(session, purpose)
    if row is None:
        return None
    _check(session, row, APPROVED, still=True)
    return record(row), row.content


def opened(session: Session, model_id: int) -> tuple[ModelRecord, str, str | None]:
    """Return a model, its content and its card; raises UnknownName, or ModelSpoilt like `champion`."""
    row = _row(session, model_id)
    _check(session, row, PROPOSED)
    return record(row), row.content, row.card


def audited(one: ModelRecord) -> Mapping[str, Any]:
    """Return what the audit log keeps of a model and whoever answers for it."""
    return {
        "purpose": one.purpose,
        "model": one.model,
        "source": one.source,
        "content_hash": one.content_hash,
        "status": one.status,
        "owner": one.owner,
        "note": one.note,
        "approver": one.approver,
        "approval_note": one.approval_note,
        "retired_by": one.retired_by,
        "retirement_note": one.retirement_note,
    }


def subject(model_id: int) -> str:
    """Return what the audit log calls a model."""
    return f"model/{model_id}"


def record(row: ModelRow) -> ModelRecord:
    """Return a row as it is handed out, without the model itself."""
    kept = row.model_dump(exclude={"content", "card", "figures"})
    return ModelRecord(**kept, figures=json.loads(row.figures))


def _light() -> Any:
    # a model may be megabytes long, and a list needs none of them
    return select(ModelRow).options(defer(ModelRow.content), defer(ModelRow.card))  # type: ignore[arg-type]


def _champion(session: Session, purpose: str) -> ModelRow | None:
    return session.exec(
        select(ModelRow).where(col(ModelRow.purpose) == purpose, col(ModelRow.status) == "champion")
    ).first()


def _row(session: Session, model_id: int) -> ModelRow:
    row = session.get(ModelRow, model_id)
    if row is None:
        newest = session.exec(select(ModelRow.model_id).order_by(col(ModelRow.model_id).desc()).limit(5))
        raise UnknownName("model", str(model_id), [str(number) for number in newest])
    return row


def _retired(session: Session, row: ModelRow, by: str, note: str, now: datetime) -> ModelRecord:
    row.status, row.retired_by, row.retirement_note, row.retired_at = "retired", persons.name(by), note, now
    session.add(row)
    # before another becomes the champion: the database lets there be one only
    session.flush()
    return record(row)


def _check(session: Session, row: ModelRow, action: str, *, still: bool = False) -> None:
    """Raise ModelSpoilt where the row is not what the audit log says of that step; `still` if it must be the last."""
    done, source = action.split(".")[1], f"Model {row.model_id}"
    if digest(row.content) != row.content_hash:
        raise ModelSpoilt(source, f"its content is not what was {done}: the checksum differs")
    entries = trail.newest(session, 1, None, subject(row.model_id or 0), None if still else action)
    if not entries or entries[0].action != action:
        raise ModelSpoilt(source, f"by the audit log it was not {done}, or not last")
    if entries[0].details.get("content_hash") != row.content_hash:
        raise ModelSpoilt(source, f"its content is not what was {done}, by the audit log")


def _how(row: ModelRow) -> str:
    if row.status == "retired":
        return f"was retired by {row.retired_by} on {row.retired_at:%Y-%m-%d}"
    return f"was approved by {row.approver} on {row.approved_at:%Y-%m-%d} already"
