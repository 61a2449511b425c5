"""Reference cases of experiment analysis: published inputs, published answers, and faults seen elsewhere.

Each case names where its numbers come from. Four of them are faults of other programs: here the opposite must hold.
"""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from experiments import effects
from experiments.integrity import sample_ratio
from experiments.moments import Moments
from experiments.sample_ratio import ratio_test
from tests.experiments.builders import analyse, experiment, many, result

# growthbook/gbstats, test of the two-sided t-test
CONTROL = Moments.of(3407, 1396.87, 52377.9767)
TREATMENT = Moments.of(3461, 2422.7, 134698.29)


def public(folder: Path, *parts: str) -> Path:
    source = folder.joinpath(*parts)
    if not source.exists():
        pytest.skip(f"no {source.name} among the public data sets here")
    return source


def count_by_arm(source: Path, arm: str, outcome: str) -> dict[str, Counter[str]]:
    with gzip.open(source, "rt", encoding="utf-8", newline="") as lines:
        counted: dict[str, Counter[str]] = {}
        for row in csv.DictReader(lines):
            counted.setdefault(row[arm], Counter())[row[outcome]] += 1
    return counted


def test_welch_difference_interval_and_p_value_of_gbstats() -> None:
    effect = effects.means(TREATMENT, CONTROL)
    assert effect.difference == pytest.approx(0.29, abs=1e-9)
    assert (effect.lower, effect.upper) == pytest.approx((0.045378, 0.534622), abs=1e-6)
    assert effect.p_value == pytest.approx(0.0201584, abs=1e-7)


def test_fieller_interval_with_the_normal_critical_value() -> None:
    assert CONTROL.variance and TREATMENT.variance and CONTROL.mean and TREATMENT.mean
    errors = TREATMENT.variance / TREATMENT.n, CONTROL.variance / CONTROL.n
    bounds = effects.fieller(TREATMENT.mean, CONTROL.mean, errors, float(stats.norm.ppf(0.975)))
    assert bounds == pytest.approx((0.094169, 1.708403), abs=1e-6)


def test_relative_difference_of_two_means_of_posthog() -> None:
    effect = effects.means(Moments.of(2461, 1922.7, 94698.29), Moments.of(2507, 1196.87, 37377.9767))
    assert effect.relative_difference == pytest.approx(0.63646, abs=1e-5)


def test_relative_difference_of_two_proportions_of_posthog() -> None:
    effect = effects.proportions(Moments.of_count(62, 1471), Moments.of_count(87, 1529))
    assert effect.relative_difference == pytest.approx(-0.25925, abs=1e-5)
    # their relative delta method says p = .031 and their absolute test .062; here both answers are the second
    assert effect.p_value == pytest.approx(0.062133, abs=1e-6)
    assert effect.relative_lower is not None and effect.relative_upper is not None
    assert effect.relative_lower < 0 < effect.relative_upper


def test_proportions_of_spotify() -> None:
    effect = effects.proportions(Moments.of_count(10, 1000), Moments.of_count(20, 1000))
    assert effect.difference == pytest.approx(-0.01)
    assert (effect.lower, effect.upper) == pytest.approx((-0.0206453, 0.0006453), abs=1e-7)
    assert effect.p_value == pytest.approx(0.0655997, abs=1e-7)


def test_proportions_of_tea_tasting_lie_between_its_tests() -> None:
    """Six tests of 100 against 130 of 1,000 give p from .0352564 (likelihood ratio) to .042088 (Yates)."""
    effect = effects.proportions(Moments.of_count(130, 1000), Moments.of_count(100, 1000))
    assert effect.p_value is not None and 0.0352564 <= effect.p_value <= 0.042088
    assert effect.p_value == pytest.approx(0.0354885, abs=0.0003)  # its z-test pools the variance


def test_sample_ratios_of_gbstats_and_tea_tasting() -> None:
    even = {"a": 0.5, "b": 0.5}
    far, near = ratio_test({"a": 1000, "b": 1200}, even), ratio_test({"a": 461, "b": 506}, even)
    assert far is not None and far.p_value == pytest.approx(2.00787e-05, rel=1e-5)
    assert near is not None and near.p_value == pytest.approx(0.147868, abs=1e-6)


