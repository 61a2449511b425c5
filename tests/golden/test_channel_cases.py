"""Worked cases of the channel and the hour of a contact, each with its calculation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from engine.domain.curated import CURATED
from engine.domain.errors import SettingsFault
from engine.lake.schema import unbound
from engine.numerics.zones import offsets
from engine.recommendations import channels, responses
from engine.recommendations.channels import ChannelResponses
from tests.engine.recommendations import builders

POLICY = builders.settings().responses
CHANNELS = ("push", "email", "sms")


def _counts(asked: list[int], answered: list[int]) -> pa.Table:
    rows = zip(CHANNELS, asked, answered, strict=True)
    return pa.Table.from_pylist([{"family": "card", "channel": name, "asked": n, "answered": k} for name, n, k in rows])


def test_rates_are_drawn_to_the_overall_rate_as_by_a_beta_prior() -> None:
    # overall 300 / 3,000 = .1; noise .1 x .9 = .09; weights 1,000 / .09 = 11,111 each
    # spread 11,111 x (.05^2 + 0 + .05^2) = 55.56, by chance 2; between = 53.56 / (33,333 - 11,111) = .00241
    # strength .09 / .00241 - 1 = 36.34, below the least of 100: 100 contacts at .1 are mixed in
    # (50 + 10) / 1,100 = .054545, (100 + 10) / 1,100 = .1, (150 + 10) / 1,100 = .145455
    found = channels.learn(_counts([1000] * 3, [50, 100, 150]), CHANNELS, ["card"], POLICY)
    assert found is not None
    assert found.rate == pytest.approx([60 / 1100, 0.1, 160 / 1100])
    assert found.tried.tolist() == [True] * 3
    strength = channels.prior_strength(np.array([50.0, 100, 150]), np.full(3, 1000.0), np.full(3, 0.1), 1.0)
    assert strength == pytest.approx(0.09 / (((0.05**2 * 2) * 1000 / 0.09 - 2) / (2000 / 0.09)) - 1)


def test_channels_that_differ_by_chance_alone_count_as_equal() -> None:
    # 95, 100, 105 of 1,000: spread 11,111 x 2 x .005^2 = .56, below the 2 that chance makes
    found = channels.learn(_counts([1000] * 3, [95, 100, 105]), CHANNELS, ["card"], POLICY)
    assert found is not None
    assert found.rate == pytest.approx([0.1] * 3, abs=1e-9)
    assert found.relative[:, 0] == pytest.approx([1.0] * 3, abs=1e-6)


@pytest.mark.parametrize(("asked", "answered"), [([300, 300, 300], [90, 90, 90]), ([2000, 0, 0], [49, 0, 0])])
def test_too_few_contacts_or_answers_teach_nothing_and_it_is_said(asked: list[int], answered: list[int]) -> None:
    counts = _counts(asked, answered)
    assert channels.learn(counts, CHANNELS, ["card"], POLICY) is None
    (note,) = channels.notes(counts, None, POLICY)
    assert f"{sum(answered)} were answered" in note
    rows = channels.rows_of(counts, None, CHANNELS, ["card"]).to_pylist()
    assert {row["relative_response"] for row in rows} == {None}


def _learned(rate: list[float], tried: list[bool] | None = None) -> ChannelResponses:
    return ChannelResponses(
        rate=np.array(rate),
        tried=np.array(tried or [True] * 3),
        relative=np.array(rate)[:, None] / 0.1,
        own_prior=20.0,
    )


def test_own_answers_are_drawn_to_the_channel_and_count_only_against_each_other() -> None:
    # of 10 emails 3 answered, of 10 sms none; all rates .1: everywhere (3 + 2) / (40 x .1) = 1.25
    # email (3 + 2) / (30 x .1) = 1.6667 -> 1.3333; sms (0 + 2) / 3 = .6667 -> .5333; push never: 1 -> .8
    found = _learned([0.1] * 3).own(np.array([[0.0, 10, 10], [0, 0, 0]]), np.array([[0.0, 3, 0], [0, 0, 0]]))
    assert found[0] == pytest.approx([0.8, 4 / 3, 8 / 15])
    assert found[1] == pytest.approx([1, 1, 1])


@pytest.mark.parametrize(
    ("usable", "worth", "tried", "channel", "reason"),
    [
        # best of the tried ones, equal ones by cost and then as listed
        ([True, True, True], [40, 70, 60], None, 1, "responses"),
        ([True, True, True], [70, 70, 60], None, 0, "responses"),
        ([True, False, True], [40, 70, 60], None, 2, "responses"),
        # what was not tried waits for want of knowledge, however good it looks
        ([True, True, True], [90, 70, 60], [False, True, True], 1, "responses"),
        ([True, True, False], [40, 70, 60], [False, False, True], 0, "only_tried"),
        ([False, False, True], [40, 70, 60], None, 2, "only_open"),
        ([False, False, False], [40, 70, 60], None, -1, None),
        # nothing to offer: the cheapest
        ([True, True, True], [-np.inf] * 3, None, 0, "responses"),
    ],
)
def test_channel_that_brings_most_is_taken(
    usable: list[bool], worth: list[float], tried: list[bool] | None, channel: int, reason: str | None
) -> None:
    learned = _learned([0.1] * 3, tried)
    found, why = channels.choose(np.array([usable]), (2, 5, 5), np.array([worth], dtype=np.float64), learned)
    assert found.tolist() == [channel]
    assert (channels.REASONS[why[0]].name if why[0] >= 0 else None) == reason


# The reading of the tables

NOW = builders.AS_OF


def _feedback(rows: list[tuple[str, str, str, str, float]]) -> list[dict[str, Any]]:
    """Return rows of offers_feedback from customer, campaign, channel, event and days before now."""
    return [
        {
            "feedback_id": str(place),
            "customer_id": who,
            "campaign_id": campaign,
            "product_id": "fund",
            "channel": channel,
            "event": event,
            "occurred_at": (NOW - timedelta(days=days)).replace(tzinfo=None),
        }
        for place, (who, campaign, channel, event, days) in enumerate(rows)
    ]


def test_contacts_are_counted_once_answered_and_never_from_the_future() -> None:
    rows = _feedback(
        [
            ("A", "c1", "email", "sent", 40),
            ("A", "c1", "email", "clicked", 39),
            ("A", "c1", "email", "clicked", 38),  # a second click answers no second contact
            ("A", "c2", "email", "sent", 30),
            ("A", "c2", "email", "opened", 30),  # opened is no click
            ("A", "c3", "sms", "sent", 3),  # too young to be judged
            ("B", "c1", "sms", "sent", 400),  # too old
            ("B", "c4", "sms", "sent", 20),
            ("B", "c4", "sms", "clicked", -1),  # after the instant
        ]
    )
    tables = {"offers_feedback": unbound(CURATED["offers_feedback"])}
    found = builders.run(responses.own(tables, NOW, POLICY), {"offers_feedback": rows})
    assert (found["A"]["asked_email"], found["A"]["answered_email"], found["A"]["asked_sms"]) == (2, 1, 0)
    assert (found["B"]["asked_sms"], found["B"]["answered_sms"]) == (1, 0)


def _events(who: str, hours_utc: list[int], channel: str = "app") -> list[dict[str, Any]]:
    day = datetime(2026, 6, 1)
    return [
        {
            "event_id": f"{who}{place}",
            "customer_id": who,
            "occurred_at": day + timedelta(days=place, hours=hour),
            "event_name": "login",
            "channel": channel,
        }
        for place, hour in enumerate(hours_utc)
    ]


def test_hour_is_the_customers_own_where_known_and_else_the_banks_by_the_local_clock() -> None:
    # Shanghai is 8 hours ahead: 11 UTC is 19 there, 2 UTC is 10, 20 UTC is 4 at night, when nobody is contacted
    rows = [
        *_events("early", [2] * 12),
        *_events("late", [11] * 11 + [20] * 15),
        *_events("rare", [3] * 4),
        *_events("many", [11] * 30),
        *_events("branch", [5] * 40, "branch"),
    ]
    names = ("early", "late", "rare", "many", "branch", "silent")
    tables = {name: unbound(CURATED[name]) for name in ("customers", "events")}
    expression = responses.hours(tables, NOW, POLICY, "Asia/Shanghai")
    found = builders.run(expression, {"customers": [{"customer_id": name} for name in names], "events": rows})
    told = {who: (row["contact_hour"], row["contact_hour_is_own"]) for who, row in found.items()}
    # of all times from 9 to 20, 41 of 57 are at 19: the bank's best hour
    assert told == {
        "early": (10, True),
        "late": (19, True),
        "rare": (19, False),
        "many": (19, True),
        "branch": (19, False),
        "silent": (19, False),
    }


def test_hour_is_unknown_where_nobody_was_ever_seen() -> None:
    tables = {name: unbound(CURATED[name]) for name in ("customers", "events")}
    expression = responses.hours(tables, NOW, POLICY, "Asia/Shanghai")
    found = builders.run(expression, {"customers": [{"customer_id": "A"}], "events": []})
    assert found["A"]["contact_hour"] is None
    assert responses.hours({"customers": tables["customers"]}, NOW, POLICY, "Asia/Shanghai") is None


def test_clocks_that_change_in_the_window_are_followed_to_the_minute() -> None:
    # Berlin put its clocks forward on 29 March 2026 at 01:00 UTC
    start, end = datetime(2026, 3, 1, 12, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)
    assert offsets("Europe/Berlin", start, end) == [(start, 60), (datetime(2026, 3, 29, 1, tzinfo=UTC), 120)]
    assert offsets("Asia/Shanghai", start, end) == [(start, 480)]


def test_settings_that_leave_no_contact_or_no_hour_are_refused_in_a_sentence() -> None:
    with pytest.raises(SettingsFault, match="no contact is left"):
        builders.settings({"responses": {"answer_days": 30, "window_days": 30}})
    with pytest.raises(SettingsFault, match="no hour is left"):
        builders.settings({"responses": {"hours": {"first": 21}}})
