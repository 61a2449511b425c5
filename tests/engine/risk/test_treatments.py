"""What is done with a customer: the first rule that fits, when contact may be made, and what becomes of the limit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from engine.config.load import load
from engine.config.risk import RiskSettings
from engine.domain.risk_marts import RISK_TREATMENTS
from engine.domain.words import RiskTier
from engine.lake.schema import arrow_schema
from engine.risk import treatments
from engine.risk.tiers import TIERS
from engine.risk.treatments import TreatmentBlock

SETTINGS = load(RiskSettings, "risk").treatments
AS_OF = datetime(2026, 6, 30, tzinfo=UTC)
SIGNS = ("vulnerable", "hardship", "fraud_block", "in_collections", "in_default", "has_credit", "stage_2")


def block(*people: dict[str, Any]) -> TreatmentBlock:
    """Customers of low risk who owe nothing late and have a line of 10,000.00, but for what is said of each."""
    flags = {
        sign: np.array([bool(who.get(sign, sign == "has_credit")) for who in people], dtype=bool)
        for sign in (*SIGNS, "may_increase")
    }
    last = [who.get("last_contact_at") for who in people]
    return TreatmentBlock(
        customer_ids=pa.array([f"C{place}" for place in range(len(people))]),
        tier=np.array([TIERS.index(RiskTier(who.get("tier", "low"))) for who in people], dtype=np.int64),
        days_past_due=np.array([float(who.get("late", 0)) for who in people]),
        contacts=np.array([float(who.get("contacts", 0)) for who in people]),
        last_contact_at=np.array([None if one is None else one.replace(tzinfo=None) for one in last], "datetime64[us]"),
        line_limit=np.array([float(who.get("line", 1_000_000)) for who in people]),
        **flags,
    )


def treated(*people: dict[str, Any]) -> list[dict[str, Any]]:
    table = treatments.treat(block(*people), SETTINGS, AS_OF)
    assert table.schema == arrow_schema(RISK_TREATMENTS)
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def one(**who: Any) -> dict[str, Any]:
    return treated(who)[0]


@pytest.mark.parametrize(
    ("who", "name"),
    [
        ({}, "grow"),
        ({"tier": "medium"}, "keep"),
        ({"tier": "unknown"}, "get_to_know"),
        ({"tier": "high"}, "talk_before_trouble"),
        ({"has_credit": False}, "nothing_to_do"),
        ({"stage_2": True}, "watch_closely"),
        # one tier, one more day: the ladder of collections, and high risk a step earlier
        ({"late": 1}, "leave_to_cure"),
        ({"late": 5, "tier": "high"}, "remind_high"),
        ({"late": 6}, "remind_firmly"),
        ({"late": 6, "tier": "high"}, "call_early"),
        ({"late": 30}, "remind_firmly"),
        ({"late": 31}, "arrange"),
        ({"late": 90}, "arrange"),
        ({"late": 91}, "legal"),
        ({"late": float("nan")}, "grow"),  # unknown days count as none
        # what a person is in comes before what a person owes
        ({"late": 91, "hardship": True}, "care_hardship"),
        ({"late": 91, "hardship": True, "vulnerable": True}, "care_vulnerable"),
        ({"late": 91, "vulnerable": True, "fraud_block": True}, "no_contact"),
    ],
)
def test_first_rule_that_fits_holds(who: dict[str, Any], name: str) -> None:
    assert one(**who)["treatment"] == name


def test_to_a_vulnerable_customer_a_person_speaks_whichever_rule_fits() -> None:
    quiet = SETTINGS.model_copy(update={"rules": tuple(r for r in SETTINGS.rules if r.name != "care_vulnerable")})
    table = treatments.treat(block({"late": 6, "vulnerable": True}, {"late": 6}), quiet, AS_OF).to_pylist()
    assert [(row["treatment"], row["channel"], row["needs_person"]) for row in table] == [
        ("remind_firmly", "phone", True),
        ("remind_firmly", "sms", False),
    ]


def test_nobody_is_contacted_before_the_wait_is_over_or_while_the_cap_is_reached() -> None:
    sent = AS_OF - timedelta(days=2)
    free, below, capped, blocked = treated(
        {"late": 6},
        {"late": 6, "contacts": SETTINGS.max_contacts - 1, "last_contact_at": sent},
        {"late": 6, "contacts": SETTINGS.max_contacts, "last_contact_at": sent},
        {"fraud_block": True},
    )
    # a firm reminder waits 3 days; the third contact, 2 days ago, leaves the window of 7 days after 5 more
    assert free["not_before"] == below["not_before"] == AS_OF.replace(tzinfo=None) + timedelta(days=3)
    assert capped["not_before"] == AS_OF.replace(tzinfo=None) + timedelta(days=5)
    assert (blocked["channel"], blocked["not_before"]) == (None, None)


@pytest.mark.parametrize(
    ("who", "change", "reason", "proposed"),
    [
        # 1,000,000 x 1.2 and x 0.75 in minor units, rounded down to a multiple of 50,000
        ({"may_increase": True}, "increase", "grow", 1_200_000),
        ({"may_increase": True, "line": 1_010_000}, "increase", "grow", 1_200_000),
        ({"tier": "high"}, "decrease", "talk_before_trouble", 750_000),
        ({}, "keep", "not_approved", 1_000_000),
        ({"stage_2": True}, "freeze", "watch_closely", 1_000_000),
        ({"tier": "high", "line": float("nan")}, "keep", "no_line", None),
    ],
)
def test_limit_rises_only_where_the_policy_would_lend(
    who: dict[str, Any], change: str, reason: str, proposed: int | None
) -> None:
    row = one(**who)
    assert (row["limit_change"], row["limit_reason"], row["proposed_limit_minor"]) == (change, reason, proposed)


def test_a_treatment_depends_on_its_customer_alone_and_nobody_is_no_row() -> None:
    people = [{"late": 6}, {"tier": "high"}, {"vulnerable": True, "contacts": 9, "last_contact_at": AS_OF}, {}]
    whole = treated(*people)
    assert [dict(one(**who), customer_id=f"C{at}") for at, who in enumerate(people)] == whole
    assert treatments.treat(block(), SETTINGS, AS_OF).num_rows == 0
