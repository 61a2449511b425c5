"""Feedback of campaign tools in its tables: each event once, for ever, and what it suppresses in the same transaction.

In whatever order and however often the same events come, the tables end the same but for numbers and times of receipt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from sqlalchemy import func, insert
from sqlmodel import Session, col, select

from engine.numerics.chain import canonical, digest
from engine.store import suppressions
from engine.store.records import FeedbackRecord
from engine.store.tables import FeedbackRow

Outcome = Literal["accepted", "duplicate", "conflict"]
_CHUNK: Final = 1_000  # event ids in one query; SQLite takes up to 32,766


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFeedback:
    """One thing that a campaign tool reports, in our words; instants are aware, amounts in minor units.

    type : of `FEEDBACK_TYPES`. channel : of `CONTACT_CHANNELS`, None when nobody knows.
    recommendation_id : the id that an export carried. decision_id : the id of a decision made live.
    machine_open : opened by a mail programme, not by a person. bounce : "hard" or "soft".
    source : the preset of the tool that delivered it; it is no part of what was reported.
    """

    event_id: str
    type: str
    customer_id: str
    occurred_at: datetime
    channel: str | None = None
    run_id: str | None = None
    recommendation_id: str | None = None
    decision_id: str | None = None
    product_id: str | None = None
    audience_id: str | None = None
    value_minor: int | None = None
    currency: str | None = None
    message_id: str | None = None
    machine_open: bool = False
    bounce: str | None = None
    source: str = "generic"

    def content_hash(self) -> str:
        """Return the hash of what was reported: equal for the same event, whoever delivers it."""
        told = self.facts() | {"occurred_at": self.occurred_at.astimezone(UTC).isoformat(timespec="microseconds")}
        del told["source"]
        return digest(canonical(told))

    def facts(self) -> dict[str, Any]:
        """Return all of it by name; millions of events need no copies of texts."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What became of each item, in their order, and the numbers that were given; None when nothing was new."""

    outcomes: tuple[Outcome, ...]
    first: int | None
    last: int | None
    suppressed: int

    def count(self, outcome: Outcome) -> int:
        """Return how many items ended so."""
        return self.outcomes.count(outcome)


def add(session: Session, items: Sequence[NewFeedback], by: str, now: datetime) -> Added:
    """Enter what is new; the caller's transaction holds the turn, so that nobody enters the same beside it.

    An event that is there with the same content is a duplicate; with another one it is a conflict, and the first stays.
    """
    hashes = [item.content_hash() for item in items]
    known = dict(_known(session, {item.event_id for item in items}))
    outcomes: list[Outcome] = []
    rows: list[dict[str, Any]] = []
    number = _last(session)
    for item, content_hash in zip(items, hashes, strict=True):
        if item.event_id in known:
            outcomes.append("duplicate" if known[item.event_id] == content_hash else "conflict")
            continue
        known[item.event_id] = content_hash
        number += 1
        rows.append(_row(item, number, by, now, content_hash))
        outcomes.append("accepted")
    if rows:
        session.execute(insert(FeedbackRow), rows)
    suppressed = suppressions.of_feedback(session, rows, by, now)
    return Added(
        outcomes=tuple(outcomes),
        first=rows[0]["number"] if rows else None,
        last=rows[-1]["number"] if rows else None,
        suppressed=suppressed,
    )


def audited(items: Sequence[NewFeedback], added: Added) -> Mapping[str, Any]:
    """Return what the audit log keeps: counts, numbers, and one hash over the ids of what was accepted."""
    ids = [item.event_id for item, one in zip(items, added.outcomes, strict=True) if one == "accepted"]
    return {
        "source": ", ".join(sorted({item.source for item in items})),
        "accepted": added.count("accepted"),
        "duplicate": added.count("duplicate"),
        "conflict": added.count("conflict"),
        "suppressed": added.suppressed,
        "first": added.first,
        "last": added.last,
        "event_ids_sha256": digest("\n".join(ids)),
    }


def listed(session: Session, after: int, limit: int | None) -> list[FeedbackRecord]:
    """Return events in the order of their numbers, beginning after one."""
    query = select(FeedbackRow).where(FeedbackRow.number > after).order_by(col(FeedbackRow.number)).limit(limit)
    return [FeedbackRecord(**row.model_dump()) for row in session.exec(query)]


def columns(session: Session, names: Sequence[str], until: int | None = None) -> Iterator[Sequence[tuple[Any, ...]]]:
    """Return the named columns of all events up to a number, in the order of their numbers, block by block."""
    table = FeedbackRow.__table__  # type: ignore[attr-defined]
    query = select(*(table.c[name] for name in names)).order_by(table.c.number)
    if until is not None:
        query = query.where(table.c.number <= until)
    found = session.connection().execution_options(yield_per=10_000).execute(query)
    for block in found.partitions():
        yield [tuple(row) for row in block]


def last_number(session: Session) -> int:
    """Return the number of the newest event, 0 when there is none."""
    return _last(session)


def tally(session: Session) -> list[dict[str, Any]]:
    """Return counts by source and type with the latest time of receipt."""
    query = (
        select(FeedbackRow.source, FeedbackRow.type, func.count(), func.max(col(FeedbackRow.received_at)))
        .group_by(col(FeedbackRow.source), col(FeedbackRow.type))
        .order_by(col(FeedbackRow.source), col(FeedbackRow.type))
    )
    return [
        {"source": source, "type": kind, "events": events, "received_at": latest}
        for source, kind, events, latest in session.exec(query)
    ]


def _known(session: Session, event_ids: set[str]) -> Iterable[tuple[str, str]]:
    ids = sorted(event_ids)
    for start in range(0, len(ids), _CHUNK):
        query = select(FeedbackRow.event_id, FeedbackRow.content_hash).where(
            col(FeedbackRow.event_id).in_(ids[start : start + _CHUNK])
        )
        yield from session.exec(query)


def _last(session: Session) -> int:
    return session.exec(select(func.max(FeedbackRow.number))).one() or 0


def _row(item: NewFeedback, number: int, by: str, now: datetime, content_hash: str) -> dict[str, Any]:
    extra = {"number": number, "received_at": now, "received_by": by, "content_hash": content_hash}
    return {**item.facts(), **extra}