def test_sample_ratio_of_the_house_style_reads_as_written() -> None:
    plan = experiment(experiment_id="welcome_offer")
    assert sample_ratio(plan, {"a": 5412, "b": 4603}).detail == (
        'Sample ratio mismatch in "welcome_offer": planned 50:50, observed 5 412:4 603 (chi-square 65.4, p < 0.001). '
        "Results are withheld. Check assignment and exposure logging before anything else."
    )


def test_variant_of_weight_zero_is_no_degree_of_freedom() -> None:
    """gbstats counts it and finds p = .00534."""
    found = ratio_test({"a": 1000, "b": 1150, "c": 0}, {"a": 0.5, "b": 0.5, "c": 0.0})
    assert found is not None and (found.degrees, found.p_value) == (1, pytest.approx(0.00122, abs=1e-5))


def test_variance_survives_a_mean_of_a_hundred_million() -> None:
    """gbstats finds -1.31 for numbers around 10^8 with a spread of 1."""
    numbers = np.random.default_rng(1).normal(1e8, 1.0, size=4_000).round(6)
    events = [(f"a{row}", "buy", 1.0, float(number)) for row, number in enumerate(numbers)]
    events += [(f"b{row}", "buy", 1.0, float(number) + 0.25) for row, number in enumerate(numbers)]
    found = result(analyse(many("a", 4_000) + many("b", 4_000), events), "spend")
    standard_error = sqrt(2 * float(np.var(numbers, ddof=1)) / 4_000)
    assert found["difference"] == pytest.approx(0.25, abs=1e-7)
    assert found["upper"] - found["lower"] == pytest.approx(2 * 1.9602 * standard_error, rel=1e-3)


def test_unknown_values_are_neither_counted_nor_taken_for_zero() -> None:
    """tea-tasting divides the sum of the known values by the number of all rows."""
    events = [(f"{arm}{row}", "buy", 1.0, float(row) if row % 2 else None) for arm in "ab" for row in range(40)]
    found = result(analyse(many("a", 40) + many("b", 40), events), "spend")
    # 1, 3, ..., 39: twenty known values with a mean of 20
    assert (found["control_units"], found["control_mean"]) == (20, 20)


def test_relative_and_absolute_answer_are_one_verdict() -> None:
    """gbstats, PostHog and Eppo say p = .020 for the difference of these means and .062 for the relative one."""
    effect = effects.means(TREATMENT, CONTROL)
    assert effect.relative_difference == pytest.approx(0.707317, abs=1e-6)
    assert effect.lower is not None and effect.lower > 0
    assert effect.relative_lower is not None and effect.relative_lower > 0


@pytest.mark.real_data
def test_cookie_cats_retention_agrees_with_the_published_notebooks(real_data: Path) -> None:
    source = public(real_data, "cookie_cats", "cookie_cats.csv.gz")

    def retention(day: int) -> effects.Effect:
        arms = count_by_arm(source, "version", f"retention_{day}")
        moments = {name: Moments.of_count(seen["True"], seen.total()) for name, seen in arms.items()}
        return effects.proportions(moments["gate_40"], moments["gate_30"])

    assert retention(1).p_value == pytest.approx(0.0744097, abs=1e-5)
    assert retention(7).p_value == pytest.approx(0.00155425, abs=1e-5)
    first, last = retention(7).lower, retention(7).upper
    assert first is not None and last is not None
    assert (round(100 * first, 3), round(100 * last, 3)) == (-1.328, -0.312)


def test_cookie_cats_counts_give_the_published_answer_without_the_data() -> None:
    effect = effects.proportions(Moments.of_count(20_119, 45_489), Moments.of_count(20_034, 44_700))
    assert effect.p_value == pytest.approx(0.0744097, abs=1e-5)
    assert effects.verdict(effect, "increase") == "no_difference_shown"


@pytest.mark.real_data
def test_vanguard_clients_complete_more_often_and_the_even_split_alarms(real_data: Path) -> None:
    source = public(real_data, "vanguard", "client_step_counts.csv.gz")
    arms = count_by_arm(source, "variation", "process_completed")
    test, control = (Moments.of_count(arms[name]["True"], arms[name].total()) for name in ("Test", "Control"))
    effect = effects.proportions(test, control)
    assert (control.mean, test.mean) == pytest.approx((0.6559, 0.6929), abs=5e-5)
    assert effects.verdict(effect, "increase") == "better"
    plan = experiment(weights={"Control": 0.5, "Test": 0.5}, control="Control", weights_assumed=True)
    assert sample_ratio(plan, {"Control": control.n, "Test": test.n}).status == "stop"
