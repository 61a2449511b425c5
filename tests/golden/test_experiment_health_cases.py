"""Reference cases of experiment health: sample ratios, allocation that changed, and defaults that have not come yet.

The numbers are published ones, with their source; where another program gets them wrong, the opposite must hold here.
"""

from __future__ import annotations

import csv
import gzip
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from pytest import approx
from scipy import stats

from experiments import effects, estimates, integrity, sample_ratio, segments, stratification, time_to_event
from experiments.moments import Moments
from experiments.time_to_event import DailyCounts
from tests.experiments.builders import experiment

EVEN = {"a": 0.5, "b": 0.5}
FRIDAY, SATURDAY = date(2026, 1, 2), date(2026, 1, 3)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [(500, 400, 0.0210711), (1000, 1100, 0.483532), (44700, 45489, 0.958712), (50000, 51500, 0.000495951)],
)
def test_sequential_sample_ratio_of_savvi(a: int, b: int, expected: float) -> None:
    found = sample_ratio.sequential_test({"a": a, "b": b}, EVEN, concentrations=(100,))
    assert found is not None
    assert found.p_value == approx(expected, rel=2e-6)


def test_sequential_p_value_is_never_above_1() -> None:
    """savvi says 1.266 somewhere."""
    tests = [sample_ratio.sequential_test({"a": a, "b": b}, EVEN) for a in range(0, 60, 3) for b in range(0, 60, 3)]
    assert max(test.p_value for test in tests if test is not None) == 1.0


def test_exact_sample_ratio_of_tea_tasting() -> None:
    found = sample_ratio.exact_test({"a": 461, "b": 506}, EVEN)
    assert found is not None and found.p_value == approx(0.157049, abs=1e-6)


def test_chi_square_agrees_with_scipy_on_200_random_splits() -> None:
    rng = np.random.default_rng(2)
    for _ in range(200):
        weights = rng.dirichlet(np.ones(int(rng.integers(2, 6)))) + 0.01
        seen = rng.multinomial(int(rng.integers(50, 100_000)), weights / weights.sum())
        names = "abcdef"[: len(seen)]
        found = sample_ratio.ratio_test(
            dict(zip(names, seen.tolist(), strict=True)), dict(zip(names, weights, strict=True))
        )
        expected = stats.chisquare(seen, weights / weights.sum() * seen.sum())
        assert found is not None
        assert (found.statistic, found.p_value) == approx((expected.statistic, expected.pvalue), rel=1e-9, abs=1e-12)


def test_planned_95_to_5_does_not_alarm() -> None:
    """mozilla/experimenter tested every experiment against an even split, whatever was planned (pull request 16011)."""
    plan = experiment(weights={"a": 95, "b": 5})
    assert integrity.sample_ratio(plan, {"a": 95_100, "b": 4_900}).status == "ok"
    assert integrity.sample_ratio(plan, {"a": 94_000, "b": 6_000}).status == "stop"


def test_looking_daily_alarms_hardly_ever_and_finds_52_to_48() -> None:
    """28 days, 20 000 customers. Chi-square at .05 looked at daily is wrong .273 of the time, at .01 still .074."""
    rng = np.random.default_rng(5)

    def alarms(share: float) -> float:
        drawn = rng.multinomial(714, [share, 1 - share], size=(150, 28))
        found = [any(map(alarm, run)) for run in drawn.cumsum(axis=1).tolist()]
        return float(np.mean(found))

    def alarm(so_far: list[int]) -> bool:
        test = sample_ratio.sequential_test(dict(zip("ab", so_far, strict=True)), EVEN)
        return test is not None and test.p_value < sample_ratio.SEQUENTIAL_ALARM

    assert alarms(0.5) <= 0.01
    assert alarms(0.52) > 0.94


