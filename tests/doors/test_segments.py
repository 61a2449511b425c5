"""`wayline segment show|fit|migrate` on a small bank, and on two runs of which the later splits a group."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from engine.cli.main import main
from engine.lake.runs import RunBuilder
from engine.lake.workspace import Workspace
from engine.workflows.stages.segments import MARTS, clusters_of, earlier
from tests.engine.segments.test_movement import SPLIT_IN, months

Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Ask:
    def asked(home: Path, *words: str, code: int = 0) -> dict[str, Any]:
        capsys.readouterr()
        assert main(["segment", *words, "--home", str(home), "--json", "-q"]) == code, capsys.readouterr()
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    return asked


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with the runs of the month before the split and of that of it; no data but their segments."""
    home = tmp_path_factory.mktemp("movement")
    found, _ = months(splits=True)
    for month in (SPLIT_IN - 1, SPLIT_IN):
        made, moment = found[month - 1], datetime(2026, month, 28, tzinfo=UTC)
        builder = RunBuilder(Workspace(home), f"202600{month}-run", moment, {"inputs": {}})
        with builder.stage("segments"):
            for mart, rows in zip(MARTS, (made.members, made.profiles, made.choices), strict=True):
                builder.write_rows(mart, rows)
        builder.publish()
    return home


def test_show_tells_clusters_what_sets_them_apart_and_every_segmentation(ask: Ask, small_home: Path) -> None:
    found = ask(small_home, "show")
    assert sum(row["customers"] for row in found["clusters"]) + found["unclustered"] == found["customers"] == 300
    for cluster in found["clusters"]:
        sizes = [abs(one["effect_size"]) for one in cluster["features"]]
        assert sizes == sorted(sizes, reverse=True)
    assert sum(row["chosen"] for row in found["choices"]) == 1
    assert {"life_stage", "channel_preference", "value_tier", "risk_tier", "churn_risk"} <= set(found["segmentations"])
    for groups in found["segmentations"].values():
        assert sum(row["customers"] for row in groups) == 300
    crossed = [row for row in found["crossings"] if row["other_segmentation"] == "risk_tier"]
    assert sum(row["customers"] for row in crossed) == 300


def test_show_of_one_segmentation_has_its_profiles_and_an_unknown_one_is_named(ask: Ask, small_home: Path) -> None:
    found = ask(small_home, "show", "life_stage")
    ages = {row["segment_group"]: row["mean"] for row in found["profiles"] if row["feature"] == "age_years"}
    assert ages["starting_out"] < 31 < ages["midlife"] < 55 <= ages["before_retirement"]
    assert all(row["group_name_zh"] for row in found["groups"])
    told = ask(small_home, "show", "life_stages", code=2)["error"]["sentence"]
    assert 'Did you mean "life_stage"?' in told


def test_clusters_are_found_as_of_any_date_and_members_moved_between_two(ask: Ask, small_home: Path) -> None:
    found = ask(small_home, "fit", "--as-of", "2026-03-31")
    assert found["as_of"].startswith("2026-03-31")
    assert found["before"] is None
    moved = ask(small_home, "migrate", "--from", "2026-03-31", "--to", "2026-06-30")
    assert sum(row["before"] for row in moved["groups"]) == found["customers"] - found["unclustered"]
    assert moved["agreement"] > 0.8  # one ruler for both dates, and three months do not make other people
    assert 0 <= moved["stability_index"] < 0.1


def test_a_split_between_two_runs_is_told_with_who_entered_and_left(ask: Ask, two_runs: Path) -> None:
    found = ask(two_runs, "migrate")
    assert (found["from"], found["to"]) == ("2026006-run", "2026007-run")
    (split,) = [one for one in found["notices"] if one["kind"] == "split"]
    assert split["group"] in split["others"]
    assert "splits" in split["sentence_en"]
    assert "分裂" in split["sentence_zh"]
    part = next(one for one in split["others"] if one != split["group"])
    row = next(one for one in found["groups"] if one["group"] == part)
    assert (row["before"], row["stayed"]) == (0, 0)
    assert row["entered"] == row["after"] > 100
    assert {one["group"] for one in found["drift"]} == {one["group"] for one in found["groups"] if one["before"]}
    assert found["stability_index"] is None  # a group that was not there has no share to compare with


def test_the_run_whose_clusters_go_on_is_the_latest_of_an_earlier_date(two_runs: Path) -> None:
    workspace = Workspace(two_runs)
    assert earlier(workspace, datetime(2026, 6, 28, tzinfo=UTC)) is None
    before = earlier(workspace, datetime(2026, 7, 28, tzinfo=UTC))
    assert before is not None
    assert before.run_id == "2026006-run"
    told = clusters_of(before)
    assert told is not None
    assert set(told.names) == set(told.members["cluster_id"].to_pylist())


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--from", "2026-06-30", "--to", "2026-03-31"), 2, "--from 2026-06-30 is not before --to 2026-03-31"),
        (("--from", "2026-03-31", "--to", "2026007-run"), 2, "name two runs, or two dates"),
        (("--from", "2026007-run", "--to", "2026006-run"), 2, "turn them round"),
        (("--from", "nothing", "--to", "2026007-run"), 1, "No run nothing"),
        (("--by", "value_tiers"), 2, 'Unknown segmentation of both runs "value_tiers"'),
        (("--from", "2026-03-31", "--to", "2026-06-30", "--by", "value_tier"), 2, "only clusters are"),
        (("--from", "2026-03-31", "--to", "2026-06-30"), 1, "No data in the workspace"),
    ],
)
def test_what_cannot_be_compared_is_said(
    ask: Ask, two_runs: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    assert said in ask(two_runs, "migrate", *words, code=code)["error"]["sentence"]


def test_without_an_earlier_run_there_is_nothing_to_compare_with(ask: Ask, small_home: Path) -> None:
    assert "of an earlier date" in ask(small_home, "migrate", code=1)["error"]["sentence"]
