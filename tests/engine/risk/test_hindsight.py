"""What a model must not learn from is refused with a sentence, and what was known in time is not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from engine.domain.errors import LooksAhead, NotEnoughData
from engine.risk import hindsight, model
from tests.engine.risk.lending import SETTINGS

AS_OF = datetime(2026, 6, 30, 23, 59, 59, tzinfo=UTC)
LOAN = {
    "applied_at": datetime(2025, 6, 1),
    "booked_at": datetime(2025, 6, 20),
    "signal_at": datetime(2025, 6, 1),
    "bad": False,
    "outcome_state": "known",
    "application_id": "a1",
}


def loans(**changed: Any) -> pa.Table:
    """Two loans known in time, of which the second is changed; 20 June 2025 and 12 months is before the date."""
    return pa.Table.from_pylist([LOAN, LOAN | changed])


@pytest.mark.parametrize(
    ("changed", "part"),
    [
        ({"applied_at": datetime(2026, 7, 1), "booked_at": datetime(2026, 7, 1), "bad": None}, "applied_at later"),
        ({"booked_at": datetime(2026, 7, 2), "bad": None}, "booked_at later than 2026-06-30"),
        ({"signal_at": datetime(2025, 6, 1, 0, 0, 1)}, "a bureau record later than the application"),
        # booked on 1 July 2025, the window of 12 months closes on 1 July 2026: one day after the date
        ({"booked_at": datetime(2025, 7, 1)}, "12 months had not passed by 2026-06-30"),
        ({"booked_at": datetime(2025, 7, 1), "bad": True}, "whether it went bad or not"),
    ],
)
def test_table_that_looks_ahead_is_refused_before_anything_is_learned(changed: dict[str, Any], part: str) -> None:
    with pytest.raises(LooksAhead, match=part) as fault:
        model.fit(loans(**changed), SETTINGS, AS_OF)
    assert (fault.value.rows, fault.value.of) == (1, 2)


def test_table_that_looks_at_the_past_alone_is_not_refused() -> None:
    open_yet = loans(booked_at=datetime(2025, 7, 1), bad=None, outcome_state="open", signal_at=None)
    with pytest.raises(NotEnoughData, match="0 defaults among 1 loans"):
        model.fit(open_yet, SETTINGS, AS_OF)


def test_outcome_that_is_ever_has_no_window_to_wait_for() -> None:
    hindsight.refuse(loans(booked_at=datetime(2026, 6, 1)), AS_OF, SETTINGS.model_copy(update={"outcome": "ever"}))


@pytest.mark.parametrize(
    ("moment", "months", "closes"),
    [("2024-01-31T10:00", 1, "2024-02-29T10:00"), ("2024-02-29", 12, "2025-02-28"), ("2023-12-15", 1, "2024-01-15")],
)
def test_window_closes_on_the_same_day_or_the_last_of_a_shorter_month(moment: str, months: int, closes: str) -> None:
    found = hindsight.closing(np.array([moment], dtype="datetime64[us]"), months)
    assert found[0] == np.datetime64(closes, "us")
