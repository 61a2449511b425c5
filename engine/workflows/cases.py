"""Work on alerts and cases: open, assign, put off, escalate, close; one step at a time, each of them audited."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pandas as pd

from engine.config.cases import CaseSettings
from engine.domain.access import Right, Viewer
from engine.domain.errors import RefusedByPolicy, UnknownName, WaylineError
from engine.lake.runs import latest_run
from engine.lake.workspace import Workspace
from engine.store import CaseRecord, Cases, Comments, NewCase, Step, Store, persons
from engine.workflows import session
from engine.workflows.view import cases as view
from engine.workflows.view.cases import Asked, Detail

OUTCOMES: Final = ("confirmed_risk", "valuable_alert", "false_positive")
LEVELS: Final = ("probable_false_positive", "investigate", "escalate")
BY_HAND: Final = ("pending", "investigating", "waiting_for_action")
"""Statuses that a person sets; the others come with a step of their own."""
_OF_QUERY: Final = ("total", "me", "seen_from")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A case as somebody saw it: the id of its alert or its number, and the version; None where none was looked at."""

    ref: str
    version: int | None = None


def listed(home: Path, viewer: Viewer, asked: Asked) -> dict[str, Any]:
    """Return the newest run's inbox for a viewer: how many there are, and the most urgent; raises NotAllowed."""
    workspace = session.workspace_at(home)
    total, rows = view.inbox(workspace, latest_run(workspace), viewer, asked)
    return {"view": asked.view, "total": total, "items": [_plain(row) for row in rows.to_dict("records")]}


def shown(home: Path, viewer: Viewer, ref: str) -> dict[str, Any]:
    """Return an alert or a case with its history and comments; raises NotAllowed, UnknownName."""
    workspace = session.workspace_at(home)
    found = view.detail(workspace, latest_run(workspace), viewer, _alert_of(workspace, ref))
    return {
        **_plain(found.item),
        "still_raised": found.still_raised,
        "hits": [one for one in found.hits if one["hit"]],
        "history": [asdict(one) for one in found.history],
        "comments": [asdict(one) for one in found.comments],
    }


def begin(home: Path, viewer: Viewer, alert_id: str) -> CaseRecord:
    """Make an alert a case; one that it is already is returned. Raises NotAllowed, UnknownName."""
    with _desk(home, viewer) as desk:
        return desk.case(Seen(ref=alert_id))


def assign(home: Path, viewer: Viewer, seen: Seen, to: str | None) -> CaseRecord:
    """Give a case to a person, or to nobody; what was pending is then being investigated."""
    name = None if to is None else persons.name(to)
    if name == "":
        raise RefusedByPolicy("A case is given to a person. Give a name.")
    with _desk(home, viewer) as desk:
        case = desk.case(seen)
        moved = {"status": "investigating"} if name is not None and case.status == "pending" else {}
        return desk.take(case, seen, Step(act="assigned", values={"assignee": name, **moved}))


def move(home: Path, viewer: Viewer, seen: Seen, status: str) -> CaseRecord:
    """Set the status of a case; raises UnknownName for one that comes with another step."""
    if status not in BY_HAND:
        raise UnknownName("status", status, BY_HAND)
    with _desk(home, viewer) as desk:
        values = {"status": status, "snoozed_until": None}
        return desk.take(desk.case(seen), seen, Step(act="moved", values=values))


def tag(home: Path, viewer: Viewer, seen: Seen, tags: Sequence[str]) -> CaseRecord:
    """Set the tags of a case: single words; raises RefusedByPolicy for one with a space."""
    words = tuple(dict.fromkeys(one.strip().lower() for one in tags if one.strip()))
    if any(len(one.split()) > 1 or len(one) > 40 for one in words):
        raise RefusedByPolicy("A tag is one word of at most 40 letters. Join words with a hyphen.")
    with _desk(home, viewer) as desk:
        return desk.take(desk.case(seen), seen, Step(act="tagged", values={"tags": words}))


def comment(home: Path, viewer: Viewer, ref: str, text: str) -> dict[str, Any]:
    """Comment on a case, which an alert becomes by it; raises NotAllowed, UnknownName, RefusedByPolicy."""
    viewer.require(Right.COMMENT)
    with _desk(home, viewer) as desk:
        case = desk.case(Seen(ref=ref))
        return asdict(Comments(desk.store).add("case", str(case.case_id), text))


def snooze(home: Path, viewer: Viewer, seen: Seen, until: datetime, note: str) -> CaseRecord:
    """Put a case off until an instant; it comes back by itself.

    Raises
    ------
    RefusedByPolicy
        Nothing says why, the instant is not ahead, or further ahead than [cases] max_snooze_days.
    """
    _needs_note(note, "Putting a case off")
    with _desk(home, viewer) as desk:
        now, most = datetime.now(UTC), desk.settings.max_snooze_days
        if not now < until <= now + timedelta(days=most):
            raise RefusedByPolicy(
                f"A case can be put off until a day after today and within {most} days, not until {until:%Y-%m-%d}. "
                "The longest time is max_snooze_days under [cases]."
            )
        values = {"status": "snoozed", "snoozed_until": until.astimezone(UTC)}
        return desk.take(desk.case(seen), seen, Step(act="snoozed", values=values, note=note.strip()))


