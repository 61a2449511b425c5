"""Worked cases of watching a model: four fifths and stability, each with the calculation beside it."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from engine.config.load import load
from engine.config.risk import RiskSettings
from engine.risk import fairness, metrics, stability
from engine.risk.fairness_figures import Figure
from engine.risk.stability import Period

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


def test_stability_index_of_three_bins_and_of_deciles() -> None:
    # (.35 - .4) ln(.35/.4) + (.25 - .3) ln(.25/.3) + (.4 - .3) ln(.4/.3)
    three = metrics.population_stability(np.array([0.4, 0.3, 0.3]), np.array([0.35, 0.25, 0.40]))
    assert three == pytest.approx(0.044561, abs=1e-6)
    actual = np.array([0.05, 0.07, 0.08, 0.10, 0.10, 0.10, 0.10, 0.12, 0.13, 0.15])
    assert metrics.population_stability(np.full(10, 0.1), actual) == pytest.approx(0.081611, abs=1e-6)


def test_an_empty_bin_counts_with_the_floor_and_the_floor_is_reported() -> None:
    expected, actual = np.array([0.5, 0.5, 0.0]), np.array([0.4, 0.4, 0.2])
    # 2 x (.4 - .5) ln(.4/.5) + (.2 - .0001) ln(.2/.0001)
    assert metrics.population_stability(expected, actual, 1e-4) == pytest.approx(1.564049, abs=1e-6)
    base = stability.reference("employment", _texts(["a"] * 500 + ["b"] * 500), SETTINGS.stability)
    index, _ = stability.compare(
        base,
        _period(employment=_texts(["a"] * 400 + ["b"] * 400 + ["c"] * 200)),
        SETTINGS.stability,
        population="loans",
    )
    assert SETTINGS.stability.floor == 1e-4
    assert index.value == pytest.approx(1.564049, abs=1e-6)
    assert index.floored_bins == 1
    assert "1 nearly empty bins raised to the floor" in index.text


def test_bins_of_the_reference_hold_equal_shares_whatever_the_order_of_its_rows() -> None:
    values = np.arange(1_000.0)
    for order in (values, values[::-1], np.random.default_rng(0).permutation(values)):
        base = stability.reference("requested_minor", _numbers(order), SETTINGS.stability)
        # ten bins of a hundred, and nobody without a value
        assert base.counts == (*(100,) * 10, 0)


@pytest.mark.parametrize(("rows", "limit"), [(200, 0.1692), (10_000, 0.00338)])
def test_limit_that_chance_sets_falls_with_the_rows(rows: int, limit: float) -> None:
    # chi-square with 9 degrees of freedom passes 16.919 once in 20: 16.919 x (1/n + 1/m)
    assert metrics.stability_limit(rows, rows, 10) == pytest.approx(limit, abs=5e-5)


def test_one_value_of_five_million_moves_the_index_by_less_than_a_hundredth() -> None:
    draw = np.random.default_rng(0)
    before, after = draw.lognormal(0, 1, 2_000), draw.lognormal(0, 1, 2_000) * 1.5
    base = stability.reference("requested_minor", _numbers(before), SETTINGS.stability)
    with_it = np.append(after[:-1], 5e6)
    one, other = (
        stability.compare(base, _period(requested_minor=_numbers(each)), SETTINGS.stability, population="loans")[0]
        for each in (after, with_it)
    )
    assert one.value is not None
    assert other.value is not None
    assert abs(one.value - other.value) < 0.01
    assert one.verdict == other.verdict == "drifted"
    # nor does it matter in the reference, whose edges are quantiles
    spoilt = stability.reference("requested_minor", _numbers(np.append(before[:-1], 5e6)), SETTINGS.stability)
    third = stability.compare(spoilt, _period(requested_minor=_numbers(after)), SETTINGS.stability, population="loans")[
        0
    ]
    assert third.value == pytest.approx(one.value, abs=0.01)


def _period(**columns: pa.ChunkedArray) -> Period:
    return Period(begins=datetime(2026, 5, 1, tzinfo=UTC), ends=datetime(2026, 6, 1, tzinfo=UTC), columns=columns)


def _texts(values: list[str]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values)])


def _numbers(values: np.ndarray) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values)])
