"""A whole run on a small simulated bank: repeatable to the byte, honest about what it could not do, gated by risk."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from engine.domain.curated import CURATED
from engine.domain.errors import CheckFailed, MartMissing, UnknownName, WorkspaceBusy, WorkspaceMissing
from engine.domain.marts import MARTS
from engine.lake.runs import folder_digest, latest_run
from engine.lake.schema import arrow_schema
from engine.lake.workspace import Workspace
from engine.workflows import doctor, experiment_report, explain, export, journey, run


@pytest.fixture(scope="module")
def again(small_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's tables in another workspace, run there anew."""
    home = tmp_path_factory.mktemp("again")
    shutil.copytree(small_home / "curated", home / "curated")
    run.run(home)
    return home


def test_the_same_inputs_and_seed_give_byte_identical_tables(small_home: Path, again: Path) -> None:
    # the small bank's run was given its seed by flag; it is the bank's own, so the run is the same run
    first, second = latest_run(Workspace(small_home)), latest_run(Workspace(again))
    assert first.run_id == second.run_id
    assert set(first.manifest["marts"]) == set(second.manifest["marts"])
    for mart in first.manifest["marts"]:
        assert folder_digest(first.path(mart)) == folder_digest(second.path(mart)), mart
    assert first.manifest["texts"] == second.manifest["texts"]


def test_every_table_of_a_run_keeps_its_contract(demo_home: Path) -> None:
    made = latest_run(Workspace(demo_home))
    for name, contract in MARTS.items():
        rows = made.read(name)
        assert rows.schema.equals(arrow_schema(contract)), name
        in_order = rows.sort_by([(column, "ascending") for column in contract.key])
        assert rows.select(contract.key).equals(in_order.select(contract.key)), f"{name} is sorted by its key"


def test_a_completed_run_is_not_made_twice(demo_home: Path) -> None:
    before = latest_run(Workspace(demo_home)).manifest["finished_at"]
    summary = run.run(demo_home)
    assert summary.reused
    assert latest_run(Workspace(demo_home)).manifest["finished_at"] == before


def test_two_runs_at_once_on_one_workspace_are_refused(demo_home: Path) -> None:
    with Workspace(demo_home).lock("run"), pytest.raises(WorkspaceBusy):
        run.run(demo_home, again=True)


def test_a_run_without_data_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceMissing, match="wayline demo"):
        run.run(tmp_path)


def test_offers_and_refusals_are_every_product_for_every_customer(demo_home: Path) -> None:
    made = latest_run(Workspace(demo_home))
    customers = made.manifest["marts"]["features"]["rows"]
    decisions = made.read("decisions")
    assert decisions.num_rows == customers * 24
    offered = decisions.filter(pc.is_valid(decisions["rank"]))
    assert pc.max(offered["refused_mask"]).as_py() == 0
    assert offered.num_rows == made.manifest["marts"]["recommendations"]["rows"]


def test_no_credit_is_offered_without_a_risk_tier(demo_home: Path) -> None:
    made = latest_run(Workspace(demo_home))
    risk = made.read("risk", ["customer_id"], where={"risk_tier": "unknown"})
    assert risk.num_rows > 0
    credit = ["credit_card_classic", "credit_card_gold", "credit_card_travel", "overdraft", "personal_loan"]
    credit += ["auto_loan", "education_loan", "mortgage", "home_equity_line"]
    offers = made.read("recommendations", where={"product_id": credit})
    assert not set(offers["customer_id"].to_pylist()) & set(risk["customer_id"].to_pylist())


def test_a_stage_without_its_tables_is_skipped_with_the_reason(small_home: Path, tmp_path: Path) -> None:
    shutil.copytree(small_home / "curated", tmp_path / "curated")
    for table in ("exposures", "outcomes", "applications"):
        shutil.rmtree(tmp_path / "curated" / table)
    summary = run.run(tmp_path)
    assert summary.skipped == ("experiments",)
    made = latest_run(Workspace(tmp_path))
    with pytest.raises(MartMissing, match="no exposures"):
        made.read("experiment_results")
    with pytest.raises(MartMissing, match="outcomes"):
        made.read("risk_scorecard")
    assert set(made.read("risk")["risk_tier"].to_pylist()) == {"unknown"}


def test_a_run_as_of_an_earlier_date_knows_nothing_later(small_home: Path, tmp_path: Path) -> None:
    shutil.copytree(small_home / "curated", tmp_path / "curated")
    moment = datetime(2026, 3, 31, 23, 59, 59, tzinfo=UTC)
    run.run(tmp_path, as_of=moment)
    made = latest_run(Workspace(tmp_path))
    assert made.as_of == moment
    reached = made.read("journey_stages", ["stage_since"])["stage_since"]
    assert pc.max(reached).as_py() <= moment.replace(tzinfo=None)


