"""Cases: alerts that people work on. Every step is an event that stays, and an entry of the audit log.

Whoever does something says which version of the case was seen; a case that changed meanwhile refuses it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import func
from sqlmodel import Session, col, select

from engine.domain.errors import ChangedMeanwhile, RefusedByPolicy, UnknownName
from engine.numerics.chain import canonical, digest
from engine.store import persons, trail
from engine.store.base import Base, now
from engine.store.work_records import CaseEventRecord, CaseRecord
from engine.store.work_tables import CaseEventRow, CaseRow

_JSON: Final = ("tags",)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCase:
    """An alert that becomes a case, as it is at that moment; `alert_id` names the same fact in every run."""

    alert_id: str
    kind: str
    severity: str
    customer_id: str | None
    text_en: str
    text_zh: str
    run_id: str | None
    raised_at: datetime
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a person does with a case: the name of the act, the columns that it changes, and what it says."""

    act: str
    values: Mapping[str, Any] = field(default_factory=dict)
    note: str | None = None


class Cases:
    """The cases of a store; who does something is the store's actor."""

    def __init__(self, store: Base) -> None:
        self._store = store

    def open(self, wanted: NewCase) -> CaseRecord:
        """Make an alert a case of nobody yet; the case that it is already is returned as it is."""
        with self._store.writing() as session:
            known = session.exec(select(CaseRow).where(CaseRow.alert_id == wanted.alert_id)).first()
            if known is not None:
                return record(known)
            by, moment = persons.name(self._store.actor), now()
            row = CaseRow(
                alert_id=wanted.alert_id,
                kind=wanted.kind,
                severity=wanted.severity,
                customer_id=wanted.customer_id,
                text_en=wanted.text_en,
                text_zh=wanted.text_zh,
                run_id=wanted.run_id,
                raised_at=wanted.raised_at,
                due_at=wanted.due_at,
                opened_by=by,
                opened_at=moment,
                status="pending",
                tags="[]",
                version=1,
            )
            session.add(row)
            session.flush()
            self._enter(session, row, Step(act="opened"), moment)
            return record(row)

    def take(self, case_id: int, seen: int, step: Step) -> CaseRecord:
        """Do something with a case.

        Raises
        ------
        UnknownName
            There is no such case.
        ChangedMeanwhile
            Somebody else did something since `seen`.
        RefusedByPolicy
            It is resolved, and the step does not open it again.
        """
        with self._store.writing() as session:
            row = _row(session, case_id)
            if row.version != seen:
                last = _events(session, case_id)[-1]
                raise ChangedMeanwhile(f"case {case_id}", last.by, last.act, last.at)
            if row.status == "resolved" and step.act != "reopened":
                raise RefusedByPolicy(f"Case {case_id} was closed by {row.closed_by}. Open it again first.")
            for name, value in step.values.items():
                setattr(row, name, json.dumps(list(value), ensure_ascii=False) if name in _JSON else value)
            row.version += 1
            moment = now()
            if step.act == "closed":
                row.closed_by, row.closed_at = persons.name(self._store.actor), moment
            session.add(row)
            session.flush()
            self._enter(session, row, step, moment)
            return record(row)

    def every(self) -> list[CaseRecord]:
        """Return every case, the oldest first."""
        with self._store.reading() as session:
            return [record(row) for row in session.exec(select(CaseRow).order_by(col(CaseRow.case_id)))]

    def of_customer(self, customer_id: str) -> list[CaseRecord]:
        """Return the cases of one customer, the newest first."""
        query = select(CaseRow).where(CaseRow.customer_id == customer_id).order_by(col(CaseRow.case_id).desc())
        with self._store.reading() as session:
            return [record(row) for row in session.exec(query)]

    def one(self, case_id: int) -> CaseRecord:
        """Return a case; raises UnknownName."""
        with self._store.reading() as session:
            return record(_row(session, case_id))

    def of_alert(self, alert_id: str) -> CaseRecord | None:
        """Return the case that an alert has become, if any."""
        with self._store.reading() as session:
            row = session.exec(select(CaseRow).where(CaseRow.alert_id == alert_id)).first()
            return None if row is None else record(row)

    def history(self, case_id: int) -> list[CaseEventRecord]:
        """Return what was done with a case, the oldest first; raises UnknownName."""
        with self._store.reading() as session:
            _row(session, case_id)
            return [_event(row) for row in _events(session, case_id)]

    def outcomes(self) -> list[tuple[str, str, datetime]]:
        """Return kind, outcome and instant of every case that is closed, the oldest first."""
        query = select(CaseRow).where(CaseRow.status == "resolved").order_by(col(CaseRow.closed_at))
        with self._store.reading() as session:
            rows = [(row.kind, row.outcome, row.closed_at) for row in session.exec(query)]
        return [(kind, outcome, at) for kind, outcome, at in rows if outcome is not None and at is not None]

    def mark(self) -> tuple[int, int]:
        """Return two numbers that change with every step of anybody, for whoever remembers answers."""
        with self._store.reading() as session:
            total, newest = session.exec(select(func.count(), func.max(col(CaseEventRow.number)))).one()
            return int(total), int(newest or 0)

    def _enter(self, session: Session, row: CaseRow, step: Step, at: datetime) -> None:
        by = persons.name(self._store.actor)
        session.add(
            CaseEventRow(
                case_id=row.case_id or 0,
                version=row.version,
                act=step.act,
                details=canonical({name: _plain(value) for name, value in step.values.items()}),
                note=step.note,
                by=by,
                at=at,
            )
        )
        told = {"kind": row.kind, "status": row.status, "version": row.version, "severity": row.severity}
        told |= {"assignee": row.assignee, "outcome": row.outcome, "level": row.level}
        if step.note:
            told["note_sha256"] = digest(step.note)
        entry = trail.Entry(actor=by, action=f"case.{step.act}", subject=f"case/{row.case_id}", details=told)
        trail.append(session, at, entry)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value


def record(row: CaseRow) -> CaseRecord:
    """Return a case as it is handed out."""
    return CaseRecord(**{**row.model_dump(), "tags": tuple(json.loads(row.tags))})


def _row(session: Session, case_id: int) -> CaseRow:
    row = session.get(CaseRow, case_id)
    if row is None:
        newest = session.exec(select(CaseRow.case_id).order_by(col(CaseRow.case_id).desc()).limit(5))
        raise UnknownName("case", str(case_id), [str(number) for number in newest])
    return row


def _events(session: Session, case_id: int) -> Sequence[CaseEventRow]:
    query = select(CaseEventRow).where(CaseEventRow.case_id == case_id).order_by(col(CaseEventRow.version))
    return session.exec(query).all()


def _event(row: CaseEventRow) -> CaseEventRecord:
    told = row.model_dump(exclude={"number"})
    return CaseEventRecord(**{**told, "details": json.loads(row.details)})
