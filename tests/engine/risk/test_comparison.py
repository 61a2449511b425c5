"""The models side by side: who sees what, who may decide, and what is said where nothing can be measured."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from engine.domain.errors import NotEnoughData
from engine.risk import championship, comparison, metrics, models, probes
from engine.risk.challengers.training import Training
from engine.risk.championship import Rival
from engine.risk.comparison import Comparison
from engine.risk.metrics import Estimate
from tests.engine.risk.lenders import SETTINGS, training

FAST = SETTINGS.model_copy(
    update={
        "calibration": SETTINGS.calibration.model_copy(update={"folds": 3}),
        "challengers": SETTINGS.challengers.model_copy(update={"probes": 3_000}),
    }
)


@functools.cache
def _rows() -> Training:
    return replace(training(1_500), settings=FAST)


@functools.cache
def _compared() -> Comparison:
    later = np.arange(1_500) >= 1_100
    return comparison.compare(_rows(), later)


def test_all_four_models_are_measured_on_the_same_unseen_rows() -> None:
    found = _compared()
    assert [one.name for one in found.results] == list(models.KINDS)
    for one in found.results:
        assert (one.folds.rows, one.out_of_time.rows) == (1_100, 400)  # type: ignore[union-attr]
        assert one.folds.bads == _rows().bad[:1_100].sum()
        assert one.folds.auc.lower < one.folds.auc.value < one.folds.auc.upper
        assert one.folds.gini.value == pytest.approx(2 * one.folds.auc.value - 1)
        assert one.folds.auc_sd > 0 and one.fit_seconds > 0
        assert sum(line.rows for line in one.folds.reliability) == sum(line.rows for line in one.folds.by_tier) == 1_100
    assert (np.bincount(found.fold[:1_100]) >= 366).all() and (found.fold[1_100:] == -1).all()


def test_probabilities_of_later_rows_are_the_final_models_own() -> None:
    latest = _rows().part(np.arange(1_100, 1_500))
    for one in _compared().results:
        assert (one.unseen[1_100:] == one.model.default_probability(latest.columns, 400)).all()


def test_a_second_comparison_says_the_very_same() -> None:
    again = comparison.compare(replace(training(1_500), settings=FAST), np.arange(1_500) >= 1_100)
    for one, other in zip(again.results, _compared().results, strict=True):
        assert models.document(one.model)["checksum"] == models.document(other.model)["checksum"]
        assert (one.unseen == other.unseen).all()
    assert again.verdict == _compared().verdict


def test_all_but_the_forest_keep_directions() -> None:
    found = _compared()
    assert found.directions == {"use": 1, "line": -1, "noise": 0}
    broken = {one.name: one.monotonic_violations for one in found.results}
    assert broken["random_forest"] > 0
    assert broken["scorecard"] == broken["glass_box"] == broken["monotone_boosting"] == 0
    assert {one.probed.probes for one in found.results} == {3_000}


def test_the_probe_finds_what_is_planted() -> None:
    # "use" of 0.5 and above lowers the risk: a pair on both sides of 0.5 is against the direction, half of all pairs
    class Fallen:
        name, inputs, directions = "fallen", ("use",), {"use": 1}

        def default_probability(self, columns: Any, rows: int) -> np.ndarray:
            return np.where(np.array(columns["use"].to_pylist(), dtype=float) < 0.5, 0.2, 0.1)

    use = {"use": pa.chunked_array([pa.array(np.arange(100) / 100)])}
    found = probes.probe(Fallen(), use, {"use": 1}, probes=2_000, seed=1)  # type: ignore[arg-type]
    # pairs of two different values: 50 x 50 of 100 x 99 / 2 lie on both sides
    assert found.violations / found.probes == pytest.approx(2_500 / 4_950, abs=0.04)
    assert probes.probe(Fallen(), use, {"use": 0}, probes=2_000, seed=1).probes == 0  # type: ignore[arg-type]


def _judged(*rivals: Rival, flagged: dict[str, str] | None = None) -> tuple[str, str]:
    found = championship.judge("scorecard", rivals, SETTINGS.champion, flagged or {})
    return found.champion, " ".join(said.text for said in found.reasons)


BETTER = Rival(
    name="glass_box",
    gain=Estimate(value=0.02, lower=0.01, upper=0.03),
    gain_later=Estimate(value=0.01, lower=-0.01, upper=0.03),
    violations=0,
    probes=100,
)


def test_an_explainable_challenger_that_is_better_beyond_chance_should_decide() -> None:
    champion, why = _judged(BETTER)
    assert champion == "glass_box" and "second person" in why


@pytest.mark.parametrize(
    ("rival", "said"),
    [
        (replace(BETTER, name="monotone_boosting"), "reasons are not exact"),
        (replace(BETTER, gain=Estimate(value=0.02, lower=-0.001, upper=0.041)), "from chance"),
        (replace(BETTER, gain=Estimate(value=0.004, lower=0.003, upper=0.005)), "to matter"),
        (replace(BETTER, gain=Estimate(value=np.nan)), "one class"),
        (replace(BETTER, gain_later=Estimate(value=-0.01, lower=-0.03, upper=0.01)), "not on the latest"),
        (replace(BETTER, violations=3), "3 of 100 probes"),
    ],
)
def test_otherwise_the_scorecard_decides_and_the_reason_is_told(rival: Rival, said: str) -> None:
    champion, why = _judged(rival)
    assert champion == "scorecard" and said in why


def test_while_a_leak_is_flagged_the_scorecard_decides() -> None:
    champion, why = _judged(BETTER, flagged={"duration": "known only after the outcome"})
    assert champion == "scorecard" and "duration" in why


def test_the_gain_of_one_curve_over_another_is_known_better_than_either() -> None:
    draw = np.random.default_rng(5)
    own = draw.normal(size=2_000)
    bad = draw.random(2_000) < 1 / (1 + np.exp(2 - own))
    other = own + draw.normal(0, 0.3, 2_000)
    gain, area, its = metrics.auc_gain(own, other, bad), metrics.auc(own, bad), metrics.auc(other, bad)
    assert gain.value == pytest.approx(area.value - its.value, abs=1e-12)
    assert gain.upper - gain.lower < (area.upper - area.lower) / 2
    # the interval covers what 400 resamples of the rows spread over
    spread = np.std([_gain(own, other, bad, draw.integers(0, 2_000, 2_000)) for _ in range(400)])
    assert (gain.upper - gain.lower) / 2 / 1.96 == pytest.approx(spread, rel=0.15)
    assert np.isnan(metrics.auc_gain(own, other, np.zeros(2_000, dtype=bool)).value)
    assert np.isnan(metrics.auc_gain(own, own, bad).lower) and metrics.auc_gain(own, own, bad).value == 0


def _gain(own: np.ndarray, other: np.ndarray, bad: np.ndarray, rows: np.ndarray) -> float:
    return metrics.auc_gain(own[rows], other[rows], bad[rows]).value


def test_later_rows_of_one_class_have_no_separation_and_say_why() -> None:
    bad = np.zeros(50, dtype=bool)
    found = comparison.measure(np.full(50, 0.1), bad, FAST)
    assert np.isnan(found.auc.value) and np.isnan(found.ks) and np.isnan(found.lift)
    assert found.note == "undefined: none of 50 rows went bad"
    assert found.brier == pytest.approx(0.01)


def test_a_class_with_one_row_cannot_be_cross_validated() -> None:
    rows = _rows()
    lone = replace(rows, bad=np.arange(rows.rows) == 7)
    with pytest.raises(NotEnoughData, match="single row"):
        comparison.compare(lone)