def test_an_explanation_names_every_product_and_no_person(demo_home: Path) -> None:
    made = latest_run(Workspace(demo_home))
    told = explain.customer(demo_home, made.read("decisions", ["customer_id"], limit=1)["customer_id"][0].as_py())
    assert len(told["products"]) == 24
    assert all(bool(row["refusals"]) == (row["decision"] == "refused") for row in told["products"])
    assert {row["limits"] for row in told["products"]} == {None}, "without limits nothing is withheld"
    personal = {column.name for column in CURATED["customers"] if column.personal}
    assert not personal & set(told["profile"])
    # a decline names what would lift it, or says why nothing would
    assert told["credit"]
    assert all(bool(row["change"] or row["no_change"]) == (row["outcome"] == "decline") for row in told["credit"])


def test_an_explanation_of_an_unknown_customer_does_not_repeat_the_id(demo_home: Path) -> None:
    with pytest.raises(explain.CustomerMissing) as fault:
        explain.customer(demo_home, "Li Wei")
    assert "Li Wei" not in fault.value.sentence


def test_no_exported_offer_outlives_the_answer_of_the_risk_gate(demo_home: Path, tmp_path: Path) -> None:
    export.recommendations(demo_home, file_format="parquet", destination=tmp_path / "all")
    rows = pq.read_table(tmp_path / "all" / "add")
    held = latest_run(Workspace(demo_home)).read("risk_gate", ["customer_id", "expires_at"])
    ends = held["expires_at"].take(pc.index_in(rows["external_id"], value_set=held["customer_id"].combine_chunks()))
    until = pc.strptime(rows["valid_to"], format="%Y-%m-%dT%H:%M:%SZ", unit="us")
    assert pc.all(pc.less_equal(until, ends.cast(pa.timestamp("us")))).as_py()
    never = latest_run(Workspace(demo_home)).read("risk_reassessment", where={"cause": "no_signal"})
    never = never.filter(pc.is_null(never["last_assessed_at"]))["customer_id"].combine_chunks()
    theirs = rows.filter(pc.is_in(rows["external_id"], value_set=never))
    assert theirs.num_rows > 0, "who was never assessed is refused credit and offered the rest"
    assert pc.all(pc.greater(theirs["valid_to"], theirs["valid_from"])).as_py(), "and that for longer than an instant"
    assert pc.count_distinct(rows["valid_to"]).as_py() > 1, "some answers end before the bundle does"


def test_an_export_is_whole_and_the_same_when_repeated(demo_home: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        export.recommendations(demo_home, file_format="csv", destination=tmp_path / name)
    assert folder_digest(tmp_path / "one") == folder_digest(tmp_path / "two")
    assert export.verify(tmp_path / "one")["ok"]
    part = next((tmp_path / "one" / "add").iterdir())
    part.write_bytes(part.read_bytes().replace(b"2026", b"2027", 1))
    with pytest.raises(CheckFailed):
        export.verify(tmp_path / "one")


def test_withheld_results_are_shown_only_when_asked_for(demo_home: Path) -> None:
    withheld = experiment_report.of_run(demo_home, "loan_reminder")["metrics"][0]
    assert withheld["verdict"] == "withheld"
    assert withheld["absolute"]["difference"] is None
    shown = experiment_report.of_run(demo_home, "loan_reminder", show_withheld=True)["metrics"][0]
    assert shown["absolute"]["difference"] is not None


def test_reading_an_unknown_journey_or_breakdown_offers_the_nearest(demo_home: Path) -> None:
    with pytest.raises(UnknownName, match='Did you mean "mortgage"'):
        journey.show(demo_home, "mortage")
    with pytest.raises(UnknownName, match='Did you mean "risk_tier"'):
        journey.show(demo_home, "mortgage", by="risk_teir")


def test_every_group_of_a_breakdown_adds_up_to_all(demo_home: Path) -> None:
    for overview in journey.listing(demo_home):
        everybody = journey.show(demo_home, overview["journey"])
        for by in ("channel", "cluster", "value_tier", "risk_tier"):
            grouped = journey.show(demo_home, overview["journey"], by=by)
            for step in everybody:
                parts = [row["customers"] for row in grouped if row["step_index"] == step["step_index"]]
                assert sum(parts) == step["customers"], (overview["journey"], by, step["step"])


def test_the_doctor_finds_a_demo_workspace_well(demo_home: Path) -> None:
    assert not [check for check in doctor.diagnose(demo_home) if check.status == "fail"]


def test_the_doctor_names_every_fault_of_the_settings(demo_home: Path, tmp_path: Path) -> None:
    (tmp_path / "wayline.toml").write_text('[bank]\nseed = -1\n[risk]\ncolour = "red"\n')
    settings = next(check for check in doctor.diagnose(tmp_path) if check.name == "settings")
    assert settings.status == "fail"
    assert "seed" in settings.detail
    assert "colour" in settings.detail


def test_the_manifest_holds_all_that_a_run_followed_from(demo_home: Path) -> None:
    made = latest_run(Workspace(demo_home))
    manifest = json.loads((made.folder / "manifest.json").read_text())
    assert set(manifest["inputs"]) == set(Workspace(demo_home).curated_tables())
    assert manifest["seed"] == 1
    assert manifest["versions"]["duckdb"].startswith("2.")
    assert all(stage["seconds"] >= 0 for stage in manifest["stages"] if stage["status"] == "done")
