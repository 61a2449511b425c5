"""Consents as an export counts them."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa

from engine.workflows.export_permissions import Consents

JUNE, JULY, AUGUST = datetime(2026, 6, 1), datetime(2026, 7, 1), datetime(2026, 8, 1)


def test_of_several_consents_the_last_was_given_when_and_the_first_to_end_ends_them() -> None:
    rows = pa.table(
        {
            "customer_id": ["C1", "C1", "C2"],
            "channel": ["email", "phone", "sms"],
            "consent_at": pa.array([JUNE, JULY, JUNE], pa.timestamp("us")),
            "ends": pa.array([AUGUST, None, None], pa.timestamp("us")),
        }
    )
    (found,) = Consents(rows=rows).of(("email", "phone")).to_pylist()
    assert found == {"customer_id": "C1", "consent_at": JULY, "ends": AUGUST}
    assert Consents(rows=rows).of(("push",)).num_rows == 0
