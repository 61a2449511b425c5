"""Keys, the journal, acknowledgements and the feed of suppressions, on SQLite and PostgreSQL."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from engine.domain.grants import KeyRefused, RowCapReached
from engine.domain.pulls import Contradicted
from engine.store import AcknowledgementRecord, Acknowledgements, Journal, Keyring, NewKey, Store, SuppressionFeed
from engine.store.connection import open_engine
from engine.store.keyring import split


def new_key(name: str = "crm", **changed: Any) -> NewKey:
    given: dict[str, Any] = {
        "name": name,
        "scopes": frozenset({"audiences:read"}),
        "audiences": None,
        "destination": "generic",
        "channel": None,
        "row_cap": None,
        "requests_per_minute": None,
        "expires_at": datetime.now(UTC) + timedelta(days=1),
    }
    return NewKey(**given | changed)


def test_a_key_opens_with_its_own_secret_alone_until_its_end(store: Store) -> None:
    keyring = Keyring(store)
    first, whole = keyring.create(new_key())
    _, other = keyring.create(new_key("other", expires_at=datetime.now(UTC) + timedelta(milliseconds=300)))
    key_id, secret = split(whole)
    assert keyring.grant(key_id, secret).name == "crm" and first.key_id == key_id
    for wrong in ((key_id, split(other)[1]), ("0" * 16, secret), (key_id, ""), (key_id, "\ud800")):
        with pytest.raises(KeyRefused):
            keyring.grant(*wrong)
    assert keyring.grant(*split(other)).name == "other"
    threading.Event().wait(0.35)
    with pytest.raises(KeyRefused):
        keyring.grant(*split(other))


def test_rows_of_a_day_are_counted_once_whoever_asks_at_the_same_time(store: Store) -> None:
    keyring = Keyring(store)
    _, whole = keyring.create(new_key(row_cap=100))
    grant = keyring.grant(*split(whole))
    outcomes: list[bool] = []

    def pull() -> None:
        try:
            keyring.release(grant, 30, "audience/savers", {"snapshot": "x"})
            outcomes.append(True)
        except RowCapReached:
            outcomes.append(False)

    threads = [threading.Thread(target=pull) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [False] * 3 + [True] * 3  # 3 x 30 of 100
    with pytest.raises(RowCapReached) as refusal:
        keyring.release(grant, 11, "audience/savers", {})
    assert (refusal.value.wanted, refusal.value.left, refusal.value.cap) == (11, 10, 100)
    pulled = store.audit_trail(action="api.pulled")
    assert len(pulled) == 3 and pulled[0].details == {"key_id": grant.key_id, "rows": 30, "snapshot": "x"}
    # a rotated key goes on with the day of the old one
    later = datetime.now(UTC) + timedelta(days=1)
    _, turned = keyring.rotate("crm", expires_at=later, overlap_until=later)
    with pytest.raises(RowCapReached):
        keyring.release(keyring.grant(*split(turned)), 11, "audience/savers", {})


def test_offsets_of_the_journal_have_no_gaps_and_nobody_changes_them(store: Store, address: str) -> None:
    journal = Journal(store)

    def tell(number: int) -> None:
        for place in range(5):
            journal.append("run_published", f"run-{number}-{place}")

    threads = [threading.Thread(target=tell, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events, newest = journal.after(0, 100)
    assert [one.offset for one in events] == list(range(1, 21)) and newest == 20
    assert [one.offset for one in journal.after(17, 2)[0]] == [18, 19]
    engine = open_engine(address)
    for change in ("DELETE FROM journal", "UPDATE journal SET subject = 'x'"):
        with pytest.raises(DBAPIError, match="append-only"), engine.begin() as connection:
            connection.execute(text(change))
    engine.dispose()


def test_an_event_is_told_once_and_only_to_who_may_see_its_audience(store: Store) -> None:
    journal = Journal(store)
    first = {"snapshot": "r1-v1", "members": 5}
    assert journal.tell_once("audience_published", "savers", first, of="snapshot") is not None
    assert journal.tell_once("audience_published", "savers", first | {"members": 6}, of="snapshot") is None
    assert journal.tell_once("audience_published", "savers", {"snapshot": "r1-v10"}, of="snapshot") is not None
    assert journal.tell_once("audience_published", "adults", first, of="snapshot") is not None
    journal.append("run_published", "r1")
    assert [one.subject for one in journal.after(0, 9, audiences=["adults"])[0]] == ["adults", "r1"]
    assert [one.subject for one in journal.after(0, 9, audiences=[])[0]] == ["r1"]


def test_the_same_acknowledgement_is_the_same_and_another_one_a_contradiction(store: Store) -> None:
    said = AcknowledgementRecord(
        key_name="crm",
        subject="savers",
        channel="email",
        snapshot="r1-v1",
        content_sha256="0" * 64,
        received_rows=5,
        loaded=4,
        rejected=1,
        body_sha256="a",
        acknowledged_at=datetime.now(UTC),
    )
    acknowledgements = Acknowledgements(store)
    first = acknowledgements.enter(said, "api/crm")
    later = AcknowledgementRecord(**{name: getattr(said, name) for name in AcknowledgementRecord.__slots__})
    assert acknowledgements.enter(later, "api/crm") == first == said
    with pytest.raises(Contradicted):
        acknowledgements.enter(
            AcknowledgementRecord(
                **{name: getattr(said, name) for name in AcknowledgementRecord.__slots__} | {"body_sha256": "b"}
            ),
            "api/crm",
        )
    assert acknowledgements.listed("savers") == [said] and acknowledgements.listed("adults") == []
    assert [one.event for one in Journal(store).after(0, 9)[0]] == ["delivery_acknowledged"]


def test_the_feed_of_suppressions_goes_on_and_never_back(store: Store) -> None:
    feed = SuppressionFeed(store)
    before = feed.revision()
    for customer, channel in (("C1", "email"), ("C2", None), ("C3", "sms")):
        store.suppress(customer, channel, "asked")
    causes, newest = feed.after(0, 2, "email")
    assert [one.customer_id for one in causes] == ["C1", "C2"] and newest == causes[-1].number + 1
    assert [one.customer_id for one in feed.after(0, 9, None)[0]] == ["C1", "C2", "C3"]
    assert feed.after(newest, 9, None) == ([], newest)
    moment = datetime.now(UTC)
    assert feed.lifted_after(moment) == []
    store.lift_suppression("C1", "email", "asked again")
    assert feed.lifted_after(moment) == ["C1"]
    assert [one.customer_id for one in feed.after(0, 9, None)[0]] == ["C2", "C3"]
    assert len({before, feed.revision()}) == 2 and feed.revision().lifted == 1
