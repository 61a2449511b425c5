"""Checks of health: each says in a sentence what was found, and a failed one withholds results."""

from datetime import date, timedelta

import pytest
from pytest import approx
from scipy import stats

from experiments import integrity, sample_ratio
from experiments.estimates import ArmEstimate
from experiments.integrity import Check
from experiments.sample_ratio import Epoch
from tests.experiments.builders import experiment

EVEN = {"a": 0.5, "b": 0.5}
UNITS = {"a": 1_000, "b": 1_000}
MONDAY = date(2026, 1, 5)


def known(value: float, n: int = 1_000) -> ArmEstimate:
    """A mean with an error of 0.1."""
    return ArmEstimate(value=value, variance=0.01, n=n)


def test_sample_ratio_of_one_look_is_chi_square_and_of_many_is_sequential() -> None:
    plan = experiment()
    once = integrity.sample_ratio(plan, {"a": 1_000, "b": 1_100}, looks=False)
    often = integrity.sample_ratio(plan, {"a": 1_000, "b": 1_100})
    # 50^2 / 1050 twice
    assert once.statistic == often.statistic == approx(2 * 2_500 / 1_050)
    assert once.p_value == approx(float(stats.chi2.sf(2 * 2_500 / 1_050, 1)))
    assert once.detail == "Planned 50:50, observed 1 000:1 100 (chi-square 4.8, p = 0.029)."
    assert once.p_value is not None and often.p_value is not None and often.p_value > once.p_value
    assert often.detail.endswith("however often it is looked at).")
    assert (once.status, often.status) == ("ok", "ok")


def test_sample_ratio_by_day_names_the_day_that_broke() -> None:
    daily = {MONDAY + timedelta(days=step): {"a": 500, "b": 500} for step in range(7)}
    assert integrity.sample_ratio_by_day(daily, EVEN).status == "ok"
    found = integrity.sample_ratio_by_day(daily | {date(2026, 1, 8): {"a": 500, "b": 300}}, EVEN)
    assert found.status == "stop"
    assert found.detail == (
        'The split is not the planned one for 1 of 7 values of day, most of all "2026-01-08": '
        "planned 50:50, observed 500:300 (p < 0.001, corrected). Results are withheld."
    )


def test_days_of_a_ramp_are_held_to_what_was_planned_for_them() -> None:
    counts = [(900, 100)] * 7 + [(700, 300)] + [(500, 500)] * 6
    daily = {MONDAY + timedelta(days=step): {"a": a, "b": b} for step, (a, b) in enumerate(counts)}
    first, changed, rest = (
        Epoch(first=MONDAY + timedelta(days=start), last=MONDAY + timedelta(days=end), counts={})
        for start, end in ((0, 6), (7, 7), (8, 13))
    )
    ramp = [(first, {"a": 0.9, "b": 0.1}), (changed, None), (rest, EVEN)]
    found = integrity.over_time(daily, EVEN, today=date(2026, 2, 1), ramp=ramp)
    assert [check.status for check in found] == ["ok", "warning", "ok"]
    assert "2026-01-05 to 2026-01-11 90:10; 2026-01-12 to 2026-01-12 70:30; " in found[1].detail
    # the same days with nothing planned but half and half
    unplanned = integrity.over_time(daily, EVEN, today=date(2026, 2, 1))
    assert unplanned[0].status == "stop"
    assert "for 8 of 14 values of day" in unplanned[0].detail
    assert integrity.over_time({}, EVEN, today=MONDAY) == ()


def test_day_that_is_not_over_is_not_judged_on_its_own() -> None:
    daily = {MONDAY: {"a": 500, "b": 500}, MONDAY + timedelta(days=1): {"a": 60, "b": 5}}
    assert integrity.over_time(daily, EVEN, today=MONDAY + timedelta(days=1))[0].status == "ok"
    assert integrity.over_time(daily, EVEN, today=MONDAY + timedelta(days=2))[0].status == "stop"


def test_epochs_of_a_ramp_are_held_to_their_own_plans() -> None:
    def span(day: int, a: int, b: int) -> Epoch:
        return Epoch(first=MONDAY, last=MONDAY + timedelta(days=day), counts={"a": a, "b": b})

    kept = [(span(1, 905, 95), {"a": 9.0, "b": 1.0}), (span(2, 10, 900), None), (span(3, 500, 510), EVEN)]
    assert integrity.sample_ratio_by_epoch(kept).status == "ok"
    found = integrity.sample_ratio_by_epoch([*kept, (span(4, 700, 500), EVEN)])
    assert found.status == "stop"
    assert "for 1 of 3 values of epoch" in found.detail and "planned 50:50, observed 700:500" in found.detail
    assert integrity.sample_ratio_by_epoch([]).status == "ok"


def test_sample_ratio_by_dimension_names_the_value_that_broke() -> None:
    groups = {"web": {"a": 5_000, "b": 5_000}, "app": {"a": 1_300, "b": 1_000}}
    found = integrity.sample_ratio_by_dimension("platform", groups, EVEN)
    assert (found.check, found.status) == ("sample_ratio_by.platform", "stop")
    assert 'most of all "app"' in found.detail
    assert integrity.sample_ratio_by_dimension("platform", {}, EVEN).status == "ok"


def test_allocation_that_did_not_change_is_ok() -> None:
    spans = sample_ratio.epochs({MONDAY: UNITS, MONDAY + timedelta(days=1): UNITS})
    assert integrity.allocation(spans).status == "ok"


