"""What the page Data and health tells: gaps, drift and runs, out of small tables that can be checked by eye."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.domain.access import Role, Viewer
from engine.domain.errors import NotAllowed
from engine.lake.runs import Run
from engine.lake.workspace import Workspace
from engine.ui.views import health as views
from engine.ui.words import Words
from engine.workflows.view import health
from tests.engine.ui import bank

OWNER = Viewer(name="ann", role=Role.OWNER)
MARKETING = Viewer(name="cem", role=Role.MARKETING)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("health")
    bank.make(home)
    return home


@pytest.fixture(scope="module")
def run(home: Path) -> Run:
    from engine.lake.runs import latest_run

    return latest_run(Workspace(home))


def moved(run: Run, folder: Path, shift: float) -> Run:
    """Return a run of an earlier date whose customers had more bookings."""
    table = run.read("features").to_pandas()
    table["transactions_90d"] = table["transactions_90d"] + shift
    target = folder / "features"
    target.mkdir(parents=True)
    schema = run.read("features").schema
    pq.write_table(pa.Table.from_pandas(table, schema=schema, preserve_index=False), target / "part-00000.parquet")
    earlier = (run.as_of - timedelta(days=90)).isoformat()
    return Run(folder=folder, manifest={**run.manifest, "run_id": "earlier", "as_of": earlier})


def test_features_of_a_run_have_not_moved_from_themselves(run: Run) -> None:
    rows = health.features_drift(run, run)
    assert len(rows)
    assert rows["value"].max() == 0


def test_feature_that_moved_is_found_and_no_other(run: Run, tmp_path: Path) -> None:
    rows = health.features_drift(run, moved(run, tmp_path, 30)).set_index("feature")["value"]
    assert rows.index[0] == "transactions_90d"
    assert rows["transactions_90d"] > health.ACT
    assert rows.drop("transactions_90d").max() == 0


def test_index_agrees_with_its_formula_worked_by_hand() -> None:
    # two bins, half and half before; three quarters and one quarter now: 0.25 ln(1.5) + (-0.25) ln(0.5)
    then, now = np.array([1.0, 1.0, 2.0, 2.0]), np.array([1.0, 1.0, 1.0, 2.0])
    assert health._index(then, now) == pytest.approx(0.25 * np.log(1.5) + 0.25 * np.log(2))


def test_shares_of_a_distribution_add_up_to_one_and_empty_values_are_a_bin_of_their_own(run: Run) -> None:
    rows = health.distribution(run, run, "transactions_90d")
    assert rows.groupby("run")["share"].sum().round(9).tolist() == [1.0, 1.0]
    values = np.array([1.0, np.nan, 2.0, np.nan])
    assert health._shares(values, np.array([1.0])).tolist() == [0.25, 0.25, 0.5]


def test_filled_cells_are_counted_out_of_the_files(home: Path) -> None:
    workspace = Workspace(home)
    for row in health.completeness(workspace).to_dict("records"):
        table = pd.read_parquet(workspace.curated(row["table"]))
        there = [c for c in table.columns if table[c].notna().any() and c != "month"]
        expected = table[there].notna().to_numpy().mean() if there else None
        assert row["filled"] == pytest.approx(expected)


def test_what_the_risk_model_sees_is_told_to_whom_it_may_be_told(home: Path, run: Run) -> None:
    with pytest.raises(NotAllowed):
        health.model_drift(MARKETING, run)
    with pytest.raises(NotAllowed):
        health.machine(MARKETING, home)
    with pytest.raises(NotAllowed):
        health.refused_examples(MARKETING, Workspace(home), "customers", "wrong_type", "joined_at")
    newest = health.model_drift(OWNER, run)
    assert not newest.duplicated(["population", "what"]).any()
    figure = views.model_drift(newest, Words())
    assert len(figure.table) == len(newest)


@pytest.mark.parametrize(("index", "verdict"), [(0.0, "stable"), (0.1, "stable"), (0.11, "moved"), (0.3, "changed")])
def test_verdict_follows_the_two_limits(index: float, verdict: str) -> None:
    assert views.level(index) == verdict
