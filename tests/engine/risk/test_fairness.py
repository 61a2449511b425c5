"""How groups fare at each stage: what is compared, what is only shown, and what is not shown at all."""

from __future__ import annotations

import numpy as np
import pytest

from engine.risk import fairness
from engine.risk.fairness import Cases, Fairness
from engine.risk.fairness_figures import Figure
from tests.engine.risk.lending import SETTINGS

RULES = SETTINGS.fairness


def _lent(seed: int = 3, rows: int = 6_000) -> Cases:
    """Women are half of the cases; nobody is treated differently, and 1 in 10 has no score."""
    draw = np.random.default_rng(seed)
    probability = draw.beta(1.2, 14, rows)
    approved = (probability < 0.1).astype(float)
    bad = np.where(approved == 1, (draw.random(rows) < probability).astype(float), np.nan)
    return Cases(
        groups={"gender": np.where(draw.random(rows) < 0.5, "female", "male")},
        probability=np.where(draw.random(rows) < 0.1, np.nan, probability),
        score=600 - 200 * probability,
        approved=approved,
        rate=np.where(approved == 1, 0.05 + probability, np.nan),
        bad=bad,
    )


def _one(report: Fairness, measure: str, group: str, attribute: str = "gender") -> Figure:
    found = [
        each for each in report.figures if (each.measure, each.group, each.attribute) == (measure, group, attribute)
    ]
    assert len(found) == 1
    return found[0]


def test_every_stage_of_the_process_is_compared() -> None:
    report = fairness.assess(_lent(), RULES, cut_off=0.1)
    assert {each.stage for each in report.figures} == {"applied", "scored", "approved", "priced", "defaulted"}
    measures = {each.measure for each in report.figures if each.group == "female"}
    assert {"true_positive_rate", "false_positive_rate", "calibration_gap", "mean_score", "approval_rate"} <= measures


def test_equal_treatment_is_not_called_different() -> None:
    reports = [fairness.assess(_lent(seed), RULES, cut_off=0.1) for seed in range(20)]
    alarmed = [any(each.verdict in ("differs", "below") for each in report.figures) for report in reports]
    # ten measures are compared, each right 19 times in 20: more than 15 alarming reports of 20 would be too many
    assert np.mean(alarmed) <= 0.75
    by_measure = [each.verdict == "differs" for report in reports for each in report.figures]
    assert np.mean(by_measure) <= 0.06


def test_rates_at_the_cut_off_are_counted_by_hand() -> None:
    # women: 40 defaulters, of whom 30 are refused, and 60 good payers, of whom 6 are; men: 20 of 40 and 30 of 60
    bad = np.tile(np.repeat([1.0, 0.0], [40, 60]), 2)
    refused = np.repeat([1, 0, 1, 0, 1, 0, 1, 0], [30, 10, 6, 54, 20, 20, 30, 30])
    cases = Cases(
        groups={"gender": np.repeat(["female", "male"], 100)}, probability=np.where(refused, 0.5, 0.01), bad=bad
    )
    report = fairness.assess(cases, RULES, cut_off=0.1)
    assert _one(report, "true_positive_rate", "female").value == pytest.approx(30 / 40)
    assert _one(report, "false_positive_rate", "female").value == pytest.approx(6 / 60)
    assert _one(report, "false_positive_rate", "male").value == pytest.approx(30 / 60)
    assert _one(report, "pass_rate", "female").value == pytest.approx(64 / 100)
    # men pass 50 of 100, women 64: .50 / .64
    assert _one(report, "pass_rate", "male").ratio == pytest.approx(50 / 64)
    assert _one(report, "pass_rate", "male").verdict == "below"


def test_a_model_that_is_wrong_for_one_group_only_is_found_out() -> None:
    draw = np.random.default_rng(1)
    group = np.repeat(["female", "male"], 4_000)
    true = draw.beta(2, 18, 8_000)
    said = np.where(group == "male", true / 2, true)
    report = fairness.assess(
        Cases(groups={"gender": group}, probability=said, bad=(draw.random(8_000) < true).astype(float)), RULES, 0.1
    )
    assert _one(report, "calibration_gap", "female").verdict == "no_difference_shown"
    men = _one(report, "calibration_gap", "male")
    assert men.verdict == "differs"
    assert "More defaulted than predicted" in men.text


