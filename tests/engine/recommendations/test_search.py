"""The least number that holds is found in a few questions, and questions are asked of many numbers at a time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.recommendations.frame import Flags, Integers
from engine.recommendations.search import least

_NUMBERS = st.integers(0, 10**14)


@given(low=_NUMBERS, width=_NUMBERS, at=_NUMBERS)
def test_the_least_that_holds_is_found_in_at_most_ten_questions(low: int, width: int, at: int) -> None:
    asked: list[int] = []

    def holds(numbers: Integers) -> Flags:
        asked.append(len(numbers))
        return numbers >= at

    found = least(holds, low, low + width)
    assert found == (max(at, low) if at <= low + width else None)
    # a gap of 10^14 at most, which each question makes 65 times smaller: 65^8 is above 10^14
    assert len(asked) <= 10
    assert max(asked) <= 65


def test_between_numbers_of_which_none_is_there_is_nothing() -> None:
    assert least(lambda numbers: numbers >= 0, 1, 0) is None
