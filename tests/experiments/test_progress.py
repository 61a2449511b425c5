"""How long an experiment has to go on."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from engine.config.experiments import LookSettings
from experiments.looks import AnyTime
from experiments.progress import NO_END, NO_INFORMATION, Progress, Sought, days_to_go, of_plan
from tests.experiments.builders import experiment

START = date(2026, 3, 1)
TENTH = START + timedelta(days=9)
END = datetime(2026, 3, 14, tzinfo=UTC)


def sought(error: float | None = 1.0, units: int = 5_000) -> Sought:
    return Sought(planned_effect=2.0, standard_error=error, units=units)


def test_days_to_go_follow_the_information() -> None:
    # needed: ((1.96 + .8416) / 2)^2 = 1.9622; now 1 after 10 days, so 9.62 more
    assert days_to_go(1.0, 10, 2.0, critical=1.959964) == 10
    # four times the information: twice as sure as needed
    assert days_to_go(0.5, 10, 2.0, critical=1.959964) == 0
    assert days_to_go(1.0, 10, 1.0, critical=1.959964) == 69  # 7.849 x 10 - 10


def test_days_to_go_need_an_effect_to_look_for() -> None:
    with pytest.raises(ValueError, match="above 0"):
        days_to_go(1.0, 10, 0.0, critical=1.96)


@pytest.mark.parametrize(
    ("plan", "today", "expected"),
    [
        ({"ends_at": datetime(2026, 3, 14, tzinfo=UTC)}, TENTH, Progress(day=10, days_to_go=4)),
        (
            {"ends_at": datetime(2026, 3, 14, tzinfo=UTC)},
            date(2026, 4, 1),
            Progress(day=32, days_to_go=0, complete=True),
        ),
        ({"looks": LookSettings(days=14)}, TENTH, Progress(day=10, days_to_go=4)),
        ({"starts_at": datetime(2026, 2, 24, tzinfo=UTC)}, TENTH, Progress(day=15, why=NO_END)),
        ({}, START - timedelta(days=3), Progress(day=1, why=NO_END)),
    ],
)
def test_days_are_those_of_the_plan_where_it_has_an_end(plan: dict[str, Any], today: date, expected: Progress) -> None:
    assert of_plan(experiment(**plan), today, START) == expected


def test_planned_end_comes_before_the_information() -> None:
    ends = experiment(ends_at=END)
    assert of_plan(ends, TENTH, START, [sought(0.001)]).days_to_go == 4


def test_without_an_end_the_variant_that_needs_longest_counts_by_the_bound_of_any_time() -> None:
    plan = experiment()
    slow = of_plan(plan, TENTH, START, [sought(0.9), sought(1.0)])
    # of two variants each has 1 - .95^.5 = .0253 of the error
    critical = AnyTime(units=5_000, tuned_for=plan.alpha).critical(1 - 0.95**0.5)
    assert slow == Progress(day=10, days_to_go=days_to_go(1.0, 10, 2.0, critical=critical), by_information=True)
    # one look would ask for ten days more
    assert slow.days_to_go is not None and slow.days_to_go > 10
    assert of_plan(plan, TENTH, START, [sought(0.1)]) == Progress(
        day=10, days_to_go=0, complete=True, by_information=True
    )


def test_information_that_cannot_be_told_is_no_number_of_days() -> None:
    assert of_plan(experiment(), TENTH, START, [sought(), sought(None)]) == Progress(day=10, why=NO_INFORMATION)
    assert of_plan(experiment(), TENTH, None, [sought(units=0)]) == Progress(day=1, why=NO_INFORMATION)