def test_of_a_handful_of_people_nothing_is_shown() -> None:
    cases = _lent()
    gender = np.array(cases.groups["gender"])
    gender[:9] = "other"
    report = fairness.assess(Cases(groups={"gender": gender}, probability=cases.probability, bad=cases.bad), RULES, 0.1)
    hidden = [each for each in report.figures if each.group == "other"]
    assert {each.verdict for each in hidden} == {"suppressed"}
    assert {(each.value, each.rows, each.lower, each.ratio, each.p_value) for each in hidden} == {(None,) * 5}
    # the shares shown add up without them, so that their number cannot be worked out
    shares = [_one(report, "share_of_applications", group).value for group in ("female", "male")]
    assert sum(share or 0 for share in shares) == pytest.approx(1)


def test_two_attributes_are_compared_together_and_what_is_not_recorded_never_sets_the_standard() -> None:
    draw = np.random.default_rng(5)
    gender = np.where(draw.random(4_000) < 0.5, "female", "male").astype(object)
    gender[:400] = None
    ages = draw.uniform(20, 80, 4_000)
    bands = fairness.age_bands(ages, RULES)
    passes = (gender == "female") & (ages >= 62)
    probability = np.where(passes | (gender == None), 0.01, np.where(draw.random(4_000) < 0.5, 0.01, 0.5))  # noqa: E711
    report = fairness.assess(
        Cases(groups={"gender": gender, "age_band": bands}, probability=probability), RULES, cut_off=0.1
    )
    both = [each for each in report.figures if each.attribute == "gender × age_band" and each.measure == "pass_rate"]
    assert next(each.group for each in both if each.verdict == "reference") == "female × 62 and over"
    assert _one(report, "pass_rate", "not recorded").verdict != "reference"
    assert _one(report, "pass_rate", "not recorded").value == 1.0


def test_age_bands_begin_at_the_ages_named() -> None:
    assert fairness.age_bands(np.array([29.9, 30, 61, 62, np.nan]), RULES).tolist() == [
        "under 30",
        "30 to 44",
        "45 to 61",
        "62 and over",
        "",
    ]


def test_rows_carry_sentences_in_both_languages_and_no_number_that_is_undefined() -> None:
    for row in fairness.assess(_lent(), RULES, cut_off=0.1).to_rows():
        assert row["text"]
        assert any("一" <= letter <= "鿿" for letter in row["text_zh"])
        assert not any(isinstance(value, float) and np.isnan(value) for value in row.values())


def test_no_cases_at_all_give_no_figure_and_no_error() -> None:
    empty = np.array([])
    assert fairness.assess(Cases(groups={"gender": empty}, probability=empty), RULES, cut_off=0.1).figures == ()


def test_rates_and_ratios_agree_with_fairlearn() -> None:
    peer = pytest.importorskip("fairlearn.metrics", reason="fairlearn is not installed: pip install fairlearn")
    cases = _lent()
    both = np.isfinite(cases.probability) & np.isfinite(cases.bad if cases.bad is not None else cases.probability)
    group, bad = np.array(cases.groups["gender"])[both], np.asarray(cases.bad)[both]
    kept = cases.probability[both] < 0.1
    report = fairness.assess(
        Cases(groups={"gender": group}, probability=cases.probability[both], bad=bad), RULES, cut_off=0.1
    )
    ratios = [each.ratio for each in report.figures if each.measure == "pass_rate" and each.ratio is not None]
    assert min(ratios) == pytest.approx(peer.demographic_parity_ratio(bad, kept, sensitive_features=group))
    frame = peer.MetricFrame(
        metrics={"tpr": peer.true_positive_rate, "fpr": peer.false_positive_rate},
        y_true=bad.astype(int),
        y_pred=(~kept).astype(int),
        sensitive_features=group,
    )
    for name in ("female", "male"):
        assert _one(report, "true_positive_rate", name).value == pytest.approx(frame.by_group.loc[name, "tpr"])
        assert _one(report, "false_positive_rate", name).value == pytest.approx(frame.by_group.loc[name, "fpr"])
