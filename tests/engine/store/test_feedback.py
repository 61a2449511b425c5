"""Feedback is kept once per event for ever, suppresses at once, and nothing but a person lifts that."""

from __future__ import annotations

import random
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from engine.domain.errors import RefusedByPolicy
from engine.store import NewBatch, NewFeedback, Store, SuppressionRecord

AT = datetime(2026, 6, 1, 8, 0, tzinfo=UTC)
SENT = NewFeedback(event_id="e1", type="sent", customer_id="C1", channel="email", occurred_at=AT, run_id="R")
OUT = replace(SENT, event_id="e2", type="unsubscribed", occurred_at=AT + timedelta(hours=1))
BATCH = NewBatch(batch_id="b1", sender="braze", idempotency_key="k1", body_sha256="aa", source="braze")

ADD = """
import sys
from datetime import UTC, datetime
from engine.store import NewFeedback, Store
at = datetime(2026, 6, 1, tzinfo=UTC)
with Store(sys.argv[1], actor=sys.argv[2]) as store:
    for block in range(5):
        items = [
            NewFeedback(event_id=f"e{n}", type="unsubscribed", customer_id=f"C{n}", channel="email", occurred_at=at)
            for n in range(block * 20, block * 20 + 40)
        ]
        print(store.add_feedback(items).count("accepted"))
"""


def _standing(store: Store) -> list[tuple[str, str | None, str]]:
    return [(one.customer_id, one.channel, one.reason) for one in store.suppressions()]


def test_the_same_event_again_is_a_duplicate_and_with_other_content_a_conflict_that_changes_nothing(
    store: Store,
) -> None:
    assert store.add_feedback([SENT]).outcomes == ("accepted",)
    other = replace(SENT, customer_id="C2")
    again = store.add_feedback([replace(SENT, source="braze"), other, OUT, OUT, replace(OUT, channel="sms")])
    assert again.outcomes == ("duplicate", "conflict", "accepted", "duplicate", "conflict")
    assert [(one.event_id, one.customer_id, one.number) for one in store.feedback()] == [
        ("e1", "C1", 1),
        ("e2", "C1", 2),
    ]
    assert _standing(store) == [("C1", "email", "unsubscribed")]


def test_instants_and_amounts_come_back_as_they_went_in(store: Store) -> None:
    bought = replace(SENT, event_id="e3", type="converted", value_minor=2**40, currency="CNY", machine_open=True)
    store.add_feedback([bought])
    kept = store.feedback()[0]
    assert (kept.occurred_at, kept.value_minor, kept.currency, kept.machine_open) == (AT, 2**40, "CNY", True)
    assert kept.content_hash == bought.content_hash()


def test_any_order_and_any_repetition_of_the_same_events_ends_in_the_same_state(store: Store) -> None:
    items = [
        replace(
            OUT, event_id=f"e{n}", customer_id=f"C{n % 3}", occurred_at=AT + timedelta(hours=n), type=kind, bounce=how
        )
        for n, (kind, how) in enumerate(
            [("complained", None), ("unsubscribed", None), ("bounced", "hard"), ("bounced", "soft"), ("opened", None)]
            * 3
        )
    ]
    shuffled = items + items
    random.Random(7).shuffle(shuffled)
    for start in range(0, len(shuffled), 4):
        store.add_feedback(shuffled[start : start + 4])
    # C0: e0 complained at 0 h, C1: e1 unsubscribed at 1 h, C2: e2 bounced hard at 2 h; all later causes are younger
    assert [(one.customer_id, one.reason, one.since) for one in store.suppressions()] == [
        ("C0", "complained", AT),
        ("C1", "unsubscribed", AT + timedelta(hours=1)),
        ("C2", "hard_bounce", AT + timedelta(hours=2)),
    ]
    assert {one.event_id: one.content_hash for one in store.feedback()} == {
        item.event_id: item.content_hash() for item in items
    }
    assert [one.number for one in store.feedback()] == list(range(1, 16))


def test_a_suppression_without_a_channel_is_of_every_channel(store: Store) -> None:
    store.add_feedback([replace(OUT, channel=None), replace(OUT, event_id="e9")])
    assert _standing(store) == [("C1", None, "unsubscribed"), ("C1", "email", "unsubscribed")]


def test_a_suppression_is_lifted_by_a_person_with_a_reason_and_comes_back_with_new_feedback(store: Store) -> None:
    store.add_feedback([OUT])
    with pytest.raises(RefusedByPolicy, match="with a reason"):
        store.lift_suppression("C1", "email", " ")
    with pytest.raises(RefusedByPolicy, match="on the channel sms"):
        store.lift_suppression("C1", "sms", "asked us in the branch")
    assert store.lift_suppression("C1", "email", "asked us in the branch") == 1
    assert store.suppressions() == []
    store.add_feedback([OUT])  # the tool delivers it again: known, so it stays lifted
    assert store.suppressions() == []
    store.add_feedback([replace(OUT, event_id="e5")])
    assert _standing(store) == [("C1", "email", "unsubscribed")]
    entries = store.audit_trail(action="suppression.lifted")
    assert "branch" not in str(entries[0].details)
    assert entries[0].actor == "alice"


