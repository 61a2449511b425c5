"""Worked cases of watching a model: four fifths and stability, each with the calculation beside it."""

from __future__ import annotations

import pytest

from engine.config.load import load
from engine.config.risk import RiskSettings
from engine.risk import fairness
from engine.risk.fairness_figures import Figure

SETTINGS = load(RiskSettings, "risk")


def _screened(selected: dict[str, int], rows: dict[str, int]) -> dict[str, Figure]:
    return {each.group: each for each in fairness.screen(selected, rows, SETTINGS.fairness)}


def test_45_of_100_against_60_of_100_is_below_four_fifths() -> None:
    found = _screened({"women": 45, "men": 60}, {"women": 100, "men": 100})
    # .45 / .60
    assert found["women"].ratio == pytest.approx(0.75)
    assert found["women"].verdict == "below"
    assert found["men"].verdict == "reference"
    assert "screening figure, not a legal test" in found["women"].text
    # pooled .525: z = -.15 / sqrt(.525 x .475 x .02) = -2.124, two-sided p = .0337
    assert found["women"].p_value == pytest.approx(0.0337, abs=1e-4)


def test_48_of_100_against_60_of_100_is_exactly_four_fifths_and_passes() -> None:
    # .48 / .60 is .7999999999999999 in floats
    found = _screened({"women": 48, "men": 60}, {"women": 100, "men": 100})
    assert found["women"].ratio == pytest.approx(0.80)
    assert found["women"].verdict == "pass"


def test_nobody_selected_is_not_assessable() -> None:
    found = _screened({"women": 0, "men": 0}, {"women": 100, "men": 100})
    assert {each.verdict for each in found.values()} == {"not_assessable"}
    assert {each.ratio for each in found.values()} == {None}


def test_a_group_under_30_is_insufficient_and_has_an_interval() -> None:
    found = _screened({"women": 10, "men": 60, "other": 5}, {"women": 29, "men": 100, "other": 9})
    assert found["women"].verdict == "insufficient"
    assert found["women"].ratio is None
    # Wilson: (.3448 + 1.9208 / 29 -+ ...) / (1 + 3.8415 / 29)
    assert (found["women"].lower, found["women"].upper) == (
        pytest.approx(0.199, abs=1e-3),
        pytest.approx(0.527, abs=1e-3),
    )
    assert found["men"].verdict == "reference"
    assert found["other"].verdict == "suppressed"
    assert found["other"].rows is None
