"""The step conversion that the funnels show is the simulated bank's own, within sampling error."""

import itertools
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from scipy import stats

from engine.config.journeys import Journeys
from engine.config.load import load
from engine.lake.runs import latest_run
from engine.lake.workspace import Workspace

# one in a thousand over all steps of all journeys together, by Bonferroni
ALPHA = 0.001


@pytest.fixture(scope="module")
def reached(demo_home: Path) -> pd.DataFrame:
    """One row per customer and journey with exactly one attempt whose window closed: true and found depth, segment."""
    attempts = pq.read_table(demo_home / "simulated" / "truth" / "journey_attempts.parquet").to_pandas()
    once = attempts.groupby(["customer_id", "journey"])["depth"].transform("size") == 1
    found = latest_run(Workspace(demo_home)).read("journey_stages", ["journey", "customer_id", "reached_step"])
    return attempts[once & attempts["closed"]].merge(found.to_pandas(), on=["customer_id", "journey"])


def test_the_depth_of_almost_every_single_attempt_is_found_exactly(reached: pd.DataFrame) -> None:
    # what differs lost an event to quarantine or to an unresolved identity, a few in ten thousand
    assert (reached["depth"] == reached["reached_step"]).mean() > 0.99


def test_step_conversion_is_recovered_within_sampling_error(demo_home: Path, reached: pd.DataFrame) -> None:
    hazards = pq.read_table(demo_home / "simulated" / "truth" / "journey_hazards.parquet").to_pandas()
    steps = {one.journey: [step.step for step in one.steps] for one in load(Journeys, "journeys").journeys}
    scores = {}
    for journey, names in steps.items():
        own = reached[reached["journey"] == journey]
        for number, (step_from, step_to) in enumerate(itertools.pairwise(names), start=1):
            at_step = own[own["reached_step"] >= number]
            truth = hazards[(hazards["journey"] == journey) & (hazards["step_from"] == step_from)]
            chance = at_step["segment"].map(truth.set_index("segment")["probability"])
            went_on = (at_step["reached_step"] > number).sum()
            # each customer goes on with the chance of the segment: a sum of Bernoulli draws
            spread = (chance * (1 - chance)).sum() ** 0.5
            scores[journey, step_to] = (went_on - chance.sum()) / spread
    limit = stats.norm.isf(ALPHA / 2 / len(scores))
    assert len(scores) == 24
    assert {step: score for step, score in scores.items() if abs(score) > limit} == {}
