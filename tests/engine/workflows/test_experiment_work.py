"""Planning in the app, and the whole result as a file: the numbers of the mart, health beside them."""

from __future__ import annotations

import csv
import io
import json
import tomllib
from pathlib import Path

import pytest

from engine.config.experiments import Experiments
from engine.config.load import validate
from engine.domain.access import Role, Viewer
from engine.domain.errors import NotAllowed, NotEnoughData, RefusedByPolicy
from engine.store import Store
from engine.ui import toml_text
from engine.workflows import experiment_planned, session
from engine.workflows.experiment_planned import Draft
from engine.workflows.view import experiment_export
from engine.workflows.view.desk import newest
from tests.engine.ui import bank

MIA = Viewer(name="mia", role=Role.MARKETING)
DRAFT = Draft(
    event="card_activated", window_days=30, direction="increase", baseline=0.4, effect=0.1, power=0.8, per_day=50.0
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    bank.make(tmp_path)
    monkeypatch.delenv("WAYLINE_DATABASE_URL", raising=False)
    return tmp_path


def test_the_baseline_is_counted_from_the_banks_own_events(home: Path) -> None:
    workspace, run = newest(home)
    names = experiment_planned.events(workspace, run)
    assert names
    with pytest.raises(NotEnoughData, match="happened to 0 of"):
        experiment_planned.baseline(workspace, run, "never", 30)


def test_a_plan_takes_as_many_customers_as_its_power_asks_for() -> None:
    plan = experiment_planned.planned(DRAFT, Path("workspace"))
    assert plan["effect"] == pytest.approx(0.04), "a tenth of 0.4"
    assert plan["power"] >= 0.8
    assert plan["days"] == plan["enrolment_days"] + 30


def test_a_design_is_put_on_record_once_and_its_lines_are_settings(home: Path) -> None:
    workspace, run = newest(home)
    values = experiment_planned.definition(DRAFT, "new_offer", "New offer", "variant")
    kept = experiment_planned.register(home, MIA, values)
    assert [one.experiment_id for one in experiment_planned.waiting(workspace, run)] == ["new_offer"]
    told = tomllib.loads(toml_text.table(values, "experiments.experiments"))
    read = validate(Experiments, told["experiments"], "wayline.toml").experiments[0]
    assert read.model_dump(mode="json") == dict(kept.spec), "a run that reads the lines finds the design on record"
    with pytest.raises(RefusedByPolicy, match="on record already"):
        experiment_planned.register(home, MIA, values)
    with pytest.raises(RefusedByPolicy, match="on record already"):
        experiment_planned.register(home, MIA, {**values, "experiment_id": "card_onboarding"})
    with pytest.raises(NotAllowed):
        experiment_planned.register(home, Viewer(name="ada", role=Role.AUDITOR), {**values, "experiment_id": "other"})
    for wrong in ("New", "1st", "", "a b", "control"):
        with pytest.raises(RefusedByPolicy, match="is no"):
            experiment_planned.definition(DRAFT, wrong, "", "variant")


def test_the_whole_result_holds_every_metric_with_the_health_of_its_data(home: Path) -> None:
    workspace, run = newest(home)
    made = experiment_export.export(workspace, run, "card_onboarding", "csv", MIA)
    rows = list(csv.DictReader(io.StringIO(made.decode())))
    kept = run.read("experiment_results", where={"experiment_id": "card_onboarding"}).to_pylist()
    assert sorted((row["metric"], row["variant"]) for row in rows) == sorted(
        (row["metric"], row["variant"]) for row in kept
    )
    by_metric = {row["metric"]: row for row in kept}
    for row in rows:
        for name in ("variant_units", "variant_mean", "difference", "lower", "upper"):
            number = by_metric[row["metric"]][name]
            assert row[name] == "" if number is None else float(row[name]) == pytest.approx(number, abs=1e-6)
        assert row["health"] in ("ok", "warning")
    facts = json.loads(experiment_export.export(workspace, run, "card_onboarding", "json", MIA))
    assert {check["check"] for check in facts["health"]} == {
        row["check"] for row in run.read("experiment_health", where={"experiment_id": "card_onboarding"}).to_pylist()
    }
    with Store(session.database_url(workspace)) as store:
        assert {"chart.exported", "experiment.exported"} <= {one.action for one in store.audit_trail()}


def test_what_a_failed_check_withholds_leaves_in_no_file(home: Path) -> None:
    workspace, run = newest(home)
    made = experiment_export.export(workspace, run, "loan_reminder", "csv", MIA)
    rows = list(csv.DictReader(io.StringIO(made.decode())))
    assert rows
    assert {row["health"] for row in rows} == {"stop"}
    assert {row["difference"] for row in rows} == {""}
    facts = json.loads(experiment_export.export(workspace, run, "loan_reminder", "json", MIA))
    assert facts["metrics"][0]["absolute"]["difference"] is None