def test_treatment_that_wins_on_both_days_does_not_lose_in_the_sum() -> None:
    """Crook, Frasca, Kohavi and Longbotham (2009), Seven pitfalls: 1 % on Friday, 50 % on Saturday.

    Friday 2.02 % against 2.30 %, Saturday 1.00 % against 1.20 %; all together 1.68 % against 1.20 %.
    """
    control = {FRIDAY: Moments.of_count(20_000, 990_000), SATURDAY: Moments.of_count(5_000, 500_000)}
    variant = {FRIDAY: Moments.of_count(230, 10_000), SATURDAY: Moments.of_count(6_000, 500_000)}
    pooled = effects.proportions(variant[FRIDAY] + variant[SATURDAY], control[FRIDAY] + control[SATURDAY])
    assert effects.verdict(pooled, "increase") == "worse"

    spans = sample_ratio.epochs({day: {"c": control[day].n, "t": variant[day].n} for day in (FRIDAY, SATURDAY)})
    assert [(span.first, span.last) for span in spans] == [(FRIDAY, FRIDAY), (SATURDAY, SATURDAY)]
    assert spans[0].shares == approx({"c": 0.99, "t": 0.01})
    strata = {name: {span.name: arm[span.first] for span in spans} for name, arm in (("t", variant), ("c", control))}
    together = stratification.post_stratify(strata, "value")
    assert together is not None
    effect = together.effect("t", "c").adjusted
    # a million customers on each day: half of .0230 - .0202 and half of .0120 - .0100
    assert effect.difference == approx((0.023 - 20_000 / 990_000 + 0.012 - 0.010) / 2, abs=1e-9)
    assert effects.verdict(effect, "increase") == "better"
    assert integrity.allocation(spans).detail == (
        "The split changed on the way: 2026-01-02 to 2026-01-02 99:1; 2026-01-03 to 2026-01-03 50:50. "
        "Arms differ in when their customers came: only effects within these spans are fair."
    )


def test_kaplan_meier_of_the_remission_trial() -> None:
    """Freireich et al. (1963), 6-MP, as survfit of R prints it: .753 +- .0963 after 10 weeks, .627 +- .1141 after 16.

    Weeks stand for days. Who left in a week was still watched in it: week 6 is the sixth day, numbered 5.
    """
    events = {6: 3, 7: 1, 10: 1, 13: 1, 16: 1}
    left = {6: 1, 9: 1, 10: 1, 11: 1}
    # 21 patients, less 7 relapses and 4 who left, were watched for 16 weeks or longer
    unfinished = [left.get(week, 0) for week in range(16)] + [21 - 7 - 4]
    counts = DailyCounts.of_ends([events.get(week, 0) for week in range(1, 17)], unfinished)
    after_10, after_16 = time_to_event.rate(counts, 10), time_to_event.rate(counts, 16)
    assert after_10 is not None and after_16 is not None
    assert (1 - after_10.value, after_10.variance**0.5) == approx((0.7529, 0.0963), abs=5e-5)
    assert (1 - after_16.value, after_16.variance**0.5) == approx((0.6275, 0.1141), abs=5e-5)


def hillstrom(folder: Path) -> list[dict[str, str]]:
    source = folder / "hillstrom" / "hillstrom.csv.gz"
    if not source.exists():
        pytest.skip("no Hillstrom data here")
    with gzip.open(source, "rt", encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.mark.real_data
def test_hillstrom_was_split_and_balanced_as_planned(real_data: Path) -> None:
    rows = hillstrom(real_data)
    arms = {name: [row for row in rows if row["segment"] == name] for name in sorted({row["segment"] for row in rows})}
    counts = {name: len(members) for name, members in arms.items()}
    plan = experiment(weights=dict.fromkeys(arms, 1), control="No E-Mail")
    assert integrity.sample_ratio(plan, counts).status == "ok"
    known = {
        covariate: {name: column(members, covariate) for name, members in arms.items()}
        for covariate in ("recency", "history", "mens", "womens", "newbie")
    }
    found = integrity.balance(
        {covariate: {name: estimates.mean(cell) for name, cell in cells.items()} for covariate, cells in known.items()},
        "No E-Mail",
    )
    assert (found.status, found.p_value) == ("ok", 1.0)


@pytest.mark.real_data
def test_hillstrom_e_mail_of_womens_goods_works_on_those_who_bought_some(real_data: Path) -> None:
    """.0731 more visits among who bought such goods before, .0111 among the others; no other dimension differs."""
    rows = hillstrom(real_data)
    dimensions = {
        dimension: {
            value: effects.proportions(
                *(
                    column([row for row in rows if row["segment"] == arm and row[dimension] == value], "visit")
                    for arm in ("Womens E-Mail", "No E-Mail")
                )
            )
            for value in sorted({row[dimension] for row in rows})
        }
        for dimension in ("womens", "channel", "zip_code", "newbie")
    }
    found = {one.dimension: one for one in segments.breakdowns(dimensions)}
    womens = found["womens"]
    assert (womens.effects["1"].difference, womens.effects["0"].difference) == approx((0.0731, 0.0111), abs=5e-5)
    assert womens.interaction.statistic == approx(94.222, abs=1e-3)
    assert (womens.interaction.adjusted_p_value or 1) < 1e-20
    assert all((one.interaction.adjusted_p_value or 0) > 0.05 for name, one in found.items() if name != "womens")


def column(rows: list[dict[str, str]], name: str) -> Moments:
    return Moments.of_values(("value",), [float(row[name]) for row in rows])
