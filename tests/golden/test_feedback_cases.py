"""One item of each campaign tool, as that tool writes it, beside what it says in our words; and what is refused."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.config.feedback import FeedbackSettings
from engine.config.load import load
from engine.exports.feedback_items import Item, Refused, Rules, read

NOW = datetime(2026, 7, 2, 12, 0, tzinfo=UTC)
AT = datetime(2026, 7, 1, 9, 30, tzinfo=UTC)
UNIX = 1_782_898_200  # AT: 20,635 days and 9.5 hours after 1970 = 20635 x 86400 + 34200
SETTINGS = load(FeedbackSettings, "feedback")
GENERIC = {
    "event_id": "e1",
    "type": "clicked",
    "external_id": "C1",
    "recommendation_id": "9097-C1-card",
    "channel": "email",
    "occurred_at": "2026-07-01T17:30:00+08:00",
}


def _read(preset: str, raw: dict[str, Any]) -> Item | None:
    rules = Rules.at(NOW, SETTINGS.presets[preset].with_prefix("cj"), {"CNY", "JPY"}, SETTINGS.future_seconds)
    return read(raw, rules)


def _told(preset: str, raw: dict[str, Any]) -> dict[str, Any]:
    item = _read(preset, raw)
    assert item is not None
    assert item.occurred_at == AT
    names = ("event_id", "type", "customer_id", "email", "channel", "run_id", "recommendation_id", "message_id")
    facts = {name: getattr(item, name) for name in (*names, "bounce", "machine_open")}
    return {name: value for name, value in facts.items() if value not in (None, False)}


def test_the_instant_of_the_cases_is_the_one_that_is_written_out() -> None:
    assert datetime.fromtimestamp(UNIX, UTC) == AT


def test_our_own_words() -> None:
    assert _told("generic", GENERIC) == {
        "event_id": "e1",
        "type": "clicked",
        "customer_id": "C1",
        "recommendation_id": "9097-C1-card",
        "channel": "email",
    }


def test_braze_currents_name_the_channel_in_the_event_and_carry_our_ids_as_extras() -> None:
    raw = {
        "id": "a1b2",
        "event_type": "users.messages.email.Open",
        "external_user_id": "C1",
        "time": UNIX,
        "dispatch_id": "d9",
        "machine_open": "true",
        "message_extras": '{"cj_run": "20260630T", "cj_recommendation": "none"}',
    }
    assert _told("braze", raw) == {
        "event_id": "a1b2",
        "type": "opened",
        "customer_id": "C1",
        "channel": "email",
        "run_id": "20260630T",
        "message_id": "d9:C1",
        "machine_open": True,
    }
    soft = raw | {"event_type": "users.messages.email.SoftBounce"}
    assert (_told("braze", soft)["type"], _told("braze", soft)["bounce"]) == ("bounced", "soft")
    assert _told("braze", raw | {"event_type": "users.messages.email.Bounce"})["bounce"] == "hard"


def test_salesforce_tracking_extracts_are_at_utc_minus_6_all_year_and_have_no_event_id() -> None:
    raw = {
        "SubscriberKey": "C1",
        "EmailAddress": "who@mail.example",
        "SendID": "77",
        "EventDate": "07/01/2026 03:30:00 AM",  # 09:30 UTC - 6 h, though it is summer there
        "EventType": "Bounce",
        "BounceCategory": "Hard bounce",
    }
    told = _told("sfmc", raw)
    assert told.pop("event_id").startswith("derived-")
    assert told == {
        "type": "bounced",
        "customer_id": "C1",
        "channel": "email",
        "message_id": "77:C1",
        "bounce": "hard",
    }
    assert _told("sfmc", raw)["event_id"] == _told("sfmc", dict(reversed(raw.items())))["event_id"]
    assert _told("sfmc", raw)["event_id"] != _told("sfmc", raw | {"SendID": "78"})["event_id"]
    assert _told("sfmc", raw | {"BounceCategory": "Block bounce"})["bounce"] == "soft"


def test_hubspot_knows_the_address_alone_and_its_id_is_unique_with_the_time() -> None:
    raw = {"id": "x1", "created": UNIX * 1000, "type": "OPEN", "recipient": "who@mail.example", "filteredEvent": True}
    assert _told("hubspot", raw) == {
        "event_id": f"x1:{UNIX}000",
        "type": "opened",
        "email": "who@mail.example",
        "channel": "email",
        "machine_open": True,
    }
    changed = raw | {"type": "STATUSCHANGE", "portalSubscriptionStatus": "UNSUBSCRIBED"}
    assert _told("hubspot", changed)["type"] == "unsubscribed"
    assert _read("hubspot", changed | {"portalSubscriptionStatus": "SUBSCRIBED"}) is None


def test_mailchimp_tells_actions_by_address() -> None:
    raw = {
        "email_address": "who@mail.example",
        "campaign_id": "42",
        "action": "bounce",
        "type": "hard",
        "timestamp": "2026-07-01T09:30:00+00:00",
        "CJ_REC": "9097-C1-card",
    }
    told = _told("mailchimp", raw)
    assert told.pop("event_id").startswith("derived-")
    assert told == {
        "type": "bounced",
        "email": "who@mail.example",
        "channel": "email",
        "recommendation_id": "9097-C1-card",
        # an id made of an address is kept as its hash: 42:who@mail.example
        "message_id": hashlib.sha256(b"42:who@mail.example").hexdigest()[:32],
        "bounce": "hard",
    }
    assert _told("mailchimp", raw | {"action": "abuse"})["type"] == "complained"


def test_klaviyo_marks_what_a_privacy_programme_opened() -> None:
    raw = {
        "id": "k1",
        "metric": "Opened Email",
        "external_id": "C1",
        "datetime": "2026-07-01T09:30:00Z",
        "event_properties": {"Machine Open": True, "$message": "M7", "cj_run": "20260630T"},
    }
    assert _told("klaviyo", raw) == {
        "event_id": "k1",
        "type": "opened",
        "customer_id": "C1",
        "channel": "email",
        "run_id": "20260630T",
        "message_id": "M7:C1",
        "machine_open": True,
    }
    assert _told("klaviyo", raw | {"metric": "Unsubscribed from SMS Marketing"})["channel"] == "sms"


def test_customer_io_webhooks_lie_deep_and_what_has_not_happened_yet_is_no_feedback() -> None:
    raw = {
        "event_id": "01E4",
        "object_type": "email",
        "metric": "spammed",
        "timestamp": UNIX,
        "data": {"identifiers": {"id": "C1"}, "delivery_id": "DEL1", "trigger_data": {"cj_run": "20260630T"}},
    }
    assert _told("customerio", raw) == {
        "event_id": "01E4",
        "type": "complained",
        "customer_id": "C1",
        "channel": "email",
        "run_id": "20260630T",
        "message_id": "DEL1",
    }
    assert _read("customerio", raw | {"metric": "deferred"}) is None


@pytest.mark.parametrize(
    ("said", "minor"),
    [
        ({"value": "120.50", "currency": "cny"}, 12_050),  # 120.50 yuan of 100 fen
        ({"value": 1200, "currency": "JPY"}, 1_200),  # the yen has no smaller unit
        ({"value_minor": 99, "currency": "CNY"}, 99),
    ],
)
def test_amounts_become_whole_minor_units(said: dict[str, Any], minor: int) -> None:
    item = _read("generic", GENERIC | said)
    assert item is not None
    assert item.value_minor == minor


LATE = (NOW + timedelta(seconds=301)).isoformat()


@pytest.mark.parametrize(
    ("change", "code", "names"),
    [
        ({"event_id": None}, "missing_field", "event_id"),
        ({"event_id": "x" * 201}, "malformed_field", "event_id"),
        ({"event_id": "a\x00b"}, "malformed_field", "event_id"),
        ({"event_id": ["e"]}, "malformed_field", "event_id"),
        ({"external_id": " "}, "missing_field", "external_id"),
        ({"type": "seen"}, "unknown_type", "clicked"),
        ({"occurred_at": "yesterday"}, "malformed_field", "occurred_at"),
        ({"occurred_at": "2026-06-30T09:30:00"}, "malformed_field", "no time zone"),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "malformed_field", "occurred_at"),
        ({"occurred_at": "1999-12-31T23:59:59Z"}, "malformed_field", "2000"),
        ({"occurred_at": LATE}, "in_the_future", "later than now"),
        ({"channel": "pigeon"}, "unknown_channel", "email, sms"),
        ({"value": "1.005", "currency": "CNY"}, "malformed_field", "fractions"),
        ({"value": "NaN", "currency": "CNY"}, "malformed_field", "value"),
        ({"value": "1e400", "currency": "CNY"}, "malformed_field", "value"),
        ({"value": True, "currency": "CNY"}, "malformed_field", "value"),
        ({"value": -1, "currency": "CNY"}, "malformed_field", "0 or more"),
        ({"value": 5}, "missing_field", "currency"),
        ({"value": 5, "currency": "XXX"}, "unknown_currency", "CNY, JPY"),
        ({"type": "opened", "machine_open": "perhaps"}, "malformed_field", "machine_open"),
    ],
)
def test_what_cannot_be_taken_is_named_by_its_field_and_without_its_value(
    change: dict[str, Any], code: str, names: str
) -> None:
    with pytest.raises(Refused) as fault:
        _read("generic", GENERIC | change)
    assert fault.value.code == code
    assert names in fault.value.detail
    assert all(
        str(value) not in fault.value.detail for value in change.values() if value not in (None, " ", 5, -1, True)
    )


def test_a_tools_clock_may_be_ahead_by_as_much_as_the_settings_say() -> None:
    item = _read("generic", GENERIC | {"occurred_at": (NOW + timedelta(seconds=300)).isoformat()})
    assert item is not None


def test_what_a_programme_opened_says_nothing_of_a_click() -> None:
    item = _read("generic", GENERIC | {"machine_open": True})
    assert item is not None
    assert item.machine_open is False
