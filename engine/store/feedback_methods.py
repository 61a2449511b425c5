"""The store's methods on feedback and suppressions; each change and its audit entry are one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from engine.store import feedback, feedback_batches, journal, live_contacts, suppressions
from engine.store.base import Base, now
from engine.store.feedback import Added, NewFeedback
from engine.store.feedback_batches import Claim, NewBatch
from engine.store.live_contacts import LiveOffer
from engine.store.records import FeedbackBatchRecord, FeedbackRecord, SuppressionRecord
from engine.store.suppressions import Act

Answer = Callable[[Added], Mapping[str, Any]]
"""What a delivery is answered with, once it is known what became of its items."""


class FeedbackMethods(Base):
    """What came back from campaign tools, and whom not to contact any more."""

    def add_feedback(
        self, items: Sequence[NewFeedback], *, batch_id: str | None = None, answer: Answer | None = None
    ) -> Added:
        """Enter events and what they suppress in one transaction, and return what became of each; see `feedback.add`.

        batch_id : the delivery they belong to; with `answer`, which is made of what became of them, it is done in the
            same transaction. Without, it is held on.

        Raises
        ------
        UnknownName
            There is no such delivery.
        """
        with self._write() as session:
            moment = now()
            added = feedback.add(session, items, self.actor, moment)
            if added.first is not None:
                self._note(session, "feedback.received", f"feedback/{added.last}", feedback.audited(items, added))
            if added.suppressed:
                told = {"suppressed": added.suppressed, "feedback": added.last}
                journal.append(session, "suppression_added", "suppressions", told, at=moment)
            if batch_id is not None and answer is not None:
                feedback_batches.finish(session, batch_id, "done", answer(added), moment)
            elif batch_id is not None:
                feedback_batches.hold(session, batch_id, moment)
            return added

    def feedback(self, after: int = 0, limit: int | None = 1_000) -> list[FeedbackRecord]:
        """Return events of feedback in the order in which they were committed, beginning after a number."""
        with self._read() as session:
            return feedback.listed(session, after, limit)

    @contextmanager
    def feedback_columns(
        self, names: Sequence[str], until: int | None = None
    ) -> Iterator[Iterator[Sequence[tuple[Any, ...]]]]:
        """Open the named columns of all events up to a number as blocks of rows, in the order of their numbers."""
        with self._read() as session:
            yield feedback.columns(session, names, until)

    def last_feedback(self) -> int:
        """Return the number of the newest event, 0 when there is none."""
        with self._read() as session:
            return feedback.last_number(session)

    def feedback_tally(self) -> list[dict[str, Any]]:
        """Return counts of events by source and type, with the latest time of receipt."""
        with self._read() as session:
            return feedback.tally(session)

    def live_contacts(self) -> list[LiveOffer]:
        """Return every contact that a live decision made, by decision."""
        with self._read() as session:
            return list(live_contacts.made(session))

    def live_offers(self, decision_ids: Sequence[str]) -> dict[str, LiveOffer]:
        """Return the live decisions of these ids that offered something."""
        with self._read() as session:
            return live_contacts.named(session, decision_ids)

    # Deliveries

    def claim_feedback(self, wanted: NewBatch) -> Claim:
        """Take a delivery of feedback on, or say what became of it; see `feedback_batches.claim`."""
        with self._write() as session:
            return feedback_batches.claim(session, wanted, now())

    def finish_feedback(self, batch_id: str, answer: Mapping[str, Any], *, failed: bool = False) -> None:
        """Keep the answer to a delivery; raises UnknownName."""
        with self._write() as session:
            feedback_batches.finish(session, batch_id, "failed" if failed else "done", answer, now())

    def feedback_batch(self, batch_id: str) -> FeedbackBatchRecord:
        """Return a delivery of feedback; raises UnknownName."""
        with self._read() as session:
            return feedback_batches.one(session, batch_id)

    def feedback_batches(self, limit: int = 20) -> list[FeedbackBatchRecord]:
        """Return deliveries of feedback, the newest first."""
        with self._read() as session:
            return feedback_batches.newest(session, limit)

    def lapsed_feedback(self) -> list[FeedbackBatchRecord]:
        """Return deliveries of feedback that somebody began and works on no more, the oldest first."""
        with self._read() as session:
            return feedback_batches.lapsed(session, now())

    # Suppressions

    def suppressions(self, since: datetime | None = None, customer_id: str | None = None) -> list[SuppressionRecord]:
        """Return who may not be contacted on what, of one customer or of all; see `suppressions.standing`."""
        with self._read() as session:
            return suppressions.standing(session, since, customer_id)

    def suppress(self, customer_id: str, channel: str | None, note: str) -> None:
        """Enter the actor's own cause not to contact a customer; raises RefusedByPolicy without actor or reason."""
        with self._write() as session:
            act = Act(customer_id=customer_id, channel=channel, by=self.actor, note=note, at=now())
            number = suppressions.suppress(session, act)
            self._note(session, "suppression.added", f"suppression/{number}", suppressions.audited(act, [number]))
            journal.append(session, "suppression_added", "suppressions", {"suppressed": 1}, at=act.at)

    def lift_suppression(self, customer_id: str, channel: str | None, note: str) -> int:
        """Lift, as the actor, all causes on a channel and return how many; raises RefusedByPolicy, see `lift`."""
        with self._write() as session:
            act = Act(customer_id=customer_id, channel=channel, by=self.actor, note=note, at=now())
            numbers = suppressions.lift(session, act)
            details = suppressions.audited(act, numbers)
            self._note(session, "suppression.lifted", f"suppression/{numbers[0]}", details)
            return len(numbers)
