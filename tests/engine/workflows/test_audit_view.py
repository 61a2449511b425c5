"""What was done: who sees which acts, what papers hold, and that a change of either is noticed."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.cli.main import main
from engine.domain.access import Role, Viewer
from engine.domain.errors import CheckFailed, NotAllowed, RefusedByPolicy, UnreadableSource
from engine.exports import dossier
from engine.lake.workspace import Workspace
from engine.store import Store
from engine.workflows import audit_report, export_acks, session, subject_access
from engine.workflows.explain import CustomerMissing
from engine.workflows.view import audit
from engine.workflows.view.audit import Filters
from tests.engine.ui import bank

RISK = Viewer(name="Rui", role=Role.RISK)
ADMIN = Viewer(name="Ada", role=Role.ADMIN)
ANN = Viewer(name="Ann", role=Role.MARKETING)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audited")
    bank.make(folder)
    with Store(session.database_url(Workspace(folder)), actor="Ann") as store:
        store.audit("export.approved", "everybody", {"rows": 10, "note": "for June"})
        store.audit("case.opened", "case/1", {"customer_id": "C00001", "secret": "of a case"}, actor="Rui")
        store.audit("override.added", "override/1", {"customer_id": "C00002", "limit": 5}, actor="Rui")
        store.audit("override.agreed", "override/1", {"customer_id": "C00002", "limit": 7}, actor="Bo")
        store.audit("personal.revealed", "customer:C00001", {"reason": "audit"}, actor="Rui")
    return folder


def test_filters_find_acts_by_person_act_object_customer_and_day(home: Path) -> None:
    def found(**what: object) -> list[str]:
        return [one.action for one in audit.found(RISK, home, Filters(**what))[1]]  # type: ignore[arg-type]

    assert found(actor="Rui", action="override.") == ["override.added"]
    assert found(subject="override/") == ["override.agreed", "override.added"]
    assert found(customer_id="C00001") == ["personal.revealed", "case.opened"]
    assert found(customer_id="C0000") == [], "an id is matched whole"
    assert found(action="%") == []
    today = datetime.now(UTC).date()
    assert len(found(since=today, until=today)) == 5
    assert found(since=today + timedelta(days=1)) == found(until=today - timedelta(days=1)) == []


def test_pages_hold_every_act_once(tmp_path: Path) -> None:
    with Store(f"sqlite:///{tmp_path / 'wayline.db'}", actor="Ann") as store:
        for number in range(60):
            store.audit("x.done", f"x/{number}")
    seqs = [one.seq for offset in (0, 25, 50) for one in audit.found(RISK, tmp_path, Filters(), offset)[1]]
    assert seqs == list(range(60, 0, -1))


def test_who_may_not_see_the_log_sees_own_acts_alone_whatever_is_asked(home: Path) -> None:
    for what in (Filters(), Filters(actor="Rui"), Filters(customer_id="C00001")):
        assert {one.actor for one in audit.found(ANN, home, what)[1]} <= {"Ann"}
    assert audit.named(ANN, home) == (["Ann"], [])
    for question in (
        lambda: audit.whole(ANN, home),
        lambda: audit_report.coverage(ANN, home),
        lambda: audit_report.report(ANN, home, Filters()),
        lambda: audit.replayed(ANN, home, "C00001"),
        lambda: subject_access.bundle(ANN, home, "C00001", "audit"),
    ):
        with pytest.raises(NotAllowed):
            question()


def test_an_administrator_sees_that_a_case_and_an_override_were_and_not_what_they_say(home: Path) -> None:
    told = {one.action: one.details for one in audit.found(ADMIN, home, Filters())[1]}
    assert told["case.opened"] == told["override.added"] == {}
    assert told["export.approved"]["rows"] == 10


def test_an_act_is_shown_beside_the_one_before_on_the_same_object(home: Path) -> None:
    (entry,) = audit.found(RISK, home, Filters(action="override.agreed"))[1]
    first, *_ = audit.changes(RISK, home, entry)
    assert (first.detail, first.before, first.after) == ("limit", 5, 7)


def test_report_names_open_checks_holds_the_acts_and_proves_itself(home: Path, tmp_path: Path) -> None:
    export_acks.keys(home)
    files = audit_report.report(RISK, home, Filters(actor="Rui"))
    assert set(files) == {"report.json", "report.html", "checks.csv", "acts.csv", dossier.MANIFEST}
    told = json.loads(files["report.json"])
    assert {act["actor"] for act in told["acts"]} == {"Rui"}
    status = {one["check"]: one["status"] for one in told["checks"]}
    assert status["chain"] == status["signed"] == status["files"] == "pass"
    assert status["sign_in"] == status["consent"] == "open"
    assert set(status) == set(audit_report.CHECKS)
    dossier.written(files, tmp_path / "report")
    found = dossier.verified(tmp_path / "report")
    assert found.signature is not None and found.made_by == "Rui"
    archive = tmp_path / "report.zip"
    archive.write_bytes(dossier.packed(files))
    assert dossier.verified(archive) == found
    for name, change in (("acts.csv", b"x"), ("report.html", None)):
        spoilt = {one: content for one, content in files.items() if one != name}
        if change is not None:
            spoilt[name] = change
        archive.write_bytes(dossier.packed(spoilt))
        with pytest.raises(CheckFailed, match=name):
            dossier.verified(archive)
    forged = json.loads(files[dossier.MANIFEST]) | {"made_by": "Nobody"}
    archive.write_bytes(dossier.packed({**files, dossier.MANIFEST: json.dumps(forged).encode()}))
    with pytest.raises(CheckFailed, match="signature"):
        dossier.verified(archive)
    archive.write_bytes(b"no zip")
    with pytest.raises(UnreadableSource):
        dossier.verified(archive)


def test_every_check_has_words_for_every_state_in_both_languages() -> None:
    for code in audit_report.CHECKS:
        for status in ("pass", "open", "unknown"):
            one = audit_report.Check(code=code, status=status, count=3)  # type: ignore[arg-type]
            assert all(one.question())
            assert len(one.answer()) == 2


def test_report_in_chinese_and_a_name_that_is_markup_is_text(home: Path) -> None:
    with Store(session.database_url(Workspace(home)), actor="<script>alert(1)</script>") as store:
        store.audit("x.done", "=1+1", {})
    files = audit_report.report(RISK, home, Filters(action="x."), "zh")
    page = files["report.html"].decode()
    assert "操作记录" in page and "<script>" not in page
    assert "'=1+1" in files["acts.csv"].decode("utf-8-sig"), "no cell of the table is a formula"


def test_bundle_of_a_customer_holds_all_tables_and_is_logged_first(home: Path) -> None:
    files = subject_access.bundle(RISK, home, "C00001", "customer_asked", "letter 3")
    held = json.loads(files["everything.json"])
    assert held["data.customers"][0]["full_name"] == "Person Secret1"
    assert {row["id_value"] for row in held["data.identities"]} >= {"+8613800000001"}
    assert held["run.risk"][0]["customer_id"] == "C00001" and "register.suppressions" in held
    assert all(row.get("customer_id", "C00001") == "C00001" for rows in held.values() for row in rows)
    assert "Secret2" not in str(files["everything.json"])
    (entry,) = audit.found(RISK, home, Filters(action=subject_access.ACTION))[1]
    assert entry.details["reason"] == "customer_asked" and entry.actor == "Rui"
    assert "Secret" not in str(entry.details)


def test_no_bundle_without_a_customer_or_a_reason_and_none_over_another(home: Path, tmp_path: Path) -> None:
    with pytest.raises(CustomerMissing):
        subject_access.bundle(RISK, home, "C9", "customer_asked")
    with pytest.raises(RefusedByPolicy):
        subject_access.bundle(RISK, home, "C00001", "other")
    with pytest.raises(RefusedByPolicy):
        subject_access.save({}, tmp_path)


def test_commands_list_report_hand_over_and_verify(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ["--home", str(home), "--json"]
    assert main(["audit", "list", "--customer", "C00001", "--action", "case.", *at]) == 0
    assert json.loads(capsys.readouterr().out)["total"] == 1
    assert main(["audit", "report", "--out", str(tmp_path / "r"), "--by", "ann", *at]) == 0
    bundle = ["audit", "subject", "C00001", "--reason", "audit", "--out", str(tmp_path / "s")]
    assert main([*bundle, *at]) == 0
    assert (tmp_path / "s").stat().st_mode & 0o077 == 0, "nobody else on the machine reads it"
    assert main([*bundle, *at]) == 4
    capsys.readouterr()
    for name in ("r", "s"):
        assert main(["audit", "check", str(tmp_path / name), "--json"]) == 0
    assert main(["audit", "verify", *at]) == 0
    assert main(["audit", "list", "--since", "June", *at]) == 4


def test_a_log_that_was_written_to_behind_our_back_is_told(home: Path, tmp_path: Path) -> None:
    spoilt = tmp_path / "wayline.db"
    with sqlite3.connect(home / "wayline.db") as source, sqlite3.connect(spoilt) as copy:
        source.backup(copy)
        for (name,) in copy.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            copy.execute(f'DROP TRIGGER "{name}"')
        copy.execute("UPDATE audit_log SET actor = 'Bo' WHERE seq = 2")
    found = audit.whole(RISK, tmp_path)
    assert found is not None and (found.whole, found.broken_at) == (False, 2)
    assert main(["audit", "verify", "--home", str(tmp_path), "--quiet"]) == 3
    status = {one.code: one.status for one in audit_report.coverage(RISK, tmp_path)}
    assert status["chain"] == "open"
