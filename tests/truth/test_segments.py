"""Behavioural clusters beside the latent segments of the simulated bank: how many, and how far they agree."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from sklearn.metrics import adjusted_rand_score

from engine.config.load import load
from engine.config.simulation import SimulationSettings
from engine.lake.runs import Run, latest_run
from engine.lake.workspace import Workspace


@pytest.fixture(scope="module")
def run(demo_home: Path) -> Run:
    return latest_run(Workspace(demo_home))


def test_the_number_of_clusters_is_that_of_the_latent_segments(run: Run) -> None:
    chosen = [row["clusters"] for row in run.read("segment_choices").to_pylist() if row["chosen"]]
    assert chosen == [len(load(SimulationSettings, "simulation").segments)]


def test_clusters_agree_with_the_latent_segments(demo_home: Path, run: Run) -> None:
    truth = pq.read_table(demo_home / "simulated" / "truth" / "segments.parquet").to_pandas()
    found = run.read("segments", ["customer_id", "cluster_id"]).to_pandas().dropna()
    both = truth.merge(found, on="customer_id")
    assert len(both) > 7_900
    # measured: 0.84
    assert adjusted_rand_score(both["segment"], both["cluster_id"]) >= 0.8
