from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from engine.config.contact import ContactPolicy
from engine.config.load import validate
from engine.config.recommendations import RecommendationSettings
from engine.domain.curated import CURATED
from engine.domain.errors import SettingsFault
from engine.lake.schema import unbound
from engine.recommendations import contact
from tests.engine.recommendations import builders

HOMES = {"C1": "H1", "C2": "H1", "C3": None, "C4": None}


def _policy(**flags: Any) -> ContactPolicy:
    return builders.settings({"contact": flags}).contact


def _row(customer: str, days_ago: float, event: str = "sent", channel: str | None = "email") -> dict[str, Any]:
    at = builders.AS_OF - timedelta(days=days_ago)
    return {"customer_id": customer, "event": event, "channel": channel, "occurred_at": at}


def _read(policy: ContactPolicy | None = None, empty: tuple[str, ...] = (), **tables: Any) -> dict[str, dict[str, Any]]:
    rows = {"customers": [{"customer_id": name, "household_id": home} for name, home in HOMES.items()], **tables}
    named = {name: unbound(CURATED[name]) for name in rows}
    return builders.run(contact.reading(named, builders.AS_OF, policy or _policy(), empty), rows)


def test_contacts_count_within_the_days_of_each_cap_on_its_channel() -> None:
    sent = [_row("C1", 1, channel="sms"), _row("C1", 6), _row("C1", 8, channel="sms"), _row("C1", 31), _row("C1", -1)]
    found = _read(offers_feedback=[*sent, _row("C1", 2, "delivered")])["C1"]
    # of the last 30 days: 1, 6 and 8 days ago; of the last 7 by text message: 1 day ago
    assert (found["contacts_customer_month"], found["contacts_sms_week"], found["contacts_phone_quarter"]) == (3, 1, 0)


def test_a_window_leaves_out_the_instant_it_begins_and_holds_the_one_it_ends() -> None:
    assert _read(offers_feedback=[_row("C1", 30), _row("C1", 0)])["C1"]["contacts_customer_month"] == 1


def test_a_household_counts_all_its_members_and_a_customer_without_one_stands_alone() -> None:
    found = _read(offers_feedback=[_row("C1", 1), _row("C2", 2), _row("C2", 3), _row("C3", 4)])
    assert [found[name]["contacts_household_month"] for name in HOMES] == [3, 3, 1, 0]


def test_a_contact_on_a_channel_that_nobody_wrote_down_counts_on_every_channel() -> None:
    found = _read(offers_feedback=[_row("C1", 1, channel=None)])["C1"]
    assert (found["contacts_sms_week"], found["contacts_phone_quarter"]) == (1, 1)


def test_unanswered_are_the_contacts_since_the_last_answer_within_the_window() -> None:
    sent = [_row("C1", days) for days in (200, 50, 40, 30)] + [_row("C2", days) for days in (200, 50)]
    found = _read(offers_feedback=[*sent, _row("C1", 45, "opened"), _row("C2", 10, "complained")])
    # C1 answered 45 days ago, which leaves 40 and 30; C2 never did, but 200 days ago is past the window of 180
    assert (found["C1"]["unanswered"], found["C2"]["unanswered"], found["C4"]["unanswered"]) == (2, 1, 0)


def test_the_last_complaint_is_one_to_the_bank_or_one_about_a_contact_and_a_call_is_none() -> None:
    talks = [
        {"customer_id": name, "kind": kind, "occurred_at": builders.AS_OF - timedelta(days=days)}
        for name, kind, days in (("C1", "complaint", 9), ("C1", "complaint", -3), ("C2", "call", 1))
    ]
    found = _read(interactions=talks, offers_feedback=[_row("C3", 4, "complained")])
    last = {name: found[name]["last_complaint_at"] for name in HOMES}
    at = builders.AS_OF.replace(tzinfo=None)
    assert last == {"C1": at - timedelta(days=9), "C2": None, "C3": at - timedelta(days=4), "C4": None}


def test_without_a_history_nothing_is_known_unless_the_bank_says_there_was_none() -> None:
    silent = _read()["C1"]
    assert (silent["contacts_customer_month"], silent["unanswered"], silent["complaints_known"]) == (None, None, False)
    told = _read(empty=("offers_feedback", "interactions"))["C1"]
    assert (told["contacts_customer_month"], told["unanswered"], told["complaints_known"]) == (0, 0, True)


def test_a_channel_whose_cap_is_used_up_is_passed_over() -> None:
    agreed = np.array([[False, True, True, False, False]])  # push, email, sms, post, phone
    settings = builders.settings({"contact": {"caps": {"mail": _cap("email", 2)}}})
    # caps: customer, household, sms, phone, and the new one on e-mail
    open_now = contact.open_channels(agreed, np.array([[2, 2, 0, 0, 2.0]]), settings)
    assert open_now.tolist() == [[False, False, True, False, False]]


def test_each_contact_without_an_answer_leaves_its_share_of_the_response() -> None:
    policy = _policy(fatigue={"response_kept": 0.9, "max_unanswered": 4})
    kept = contact.response_kept(np.array([0, 1, 3, 9, np.nan]), policy)
    # .9, .9 x .9 x .9 = .729, no further than the four after which nothing is offered: .6561
    assert kept == pytest.approx([1, 0.9, 0.729, 0.6561, 1])


def _cap(channel: str | None, most: int, per: str = "channel", days: int = 30) -> dict[str, Any]:
    cap = {"per": per, "max_contacts": most, "days": days}
    return cap if channel is None else cap | {"channel": channel}


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ({"caps": {"mail": _cap(None, 2)}}, "contact.caps.mail.channel: missing, though per"),
        (
            {"caps": {"mail": _cap("email", 2, per="customer")}},
            'contact.caps.mail.channel: per = "customer" counts every channel',
        ),
        ({"caps": {"mail": _cap("email", -1)}}, "contact.caps.mail.max_contacts"),
        ({"caps": {"mail": _cap("email", 2, days=0)}}, "contact.caps.mail.days"),
        ({"caps": {"mail": _cap("fax", 2)}}, "contact.caps.mail.channel"),
        ({"quiet_after_complaint_days": -1}, "quiet_after_complaint_days"),
        ({"fatigue": {"response_kept": 0}}, "response_kept"),
        ({"fatigue": {"max_unanswered": 0}}, "max_unanswered"),
    ],
)
def test_a_bad_value_is_refused_with_its_place(flags: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingsFault) as fault:
        _policy(**flags)
    assert told in str(fault.value)


def test_a_cap_on_a_channel_that_is_never_used_is_pointed_out() -> None:
    flags = {"contact": {"caps": {"letters": _cap("post", 1)}}}
    with pytest.raises(SettingsFault, match=r"letters\.channel: post has no contact cost"):
        validate(RecommendationSettings, _without_post(flags), "test")


def _without_post(flags: dict[str, Any]) -> dict[str, Any]:
    values = builders.settings(flags).model_dump()
    del values["contact_cost_minor"]["post"]
    return values