def test_a_person_suppresses_by_hand(store: Store) -> None:
    store.suppress("C7", None, "wrote a letter")
    assert _standing(store) == [("C7", None, "manual")]
    assert store.suppressions(customer_id="C8") == []
    later = datetime.now(UTC) + timedelta(minutes=1)
    assert store.suppressions(since=later) == []
    assert [type(one) for one in store.suppressions(customer_id="C7")] == [SuppressionRecord]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE feedback_events SET customer_id = 'C9'",
        "DELETE FROM feedback_events",
        "UPDATE suppressions SET since = '2030-01-01 00:00:00'",
        "DELETE FROM suppressions",
    ],
)
def test_the_database_itself_refuses_to_change_what_was_reported(store: Store, change: str) -> None:
    store.add_feedback([OUT])
    with pytest.raises(DatabaseError, match="append-only"), store._engine.begin() as connection:
        connection.execute(text(change))


def test_two_writers_with_the_same_events_enter_each_once(address: str) -> None:
    running = [
        subprocess.Popen([sys.executable, "-c", ADD, address, f"writer{n}"], stdout=subprocess.PIPE, text=True)
        for n in range(2)
    ]
    accepted = sum(int(line) for process in running for line in process.communicate(timeout=60)[0].splitlines())
    # blocks of 40 that overlap by 20 hold the ids 0 to 119
    assert accepted == 120
    with Store(address) as store:
        assert [one.number for one in store.feedback()] == list(range(1, 121))
        assert len(store.suppressions()) == 120
        assert store.verify_audit() is None


def test_a_delivery_repeated_under_its_key_gets_the_first_answer_and_another_body_is_told_apart(store: Store) -> None:
    assert store.claim_feedback(BATCH).state == "mine"
    assert store.claim_feedback(replace(BATCH, batch_id="b2")).state == "running"
    store.add_feedback([SENT], batch_id="b1", answer=lambda added: {"accepted": added.count("accepted")})
    again = store.claim_feedback(replace(BATCH, batch_id="b2"))
    assert (again.state, again.batch.batch_id) == ("done", "b1")
    assert again.batch.answer == {"accepted": 1}
    assert store.claim_feedback(replace(BATCH, body_sha256="bb")).state == "other_body"
    assert store.claim_feedback(replace(BATCH, batch_id="b3", sender="hubspot")).state == "mine"


def test_a_delivery_whose_worker_died_is_taken_over(store: Store) -> None:
    store.claim_feedback(BATCH)
    with store._engine.begin() as connection:
        connection.execute(text("UPDATE feedback_batches SET held_until = '2020-01-01 00:00:00'"))
    assert store.claim_feedback(BATCH).state == "mine"
    assert store.feedback_batch("b1").status == "running"


def test_a_delivery_whose_process_ended_on_this_machine_is_taken_over_at_once(store: Store, address: str) -> None:
    begin = """
import sys
from engine.store import NewBatch, Store
with Store(sys.argv[1]) as store:
    print(store.claim_feedback(NewBatch(
        batch_id="b1", sender="braze", idempotency_key="k1", body_sha256="aa", source="braze")).state, flush=True)
    sys.stdin.readline()
"""
    worker = subprocess.Popen(
        [sys.executable, "-c", begin, address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert worker.stdout is not None
    assert worker.stdout.readline() == "mine\n"
    assert store.claim_feedback(BATCH).state == "running"
    assert store.lapsed_feedback() == []
    worker.kill()
    worker.communicate()
    assert [one.batch_id for one in store.lapsed_feedback()] == ["b1"]
    assert store.claim_feedback(BATCH).state == "mine"
    # from another machine nobody can tell whether it is at work
    with store._engine.begin() as connection:
        connection.execute(text("UPDATE feedback_batches SET worker = 'elsewhere/1/1'"))
    assert store.claim_feedback(BATCH).state == "running"


def test_what_is_received_is_audited_by_counts_and_numbers(store: Store) -> None:
    store.add_feedback([SENT, OUT])
    entry = store.audit_trail(action="feedback.received")[0]
    assert (entry.details["accepted"], entry.details["suppressed"], entry.details["last"]) == (2, 1, 2)
    assert "C1" not in str(entry.details)
    store.add_feedback([SENT])  # nothing new, nothing to tell
    assert len(store.audit_trail(action="feedback.received")) == 1
