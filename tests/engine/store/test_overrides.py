"""Overrides of lending decisions are kept with their owner, their second person and their end, and audited."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from engine.domain.errors import RefusedByPolicy, UnknownName
from engine.store import NewOverride, Store

UNTIL = datetime.now(UTC) + timedelta(days=30)
RAISE = NewOverride(
    customer_id="C1", family="loan", kind="limit", limit_minor=500_000, note="salary seen", expires_at=UNTIL
)


def _as(store: Store, person: str) -> Store:
    store.actor = person
    return store


def test_an_override_is_one_persons_until_another_agrees(store: Store) -> None:
    made = _as(store, "ann").add_override(RAISE)
    assert (made.owner, made.second, made.expires_at) == ("ann", None, UNTIL)
    agreed = _as(store, "bob").agree_to_override(made.override_id)
    assert (agreed.owner, agreed.second) == ("ann", "bob")
    assert store.overrides("C1") == [agreed]
    assert store.overrides("C2") == []


@pytest.mark.parametrize("again", ["ann", " Ann ", "ANN"])
def test_the_owner_is_no_second_person(store: Store, again: str) -> None:
    made = _as(store, "ann").add_override(RAISE)
    with pytest.raises(RefusedByPolicy, match="a second person"):
        _as(store, again).agree_to_override(made.override_id)
    assert store.overrides()[0].second is None


def test_nobody_agrees_twice_nor_to_what_was_taken_back_or_has_ended(store: Store) -> None:
    first, second = (_as(store, "ann").add_override(RAISE) for _ in range(2))
    ended = store.add_override(replace(RAISE, expires_at=datetime.now(UTC) - timedelta(days=1)))
    _as(store, "bob").agree_to_override(first.override_id)
    store.revoke_override(second.override_id)
    _as(store, "cy")
    for one, said in ((first, "bob has agreed"), (second, "taken back by bob"), (ended, "ended on")):
        with pytest.raises(RefusedByPolicy, match=said):
            store.agree_to_override(one.override_id)


def test_an_override_that_does_not_exist_is_named(store: Store) -> None:
    made = store.add_override(RAISE)
    with pytest.raises(UnknownName, match=f"Known: {made.override_id}"):
        store.revoke_override(99)


def test_every_step_is_in_the_audit_log_without_the_note(store: Store) -> None:
    made = _as(store, "ann").add_override(RAISE)
    _as(store, "bob").agree_to_override(made.override_id)
    _as(store, "cy").revoke_override(made.override_id)
    trail = store.audit_trail(subject=f"override/{made.override_id}")
    assert [(entry.action, entry.actor) for entry in reversed(trail)] == [
        ("override.added", "ann"),
        ("override.agreed", "bob"),
        ("override.revoked", "cy"),
    ]
    assert all("salary" not in str(entry.details) for entry in trail)
    assert store.verify_audit() is None


def test_the_database_itself_refuses_an_owner_as_second_person(store: Store) -> None:
    made = _as(store, "ann").add_override(RAISE)
    with pytest.raises(IntegrityError), store._engine.begin() as connection:
        connection.execute(
            text("UPDATE risk_overrides SET second = 'ann' WHERE override_id = :id"), {"id": made.override_id}
        )
