"""The store's methods on schedules and alerts; each change and its audit entry are one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from engine.numerics.chain import canonical, digest
from engine.store import schedules
from engine.store.base import Base, now
from engine.store.records import AlertRecord, ScheduleRecord, TurnRecord
from engine.store.schedules import Due, NewSchedule


class ScheduleMethods(Base):
    """What is made at set times, what came of it, and what somebody should look at."""

    def add_schedule(self, wanted: NewSchedule) -> ScheduleRecord:
        """Enter a schedule of the actor's; raises RefusedByPolicy where one of that name is in force."""
        with self._write() as session:
            made = schedules.add(session, wanted, self.actor, now())
            details = {"job": made.job, "cron": made.cron, "arguments": digest(canonical(made.arguments))}
            self._note(session, "schedule.added", made.name, details)
            return made

    def remove_schedule(self, name: str) -> ScheduleRecord:
        """Take a schedule out of force; raises UnknownName."""
        with self._write() as session:
            gone = schedules.remove(session, name, self.actor, now())
            self._note(session, "schedule.removed", name, {"job": gone.job, "cron": gone.cron})
            return gone

    def schedules(self) -> list[ScheduleRecord]:
        """Return the schedules that are in force, by name."""
        with self._read() as session:
            return schedules.in_force(session)

    def claim_turn(self, due: Due) -> TurnRecord | None:
        """Take a time on at which a schedule is due, or return None; see `schedules.claim`."""
        with self._write() as session:
            return schedules.claim(session, due, now())

    def hold_turn(self, number: int, worker: str, hold: timedelta) -> bool:
        """Show a sign of life; False where somebody else has taken over."""
        with self._write() as session:
            return schedules.hold(session, number, worker, now() + hold)

    def end_turn(
        self, name: str, number: int, status: str, result: Mapping[str, Any], again_at: datetime | None = None
    ) -> TurnRecord:
        """Enter how a time of a schedule ended, audited; raises UnknownName."""
        with self._write() as session:
            ended = schedules.finish(session, number, status, result, again_at or now())
            details = {"due_at": ended.due_at.isoformat(), "attempt": ended.attempts, "missed": ended.missed}
            self._note(session, f"schedule.{status}", name, details)
            return ended

    def open_turns(self) -> list[TurnRecord]:
        """Return the times that are being made, or are to be tried again."""
        with self._read() as session:
            return schedules.open_turns(session)

    def last_turns(self) -> dict[int, TurnRecord]:
        """Return the newest time of each schedule, by the schedule's number."""
        with self._read() as session:
            return schedules.last_turns(session)

    def turns(self, limit: int = 50) -> list[TurnRecord]:
        """Return times that were due, the newest first."""
        with self._read() as session:
            return schedules.turns(session, limit)

    # Alerts

    def add_alert(self, subject: str, sentence: str) -> AlertRecord:
        """Enter a failure that somebody should look at; the sentence holds no personal data."""
        with self._write() as session:
            made = schedules.alert(session, subject, sentence, now())
            self._note(session, "alert.raised", subject, {"alert": made.number})
            return made

    def told_of_alert(self, number: int, how: str) -> None:
        """Enter how telling somebody outside of an alert went."""
        with self._write() as session:
            schedules.told(session, number, how)

    def alerts(self) -> list[AlertRecord]:
        """Return the failures that nobody has looked at, the newest first."""
        with self._read() as session:
            return schedules.alerts(session)

    def see_alerts(self) -> int:
        """Enter that the actor has looked at all alerts, and return how many; raises RefusedByPolicy without a name."""
        with self._write() as session:
            count = schedules.seen(session, self.actor, now())
            self._note(session, "alert.seen", "alerts", {"alerts": count})
            return count
