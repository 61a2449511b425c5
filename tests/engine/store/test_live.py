"""The ledger of live decisions: nothing half, nothing twice, nothing changed, and one at a time for one customer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from engine.store import LiveDecision, LiveLedger, NewFeedback, Store
from engine.store.connection import open_engine, writing

NOW = datetime(2026, 7, 1, 9, 30, 0, 123456, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=90)


@pytest.fixture
def ledger(address: str) -> Iterator[LiveLedger]:
    with LiveLedger(address) as opened:
        yield opened


def decision(name: str, customer: str = "C1", **changes: Any) -> LiveDecision:
    values: dict[str, Any] = {
        "decision_id": name,
        "request_key": None,
        "request_hash": "h",
        "asked_by": "api/crm",
        "customer_id": customer,
        "run_id": "r1",
        "bundle": "b1",
        "inputs_sha256": "i1",
        "decided_at": NOW,
        "code": "OFFERED",
        "counted": True,
        "asked": "{}",
        "seen": "{}",
        "outcome": "{}",
        "answer": '{"action":"客户"}',
    }
    return LiveDecision(**values | changes)


def test_what_was_written_is_read_back_and_found_under_its_request(ledger: LiveLedger) -> None:
    kept = decision("d1", request_key="k1")
    with ledger.turn(["C1"]) as turn:
        turn.write([(kept, "sms"), (decision("d2", counted=False), None)])
    with ledger.turn(["C1"]) as turn:
        earlier = turn.earlier(["k0", "k1"])
        assert {key: (one.request_hash, one.code, one.answer) for key, one in earlier.items()} == {
            "k1": ("h", "OFFERED", kept.answer)
        }
        assert turn.earlier([]) == {}
        ((contact,), _) = turn.known(["C1", "C2"], LONG_AGO)
    assert (contact.decision_id, contact.channel, contact.at, contact.event_ids) == ("d1", "sms", NOW, ())
    assert ledger.decision("d1") == kept
    assert ledger.decision("d3") is None
    assert [one.decision_id for one in ledger.decisions("C1")] == ["d2", "d1"]
    assert ledger.unmatched() == 0


def test_a_turn_that_fails_leaves_nothing(ledger: LiveLedger) -> None:
    with pytest.raises(ZeroDivisionError), ledger.turn(["C1"]) as turn:
        turn.write([(decision("d1"), "sms")])
        raise ZeroDivisionError
    assert ledger.decisions("C1") == []
    with ledger.turn(["C1"]) as turn:
        assert turn.known(["C1"], LONG_AGO) == ([], [])


@pytest.mark.parametrize("table", ["live_decisions", "live_contacts"])
@pytest.mark.parametrize("change", ["UPDATE {table} SET customer_id = 'C2'", "DELETE FROM {table}"])
def test_neither_ledger_nor_contacts_can_be_changed(ledger: LiveLedger, address: str, table: str, change: str) -> None:
    with ledger.turn(["C1"]) as turn:
        turn.write([(decision("d1"), "sms")])
    engine = open_engine(address)
    with pytest.raises(DBAPIError, match="append-only"), writing(engine).begin() as connection:
        connection.execute(text(change.format(table=table)))
    engine.dispose()


def test_a_report_of_a_contact_does_not_count_it_again(ledger: LiveLedger, store: Store) -> None:
    def sent(event_id: str, **changes: Any) -> NewFeedback:
        at = NOW + timedelta(minutes=5)
        return NewFeedback(**{"event_id": event_id, "type": "sent", "customer_id": "C1", "occurred_at": at} | changes)

    with ledger.turn(["C1"]) as turn:
        turn.write([(decision("d1"), "sms"), (decision("d2", counted=False), None)])
    store.add_feedback(
        [
            sent("e1", decision_id="d1", product_id="card", channel="sms"),
            sent("e2", decision_id="d1", product_id="fund", channel="sms"),
            sent("e3", decision_id="d1", type="opened", channel="sms"),
            # shown without being counted, and sent all the same: one contact
            sent("e4", decision_id="d2", product_id="card", channel="push"),
            # of a run's export: the same message twice, one that only its opening tells of, and what is no contact
            sent("e5", recommendation_id="x1", product_id="card", channel="email"),
            sent("e6", recommendation_id="x1", product_id="card", channel="email", type="delivered"),
            sent("e7", recommendation_id="x2", product_id="card", channel="email", type="opened"),
            sent("e8", recommendation_id="x3", product_id="card", channel="email", type="opened", machine_open=True),
            sent("e9", recommendation_id="x4", product_id="card", channel="email", type="dropped"),
            sent("e10", customer_id="C2", channel="email"),
        ]
    )
    with ledger.turn(["C1"]) as turn:
        found = {one.decision_id or one.event_ids: one for one in turn.known(["C1"], LONG_AGO)[0]}
        assert turn.known(["C1"], NOW + timedelta(hours=1)) == ([], [])
    assert set(found) == {"d1", "d2", ("e5", "e6"), ("e7",)}
    assert found["d1"].at == NOW
    assert found["d1"].event_ids == ("e1", "e2", "e3")
    assert found["d2"].at == NOW + timedelta(minutes=5)


def test_suppressions_are_seen_until_a_person_lifts_them(ledger: LiveLedger, store: Store) -> None:
    store.suppress("C1", "sms", "asked by phone")
    store.suppress("C2", None, "asked by phone")
    with ledger.turn(["C1"]) as turn:
        assert [(one.customer_id, one.channel) for one in turn.known(["C1"], NOW)[1]] == [("C1", "sms")]
    store.lift_suppression("C1", "sms", "asked back")
    with ledger.turn(["C1"]) as turn:
        assert turn.known(["C1"], NOW)[1] == []


def test_those_who_share_a_name_go_one_after_the_other(ledger: LiveLedger, address: str) -> None:
    """Twelve at once may each add one contact where fewer than three are: three are added."""
    ledger.decision("none")  # the tables are there
    ready = threading.Barrier(12)

    def ask(number: int) -> None:
        with LiveLedger(address) as own:
            own.decision("none")
            ready.wait()
            with own.turn(["C1", f"C{number + 2}"]) as turn:
                if len(turn.known(["C1"], LONG_AGO)[0]) < 3:
                    turn.write([(decision(f"d{number}"), "sms")])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(ledger.decisions("C1")) == 3


def test_a_contact_without_its_decision_would_be_found(ledger: LiveLedger, address: str) -> None:
    with ledger.turn(["C1"]) as turn:
        turn.write([(decision("d1"), "sms")])
    engine = open_engine(address)
    with writing(engine).begin() as connection:
        connection.execute(
            text("INSERT INTO live_contacts (decision_id, customer_id, at) VALUES ('d9', 'C1', '2026-07-01 00:00:00')")
        )
    engine.dispose()
    assert ledger.unmatched() == 1
