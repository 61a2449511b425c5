"""Whatever the order, however often, in whatever pieces the same feedback comes: the state in the end is the same."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.words import FEEDBACK_TYPES
from engine.store import NewFeedback, Store

AT = datetime(2026, 6, 1, tzinfo=UTC)
NUMBERS = itertools.count()

items = st.builds(
    lambda kind, who, channel, hours, bounce: NewFeedback(
        event_id="",
        type=kind,
        customer_id=who,
        channel=channel,
        occurred_at=AT + timedelta(hours=hours),
        bounce=bounce if kind == "bounced" else None,
    ),
    st.sampled_from(FEEDBACK_TYPES),
    st.sampled_from(["A", "B"]),
    st.sampled_from(["email", "sms", None]),
    st.integers(0, 5),
    st.sampled_from(["hard", "soft", None]),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store(f"sqlite:///{tmp_path_factory.mktemp('laws')}/wayline.db") as opened:
        yield opened


def _state(store: Store, world: str) -> Any:
    """Return what the store holds of one world of customers, without the world's name."""
    events = {
        (one.event_id.removeprefix(world), one.type, one.channel, one.occurred_at)
        for one in store.feedback(limit=None)
        if one.event_id.startswith(world)
    }
    held = {
        (one.customer_id.removeprefix(world), one.channel, one.since, one.reason)
        for one in store.suppressions()
        if one.customer_id.startswith(world)
    }
    return events, held


def _entered(store: Store, given_items: list[NewFeedback], order: list[int], piece: int) -> Any:
    world = f"w{next(NUMBERS)}-"
    named = [
        replace(one, event_id=f"{world}{place}", customer_id=f"{world}{one.customer_id}")
        for place, one in enumerate(given_items)
    ]
    coming = [named[place] for place in order]
    for start in range(0, len(coming), piece):
        store.add_feedback(coming[start : start + piece])
    return _state(store, world)


@settings(max_examples=25, deadline=None)
@given(st.lists(items, min_size=1, max_size=8), st.data())
def test_order_repetition_and_pieces_change_nothing(store: Store, given_items: list[NewFeedback], data: Any) -> None:
    places = list(range(len(given_items)))
    again = data.draw(st.lists(st.sampled_from(places), max_size=6))
    order = data.draw(st.permutations(places + again))
    piece = data.draw(st.integers(1, 5))
    assert _entered(store, given_items, order, piece) == _entered(store, given_items, places, len(places))


@settings(max_examples=15, deadline=None)
@given(st.lists(items, min_size=1, max_size=8), items)
def test_one_more_report_never_frees_anybody(store: Store, given_items: list[NewFeedback], more: NewFeedback) -> None:
    _, before = _entered(store, given_items, list(range(len(given_items))), 8)
    _, after = _entered(store, [*given_items, more], list(range(len(given_items) + 1)), 8)
    assert {(who, channel) for who, channel, *_ in before} <= {(who, channel) for who, channel, *_ in after}
