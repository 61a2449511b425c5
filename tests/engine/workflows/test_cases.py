"""Alerts are the same fact in every run; a case is worked on by those who may, and all that was done stays."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from engine.domain.access import Role, Viewer
from engine.domain.errors import ChangedMeanwhile, NotAllowed, RefusedByPolicy, UnknownName
from engine.lake.runs import Run
from engine.store import Cases, Store
from engine.workflows import cases, comments, session
from engine.workflows.cases import Seen
from engine.workflows.view import cases as view
from engine.workflows.view.cases import Asked
from engine.workflows.view.desk import newest
from tests.engine.ui import bank

ANN = Viewer(name="ann", role=Role.RISK)
BOB = Viewer(name="bob", role=Role.RISK)
MARKETER = Viewer(name="mia", role=Role.MARKETING)
NEXT_WEEK = datetime.now(UTC) + timedelta(days=7)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("cases")
    bank.make(home)
    return home


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def home(request: pytest.FixtureRequest, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    address = f"sqlite:///{tmp_path}/wayline.db"
    if request.param == "postgresql":
        address = request.getfixturevalue("postgres_address")
    monkeypatch.setenv("WAYLINE_DATABASE_URL", address)
    return made


def alert(home: Path, kind: str = "watch_list", place: int = 0) -> str:
    _, rows = view.inbox(*newest(home), ANN, Asked(kind=kind))
    return str(rows["alert_id"].iloc[place])


def test_every_customer_on_the_watch_list_is_one_alert_and_none_is_there_twice(home: Path) -> None:
    workspace, run = newest(home)
    total, rows = view.inbox(workspace, run, ANN, Asked(kind="watch_list", limit=1_000))
    watched = run.read("risk_watch_list", where={"status": "watched"}).to_pandas()
    assert total == len(watched) == rows["alert_id"].nunique()
    assert set(rows["customer_id"]) == set(watched["customer_id"])


def test_the_same_fact_is_the_same_alert_in_another_run(home: Path, tmp_path: Path) -> None:
    again: Run = bank.make(tmp_path / "again")
    one, other = (
        set(view.inbox(workspace, run, ANN, Asked(limit=10_000))[1]["alert_id"])
        for workspace, run in (newest(home), (newest(tmp_path / "again")[0], again))
    )
    assert one
    assert one == other


def test_an_alert_becomes_one_case_that_keeps_its_place_in_the_inbox(home: Path) -> None:
    workspace, run = newest(home)
    before = view.counts(view.summary(workspace, run, ANN))
    ref = alert(home)
    first, second = cases.begin(home, ANN, ref), cases.begin(home, BOB, ref)
    assert first == second
    after = view.counts(view.summary(workspace, run, ANN))
    same = ("inbox", "unassigned", "late")  # who is late stays late: the time that was left is carried over
    assert [after[name] for name in same] == [before[name] for name in same]
    assert before["late"] > 0


def test_a_case_lives_from_assignment_to_an_outcome_that_counts(home: Path) -> None:
    workspace, run = newest(home)
    one = alert(home)
    mine = cases.assign(home, ANN, Seen(ref=one, version=0), "ann")
    assert (mine.status, mine.assignee) == ("investigating", "ann")
    assert view.counts(view.summary(workspace, run, ANN))["mine"] == 1
    put_off = cases.snooze(home, ANN, Seen(ref=one, version=mine.version), NEXT_WEEK, "salary comes")
    assert view.counts(view.summary(workspace, run, ANN))["mine"] == 0
    raised = cases.escalate(home, ANN, Seen(ref=one, version=put_off.version), "escalate", "two lenders")
    closed = cases.close(home, BOB, Seen(ref=one, version=raised.version), "false_positive", "another's")
    assert (closed.status, closed.outcome, closed.closed_by) == ("resolved", "false_positive", "bob")
    assert view.outcomes(workspace, ANN)[["closed", "false_positives"]].to_numpy().tolist() == [[1, 1]]
    assert [one.act for one in view.detail(workspace, run, ANN, one).history] == [
        "opened", "assigned", "snoozed", "escalated", "closed",
    ]  # fmt: skip
    again = cases.reopen(home, ANN, Seen(ref=one), "it came back")
    assert (again.status, again.outcome, again.closed_at) == ("investigating", None, None)


def test_what_was_put_off_comes_back_by_itself(home: Path) -> None:
    workspace, run = newest(home)
    case = cases.assign(home, ANN, Seen(ref=alert(home)), "ann")
    soon = datetime.now(UTC) + timedelta(milliseconds=200)
    cases.snooze(home, ANN, Seen(ref=str(case.case_id)), soon, "a moment")
    threading.Event().wait(0.3)
    _, rows = view.inbox(workspace, run, ANN, Asked(view="mine"))
    assert rows["status"].tolist() == ["investigating"]


def test_of_two_persons_at_once_the_second_is_told_and_nothing_of_the_first_is_lost(home: Path) -> None:
    seen = Seen(ref=alert(home), version=0)
    cases.begin(home, ANN, seen.ref)
    told: list[object] = []

    def take(viewer: Viewer) -> None:
        try:
            told.append(cases.assign(home, viewer, seen, viewer.name))
        except ChangedMeanwhile as fault:
            told.append(fault)

    both = [threading.Thread(target=take, args=(viewer,)) for viewer in (ANN, BOB)]
    for one in both:
        one.start()
    for one in both:
        one.join(timeout=30)
    refused = [one for one in told if isinstance(one, ChangedMeanwhile)]
    assert len(told) == 2
    assert len(refused) == 1
    with Store(session.database_url(newest(home)[0])) as store:
        kept = Cases(store).of_alert(seen.ref)
    assert kept is not None
    assert kept.assignee == refused[0].by


def test_a_case_changes_neither_closed_nor_without_a_reason(home: Path) -> None:
    ref = alert(home)
    cases.close(home, ANN, Seen(ref=ref), "confirmed_risk", "sure")
    with pytest.raises(RefusedByPolicy, match="Open it again"):
        cases.assign(home, BOB, Seen(ref=ref), "bob")
    other = alert(home)
    for days, note, said in ((181, "why", "within 180 days"), (-1, "why", "a day after today"), (3, " ", "a note")):
        with pytest.raises(RefusedByPolicy, match=said):
            cases.snooze(home, ANN, Seen(ref=other), datetime.now(UTC) + timedelta(days=days), note)
    with pytest.raises(UnknownName, match="confirmed_risk"):
        cases.close(home, ANN, Seen(ref=other), "confirmed", "sure")
    with pytest.raises(UnknownName):
        cases.begin(home, ANN, "watch_list/nobody")


def test_who_may_not_see_cases_is_refused_where_they_are_read_and_changed(home: Path) -> None:
    workspace, run = newest(home)
    auditor = Viewer(name="ada", role=Role.AUDITOR)
    ref = alert(home)
    for asked in (
        lambda: view.inbox(workspace, run, MARKETER, Asked()),
        lambda: view.summary(workspace, run, MARKETER),
        lambda: view.outcomes(workspace, MARKETER),
        lambda: view.detail(workspace, run, MARKETER, ref),
        lambda: view.timeline(workspace, run, MARKETER, "C00001"),
        lambda: comments.on(home, MARKETER, "case", "1"),
        lambda: comments.add(home, MARKETER, "case", "1", "text"),
        lambda: cases.assign(home, MARKETER, Seen(ref=ref), "mia"),
        lambda: cases.assign(home, auditor, Seen(ref=ref), "ada"),
    ):
        with pytest.raises(NotAllowed):
            asked()
    assert view.inbox(workspace, run, auditor, Asked())[0] > 0


def test_several_at_once_are_done_each_by_itself(home: Path) -> None:
    refs = [alert(home, place=place) for place in range(3)]
    cases.close(home, ANN, Seen(ref=refs[1]), "valuable_alert", "done")
    done, refused = cases.bulk([Seen(ref=ref) for ref in refs], lambda one: cases.assign(home, BOB, one, "bob"))
    assert done == 2
    assert len(refused) == 1


def test_events_stay_and_comments_are_withdrawn_only_by_their_author(home: Path) -> None:
    case = cases.begin(home, ANN, alert(home))
    kept = comments.add(home, ANN, "case", str(case.case_id), "<b>called</b>")
    with pytest.raises(RefusedByPolicy, match="only its author"):
        comments.withdraw(home, BOB, kept.number)
    comments.withdraw(home, ANN, kept.number)
    shown = comments.on(home, ANN, "case", str(case.case_id))
    assert [(one.text, one.written_by) for one in shown] == [(None, "ann")]
    with Store(session.database_url(newest(home)[0])) as store:
        for statement in ("UPDATE case_events SET by = 'x'", "DELETE FROM case_events", "DELETE FROM comments",
                          "UPDATE comments SET text = 'x'"):  # fmt: skip
            with pytest.raises(Exception, match="append-only"), store.writing() as opened:
                opened.connection().execute(text(statement))
        acts = [one.action for one in store.audit_trail()]
        assert {"case.opened", "comment.added", "comment.withdrawn"} <= set(acts)
        assert "called" not in str([one.details for one in store.audit_trail()])
        assert store.verify_audit() is None
