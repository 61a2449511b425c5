"""The whole engine on public data: the numbers that others published come out, and what cannot be said is not said."""

from pathlib import Path

import pytest

from engine.domain.errors import MartMissing, RefusedByPolicy
from engine.lake.runs import Run, latest_run
from engine.lake.workspace import Workspace
from engine.workflows import experiment, experiment_report, journey, load, run

pytestmark = pytest.mark.real_data


def made_of(source: str, folder: Path, home: Path, *, assume_consent: bool = False) -> Run:
    load.init(home, source, folder / source, assume_consent=assume_consent)
    run.run(home)
    return latest_run(Workspace(home))


def test_bpi2012_shows_the_known_funnel(real_data: Path, tmp_path: Path) -> None:
    made = made_of("bpi2012", real_data, tmp_path)
    steps = journey.show(tmp_path, "loan_application")
    assert {step["step"]: step["customers"] for step in steps} == {
        "A_SUBMITTED": 13_087,
        "A_PREACCEPTED": 7_367,
        "A_ACCEPTED": 5_113,
        "A_FINALIZED": 5_015,
        "A_APPROVED": 2_246,
    }
    # there is nothing to recommend from: the stage says so instead of making something up
    with pytest.raises(MartMissing, match="holdings"):
        made.read("recommendations")


def test_vanguard_withholds_the_result_of_its_broken_split_and_shows_it_on_request(
    real_data: Path, tmp_path: Path
) -> None:
    made_of("vanguard", real_data, tmp_path)
    name = experiment.listing(tmp_path)[0]["experiment_id"]
    told = experiment_report.of_run(tmp_path, name)
    assert next(check for check in told["health"] if check["check"] == "sample_ratio")["status"] == "stop"
    assert told["metrics"][0]["verdict"] == "withheld"
    assert told["metrics"][0]["absolute"]["difference"] is None

    shown = experiment_report.of_run(tmp_path, name, show_withheld=True)["metrics"][0]
    control, variant = shown["control"], shown["variant"]
    assert (shown["n"][control], shown["n"][variant]) == (23_532, 26_968)
    assert shown["pooled"] == {control: pytest.approx(15_434 / 23_532), variant: pytest.approx(18_687 / 26_968)}
    # the split changed several times: the fair comparison is that within its spans
    assert shown["method"] == "by_epoch"
    assert 0.02 < shown["absolute"]["difference"] < 0.037


def test_berka_is_segmented_graded_and_offered_cards_and_loans(real_data: Path, tmp_path: Path) -> None:
    made = made_of("berka", real_data, tmp_path, assume_consent=True)
    assert made.read("segments").num_rows == 5_369
    assert len(set(made.read("segments")["value_tier"].to_pylist())) > 2

    measures = {
        (row["sample"], row["measure"]): row
        for row in made.read("risk_validation").to_pylist()
        if row["model"] == "scorecard"
    }
    auc = measures["out_of_time", "auc"]
    assert auc["rows"] + measures["train", "auc"]["rows"] == 682
    assert auc["bads"] + measures["train", "auc"]["bads"] == 76
    assert auc["upper"] - auc["lower"] > 0.1, "few defaults: the interval is wide, and says so"
    assert "small sample" in auc["note"]

    offered = set(made.read("recommendations")["product_id"].to_pylist())
    assert any("card" in product for product in offered)
    assert made.read("decisions").num_rows % 5_369 == 0


def test_berka_offers_nothing_to_anybody_without_consent(real_data: Path, tmp_path: Path) -> None:
    made = made_of("berka", real_data, tmp_path)
    assert made.read("recommendations").num_rows == 0
    consent = next(gate for gate in made.read("gates").to_pylist() if gate["gate"] == "consent")
    assert consent["customers"] == 5_369


def test_a_workspace_with_data_is_not_initialised_again(real_data: Path, tmp_path: Path) -> None:
    load.init(tmp_path, "berka", real_data / "berka")
    with pytest.raises(RefusedByPolicy, match="holds data already"):
        load.init(tmp_path, "vanguard", real_data / "vanguard")
