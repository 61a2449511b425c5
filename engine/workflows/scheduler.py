"""The scheduler: makes what is due, one at a time, once each, whatever is killed on the way.

A time that is due is claimed in the database before its job begins. While the job runs its claim is renewed; where the
process dies the claim lapses, and whoever looks next makes the same time again. Times that were missed while nobody
looked are made as one, the newest. Jobs take the workspace's own lock as they do by hand.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from engine.config.bank import BankSettings
from engine.config.schedule import ScheduleSettings
from engine.domain.errors import RefusedByPolicy, WaylineError
from engine.store import Due, ScheduleRecord, Store, TurnRecord
from engine.workflows import schedule_alerts, schedule_jobs, schedule_times, session

LOG: Final = logging.getLogger("wayline.schedule")

_LOOK: Final = "look"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """One time that was made: status is "done", "failed" for good, or "retrying"."""

    schedule: str
    due_at: datetime
    status: str
    missed: int
    attempts: int
    result: dict[str, Any]


@dataclass(slots=True)
class Scheduler:
    """Makes what is due in one workspace; several may run, on one machine or more, and still nothing is made twice."""

    home: Path
    store: Store
    settings: ScheduleSettings
    zone: str
    worker: str = field(default_factory=lambda: f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}")
    _ends: threading.Event = field(default_factory=threading.Event)
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def make_due(self) -> list[Made]:
        """Make all that is due now, the time due first first, and return what came of each."""
        made: list[Made] = []
        with self._one_at_a_time:
            while not self._ends.is_set() and (claimed := self._claimed()) is not None:
                made.append(self._make(*claimed))
        return made

    def run_forever(self, stop: threading.Event) -> bool:
        """Make what becomes due until told to stop; return whether what was being made ended within the grace."""
        clock = BackgroundScheduler(
            timezone=self.zone,
            executors={"default": ThreadPoolExecutor(1)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        # triggers wake us to the second; looking now and then finds retries, dead workers and new schedules
        clock.add_job(self._look, "interval", [clock], seconds=self.settings.look_seconds, id=_LOOK)
        clock.start()
        self._look(clock)
        stop.wait()
        self._ends.set()
        clock.shutdown(wait=False)
        ended = self._one_at_a_time.acquire(timeout=self.settings.grace_seconds)
        if not ended:
            LOG.warning("a job did not end within %s s; the next scheduler makes it again", self.settings.grace_seconds)
        return ended

    def _look(self, clock: BackgroundScheduler) -> None:
        try:
            wanted = {f"schedule/{one.number}": one for one in self.store.schedules()}
            known = {job.id for job in clock.get_jobs()} - {_LOOK}
            for gone in known - wanted.keys():
                clock.remove_job(gone)
            for name in wanted.keys() - known:
                clock.add_job(self._due, schedule_times.trigger(wanted[name].cron, self.zone), id=name)
        except WaylineError as fault:
            LOG.error("schedules cannot be read: %s", fault.sentence)
            return
        self._due()

    def _due(self) -> None:
        if self._one_at_a_time.locked():
            return  # whoever holds it looks again before letting go
        try:
            self.make_due()
        except WaylineError as fault:
            LOG.error("what is due cannot be made: %s", fault.sentence)

    # What is due

    def _claimed(self) -> tuple[ScheduleRecord, TurnRecord] | None:
        """Return the first time that is due and not anybody else's, claimed; None where nothing is."""
        for one, due in self._candidates():
            turn = self.store.claim_turn(due)
            if turn is not None:
                return one, turn
        return None

    def _candidates(self) -> list[tuple[ScheduleRecord, Due]]:
        now, in_force = datetime.now(UTC), {one.number: one for one in self.store.schedules()}
        open_turns = self.store.open_turns()
        found = [
            (in_force[turn.schedule], self._wanted(turn.schedule, turn.due_at, turn.missed))
            for turn in open_turns
            if turn.schedule in in_force and turn.held_until <= now
        ]
        waiting = {turn.schedule for turn in open_turns}
        last = self.store.last_turns()
        for number, one in in_force.items():
            # until a time has ended for good, the next one of the same schedule waits
            if number in waiting:
                continue
            since = max(
                one.added_at,
                last[number].due_at if number in last else one.added_at,
                now - timedelta(hours=self.settings.late_hours),
            )
            due = schedule_times.last_due(schedule_times.trigger(one.cron, self.zone), since, now)
            if due is not None:
                found.append((one, self._wanted(number, *due)))
        return sorted(found, key=lambda pair: (pair[1].due_at, pair[0].name))

    def _wanted(self, schedule: int, due_at: datetime, missed: int) -> Due:
        return Due(schedule=schedule, due_at=due_at, missed=missed, worker=self.worker, hold=self._hold)

    @property
    def _hold(self) -> timedelta:
        return timedelta(seconds=self.settings.hold_seconds)

    # Making one

    def _make(self, one: ScheduleRecord, turn: TurnRecord) -> Made:
        LOG.info("%s: %s due at %s, try %s", one.name, one.job, turn.due_at.isoformat(), turn.attempts)
        with self._held(turn):
            try:
                result = schedule_jobs.make(self.home, one.job, one.arguments)
            except RefusedByPolicy as fault:
                # the same again is refused again: a person has to do something first
                return self._failed(one, turn, fault.sentence, may_retry=False)
            except WaylineError as fault:
                return self._failed(one, turn, fault.sentence)
            except Exception as fault:
                # a message may quote a value: only the kind is kept
                return self._failed(one, turn, f"Something unforeseen went wrong ({type(fault).__name__}).")
        return self._ended(one, turn, "done", result)

    def _failed(self, one: ScheduleRecord, turn: TurnRecord, sentence: str, *, may_retry: bool = True) -> Made:
        if may_retry and turn.attempts <= self.settings.retries:
            wait = self.settings.retry_seconds * 2 ** (turn.attempts - 1)
            LOG.warning("%s failed and is tried again in %s s: %s", one.name, wait, sentence)
            return self._ended(one, turn, "retrying", {"error": sentence}, datetime.now(UTC) + timedelta(seconds=wait))
        LOG.error("%s failed: %s", one.name, sentence)
        made = self._ended(one, turn, "failed", {"error": sentence})
        schedule_alerts.raise_one(self.store, self.settings, f"schedule/{one.name}", sentence)
        return made

    def _ended(
        self,
        one: ScheduleRecord,
        turn: TurnRecord,
        status: str,
        result: dict[str, Any],
        again_at: datetime | None = None,
    ) -> Made:
        self.store.end_turn(one.name, turn.number, status, result, again_at)
        return Made(
            schedule=one.name,
            due_at=turn.due_at,
            status=status,
            missed=turn.missed,
            attempts=turn.attempts,
            result=result,
        )

    @contextmanager
    def _held(self, turn: TurnRecord) -> Iterator[None]:
        """Renew a claim three times as often as it lapses, for as long as the block takes."""
        over = threading.Event()

        def renew() -> None:
            while not over.wait(self.settings.hold_seconds / 3):
                try:
                    self.store.hold_turn(turn.number, self.worker, self._hold)
                except WaylineError as fault:
                    LOG.warning("a claim could not be renewed: %s", fault.sentence)

        thread = threading.Thread(target=renew, name="schedule-hold", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


@contextmanager
def opened(home: Path) -> Iterator[Scheduler]:
    """Open the scheduler of a workspace.

    Raises
    ------
    StoreUnavailable, SettingsFault
    """
    workspace = session.workspace_at(home)
    settings = session.settings(workspace, ScheduleSettings, "schedule")
    zone = session.settings(workspace, BankSettings, "bank").time_zone
    workspace.home.mkdir(parents=True, exist_ok=True)
    with Store(session.database_url(workspace), actor="schedule") as store:
        store.upgrade()
        yield Scheduler(home=workspace.home, store=store, settings=settings, zone=zone)
