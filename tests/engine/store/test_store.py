"""The operational database does the same on SQLite and PostgreSQL."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from engine.domain.errors import StoreUnavailable, UnknownName
from engine.numerics.chain import GENESIS, link
from engine.store import Store
from engine.store.connection import open_engine, writing

AS_OF = datetime(2026, 6, 30, 16, tzinfo=UTC)
HASH = "a" * 64


DECIDED = {
    "run_id": "r1",
    "action": "review",
    "instead_of": "continue",
    "owner": "Ada",
    "note": "The form changes next week.",
    "spec_hash": "0" * 64,
}


def tamper(address: str, *statements: str) -> None:
    """Change rows as somebody would who owns the database and can switch its triggers off."""
    engine = open_engine(address)
    with writing(engine).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL session_replication_role = replica"))
        else:
            for name in ("audit_log_no_update", "audit_log_no_delete", "audit_log_no_replace"):
                connection.execute(text(f"DROP TRIGGER {name}"))
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def export(store: Store, run_id: str = "r1", rows: int = 2) -> None:
    store.record_export(
        "e1", run_id=run_id, audience="all", file_format="csv", destination="exports/all/r1", rows=rows, sha256=HASH
    )


def test_an_instant_comes_back_as_the_same_instant_in_utc(store: Store) -> None:
    shanghai = datetime(2026, 7, 1, 0, 0, 0, 123456, tzinfo=timezone(timedelta(hours=8)))
    store.start_run("r1", shanghai, seed=1)
    as_of = store.runs()[0].as_of
    assert as_of == datetime(2026, 6, 30, 16, 0, 0, 123456, tzinfo=UTC)
    assert as_of.tzinfo is UTC


def test_an_instant_without_a_time_zone_is_refused_and_leaves_nothing(store: Store) -> None:
    with pytest.raises(Exception, match="has no time zone"):
        store.start_run("r1", datetime(2026, 6, 30), seed=1)
    assert store.runs() == []
    assert store.audit_trail() == []


def test_a_run_that_is_begun_again_counts_its_attempts_and_forgets_its_failure(store: Store) -> None:
    store.start_run("r1", AS_OF, seed=7, facts={"tables": 3})
    failed = store.fail_run("r1", "the disk is full.")
    assert (failed.status, failed.reason) == ("failed", "the disk is full.")
    again = store.start_run("r1", AS_OF, seed=7, facts={"tables": 3})
    assert (again.status, again.attempts, again.finished_at, again.reason) == ("running", 2, None, None)
    store.finish_run("r1", {"marts": 15})
    (done,) = store.runs()
    assert (done.status, done.attempts, done.facts) == ("done", 2, {"tables": 3, "marts": 15})
    assert done.finished_at is not None
    assert done.finished_at >= done.started_at
    actions = [entry.action for entry in store.audit_trail()]
    assert actions == ["run.finished", "run.started", "run.failed", "run.started"]


def test_a_run_that_was_never_started_cannot_be_finished_or_exported(store: Store) -> None:
    store.start_run("20260630-abc", AS_OF, seed=7)
    with pytest.raises(UnknownName, match='Did you mean "20260630-abc"'):
        store.finish_run("20260630-abd")
    with pytest.raises(UnknownName):
        export(store, run_id="other")
    assert store.exports() == []


def test_the_same_export_made_again_has_one_row_and_two_entries(store: Store) -> None:
    store.start_run("r1", AS_OF, seed=7)
    export(store)
    export(store, rows=3)
    assert [(item.export_id, item.rows, item.exported_by) for item in store.exports()] == [("e1", 3, "alice")]
    assert store.exports(run_id="r2") == []
    assert [entry.details["rows"] for entry in store.audit_trail(action="export.recorded")] == [3, 2]


def test_a_changed_design_is_a_new_version_and_the_same_one_is_not(store: Store) -> None:
    first = {"metric": "activation", "weights": {"control": 0.5, "checklist": 0.5}}
    store.register_experiments({"card": first, "banner": {"metric": "click"}})
    reordered = {"weights": {"checklist": 0.5, "control": 0.5}, "metric": "activation"}
    assert store.register_experiments({"card": reordered})[0].version == 1
    changed = store.register_experiments({"card": {**first, "metric": "complaint"}})[0]
    assert (changed.version, changed.spec["metric"], changed.registered_by) == (2, "complaint", "alice")
    assert [(item.experiment_id, item.version) for item in store.experiments()] == [("banner", 1), ("card", 2)]
    assert len(store.audit_trail(action="experiment.registered")) == 3


def test_what_a_person_decides_is_kept_once_and_stands_in_the_audit_log(store: Store) -> None:
    store.decide_experiment("card", DECIDED)
    store.decide_experiment("card", DECIDED)
    later = store.decide_experiment("card", {**DECIDED, "action": "ship"})
    assert (later.version, later.action, later.owner, later.decided_by) == (2, "ship", "Ada", "alice")
    assert [one.action for one in store.experiment_decisions("card")] == ["ship", "review"]
    assert store.experiment_decisions("banner") == []
    entries = store.audit_trail(action="experiment.decided")
    assert [entry.details["action"] for entry in entries] == ["ship", "review"]
    assert entries[0].details["note"] == DECIDED["note"]


def test_an_audience_is_kept_with_its_words(store: Store) -> None:
    store.save_audience("贷款流失", {"journey": "personal_loan", "status": "dropped"})
    store.save_audience("贷款流失", {"journey": "personal_loan", "status": "dropped", "tier": ["low", "medium"]})
    (audience,) = store.audiences()
    assert (audience.name, audience.version, audience.definition["tier"]) == ("贷款流失", 2, ["low", "medium"])


def test_the_first_entry_follows_from_nothing_and_its_hash_can_be_worked_out_by_hand(store: Store) -> None:
    entry = store.audit("export.csv", "risk", {"rows": 3, "note": "四月"}, actor="bob")
    assert (entry.seq, entry.previous) == (1, GENESIS)
    told = {"action": "export.csv", "actor": "bob", "details": {"rows": 3, "note": "四月"}, "subject": "risk"}
    moment = entry.at.strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")
    assert entry.hash == link(GENESIS, {**told, "seq": 1, "at": moment})
    assert store.verify_audit() is None


def test_the_trail_pages_backwards_and_filters(store: Store) -> None:
    for number in range(5):
        store.audit("page.viewed", "home" if number % 2 else "risk", {"n": number})
    assert [entry.seq for entry in store.audit_trail(limit=2)] == [5, 4]
    assert [entry.seq for entry in store.audit_trail(limit=2, before=4)] == [3, 2]
    assert [entry.seq for entry in store.audit_trail(subject="home")] == [4, 2]


@pytest.mark.parametrize("table", ["audit_log", "experiments", "experiment_decisions"])
@pytest.mark.parametrize("change", ["UPDATE {} SET version_or_actor = 'mallory'", "DELETE FROM {}"])
def test_what_is_append_only_can_be_neither_changed_nor_deleted(
    store: Store, address: str, table: str, change: str
) -> None:
    store.register_experiments({"card": {"metric": "activation"}})
    store.decide_experiment("card", DECIDED)
    column = "actor" if table == "audit_log" else "saved_by"
    engine = open_engine(address)
    with pytest.raises(DBAPIError, match="append-only"), writing(engine).begin() as connection:
        connection.execute(text(change.format(table).replace("version_or_actor", column)))
    engine.dispose()
    assert store.verify_audit() is None
    assert store.experiments()[0].registered_by == "alice"


def test_sqlite_refuses_to_replace_an_entry_even_without_our_settings(tmp_path: Path) -> None:
    path = tmp_path / "wayline.db"
    replace = (
        "INSERT OR REPLACE INTO audit_log SELECT seq, at, 'mallory', action, subject, details, ?, ? FROM audit_log"
    )
    with Store(f"sqlite:///{path}", actor="alice") as store:
        store.audit("page.viewed", "home")
        with closing(sqlite3.connect(path)) as plain, pytest.raises(sqlite3.IntegrityError, match="append-only"):
            plain.execute(replace, (GENESIS, HASH))
        assert store.audit_trail()[0].actor == "alice"


@pytest.mark.postgres
def test_postgresql_refuses_to_empty_the_log(postgres_address: str) -> None:
    with Store(postgres_address) as store:
        store.audit("page.viewed", "home")
        engine = open_engine(postgres_address)
        with pytest.raises(DBAPIError, match="append-only"), engine.begin() as connection:
            connection.execute(text("TRUNCATE audit_log"))
        engine.dispose()
        assert len(store.audit_trail()) == 1


def test_two_entries_cannot_follow_the_same_one(store: Store, address: str) -> None:
    store.audit("page.viewed", "home")
    engine = open_engine(address)
    fork = "INSERT INTO audit_log SELECT 2, at, actor, action, subject, details, previous, :hash FROM audit_log"
    with pytest.raises(IntegrityError), writing(engine).begin() as connection:
        connection.execute(text(fork), {"hash": HASH})
    engine.dispose()


@pytest.mark.parametrize(
    ("statement", "seq", "problem"),
    [
        ("UPDATE audit_log SET actor = 'mallory' WHERE seq = 3", 3, "was changed"),
        ("""UPDATE audit_log SET details = '{"n": 2}' WHERE seq = 3""", 3, "was changed"),
        ("UPDATE audit_log SET details = 'NaN' WHERE seq = 2", 2, "was changed"),
        ("UPDATE audit_log SET at = '2020-01-01 00:00:00+00' WHERE seq = 4", 4, "was changed"),
        ("DELETE FROM audit_log WHERE seq = 2", 2, "is missing"),
        ("DELETE FROM audit_log WHERE seq = 1", 1, "is missing"),
        ("UPDATE audit_log SET previous = 'x' WHERE seq = 5", 5, "does not follow"),
    ],
)
def test_tampering_is_found_at_the_first_bad_entry(
    store: Store, address: str, statement: str, seq: int, problem: str
) -> None:
    for number in range(5):
        store.audit("page.viewed", "home", {"n": number})
    tamper(address, statement)
    broken = store.verify_audit()
    assert broken is not None
    assert broken.seq == seq
    assert problem in broken.problem


def test_an_error_shows_no_password() -> None:
    with pytest.raises(StoreUnavailable) as fault:
        Store("postgresql://bank:secret@127.0.0.1:1/none").runs()
    assert "secret" not in fault.value.sentence
    assert "bank:***@127.0.0.1:1" in fault.value.sentence


@pytest.mark.parametrize(
    ("address", "fact"), [("no address", "not an address"), ("mysql://bank@127.0.0.1/x", "mysql is not supported")]
)
def test_an_address_that_cannot_be_used_says_which_can(address: str, fact: str) -> None:
    with pytest.raises(StoreUnavailable, match=fact):
        Store(address)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be opened") as fault:
        Store(f"sqlite:///{tmp_path}/missing/wayline.db").runs()
    assert f"{tmp_path}/missing" in fault.value.sentence
