"""When an audience is due: by the days, weeks and months of UTC, and never twice for one period."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from engine.segments.audiences.schedule import is_due, not_due

# a Wednesday
NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "last", "due"),
    [
        ("every_run", datetime(2026, 7, 1, 11, tzinfo=UTC), True),
        ("daily", datetime(2026, 7, 1, 0, 0, 1, tzinfo=UTC), False),
        ("daily", datetime(2026, 6, 30, 23, 59, 59, tzinfo=UTC), True),
        # 1 July in Shanghai, still 30 June in UTC
        ("daily", datetime(2026, 7, 1, 7, tzinfo=timezone(timedelta(hours=8))), True),
        ("weekly", datetime(2026, 6, 29, tzinfo=UTC), False),  # the Monday of that week
        ("weekly", datetime(2026, 6, 28, 23, tzinfo=UTC), True),  # the Sunday before
        ("monthly", datetime(2026, 6, 30, tzinfo=UTC), True),
        ("monthly", datetime(2025, 7, 1, tzinfo=UTC), True),
        ("monthly", NOW - timedelta(hours=3), False),
        ("manual", None, False),
        ("daily", None, True),
        ("monthly", NOW, True),  # the same run again
    ],
)
def test_an_audience_is_due_once_a_period(schedule: str, last: datetime | None, due: bool) -> None:
    assert is_due(schedule, NOW, last) is due  # type: ignore[arg-type]


def test_weeks_go_over_the_turn_of_the_year() -> None:
    new_year = datetime(2026, 1, 1, tzinfo=UTC)  # a Thursday
    assert not is_due("weekly", new_year, datetime(2025, 12, 29, tzinfo=UTC))
    assert is_due("weekly", new_year, datetime(2025, 12, 28, tzinfo=UTC))


def test_what_is_not_due_says_since_when() -> None:
    assert "built for 2026-06-29, and is built once a week" in not_due("a", "weekly", datetime(2026, 6, 29, tzinfo=UTC))
    assert "by hand only" in not_due("a", "manual", None)
