"""A plan says everything before the start, is checked as a whole, and its fingerprint moves only with what decides."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from engine.config.experiments import Experiments
from engine.config.load import validate
from engine.domain.errors import SettingsFault
from experiments.spec import Experiment, Mean, Proportion, changes, differences, fingerprint
from tests.experiments.builders import experiment


def faults(**more: Any) -> tuple[str, ...]:
    plan = experiment().model_dump() | more
    with pytest.raises(SettingsFault) as told:
        validate(Experiments, {"experiments": [plan]}, "test")
    return told.value.faults


def test_plan_written_in_python_is_the_one_of_the_file() -> None:
    made = Experiment(
        experiment_id="x",
        name_en="X",
        weights={"a": 0.5, "b": 0.5},
        control="a",
        metrics=(
            Proportion(metric="bought", event="buy", window_days=30),
            Mean(metric="spend", event="buy", window_days=30),
        ),
    )
    assert fingerprint(made) == fingerprint(experiment())


def test_plan_cannot_be_changed_once_made() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        experiment().control = "b"  # type: ignore[misc]


def test_all_faults_of_a_plan_are_told_together() -> None:
    found = faults(
        control="z",
        alpha=0.7,
        strata=["region", "region"],
        metrics=[
            {"metric": "m", "kind": "mean", "event": "e", "cap": 5, "cap_percentile": 99},
            {"metric": "m", "kind": "proportion", "event": "e", "margin": 0.02},
            {"metric": "r", "kind": "ratio", "event": "e"},
            {"metric": "k", "kind": "retention", "event": "e", "from_days": 7, "to_days": 7},
            {"metric": "net", "kind": "composite", "terms": {"r": 1.0, "gone": 2.0}},
            {"metric": "c", "kind": "mean", "event": "e", "covariates": ["none"]},
            {"metric": "both", "kind": "mean", "event": "e", "column": "e"},
        ],
        covariates=[{"covariate": "before"}],
        looks={"shares": [0.5, 0.25]},
    )
    told = "\n".join(found)
    for part in (
        "control: not one of the variants in weights: a, b",
        "alpha = 0.7",
        "strata.1: stands twice",
        "metrics.0.cap_percentile: a value is capped once",
        "metrics.1.metric: two metrics of an experiment have one name",
        'metrics.1.margin: only a metric of the role "guardrail" has a margin',
        "metrics.2.denominator_event: a ratio needs what it is divided by",
        "metrics.3.to_days: the window ends before it begins",
        'metrics.4.terms: "r" is a ratio',
        'metrics.4.terms: no metric "gone"',
        'metrics.5.covariates: no covariate "none"',
        "metrics.6.event: name the event that is measured, or the column",
        "covariates.0: name the event of before exposure, or the column",
        "looks.shares: each look comes after the one before",
    ):
        assert part in told
    assert len(found) == 14


def test_run_refuses_what_it_has_no_table_for() -> None:
    found = "\n".join(faults(metrics=[{"metric": "m", "kind": "mean", "column": "c"}], segments=["shoe_size"]))
    assert "a run reads events" in found
    assert 'customers have no column "shoe_size"' in found
    assert "full_name" not in found


def test_fingerprint_does_not_move_with_defaults_that_are_written_out() -> None:
    metric = {"metric": "bought", "kind": "proportion", "event": "buy", "window_days": 30}
    short, long = (experiment(metrics=[metric | more]) for more in ({}, {"role": "goal", "nulls": "drop"}))
    assert fingerprint(short) == fingerprint(long)


@pytest.mark.parametrize(
    "more",
    [
        {"alpha": 0.01},
        {"activation_event": "open"},
        {"looks": {"shares": "daily"}},
        {"decision": {"goals_needed": "all"}},
        {"strata": ["region"]},
        {"metrics": [{"metric": "bought", "kind": "mean", "event": "buy", "window_days": 30}]},
    ],
)
def test_fingerprint_moves_with_everything_that_decides(more: dict[str, Any]) -> None:
    assert fingerprint(experiment(**more)) != fingerprint(experiment())


def test_changes_name_the_settings_that_differ_and_no_names() -> None:
    first = experiment().model_dump(mode="json")
    assert changes(experiment(name_en="Other"), first) == ()
    assert changes(experiment(alpha=0.01, control="b"), first) == ("alpha", "control")


def test_differences_name_each_value_before_and_after_whatever_the_order_of_metrics() -> None:
    bought = {"metric": "bought", "kind": "proportion", "event": "buy", "window_days": 30}
    calls = {"metric": "calls", "kind": "proportion", "event": "call", "role": "guardrail", "margin": 0.01}
    first = experiment(metrics=[bought, calls]).model_dump(mode="json")
    now = experiment(name_en="Other", alpha=0.01, strata=["region"], metrics=[calls | {"margin": 0.02}, bought])
    assert [(one.setting, one.before, one.after) for one in differences(now, first)] == [
        ("alpha", "0.05", "0.01"),
        ("metrics.calls.margin", "0.01", "0.02"),
        ("strata", None, "region"),
    ]
    fewer = differences(experiment(metrics=[bought]), first)
    assert [(one.setting, one.after) for one in fewer] == [("metrics.calls", None)]
    assert fewer[0].before is not None and "margin 0.01" in fewer[0].before
