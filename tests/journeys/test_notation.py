"""Funnels as they are written on one line."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.errors import SettingsFault
from journeys import notation
from journeys.breakdown import Attribution
from journeys.spec import Effect, Funnel, Order, Reentry, Step, WindowFrom

BASE = Funnel(steps=(Step(name="one", events=("A",)), Step(name="two", events=("B",))), window_seconds=60)


def test_steps_are_divided_by_commas_and_their_events_by_bars() -> None:
    made = notation.steps("view, apply|call ,*", optional=(2,))
    assert [(step.name, step.events, step.optional) for step in made] == [
        ("view", ("view",), False),
        ("apply | call", ("apply", "call"), True),
        ("*", ("*",), False),
    ]
    assert [step.any_event for step in made] == [False, False, True]


@settings(deadline=None)
@given(names=st.lists(st.text(st.sampled_from("ab,|*:\\ -1"), min_size=1), min_size=2, max_size=4))
def test_any_name_can_be_written_with_backslashes_before_the_marks(names: list[str]) -> None:
    names = [f"x{name}x" for name in names]
    written = [name.translate({ord(mark): f"\\{mark}" for mark in ",|:\\"}) for name in names]
    assert [step.events for step in notation.steps(",".join(written))] == [(name,) for name in names]
    assert notation.listed(",".join(written)) == tuple(names)
    excluded = notation.exclusion(f"{'|'.join(written)}:1-2", 2, Effect.DROP_CUSTOMER)
    assert (excluded.events, excluded.after_step, excluded.before_step) == (tuple(names), 1, 2)


@pytest.mark.parametrize("text", ["", "view,,open", "view|,open", ",view"])
def test_step_without_a_name_is_refused_with_its_number(text: str) -> None:
    with pytest.raises(SettingsFault, match="is empty"):
        notation.steps(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("15m", 900),
        ("12h", 43_200),
        ("14d", 1_209_600),
        ("2w", 1_209_600),
        ("0.5d", 43_200),
        (" 1 h ", 3_600),
    ],
)
def test_window_is_a_number_and_a_unit(text: str, seconds: float) -> None:
    assert notation.seconds(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "14", "d", "-1d", "1e9d", "0s", "0.0w", "1y", "14d 3h", "36526d", "9" * 400 + "d"]
)
def test_window_that_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(SettingsFault, match=r"14d|36525d"):
        notation.seconds(text)


def test_exclusion_without_a_range_is_between_any_two_steps() -> None:
    for text, events in (("error", ("error",)), ("page:error", ("page:error",)), ("a|b", ("a", "b"))):
        made = notation.exclusion(text, 4, Effect.END_ATTEMPT)
        assert (made.events, made.after_step, made.before_step, made.effect) == (events, 1, 4, Effect.END_ATTEMPT)


def test_exclusion_takes_the_last_colon_for_its_range() -> None:
    made = notation.exclusion("page:error:2-3", 4, Effect.DROP_CUSTOMER)
    assert (made.events, made.after_step, made.before_step) == (("page:error",), 2, 3)


def test_breakdown_is_by_first_last_all_or_a_step() -> None:
    made = [notation.breakdown("browser", text, 3) for text in ("first", "last", "all", "step:3")]
    assert [(one.attribution, one.step) for one in made] == [
        (Attribution.FIRST, None),
        (Attribution.LAST, None),
        (Attribution.ALL, None),
        (Attribution.STEP, 3),
    ]
    for text in ("step", "step:0", "step:4", "any", ""):
        with pytest.raises(SettingsFault, match="step:K"):
            notation.breakdown("browser", text, 3)


def test_funnel_written_without_more_has_the_defaults() -> None:
    made = notation.funnel(None, written="A,B")
    assert (made.window_seconds, made.window_from, made.order, made.reentry, made.exclusions) == (
        14 * 86_400,
        WindowFrom.FIRST,
        Order.ORDERED,
        Reentry.ANY,
        (),
    )


def test_what_is_written_beside_a_journey_changes_only_that() -> None:
    assert notation.funnel(BASE, written=None) == BASE
    made = notation.funnel(BASE, written=None, window="2m", order="strict", reentry="first", exclude=["x:1-2"])
    assert (made.steps, made.window_seconds, made.order, made.reentry) == (BASE.steps, 120, "strict", "first")
    assert [one.events for one in made.exclusions] == [("x",)]


def test_steps_and_a_journey_together_or_neither_are_refused() -> None:
    for base, written in ((BASE, "A,B"), (None, None)):
        with pytest.raises(SettingsFault, match="not both"):
            notation.funnel(base, written=written)
    with pytest.raises(SettingsFault, match="journey says itself"):
        notation.funnel(BASE, written=None, optional=["1"])
