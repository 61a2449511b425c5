"""Churn: a silence of more than D days, seen as of a date that leaves the last D days open."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from pytest import approx

from engine.domain.errors import SettingsFault
from engine.numerics.intervals import wilson
from journeys import churn
from journeys.calendar import microseconds
from tests.journeys import cohorts

START = datetime(2026, 1, 1)
DAY_SECONDS = 86_400


def people(
    told: Mapping[str, Sequence[float]], as_of: float, inactivity_days: float = 10, **more: Any
) -> dict[str, dict[str, Any]]:
    """Events on days since START, seen on a day since START."""
    rows = cohorts.events(
        {who: [f"pay {(START + timedelta(days=day)).isoformat()}" for day in days] for who, days in told.items()}
    )
    until = microseconds((START + timedelta(days=as_of)).replace(tzinfo=UTC))
    found = churn.of_block(rows, inactivity_days=inactivity_days, as_of_us=until, **more)
    return {row["customer"]: row for row in found.to_pylist()}


def days(row: dict[str, Any]) -> tuple[float | None, bool]:
    return (None if row["seconds"] is None else row["seconds"] / DAY_SECONDS, row["churned"])


def test_churn_is_at_the_event_before_the_silence_and_the_last_days_are_censored() -> None:
    found = people({"gone": [0, 5], "here": [0, 8, 17], "new": [25]}, as_of=30)
    # as of day 30 anyone silent since before day 20 has churned, and everyone is watched until day 20
    assert days(found["gone"]) == (5, True)
    assert days(found["new"]) == (None, False)
    # last seen on day 17, so silent for 13 days
    assert days(found["here"]) == (17, True)
    assert days(people({"here": [0, 8, 17, 21]}, as_of=30)["here"]) == (20, False)


def test_a_silence_of_exactly_the_days_allowed_is_none() -> None:
    assert days(people({"ann": [0, 10]}, as_of=20)["ann"]) == (10, False)
    assert days(people({"ann": [0, 10.001]}, as_of=20)["ann"]) == (0, True)


def test_who_comes_back_had_churned_and_is_counted_as_come_back() -> None:
    found = people({"back": [0, 20], "gone": [0]}, as_of=40)
    assert days(found["back"]) == (0, True)
    assert [found[who]["came_back"] for who in ("back", "gone")] == [True, False]


def test_looking_later_never_changes_a_churn_that_was_seen() -> None:
    told = {"a": [0, 4, 9], "b": [0, 3, 30, 35], "c": [2, 12, 22, 31]}
    earlier = people({who: [day for day in days if day <= 25] for who, days in told.items()}, as_of=25)
    later = people(told, as_of=45)
    assert [who for who in told if days(earlier[who])[1]] == ["a", "b"]
    for who in ("a", "b"):
        assert days(earlier[who]) == days(later[who])


def test_only_events_that_count_as_activity_keep_a_customer() -> None:
    assert people({"ann": [0, 5]}, as_of=30, names=("look",)) == {}


def test_an_inactivity_of_no_days_is_refused() -> None:
    with pytest.raises(SettingsFault, match="expected a number of days above 0"):
        people({"ann": [0]}, as_of=30, inactivity_days=0)


def test_the_hazard_without_censoring_is_a_plain_share_with_its_wilson_interval() -> None:
    seconds = np.array([1, 2, 3, 40, 50, 200], dtype=float) * DAY_SECONDS
    first, second, third = churn.hazards(seconds, np.ones(6, dtype=bool), [(0, 30), (30, 60), (60, 90)])
    assert (first.n, first.churned, first.hazard) == (6, 3, approx(3 / 6))
    assert (first.low, first.high) == (approx(wilson(3, 6).lower), approx(wilson(3, 6).upper))
    assert (second.n, second.hazard) == (3, approx(2 / 3))
    assert (third.n, third.churned, third.hazard, third.low) == (1, 0, 0, 0)
    assert third.high == approx(wilson(0, 1).upper)


def test_the_hazard_counts_who_is_censored_for_as_long_as_watched() -> None:
    seconds = np.array([10, 20, 25, 90]) * float(DAY_SECONDS)
    marks = np.array([True, False, True, False])
    first, _, _, late = churn.hazards(seconds, marks, [(0, 30), (30, 60), (60, 90), (90, 120)])
    # 1 of 4, then 1 of the 2 left after the censoring on day 20
    assert first.hazard == approx(1 - 3 / 4 * 1 / 2)
    assert (late.n, late.hazard, late.reason) == (1, None, "nobody was watched to its end")
    beyond = churn.hazards(seconds, marks, [(120, 150)])[0]
    assert (beyond.hazard, beyond.reason) == (None, "nobody was watched that long without churning")


def test_groups_are_compared_and_missing_ones_kept_apart() -> None:
    rows = cohorts.events(
        {f"short{n}": ["pay@app 2026-01-01T00:00"] for n in range(20)}
        | {
            f"long{n}": [f"pay@branch {(START + timedelta(days=day)).isoformat()}" for day in range(0, 50 + n, 5)]
            for n in range(20)
        }
        | {"nowhere": ["pay 2026-01-01T00:00"]}
    )
    until = microseconds(datetime(2026, 6, 1, tzinfo=UTC))
    found = churn.table(churn.of_block(rows, inactivity_days=10, as_of_us=until, by="channel"), 10, by=True)
    assert [(group.group, group.customers, group.churned) for group in found.groups] == [
        ("app", 20, 20),
        ("branch", 20, 20),
        (None, 1, 1),
    ]
    assert found.overall.customers == 41
    assert found.groups[0].curve.median() == 0
    assert found.test is not None and found.test.p_value is not None and found.test.p_value < 1e-6
    assert [(pair.one, pair.other) for pair in found.pairs] == [("app", "branch")]


def test_nobody_has_no_churn_and_no_number() -> None:
    found = churn.table(churn.PEOPLE.empty_table(), 10, by=True)
    assert (found.overall.customers, found.overall.curve.median(), found.groups) == (0, None, ())
    assert found.overall.hazards[0].hazard is None
