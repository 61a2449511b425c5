"""Whole runs: changed splits, segments, protected groups, days, experiments that cross each other, past experiments."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pytest

from engine.config.experiments import ExperimentSettings
from engine.domain.curated import EVENTS, EXPOSURES
from engine.lake.engine import DuckDBEngine
from engine.lake.schema import unbound
from experiments import portfolio
from experiments.assignment import PlannedEpoch
from experiments.collection import Sources
from experiments.portfolio import ExperimentTables
from tests.experiments.builders import (
    LATER,
    Event,
    Exposure,
    check,
    day,
    events_table,
    experiment,
    exposures_table,
    result,
)

BOUGHT = {"metric": "bought", "kind": "proportion", "event": "buy", "window_days": 10}
SPEND = {"metric": "spend", "kind": "mean", "event": "buy", "window_days": 10}


def made(
    exposures: Mapping[str, Sequence[Exposure]],
    events: Sequence[Event],
    *plans: ExperimentSettings,
    customers: Mapping[str, Sequence[Any]] | None = None,
    as_of: datetime = LATER,
    **more: Any,
) -> ExperimentTables:
    """Run experiments on exposures by experiment; customers are columns, customer_id among them."""
    rows = pa.concat_tables([exposures_table(some, name) for name, some in exposures.items()])
    with DuckDBEngine(threads=1) as engine:
        engine.attach("exposures", rows)
        engine.attach("events", events_table(events))
        known = None
        if customers is not None:
            engine.attach("customers", pa.table(dict(customers)))
            known = ibis.table(dict.fromkeys(customers, "string"), name="customers")
        sources = Sources(
            engine=engine, exposures=unbound(EXPOSURES), events=unbound(EVENTS), as_of=as_of, attributes=known
        )
        return portfolio.run(sources, plans, **more)


def group(arm: str, start: int, count: int, when: float) -> list[Exposure]:
    return [(f"{arm}{place}", arm, when) for place in range(start, start + count)]


def buys(arm: str, start: int, count: int, when: float, value: float = 1.0) -> list[Event]:
    return [(f"{arm}{place}", "buy", when, value) for place in range(start, start + count)]


def facts(tables: ExperimentTables, name: str = "x") -> dict[str, Any]:
    (row,) = [row for row in tables.marts["experiment_decisions"].to_pylist() if row["experiment_id"] == name]
    return dict(json.loads(row["result"]))


# a changed split: 900:100 in the first days, when 1 in 10 buys; 100:900 later, when 5 in 10 do. No effect in either.

SIMPSON = [*group("a", 0, 900, 0), *group("b", 0, 100, 0), *group("a", 900, 100, 20), *group("b", 100, 900, 20)]
SIMPSON_BOUGHT = [*buys("a", 0, 90, 1), *buys("b", 0, 10, 1), *buys("a", 900, 50, 21), *buys("b", 100, 450, 21)]
RAMP = (
    PlannedEpoch(starts_at=None, ends_at=day(10), weights={"a": 0.9, "b": 0.1}, coverage=1.0),
    PlannedEpoch(starts_at=day(10), ends_at=None, weights={"a": 0.1, "b": 0.9}, coverage=1.0),
)


def test_split_that_was_changed_makes_no_effect_where_none_is() -> None:
    plan = experiment(metrics=[BOUGHT])
    tables = made({"x": SIMPSON}, SIMPSON_BOUGHT, plan, withhold=False)
    row = result(tables, "bought")
    # pooled: 140 of 1 000 against 460 of 1 000. Within each span 10 % and 50 % in both arms, each half of all: 30 %
    assert row["difference"] == pytest.approx(0, abs=1e-12)
    assert (row["control_mean"], row["variant_mean"]) == (pytest.approx(0.3), pytest.approx(0.3))
    assert (row["control_units"], row["variant_units"]) == (1_000, 1_000)
    assert check(tables, "allocation")["status"] == "warning"
    # the variances of 900, 100, 100 and 900 customers, each weighted by a half
    variance = (0.09 / 900 + 0.09 / 100 + 0.25 / 100 + 0.25 / 900) / 4
    assert row["upper"] - row["lower"] == pytest.approx(2 * 1.959964 * variance**0.5, rel=1e-3)


def test_change_that_the_ramp_planned_passes_every_check_and_one_that_it_did_not_withholds() -> None:
    plan = experiment(metrics=[BOUGHT], segments=["region"])
    ids = [who for who, _, _ in SIMPSON]
    customers = {"customer_id": ids, "region": ["north" if place % 2 else "south" for place in range(len(ids))]}
    planned = made({"x": SIMPSON}, SIMPSON_BOUGHT, plan, customers=customers, ramps={"x": RAMP})
    assert {row["status"] for row in planned.health.to_pylist()} == {"ok", "warning"}
    assert check(planned, "sample_ratio_by_epoch")["status"] == "ok"
    assert check(planned, "sample_ratio_by.region")["status"] == "ok"
    assert result(planned, "bought")["verdict"] == "no_difference_shown"
    unplanned = made({"x": SIMPSON}, SIMPSON_BOUGHT, plan, customers=customers)
    assert check(unplanned, "sample_ratio_by_day")["status"] == "stop"
    assert result(unplanned, "bought")["verdict"] == "withheld"
    assert {name for name, rows in unplanned.marts.items() if rows.num_rows} == {
        "experiment_results",
        "experiment_health",
        "experiment_decisions",
    }


def test_day_within_which_the_split_changed_is_in_no_effect_and_told() -> None:
    within = [*group("a", 2_000, 50, 10.2), *group("b", 2_000, 50, 10.7)]
    noon = day(10.5)
    ramp = (
        PlannedEpoch(starts_at=None, ends_at=noon, weights={"a": 0.9, "b": 0.1}, coverage=1.0),
        PlannedEpoch(starts_at=noon, ends_at=None, weights={"a": 0.1, "b": 0.9}, coverage=1.0),
    )
    tables = made({"x": [*SIMPSON, *within]}, SIMPSON_BOUGHT, experiment(metrics=[BOUGHT]), ramps={"x": ramp})
    assert result(tables, "bought")["control_units"] == 1_000
    told = check(tables, "unjudged_spans")
    assert told["status"] == "warning" and told["detail"].startswith("100 customers") and "100 位" in told["detail_zh"]


def test_every_kind_of_metric_is_put_together_by_epoch() -> None:
    metrics = [
        BOUGHT,
        SPEND,
        {"metric": "each", "kind": "ratio", "event": "buy", "denominator_event": "buy", "window_days": 10},
        {"metric": "half", "kind": "quantile", "event": "buy", "quantile": 0.8, "window_days": 10},
        {"metric": "late", "kind": "time_to_event", "event": "buy", "horizon_days": 10},
        {"metric": "kept", "kind": "retention", "event": "buy", "from_days": 0, "to_days": 10},
        {"metric": "net", "kind": "composite", "terms": {"spend": 1.0, "bought": -0.5}},
    ]
    tables = made({"x": SIMPSON}, SIMPSON_BOUGHT, experiment(metrics=metrics), ramps={"x": RAMP})
    for name in ("bought", "spend", "late", "kept", "net", "each"):
        row = result(tables, name)
        if row["difference"] is not None:
            assert row["difference"] == pytest.approx(0, abs=1e-9), name
    assert result(tables, "late")["control_mean"] == pytest.approx(0.3)
    assert result(tables, "net")["control_mean"] == pytest.approx(0.15)


# segments and protected groups


def in_groups(effects: Mapping[str, tuple[int, int, int]]) -> tuple[list[Exposure], list[Event], dict[str, list[str]]]:
    """Make of each group n customers an arm, of whom so many buy in control and in the variant."""
    exposures: list[Exposure] = []
    events: list[Event] = []
    customers: dict[str, list[str]] = {"customer_id": [], "gender": []}
    for name, (n, control, variant) in effects.items():
        for arm, bought in (("a", control), ("b", variant)):
            ids = [f"{name}-{arm}{place}" for place in range(n)]
            exposures += [(who, arm, 0) for who in ids]
            events += [(who, "buy", 1, 1.0) for who in ids[:bought]]
            customers["customer_id"] += ids
            customers["gender"] += [name] * n
    return exposures, events, customers


def test_segments_tell_where_an_effect_is_and_whether_it_differs() -> None:
    exposures, events, customers = in_groups({"female": (1_000, 100, 200), "male": (1_000, 100, 100)})
    plan = experiment(metrics=[BOUGHT], segments=["gender"])
    tables = made({"x": exposures}, events, plan, customers=customers)
    rows = {row["segment_value"]: row for row in tables.marts["experiment_segments"].to_pylist()}
    assert rows["female"]["difference"] == pytest.approx(0.1) and rows["male"]["difference"] == 0
    assert rows["female"]["interaction_adjusted_p_value"] < 0.001
    (broken,) = facts(tables)["metrics"][0]["segments"]
    assert [part["of"] for part in broken["values"]] == ["female", "male"]


def test_group_that_is_harmed_is_named_and_a_handful_is_never_shown() -> None:
    exposures, events, customers = in_groups(
        {"female": (2_000, 400, 500), "male": (2_000, 400, 250), "other": (6, 3, 1)}
    )
    plan = experiment(metrics=[BOUGHT], fairness={"attributes": ["gender"], "margin": 0.1})
    tables = made({"x": exposures}, events, plan, customers=customers)
    rows = {row["group"]: row for row in tables.marts["experiment_fairness"].to_pylist()}
    # with "other" alone hidden it would be all minus the rest, so that one more group is hidden with it
    hidden = {name for name, row in rows.items() if row["safety"] == "suppressed"}
    assert "other" in hidden and len(hidden) == 2
    for name in hidden:
        shown = {key: value for key, value in rows[name].items() if key.startswith(("variant_", "control_", "diff"))}
        assert set(shown.values()) == {None}
    exposures, events, customers = in_groups({"female": (2_000, 400, 500), "male": (2_000, 400, 250)})
    tables = made({"x": exposures}, events, plan, customers=customers)
    rows = {row["group"]: row for row in tables.marts["experiment_fairness"].to_pylist()}
    assert (rows["male"]["safety"], rows["male"]["is_worst"]) == ("harmed", True)
    assert rows["male"]["widest_gap"] == pytest.approx(0.05 + 0.075) or rows["male"]["widest_gap"] == pytest.approx(
        -0.125
    )


def test_default_rates_of_protected_groups_are_told_while_accounts_mature() -> None:
    exposures, events, customers = in_groups({"female": (300, 30, 30), "male": (300, 30, 90)})
    late = {"metric": "late", "kind": "time_to_event", "event": "buy", "horizon_days": 60, "direction": "decrease"}
    plan = experiment(
        metrics=[{**late, "role": "guardrail", "margin": 0.05, "margin_is": "absolute"}],
        fairness={"attributes": ["gender"]},
    )
    tables = made({"x": exposures}, events, plan, customers=customers)
    rows = {row["group"]: row for row in tables.marts["experiment_fairness"].to_pylist()}
    assert rows["male"]["variant_mean"] == pytest.approx(0.3) and rows["male"]["safety"] == "harmed"
    assert rows["female"]["safety"] != "harmed"


def test_attributes_are_kept_for_customers_who_count_from_an_activation_on() -> None:
    exposures, events, customers = in_groups({"female": (200, 20, 40), "male": (200, 20, 20)})
    events += [(who, "open", 0.5, None) for who, _, _ in exposures]
    plan = experiment(metrics=[BOUGHT], segments=["gender"], strata=["gender"], activation_event="open")
    tables = made({"x": exposures}, events, plan, customers=customers)
    assert result(tables, "bought")["adjusted_difference"] == pytest.approx(0.05)
    assert tables.marts["experiment_segments"].num_rows == 2


# days


def test_effect_is_told_by_day_of_first_exposure_and_by_days_since() -> None:
    exposures = [*group("a", 0, 100, 0), *group("b", 0, 100, 0), *group("a", 100, 100, 1), *group("b", 100, 100, 1)]
    events = [*buys("a", 0, 10, 0.5), *buys("b", 0, 20, 2.5), *buys("b", 100, 20, 1.5)]
    tables = made({"x": exposures}, events, experiment(metrics=[BOUGHT, SPEND]))
    rows = tables.marts["experiment_days"].to_pylist()
    calendar = {row["day"]: row for row in rows if (row["metric"], row["clock"]) == ("bought", "calendar")}
    # day 0: 20 against 10 of 100; both days: 40 against 10 of 200
    assert {key: row["difference"] for key, row in calendar.items()} == {0: pytest.approx(0.1), 1: pytest.approx(0.15)}
    since = {row["day"]: row for row in rows if (row["metric"], row["clock"]) == ("bought", "since_exposure")}
    # within one day 10 of a and 20 of b, by the third 40 of b
    assert (since[1]["control_mean"], since[1]["variant_mean"]) == (pytest.approx(0.05), pytest.approx(0.1))
    assert (since[3]["control_mean"], since[3]["variant_mean"]) == (pytest.approx(0.05), pytest.approx(0.2))
    daily = {row["day"]: row for row in rows if (row["metric"], row["clock"]) == ("spend", "since_exposure")}
    assert (daily[3]["measure"], daily[3]["variant_mean"]) == ("daily_mean", pytest.approx(0.1))
    # on the second day nobody spent anything: nothing to judge by
    assert daily[2]["difference"] is None and max(daily) == 10


def test_day_that_is_not_over_for_a_customer_does_not_count_yet() -> None:
    exposures = [*group("a", 0, 100, 0), *group("b", 0, 100, 0), *group("a", 100, 50, 3.5), *group("b", 100, 50, 3.5)]
    tables = made({"x": exposures}, buys("b", 0, 10, 0.5), experiment(metrics=[SPEND]), as_of=day(4))
    rows = tables.marts["experiment_days"].to_pylist()
    daily = {row["day"]: row for row in rows if row["clock"] == "since_exposure"}
    # 100 customers have a first day that is over; the others have half of one
    assert (daily[1]["variant_units"], daily[1]["variant_mean"]) == (100, pytest.approx(0.1))


@pytest.mark.parametrize(("fades", "expected"), [(True, True), (False, False)])
def test_effect_that_wears_off_is_found_and_a_steady_one_is_not(fades: bool, expected: bool) -> None:
    random = np.random.default_rng(5)
    exposures = [*group("a", 0, 600, 0), *group("b", 0, 600, 0)]
    events: list[Event] = []
    for arm in "ab":
        for place in range(600):
            for when in range(10):
                more = 0.0 if arm == "a" else (0.3 if when < 5 or not fades else 0.0)
                if random.random() < 0.3 + more:
                    events.append((f"{arm}{place}", "buy", when + 0.5, 1.0))
    tables = made({"x": exposures}, events, experiment(metrics=[SPEND]))
    wear = facts(tables)["metrics"][0]["over_time"]["since_exposure"]["wear"]
    assert (wear["adjusted_p_value"] < 0.01) is expected
    assert wear["difference"] == pytest.approx(-0.3 if fades else 0, abs=0.05)


# experiments that share customers


def crossed(together: int) -> tuple[dict[str, list[Exposure]], list[Event]]:
    """Make 400 customers in each of the four cells of "x" and "y"; 80 of each buy, `together` where both are on."""
    exposures: dict[str, list[Exposure]] = {"x": [], "y": []}
    events: list[Event] = []
    for one in "ab":
        for other in "ab":
            ids = [f"{one}{other}{place}" for place in range(400)]
            exposures["x"] += [(who, one, 0) for who in ids]
            exposures["y"] += [(who, other, 0) for who in ids]
            count = together if (one, other) == ("b", "b") else 80
            events += [(who, "buy", 1, 1.0) for who in ids[:count]]
    return exposures, events


def test_experiments_that_disturb_each_other_are_found_and_others_are_not() -> None:
    plans = experiment(metrics=[BOUGHT]), experiment(experiment_id="y", metrics=[BOUGHT])
    exposures, events = crossed(together=160)
    tables = made(exposures, events, *plans)
    rows = tables.marts["experiment_interactions"].to_pylist()
    # b adds nothing where the other shows a, and 80 of 400 where it shows b
    assert [(row["alone"], row["together"]) for row in rows] == [(0.0, pytest.approx(0.2))] * 2
    assert all(row["adjusted_p_value"] < 0.001 for row in rows)
    overlaps = tables.marts["experiment_overlaps"].to_pylist()
    assert {row["customers"] for row in overlaps} == {1_600} and {row["independence_p_value"] for row in overlaps} == {
        1
    }
    quiet = made(*crossed(together=80), *plans).marts["experiment_interactions"].to_pylist()
    assert {row["adjusted_p_value"] for row in quiet} == {1}


def test_experiment_whose_results_are_withheld_is_not_crossed_and_says_why() -> None:
    exposures, events = crossed(together=80)
    exposures["y"] = exposures["y"][:1_000]
    tables = made(exposures, events, experiment(metrics=[BOUGHT]), experiment(experiment_id="y", metrics=[BOUGHT]))
    assert tables.marts["experiment_interactions"].num_rows == 0
    (row,) = [row for row in tables.marts["experiment_overlaps"].to_pylist() if row["experiment_id"] == "x"]
    assert row["reason"] == 'a health check of "y" failed'
    assert row["reason_zh"] == "“y”有健康检查未通过"


# past experiments


def test_prior_is_learnt_from_past_experiments_of_the_same_metric_only() -> None:
    names = [f"past{place}" for place in range(5)]
    exposures: dict[str, list[Exposure]] = {}
    events: list[Event] = []
    for place, name in enumerate([*names, "now"]):
        for arm in "ab":
            ids = [f"{name}-{arm}{number}" for number in range(400)]
            exposures.setdefault(name, []).extend((who, arm, 0) for who in ids)
            events += [(who, "buy", 1, 1.0) for who in ids[: 80 + (30 * place if arm == "b" else 0)]]
    seven = {**BOUGHT, "metric": "seven", "window_days": 7}
    ended = [experiment(experiment_id=name, metrics=[BOUGHT], ends_at=day(50)) for name in names]
    tables = made(exposures, events, *ended, experiment(experiment_id="now", metrics=[BOUGHT, seven]))
    bought, other = facts(tables, "now")["metrics"]
    assert bought["bayes"]["prior"]["source"] == "5 past experiments"
    # effects of 0, 30, 60, 90 and 120 of 400: 15 points on average
    assert bought["bayes"]["prior"]["mean"] == pytest.approx(0.15, abs=0.01)
    assert other["bayes"]["prior"]["source"] == "flat"
    assert facts(tables, "past0")["metrics"][0]["bayes"]["prior"]["source"] == "flat"


# health checks of how events came in


def test_events_before_their_exposure_in_one_arm_withhold_results() -> None:
    exposures = [*group("a", 0, 200, 1), *group("b", 0, 200, 1)]
    events = buys("b", 0, 60, 1 - 30 / 86_400)
    tables = made({"x": exposures}, events, experiment(metrics=[BOUGHT]))
    race = check(tables, "exposure_race.bought")
    assert race["status"] == "stop" and "结果暂不展示" in race["detail_zh"]
    assert result(tables, "bought")["withheld_reason"] == race["detail"]


def test_repeated_and_late_events_are_counted_in_a_run() -> None:
    exposures = [*group("a", 0, 50, 0), *group("b", 0, 50, 0)]
    events = [*buys("a", 0, 20, 1), *buys("a", 0, 5, 1)]
    found = check(made({"x": exposures}, events, experiment(metrics=[BOUGHT])), "duplicates.events")
    assert (found["status"], found["detail"]) == ("warning", "5 of 25 rows of events repeat another.")


def test_every_check_speaks_both_languages() -> None:
    plan = experiment(
        metrics=[BOUGHT, SPEND],
        covariates=[{"covariate": "before", "event": "buy"}],
        activation_event="open",
        segments=["gender"],
    )
    exposures, events, customers = in_groups({"female": (100, 10, 20), "male": (100, 10, 10)})
    events += [(who, "open", 0.5, None) for who, _, _ in exposures]
    rows = made({"x": exposures}, events, plan, customers=customers).health.to_pylist()
    assert {"balance", "activation", "weekdays", "duplicates.events"} <= {row["check"] for row in rows}
    assert all(row["detail_zh"] and not row["detail_zh"].isascii() for row in rows)
