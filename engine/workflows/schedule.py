"""What is made at set times: added and removed by a person, and how it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.config.bank import BankSettings
from engine.domain.errors import RefusedByPolicy
from engine.store import NewSchedule, ScheduleRecord, Store, TurnRecord
from engine.workflows import schedule_jobs, schedule_times, session


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What somebody wants at set times: a job of `schedule_jobs.JOBS` with what it needs to know, and when."""

    name: str
    cron: str
    job: str
    by: str
    arguments: Mapping[str, str | None] = field(default_factory=dict)


def add(home: Path, wanted: Planned) -> dict[str, Any]:
    """Schedule a job; it is due the first time after now. Returns the schedule with its next time.

    Raises
    ------
    SettingsFault
        The cron expression is none, or an argument of the job is missing or too many.
    UnknownName
        There is no such job, preset or audience.
    RefusedByPolicy
        Nobody says who wants it, or there is a schedule of that name.
    """
    if not wanted.by.strip() or not wanted.name.strip():
        raise RefusedByPolicy("A schedule needs a name, and somebody who answers for it. Give one with --by.")
    workspace = session.workspace_at(home)
    zone = session.settings(workspace, BankSettings, "bank").time_zone
    schedule_times.trigger(wanted.cron, zone)
    kept = schedule_jobs.checked(home, wanted.job, wanted.arguments)
    workspace.home.mkdir(parents=True, exist_ok=True)
    with Store(session.database_url(workspace), actor=wanted.by) as store:
        made = store.add_schedule(
            NewSchedule(name=wanted.name.strip(), job=wanted.job, cron=wanted.cron, arguments=kept)
        )
    return _shown(made, zone, None)


def remove(home: Path, name: str, by: str) -> dict[str, Any]:
    """Take a schedule out of force; what is being made of it goes on. Raises UnknownName, RefusedByPolicy."""
    if not by.strip():
        raise RefusedByPolicy("Somebody must answer for it. Give a name with --by.")
    with Store(session.database_url(session.workspace_at(home)), actor=by) as store:
        return asdict(store.remove_schedule(name))


def listed(home: Path) -> list[dict[str, Any]]:
    """Return the schedules in force, by name, each with its next time and what came of the last; none makes none."""
    workspace = session.workspace_at(home)
    if not session.has_register(workspace):
        return []
    zone = session.settings(workspace, BankSettings, "bank").time_zone
    with Store(session.database_url(workspace)) as store:
        last = store.last_turns()
        return [_shown(one, zone, last.get(one.number)) for one in store.schedules()]


def status(home: Path) -> dict[str, Any]:
    """Return the schedules, the newest times with what came of them, and the alerts that nobody has looked at."""
    workspace = session.workspace_at(home)
    if not session.has_register(workspace):
        return {"schedules": [], "turns": [], "alerts": []}
    shown = listed(home)
    with Store(session.database_url(workspace)) as store:
        names = {one.number: one.name for one in store.schedules()}
        turns = [{"schedule": names.get(one.schedule, "removed"), **_turn(one)} for one in store.turns(limit=20)]
        return {"schedules": shown, "turns": turns, "alerts": [asdict(one) for one in store.alerts()]}


def acknowledge(home: Path, by: str) -> int:
    """Enter that a person has looked at all alerts, and return how many; raises RefusedByPolicy without a name."""
    with Store(session.database_url(session.workspace_at(home)), actor=by) as store:
        return store.see_alerts()


def _shown(one: ScheduleRecord, zone: str, last: TurnRecord | None) -> dict[str, Any]:
    due = schedule_times.next_due(schedule_times.trigger(one.cron, zone), datetime.now(UTC))
    return {
        "name": one.name,
        "job": one.job,
        "cron": one.cron,
        "time_zone": zone,
        "arguments": dict(one.arguments),
        "by": one.added_by,
        "next_at": due,
        "last": None if last is None else _turn(last),
    }


def _turn(one: TurnRecord) -> dict[str, Any]:
    names = ("due_at", "missed", "status", "attempts", "started_at", "finished_at", "result")
    return {name: getattr(one, name) for name in names}
