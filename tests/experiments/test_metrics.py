"""Every kind of metric, from raw exposures and events to its row, on a handful of customers worked by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ibis
import pyarrow as pa
import pytest

from engine.domain.curated import EVENTS, EXPOSURES
from engine.lake.engine import DuckDBEngine
from engine.lake.schema import unbound
from experiments import portfolio
from experiments.collection import Sources
from experiments.portfolio import ExperimentTables
from tests.experiments.builders import (
    LATER,
    Event,
    Exposure,
    analyse,
    check,
    day,
    events_table,
    experiment,
    exposures_table,
    many,
    result,
)


def one(metric: dict[str, Any], **more: Any) -> Any:
    return experiment(metrics=[{"metric": "m", **metric}], **more)


def with_customers(
    exposures: Sequence[Exposure], events: Sequence[Event], plan: Any, **columns: Sequence[Any]
) -> ExperimentTables:
    """Analyse with a table of customers that has the columns given, customer_id the first."""
    with DuckDBEngine(threads=1) as engine:
        engine.attach("exposures", exposures_table(exposures))
        engine.attach("events", events_table(events))
        engine.attach("customers", pa.table(columns))
        customers = ibis.table(dict.fromkeys(columns, "string"), name="customers")
        sources = Sources(
            engine=engine, exposures=unbound(EXPOSURES), events=unbound(EVENTS), as_of=LATER, attributes=customers
        )
        return portfolio.run(sources, [plan], withhold=False)


def test_mean_of_counts_counts_events_and_needs_no_value() -> None:
    plan = one({"kind": "mean", "event": "buy", "measured": "count", "window_days": 30})
    events = [("b0", "buy", 1, None), ("b0", "buy", 2, 9.0), ("b1", "buy", 40, 1.0)]
    row = result(analyse(many("a", 4) + many("b", 4), events, plan), "m")
    assert (row["control_mean"], row["variant_mean"], row["variant_units"]) == (0, 2 / 4, 4)


def test_ratio_is_the_sum_of_one_measure_by_the_sum_of_the_other() -> None:
    plan = one({"kind": "ratio", "event": "buy", "denominator_event": "buy", "window_days": 30})
    events = [("a0", "buy", 1, 10.0), ("a1", "buy", 1, 20.0), ("a1", "buy", 2, 30.0), ("b0", "buy", 1, 8.0)]
    row = result(analyse(many("a", 4) + many("b", 4), events, plan), "m")
    # a: 60 in 3 purchases; b: 8 in 1
    assert (row["control_mean"], row["variant_mean"], row["control_units"]) == (20, 8, 4)


def test_retention_counts_its_first_instant_and_not_its_last() -> None:
    plan = one({"kind": "retention", "event": "open", "from_days": 7, "to_days": 14})
    events = [("a0", "open", 7, None), ("a1", "open", 14, None), ("a2", "open", 6.99, None), ("b0", "open", 13.9, None)]
    row = result(analyse(many("a", 4) + many("b", 4), events, plan), "m")
    assert (row["control_mean"], row["variant_mean"]) == (1 / 4, 1 / 4)


def test_absolute_cap_limits_a_customer_s_sum_and_its_twin_does_not() -> None:
    plan = one({"kind": "mean", "event": "buy", "cap": 100, "window_days": 30})
    events = [("a0", "buy", 1, 80.0), ("a0", "buy", 2, 80.0), ("b0", "buy", 1, 30.0)]
    tables = analyse(many("a", 4) + many("b", 4), events, plan)
    # 160 in two purchases is one customer's sum, capped at 100
    assert result(tables, "m")["control_mean"] == 100 / 4
    assert result(tables, "m.uncapped")["control_mean"] == 160 / 4
    assert result(tables, "m.uncapped")["role"] == "secondary"


def test_percentile_cap_is_one_limit_for_all_variants_together() -> None:
    plan = one({"kind": "mean", "event": "buy", "cap_percentile": 90, "window_days": 30})
    events = [(f"{arm}{place}", "buy", 1, float(place)) for arm in "ab" for place in range(10)] + [
        ("b9", "buy", 2, 991.0)
    ]
    tables = analyse(many("a", 10) + many("b", 10), events, plan)
    # 0 0 1 1 ... 8 8 9 1000: the 90th percentile of 20 values lies at place 17.1 from 0: between 8 and 9, at 8.1
    assert result(tables, "m")["control_mean"] == pytest.approx((36 + 8.1) / 10)
    assert result(tables, "m")["variant_mean"] == pytest.approx((36 + 8.1) / 10)
    assert result(tables, "m.uncapped")["variant_mean"] == pytest.approx((36 + 1000) / 10)


def test_composite_is_the_weighted_sum_of_each_customer_s_own_values() -> None:
    metrics = [
        {"metric": "margin", "kind": "mean", "event": "margin", "window_days": 30},
        {"metric": "default", "kind": "proportion", "event": "default", "window_days": 30},
        {"metric": "net", "kind": "composite", "terms": {"margin": 1.0, "default": -45.0}},
    ]
    events = [
        ("a0", "margin", 1, 100.0),
        ("a0", "default", 2, None),
        ("b0", "margin", 1, 90.0),
        ("b1", "margin", 1, 5.0),
    ]
    row = result(analyse(many("a", 4) + many("b", 4), events, experiment(metrics=metrics)), "net")
    # a: 100 - 45 of one of 4; b: 95 of 4
    assert (row["control_mean"], row["variant_mean"]) == (55 / 4, 95 / 4)
    # b: values 90, 5, 0, 0 about 23.75: sum of squares 5868.75; a: 55, 0, 0, 0 about 13.75: 2268.75
    error = ((5868.75 + 2268.75) / 3 / 4) ** 0.5
    assert (row["upper"] - row["lower"]) / 2 / error == pytest.approx(2.5678, abs=1e-4)  # t, 5.018 degrees


def test_unknown_value_is_dropped_or_counted_as_zero_or_stops_everything() -> None:
    exposures, events = many("a", 4) + many("b", 4), [("a0", "buy", 1, None), ("a1", "buy", 1, 6.0)]
    metric = {"kind": "mean", "event": "buy", "window_days": 30}
    dropped = analyse(exposures, events, one(metric))
    assert (result(dropped, "m")["control_units"], result(dropped, "m")["control_mean"]) == (3, 2)
    zero = analyse(exposures, events, one(metric | {"nulls": "zero"}))
    assert (result(zero, "m")["control_units"], result(zero, "m")["control_mean"]) == (4, 6 / 4)
    assert "1 of 8 customers have no known value and count as 0" in check(zero, "unknown_values.m")["detail"]
    error = analyse(exposures, events, one(metric | {"nulls": "error"}))
    assert check(error, "unknown_values.m")["status"] == "stop"
    assert result(error, "m")["verdict"] == "withheld"


def test_customer_counts_from_the_activation_event_and_not_without_one() -> None:
    plan = one({"kind": "proportion", "event": "buy", "window_days": 5}, activation_event="open")
    exposures = many("a", 4) + many("b", 4)
    events = [(f"{arm}{place}", "open", 10, None) for arm in "ab" for place in range(3)]
    events += [("a0", "buy", 12, 1.0), ("a1", "buy", 2, 1.0), ("a3", "buy", 2, 1.0), ("b0", "open", -1, None)]
    tables = analyse(exposures, events, plan)
    # a3 never opened; a1 bought before opening
    assert (result(tables, "m")["control_units"], result(tables, "m")["control_mean"]) == (3, 1 / 3)
    assert check(tables, "activation")["detail"].startswith('2 of 8 customers had no "open"')


def test_activation_that_depends_on_the_variant_withholds_results() -> None:
    plan = one({"kind": "proportion", "event": "buy", "window_days": 5}, activation_event="open")
    events = [(f"a{place}", "open", 1, None) for place in range(80)] + [
        (f"b{place}", "open", 1, None) for place in range(40)
    ]
    tables = analyse(many("a", 100) + many("b", 100), events, plan)
    assert check(tables, "activation")["status"] == "stop"
    assert result(tables, "m")["verdict"] == "withheld"


def test_exposures_out_of_the_period_are_none_and_are_told() -> None:
    plan = one({"kind": "proportion", "event": "buy"}, starts_at=day(1), ends_at=day(5))
    exposures = [("early", "a", 0), ("late", "b", 5), *many("a", 2, 1), *many("b", 2, 4)]
    tables = analyse(exposures, [], plan)
    assert (result(tables, "m")["control_units"], result(tables, "m")["variant_units"]) == (2, 2)
    assert check(tables, "outside_period")["detail"].startswith("2 exposures")


def test_covariate_of_before_exposure_takes_out_what_customers_brought_along() -> None:
    plan = experiment(
        metrics=[{"metric": "m", "kind": "mean", "event": "buy", "window_days": 30}],
        covariates=[{"covariate": "before", "event": "buy", "days": 30}],
    )
    exposures = many("a", 40, 40) + many("b", 40, 40)
    # what they spent before (day 20) they spend again (day 50), b 1 more each, and a hair of chance
    events: list[Event] = []
    for arm in "ab":
        for place in range(40):
            events.append((f"{arm}{place}", "buy", 20, float(place)))
            events.append((f"{arm}{place}", "buy", 50, place + (arm == "b") + 0.01 * (place % 3)))
            events.append((f"{arm}{place}", "buy", 5, 1000.0))  # 35 days before: too early for the covariate
    row = result(analyse(exposures, events, plan), "m")
    assert row["difference"] == pytest.approx(1)
    assert row["adjusted_difference"] == pytest.approx(1)
    assert row["upper"] - row["lower"] > 10
    assert row["adjusted_upper"] - row["adjusted_lower"] < 0.02


def test_households_that_were_drawn_together_count_as_one_and_are_left_out_when_mixed() -> None:
    plan = one({"kind": "mean", "event": "buy", "window_days": 30}, randomised_by="household_id")
    exposures = [*many("a", 5), *many("b", 4)]
    households = ["h1", "h1", "h2", "h3", "mixed", "h4", "h4", "h5", "mixed"]
    events = [("a0", "buy", 1, 6.0), ("a3", "buy", 1, 2.0), ("a4", "buy", 1, 500.0), ("b0", "buy", 1, 4.0)]
    who = [name for name, _, _ in exposures]
    tables = with_customers(exposures, events, plan, customer_id=who, household_id=households)
    row = result(tables, "m")
    # a: 8 of 4 customers in 3 households; b: 4 of 3 customers in 2 households
    assert (row["control_units"], row["control_mean"]) == (3, 8 / 4)
    assert (row["variant_units"], row["variant_mean"]) == (2, pytest.approx(4 / 3))
    assert check(tables, "several_variants")["detail"].startswith("2 of 9 customers")


def test_strata_take_out_what_differs_between_them() -> None:
    plan = one({"kind": "mean", "event": "buy", "window_days": 30}, strata=["region"])
    exposures = many("a", 40) + many("b", 40)
    regions = ["north" if place % 2 else "south" for _ in "ab" for place in range(40)]
    events = [
        (f"{arm}{place}", "buy", 1, 100.0 * (place % 2) + (arm == "b") + 0.01 * (place % 3))
        for arm in "ab"
        for place in range(40)
    ]
    tables = with_customers(exposures, events, plan, customer_id=[name for name, _, _ in exposures], region=regions)
    row = result(tables, "m")
    assert row["adjusted_difference"] == pytest.approx(1)
    assert row["adjusted_upper"] - row["adjusted_lower"] < 0.1 < row["upper"] - row["lower"]


def test_segments_are_checked_for_the_planned_split() -> None:
    plan = one({"kind": "proportion", "event": "buy"}, segments=["region"])
    exposures = many("a", 200) + many("b", 200)
    regions = ["north"] * 150 + ["south"] * 50 + ["north"] * 50 + ["south"] * 150
    tables = with_customers(exposures, [], plan, customer_id=[name for name, _, _ in exposures], region=regions)
    assert check(tables, "sample_ratio")["status"] == "ok"
    assert check(tables, "sample_ratio_by.region")["status"] == "stop"


def test_time_to_an_event_uses_customers_who_have_not_got_that_far() -> None:
    plan = one({"kind": "time_to_event", "event": "default", "horizon_days": 60, "direction": "decrease"})
    # a: 40 customers watched for 100 days, 20 of them until day 30 only; 12 default on day 10
    exposures = many("a", 40) + many("b", 40)
    exposures += [(f"{arm}{place}", arm, 70) for arm in "ab" for place in range(40, 60)]
    events = [(f"a{place}", "default", 10, None) for place in range(12)]
    events += [(f"b{place}", "default", 10, None) for place in range(12)]
    row = result(analyse(exposures, events, plan, withhold=False), "m")
    # all 60 of a are watched on day 10: 12 of 60, although 20 have not been watched for 60 days
    assert (row["control_units"], row["control_mean"]) == (60, pytest.approx(12 / 60))
    assert row["variant_mean"] == pytest.approx(12 / 60)
    assert row["difference"] == pytest.approx(0, abs=1e-12)


def test_quantile_of_the_customers_values() -> None:
    plan = one({"kind": "quantile", "event": "buy", "quantile": 0.5, "window_days": 30})
    events = [(f"{arm}{place}", "buy", 1, float(place + 10 * (arm == "b"))) for arm in "ab" for place in range(101)]
    row = result(analyse(many("a", 101) + many("b", 101), events, plan), "m")
    assert (row["control_mean"], row["variant_mean"], row["difference"]) == (50, 60, 10)


def test_plan_changed_after_the_first_look_is_told_with_what_changed() -> None:
    first = experiment()
    later = experiment(weights={"a": 0.5, "b": 0.5}, alpha=0.1)
    with DuckDBEngine(threads=1) as engine:
        engine.attach("exposures", exposures_table(many("a", 2) + many("b", 2)))
        engine.attach("events", events_table([]))

        def plan_check(plan: Any) -> dict[str, Any]:
            registered = {"x": first.model_dump(mode="json")}
            sources = Sources(engine=engine, exposures=unbound(EXPOSURES), events=unbound(EVENTS), as_of=LATER)
            return check(portfolio.run(sources, [plan], registered=registered), "plan")

        assert plan_check(first)["status"] == "ok"
        assert plan_check(later)["status"] == "warning"
        assert plan_check(later)["detail"].endswith("It was changed after the first look, in: alpha.")
