"""Splits: exact where counts are small, at every look, by day and by dimension, and where the plan was changed."""

from datetime import date, timedelta

import numpy as np
from pytest import approx
from scipy import stats

from experiments import sample_ratio

EVEN = {"a": 1, "b": 1}
START = date(2026, 1, 1)


def days(*counts: tuple[int, int]) -> dict[date, dict[str, int]]:
    return {START + timedelta(days=place): {"a": a, "b": b} for place, (a, b) in enumerate(counts)}


def test_small_counts_are_tested_exactly() -> None:
    found = sample_ratio.once({"a": 8, "b": 1}, EVEN)
    # 0, 1, 8 or 9 of 9: (1 + 9 + 9 + 1) / 512
    assert found is not None and found.method == "binomial"
    assert found.p_value == approx(20 / 512)
    large = sample_ratio.once({"a": 80, "b": 10}, EVEN)
    assert large is not None and large.method == "chi_square"


def test_rare_arm_that_expects_few_is_tested_exactly_however_many_there_are() -> None:
    found = sample_ratio.once({"a": 990, "b": 4, "c": 6}, {"a": 0.992, "b": 0.004, "c": 0.004})
    single = [stats.binomtest(k, 1000, share).pvalue for k, share in ((990, 0.992), (4, 0.004), (6, 0.004))]
    assert found is not None and found.method == "binomial"
    assert found.p_value == approx(min(1, 3 * min(single)))


def test_nobody_is_no_test() -> None:
    for test in (sample_ratio.ratio_test, sample_ratio.exact_test, sample_ratio.once, sample_ratio.sequential_test):
        assert test({"a": 0}, EVEN) is None


def test_anyone_in_an_arm_of_weight_0_is_impossible_at_every_look() -> None:
    weights = {"a": 1, "b": 1, "off": 0}
    for test in (sample_ratio.ratio_test, sample_ratio.exact_test, sample_ratio.once, sample_ratio.sequential_test):
        found = test({"a": 50, "b": 50, "off": 1}, weights)
        assert found is not None and (found.p_value, found.degrees) == (0.0, 1)


def test_arm_of_weight_0_with_nobody_changes_nothing() -> None:
    with_it = sample_ratio.sequential_test({"a": 500, "b": 400, "off": 0}, EVEN | {"off": 0})
    assert with_it == sample_ratio.sequential_test({"a": 500, "b": 400}, EVEN)


def test_evidence_for_the_plan_has_a_mean_of_1_over_all_results() -> None:
    """What makes it safe at any look: 1 / p, were it not held at 1, is a fair game. All results of 12 customers."""
    planned = np.array([0.3, 0.7])
    results = np.column_stack((np.arange(13), 12 - np.arange(13))).astype(float)
    evidence = sample_ratio._log_bayes_factor(results, planned, sample_ratio.CONCENTRATIONS)
    assert float((np.exp(evidence) * stats.binom.pmf(np.arange(13), 12, 0.3)).sum()) == approx(1)


def test_groups_are_corrected_for_their_number() -> None:
    found = sample_ratio.by_group(
        {"web": {"a": 60, "b": 40}, "app": {"a": 50, "b": 50}, "kiosk": {}}, EVEN, looks=False
    )
    # (60 - 50)^2 / 50 twice: 4; twice its p-value, for the two groups that have customers
    assert [one.group for one in found] == ["web", "app"]
    assert found[0].p_value == approx(float(stats.chi2.sf(4, 1)))
    assert found[0].adjusted_p_value == approx(2 * found[0].p_value)


def test_groups_with_a_plan_of_their_own_are_held_to_it() -> None:
    steps = {"first week": {"a": 900, "b": 100}, "then": {"a": 505, "b": 495}}
    ramp = {"first week": {"a": 9, "b": 1}}
    found = sample_ratio.by_group(steps, EVEN, looks=True, plans=ramp)
    assert [one.adjusted_p_value for one in found] == [1.0, 1.0]
    assert sample_ratio.by_group(steps, EVEN, looks=True)[0].adjusted_p_value < 1e-9


def test_a_ramp_of_three_steps_is_three_epochs() -> None:
    rng = np.random.default_rng(4)
    plan = [0.05] * 5 + [0.25] * 6 + [0.5] * 10
    counts = [(2_000 - int(b), int(b)) for b in rng.binomial(2_000, plan)]
    found = sample_ratio.epochs(days(*counts))
    assert [((span.first - START).days, (span.last - START).days) for span in found] == [(0, 4), (5, 10), (11, 20)]
    assert sum(sum(span.counts.values()) for span in found) == 21 * 2_000
    assert found[0].name == "2026-01-01..2026-01-05"


def test_steady_split_is_one_epoch_nearly_always() -> None:
    rng = np.random.default_rng(8)
    changed = 0
    for _ in range(500):
        drawn = rng.multinomial(1_000, [0.5, 0.3, 0.2], size=28)
        daily = {START + timedelta(days=place): dict(zip("abc", row, strict=True)) for place, row in enumerate(drawn)}
        changed += len(sample_ratio.epochs(daily)) > 1
    assert changed <= 2  # .001 of 500 is half a one


def test_days_of_a_handful_do_not_make_an_epoch() -> None:
    assert len(sample_ratio.epochs(days((3, 0), (0, 4), (400, 410), (420, 405)))) == 1
    assert sample_ratio.epochs({}) == ()
    assert len(sample_ratio.epochs(days((0, 0), (0, 0)))) == 1
    assert len(sample_ratio.epochs(days((500, 0), (400, 0), (600, 0)))) == 1


def test_arm_that_starts_later_is_a_change() -> None:
    found = sample_ratio.epochs(days((500, 0), (500, 0), (250, 250), (250, 250)))
    assert [span.counts for span in found] == [{"a": 1000, "b": 0}, {"a": 500, "b": 500}]