def test_covariate_that_differed_before_exposure_withholds_results() -> None:
    alike = {"age": {"a": known(40.0), "b": known(40.1)}, "balance": {"a": known(9.0), "b": known(9.1)}}
    ok = integrity.balance(alike, "a")
    assert ok.status == "ok"
    assert ok.p_value == approx(2 * 2 * float(stats.norm.sf(0.1 / 0.02**0.5)))
    off = integrity.balance(alike | {"age": {"a": known(40.0), "b": known(41.0)}}, "a")
    assert off.status == "stop"
    assert off.detail == (
        '"age" differed between "b" and "a" before anyone was exposed (p < 0.001, corrected for 2 comparisons of '
        "covariates with control). Results are withheld. Check how customers were assigned."
    )


def test_balance_is_corrected_for_every_variant_and_covariate() -> None:
    """.0004 for one of three comparisons is .0012 for all: no alarm at .001, only a warning."""
    far = 0.02**0.5 * float(stats.norm.isf(0.0002))
    covariates = {"age": {"a": known(0.0), "b": known(far), "c": known(0.0), "d": known(0.0), "e": None}}
    found = integrity.balance(covariates, "a")
    assert found.status == "warning"
    assert found.p_value == approx(0.0012)
    assert integrity.balance({}, "a").p_value is None


@pytest.mark.parametrize(
    ("several", "status"), [(0, "ok"), (10, "ok"), (11, "warning"), (100, "warning"), (101, "stop")]
)
def test_customers_in_several_variants_warn_above_1_percent_and_stop_above_10(several: int, status: str) -> None:
    assert integrity.several_variants(several, 1_000).status == status


def test_values_unknown_equally_often_only_warn() -> None:
    found = integrity.unknown_values("spend", {"a": 50, "b": 55}, UNITS, "drop")
    assert (found.check, found.status) == ("unknown_values.spend", "warning")
    assert found.detail == "105 of 2 000 customers have no known value and are left out."
    assert integrity.unknown_values("spend", {"a": 1}, UNITS, "drop").status == "ok"


def test_values_unknown_more_often_in_one_variant_withhold_results() -> None:
    found = integrity.unknown_values("spend", {"a": 20, "b": 80}, UNITS, "zero")
    assert found.status == "stop"
    assert found.p_value == approx(float(stats.chi2.sf(60**2 / 2 / 50 * 2_000 / 1_900, 1)))
    assert found.detail == (
        '100 of 2 000 customers have no known value and count as 0, not equally often in every variant: "a" 20 of '
        '1 000, "b" 80 of 1 000 (p < 0.001). Results are withheld.'
    )


def test_one_unknown_value_stops_a_metric_that_allows_none() -> None:
    assert integrity.unknown_values("spend", {"b": 1}, UNITS, "error").status == "stop"
    assert integrity.unknown_values("spend", {}, UNITS, "error").status == "ok"


def test_few_unknown_values_are_compared_exactly() -> None:
    found = integrity.unknown_values("spend", {"a": 0, "b": 3}, {"a": 10, "b": 10}, "drop")
    # 3 of 20 drawn, all of one half: 2 x (10 9 8) / (20 19 18)
    assert found.p_value == approx(2 * 720 / 6_840)


def test_events_before_exposure_stop_only_when_they_differ_between_variants() -> None:
    assert integrity.exposure_race("buy", {"a": 40, "b": 45}, UNITS).status == "warning"
    found = integrity.exposure_race("buy", {"a": 10, "b": 70}, UNITS)
    assert found.status == "stop"
    assert 'had the event of "buy" shortly before exposure, not equally often' in found.detail
    assert integrity.exposure_race("buy", {}, {"a": 0, "b": 0}).status == "ok"


def test_late_and_repeated_rows_warn_above_1_percent() -> None:
    late = integrity.late_events(20, 1_000, 3)
    assert (late.status, late.detail) == (
        "warning",
        "20 of 1 000 events arrived more than 3 days after they occurred; the last 3 days are not complete.",
    )
    assert integrity.late_events(10, 1_000, 3).status == "ok"
    assert integrity.late_events(0, 0, 3).status == "ok"
    assert integrity.duplicates("events", 11, 1_000).status == "warning"
    assert integrity.duplicates("events", 0, 0).status == "ok"


def test_whole_weeks_are_ok_and_others_say_until_when() -> None:
    assert (
        integrity.weekdays(MONDAY, date(2026, 1, 18)).detail == "14 days: every day of the week was seen equally often."
    )
    more = integrity.weekdays(MONDAY, date(2026, 1, 13))
    assert (more.status, more.detail) == (
        "warning",
        "9 days saw Monday, Tuesday once more than the others. Whole weeks are complete on 2026-01-18.",
    )
    # 58 days: Monday and Tuesday 9 times, 15.5 % of the days instead of 14.3 %, which is 1.09 times as much
    assert integrity.weekdays(MONDAY, MONDAY + timedelta(days=57)).status == "ok"
    less = integrity.weekdays(date(2026, 1, 9), date(2026, 1, 11))
    assert less.detail == "3 days saw only Friday, Saturday, Sunday. Whole weeks are complete on 2026-01-15."


def test_first_failed_check_says_why_results_are_withheld() -> None:
    checks = [Check(check=status, status=status, detail=f"{status}.") for status in ("ok", "warning", "stop")]
    assert integrity.withheld(checks) == "stop."
    assert integrity.withheld(checks[:2]) is None
