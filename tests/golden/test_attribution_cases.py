"""Attribution worked by hand: paths, the calculation and the answer side by side."""

from __future__ import annotations

import math

import pytest

from journeys.attribution import attribute
from tests.journeys.test_attribution import told


def credit(people: dict[str, str], model: str, touches: str) -> list[float]:
    table = attribute(told(people), conversion=("BUY",), touch="channel", lookback_seconds=math.inf, models=(model,))
    found = table.of(model)
    return [found[touch] for touch in touches.split()]


# the example with which the removal effect is usually taught: one path of three converts, two are lost
TAUGHT = {"1": "C1@0 C2@1 C3@2 BUY@3", "2": "C1@0", "3": "C2@0 C3@1"}


def test_removal_effects_of_three_channels() -> None:
    """Start goes to C1 with 2/3, to C2 with 1/3; C1 to C2 or nowhere, 1/2 each; C2 to C3; C3 converts with 1/2.

    Conversion: (2/3 * 1/2 + 1/3) * 1/2 = 1/3. Without C1: 1/3 * 1/2 = 1/6, so 1 - 1/2 = 1/2 is lost. Without C2 or
    C3 all is lost, 1 each. The effects sum to 5/2: shares 1/5, 2/5, 2/5 of one conversion.
    """
    assert credit(TAUGHT, "markov", "C1 C2 C3") == pytest.approx([0.2, 0.4, 0.4])


def test_removal_effects_of_the_last_two_touches() -> None:
    """States C1, C1C2, C2, C2C3 and C1C2C3's last two, C2C3: it is reached from C1C2 once and from C2 once.

    C1 goes on with 1/2, then all go on to C2C3, which converts with 1/2: (2/3 * 1/2 + 1/3) * 1/2 = 1/3 as before, and
    so are the effects: with a memory of two touches these paths look no different.
    """
    assert credit(TAUGHT, "markov_2", "C1 C2 C3") == pytest.approx([0.2, 0.4, 0.4])


def test_second_order_remembers_what_came_before() -> None:
    """A then B converts always, C then B never: 2 paths each.

    One touch remembered: B converts with 1/2. Conversion 1/2 (all reach B); without A 1/4, lost 1/2; without C 1/4,
    lost 1/2; without B 0, lost 1. Shares of 2 conversions: A 2 * 0.5 / 2 = 0.5, B 1, C 0.5.
    Two remembered: AB converts with 1, CB with 0. Without A 0, lost 1; without B lost 1; without C nothing is lost.
    Shares: A 1, B 1, C 0.
    """
    people = {"1": "A@0 B@1 BUY@2", "2": "A@0 B@1 BUY@2", "3": "C@0 B@1", "4": "C@0 B@1"}
    assert credit(people, "markov", "A B C") == pytest.approx([0.5, 1, 0.5])
    assert credit(people, "markov_2", "A B C") == pytest.approx([1, 1, 0])


def test_removal_effects_where_paths_go_round() -> None:
    """One E S converts, one S E converts, ten S alone are lost.

    Start: E 1/12, S 11/12. E: S 1/2, converts 1/2. S: E 1/12, converts 1/12, lost 10/12.
    x_E = 1/2 + x_S/2 and x_S = 1/12 + x_E/12 give x_S = 3/23, x_E = 13/23; start 1/12 * 13/23 + 11/12 * 3/23 = 1/6.
    Without E: 11/12 * 1/12 = 11/144, lost 1 - 66/144 = 13/24. Without S: 1/12 * 1/2 = 1/24, lost 3/4 = 18/24.
    Shares of 2 conversions: E 2 * 13/31, S 2 * 18/31.
    """
    people = {"1": "E@0 S@1 BUY@2", "2": "S@0 E@1 BUY@2"} | {f"lost {n}": "S@0" for n in range(10)}
    assert credit(people, "markov", "E S") == pytest.approx([26 / 31, 36 / 31])


def test_repeated_touch_is_a_loop_that_changes_no_removal_effect() -> None:
    """A A B converts: A goes to A or B, 1/2 each, B converts. Everything passes through both: half each."""
    assert credit({"1": "A@0 A@1 B@2 BUY@3"}, "markov", "A B") == pytest.approx([0.5, 0.5])


def test_shapley_of_two_channels_and_both() -> None:
    """Worth: {A} 4, {B} 1, {A, B} 4 + 1 + 6 = 11. A first: 4, A second: 11 - 1 = 10, mean 7. B: 1 and 7, mean 4."""
    people = (
        {f"a{n}": "A@0 BUY@1" for n in range(4)}
        | {"b": "B@0 BUY@1"}
        | {f"ab{n}": "A@0 B@1 BUY@2" if n % 2 else "B@0 A@1 A@2 BUY@3" for n in range(6)}
    )
    assert credit(people, "shapley", "A B") == pytest.approx([7, 4])


@pytest.mark.parametrize(
    ("model", "parts"),
    [
        ("first", [1, 0, 0, 0]),
        ("last", [0, 0, 0, 1]),
        ("linear", [1 / 4, 1 / 4, 1 / 4, 1 / 4]),
        ("position", [0.4, 0.1, 0.1, 0.4]),
        # 14, 7, 7 and 0 days before the last touch: weights 1/4, 1/2, 1/2, 1 of 9/4
        ("time_decay", [1 / 9, 2 / 9, 2 / 9, 4 / 9]),
        ("shapley", [1 / 4, 1 / 4, 1 / 4, 1 / 4]),
    ],
)
def test_path_of_four_touches(model: str, parts: list[float]) -> None:
    day = 86_400
    people = {"1": f"A@0 B@{7 * day} C@{7 * day} D@{14 * day} BUY@{15 * day}"}
    assert credit(people, model, "A B C D") == pytest.approx(parts)


def test_position_of_one_and_of_two_touches() -> None:
    """A alone takes all; of A and B each takes half: 0.4 and 0.4, scaled to 1."""
    assert credit({"1": "A@0 BUY@1"}, "position", "A") == [1]
    assert credit({"1": "A@0 B@1 BUY@2"}, "position", "A B") == [0.5, 0.5]