def escalate(home: Path, viewer: Viewer, seen: Seen, level: str, note: str) -> CaseRecord:
    """Set the review level of a case and say why; raises UnknownName, RefusedByPolicy."""
    if level not in LEVELS:
        raise UnknownName("review level", level, LEVELS)
    _needs_note(note, "A review level")
    with _desk(home, viewer) as desk:
        return desk.take(desk.case(seen), seen, Step(act="escalated", values={"level": level}, note=note.strip()))


def close(home: Path, viewer: Viewer, seen: Seen, outcome: str, note: str) -> CaseRecord:
    """Close a case with what came of it; raises UnknownName, RefusedByPolicy."""
    if outcome not in OUTCOMES:
        raise UnknownName("outcome", outcome, OUTCOMES)
    _needs_note(note, "Closing a case")
    with _desk(home, viewer) as desk:
        values = {"status": "resolved", "outcome": outcome, "snoozed_until": None}
        return desk.take(desk.case(seen), seen, Step(act="closed", values=values, note=note.strip()))


def reopen(home: Path, viewer: Viewer, seen: Seen, note: str) -> CaseRecord:
    """Open a closed case again; its time begins anew. Raises RefusedByPolicy where it is open."""
    _needs_note(note, "Opening a case again")
    with _desk(home, viewer) as desk:
        case = desk.case(seen)
        if case.status != "resolved":
            raise RefusedByPolicy(f"Case {case.case_id} is open.")
        values = {
            "status": "pending" if case.assignee is None else "investigating",
            "outcome": None,
            "closed_by": None,
            "closed_at": None,
            "due_at": view.due(datetime.now(UTC), case.severity, desk.settings),
        }
        return desk.take(case, seen, Step(act="reopened", values=values, note=note.strip()))


def bulk(seen: Sequence[Seen], act: Callable[[Seen], object]) -> tuple[int, list[str]]:
    """Do the same with several cases, each by itself; return how many were done, and why the others were not."""
    refused = []
    for one in seen:
        try:
            act(one)
        except WaylineError as fault:
            refused.append(fault.sentence)
    return len(seen) - len(refused), refused


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    """An opened store, and for whom."""

    workspace: Workspace
    store: Store
    settings: CaseSettings
    viewer: Viewer

    def case(self, seen: Seen) -> CaseRecord:
        """Return the case that is meant; an alert becomes one."""
        alert_id = seen.ref
        if alert_id.isdigit():
            return Cases(self.store).one(int(alert_id))
        known = Cases(self.store).of_alert(alert_id)
        if known is not None:
            return known
        run = latest_run(self.workspace)
        found = view.detail(self.workspace, run, self.viewer, alert_id)
        return Cases(self.store).open(_new(found, run.run_id))

    def take(self, case: CaseRecord, seen: Seen, step: Step) -> CaseRecord:
        """Do a step; what was seen as an alert without a case (version 0) is meant as it was opened just now."""
        version = seen.version if seen.version is not None else case.version
        return Cases(self.store).take(case.case_id, max(version, 1), step)


@contextmanager
def _desk(home: Path, viewer: Viewer) -> Iterator[_Desk]:
    viewer.require(Right.SEE_CASES, Right.WORK_CASES)
    if not viewer.name.strip():
        raise RefusedByPolicy("Work on a case needs the name of a person. Give it with --by.")
    workspace = session.workspace_at(home)
    workspace.report()
    settings = session.settings(workspace, CaseSettings, "cases")
    with Store(session.database_url(workspace), actor=viewer.name) as store:
        yield _Desk(workspace=workspace, store=store, settings=settings, viewer=viewer)


def _new(found: Detail, run_id: str) -> NewCase:
    """Make a case of an alert: the time that was left stays left, and who is late stays late."""
    item = found.item
    return NewCase(
        alert_id=item["alert_id"],
        kind=item["kind"],
        severity=item["severity"],
        customer_id=item["customer_id"],
        text_en=item["text_en"],
        text_zh=item["text_zh"],
        run_id=run_id,
        raised_at=item["since"].to_pydatetime().replace(tzinfo=UTC),
        due_at=datetime.now(UTC) + (item["due_at"] - item["seen_from"]).to_pytimedelta(),
    )


def _alert_of(workspace: Workspace, ref: str) -> str:
    if not ref.isdigit():
        return ref
    with Store(session.database_url(workspace)) as store:
        return Cases(store).one(int(ref)).alert_id


def _needs_note(note: str, what: str) -> None:
    if not note.strip():
        raise RefusedByPolicy(f"{what} needs a note that says why, for whoever looks at it next.")


def _plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a row without what is only there for its query, empty values as None."""
    kept = {str(name): None if pd.isna(value) else value for name, value in row.items() if name not in _OF_QUERY}
    return {
        name: value.to_pydatetime().replace(tzinfo=UTC) if isinstance(value, pd.Timestamp) else value
        for name, value in kept.items()
    }
