"""Acknowledgements and approvals of exports do the same on SQLite and PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from engine.domain.errors import CheckFailed, RefusedByPolicy, UnknownName
from engine.store import NewAck, NewApproval, NewBundle, NewRevocation, Store
from engine.store.connection import open_engine, writing

AS_OF = datetime(2026, 6, 30, 16, tzinfo=UTC)
BUNDLE = NewBundle(
    audience="stalled",
    destination="generic/email",
    run_id="r1",
    mode="full",
    prev_run_id=None,
    content_sha256="a" * 64,
    members=3,
    rows=4,
    approved_by="bob",
)
ACK = NewAck(audience="stalled", destination="generic/email", run_id="r1", content_sha256="a" * 64, received_rows=4)


def hand_over(store: Store, **changes: object) -> None:
    bundle = replace(BUNDLE, **changes)  # type: ignore[arg-type]
    store.start_run(bundle.run_id, AS_OF, seed=1)
    store.record_export(
        f"{bundle.audience}/{bundle.run_id}",
        run_id=bundle.run_id,
        audience=bundle.audience,
        file_format="jsonl",
        destination="outbox",
        rows=bundle.rows,
        sha256="b" * 64,
        bundle=bundle,
    )


def test_a_destination_holds_what_it_acknowledged_last(store: Store) -> None:
    hand_over(store)
    assert store.last_ack("stalled", "generic/email") is None
    first = store.ack_export(replace(ACK, rejected=["C2", "C1", "C2"]))
    assert (first.bundle.run_id, first.bundle.members, first.rejected) == ("r1", 3, ("C1", "C2"))
    hand_over(store, run_id="r2", mode="delta", prev_run_id="r1", content_sha256="c" * 64, rows=1)
    assert store.last_ack("stalled", "generic/email") == first
    store.ack_export(replace(ACK, run_id="r2", content_sha256="c" * 64, received_rows=1))
    held = store.last_ack("stalled", "generic/email")
    assert held is not None
    assert held.bundle.run_id == "r2"
    assert store.last_ack("stalled", "generic/sms") is None
    assert [one.bundle.run_id for one in store.export_acks("stalled")] == ["r2", "r1"]
    assert store.verify_audit() is None


def test_the_same_acknowledgement_again_is_the_same_and_another_one_is_refused(store: Store) -> None:
    hand_over(store)
    assert store.ack_export(ACK) == store.ack_export(ACK)
    assert len(store.audit_trail(action="export.acknowledged")) == 1
    with pytest.raises(CheckFailed, match="other rejected ids"):
        store.ack_export(replace(ACK, rejected=["C1"]))


def test_what_was_taken_back_is_handed_over_no_more_and_stays_taken_back(store: Store) -> None:
    hand_over(store)
    wanted = NewRevocation(audience="stalled", destination="generic/email", run_id="r1", note="the wrong rule")
    made = store.revoke_export(wanted)
    assert made.revoked_by == "alice"
    assert store.revoke_export(replace(wanted, note="another")) == made
    assert store.export_revocation("stalled", "generic/email", "r1") == made
    assert store.export_revocation("stalled", "generic/sms", "r1") is None
    assert store.export_revocations() == [made]
    with pytest.raises(RefusedByPolicy, match="taken back by alice"):
        hand_over(store)
    hand_over(store, destination="generic/sms")
    assert [entry.subject for entry in store.audit_trail(action="export.revoked")] == ["stalled/generic/email"]
    assert store.verify_audit() is None


def test_an_acknowledgement_of_another_content_or_number_of_rows_is_refused(store: Store) -> None:
    hand_over(store)
    with pytest.raises(UnknownName):
        store.ack_export(replace(ACK, content_sha256="f" * 64))
    with pytest.raises(CheckFailed, match="received 3 rows, and the bundle has 4"):
        store.ack_export(replace(ACK, received_rows=3))
    with pytest.raises(CheckFailed, match="5 ids were rejected"):
        store.ack_export(replace(ACK, rejected=list("abcde")))
    assert store.export_acks() == []


def test_an_acknowledgement_that_comes_late_does_not_take_a_destination_back(store: Store) -> None:
    hand_over(store)
    hand_over(store, run_id="r2", content_sha256="c" * 64)
    store.ack_export(replace(ACK, run_id="r2", content_sha256="c" * 64))
    with pytest.raises(CheckFailed, match="acknowledged run r2 already"):
        store.ack_export(ACK)


def test_a_content_handed_over_again_keeps_its_number(store: Store) -> None:
    hand_over(store)
    hand_over(store, content_sha256="c" * 64)
    hand_over(store)
    assert [one.content_sha256[0] for one in store.export_bundles("stalled")] == ["c", "a"]
    assert len(store.audit_trail(action="export.recorded")) == 3


def test_an_approval_is_a_persons_and_the_newest_comes_first(store: Store) -> None:
    wanted = NewApproval(name="stalled/generic/email/r1", definition_sha256="d" * 64, members=9, note="checked")
    store.actor = "Bob"
    store.approve_export(wanted)
    store.approve_export(wanted)
    store.approve_export(replace(wanted, members=10))
    found = store.export_approvals(wanted.name)
    assert [(one.approved_by, one.members) for one in found] == [("Bob", 10), ("Bob", 9)]
    (newest, _) = store.audit_trail(action="export.approved")
    assert "checked" not in str(newest.details)
    store.actor = " "
    with pytest.raises(RefusedByPolicy, match="a person's"):
        store.approve_export(wanted)


@pytest.mark.parametrize("table", ["export_bundles", "export_acks", "export_approvals", "export_revocations"])
def test_what_became_of_an_export_is_never_changed(store: Store, address: str, table: str) -> None:
    hand_over(store)
    store.ack_export(ACK)
    store.approve_export(NewApproval(name="n", definition_sha256="d", members=1, note=""))
    store.revoke_export(NewRevocation(audience="stalled", destination="generic/email", run_id="r1", note=""))
    engine = open_engine(address)
    with pytest.raises(DBAPIError, match="append-only"), writing(engine).begin() as connection:
        connection.execute(text(f"DELETE FROM {table}"))
    engine.dispose()
