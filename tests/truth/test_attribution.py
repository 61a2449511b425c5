"""Attribution on the simulated bank finds the channel whose touches truly bring openings; the last touch does not."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from engine.config.journeys import Journeys
from engine.config.load import load
from engine.lake.engine import DuckDBEngine
from engine.lake.workspace import Workspace
from journeys import attribution, histories, touchpoints
from journeys.attribution import AttributionTable
from journeys.event_log import EventLog

DAY = 86_400
# enquiries lie at most 22 days before a journey, whose longest window is 90 days
LOOK_BACK = 112 * DAY


@pytest.fixture(scope="module")
def attributed(demo_home: Path) -> Iterator[AttributionTable]:
    """Openings by journey attributed to the channels of the enquiries about the same products."""
    one_journey = {name: one.journey for one in load(Journeys, "journeys").journeys for name in one.products}
    with DuckDBEngine() as engine:
        events = Workspace(demo_home).attach(engine)["events"]
        events = events.filter(events.event_name.isin(["enquiry_made", "product_opened"]))
        # a customer's journeys are apart: an enquiry about a loan brings no mortgage
        journey = events.product_id.substitute(one_journey)
        table = events.mutate(customer_id=events.customer_id + "|" + journey)
        rows = engine.arrow(EventLog(table=table).events(attributes=("channel",)))
    question = touchpoints.Question(
        conversion=("product_opened",),
        touch="channel",
        touches=("branch", "call_centre", "email", "sms", "web"),
        touch_events=("enquiry_made",),
        lookback_seconds=LOOK_BACK,
    )
    tally = touchpoints.tally(histories.of(rows), question, None)
    yield attribution.summarise(tally, models=("first", "last", "linear", "markov", "markov_2", "shapley"), seed=4)


@pytest.fixture(scope="module")
def truth(demo_home: Path) -> dict[str, float]:
    """The share of each channel in the true removal effects."""
    table = pq.read_table(demo_home / "simulated" / "truth" / "channel_effects.parquet")
    effects = table.column("removal_effect").to_numpy()
    return dict(zip(table.column("channel").to_pylist(), (effects / effects.sum()).tolist(), strict=True))


def test_enough_openings_have_touches_to_tell_the_channels_apart(attributed: AttributionTable) -> None:
    assert attributed.attributed > 500
    assert attributed.lost_paths > 2_000


def test_markov_gives_the_channel_that_brings_openings_the_most(attributed: AttributionTable) -> None:
    for model in ("markov", "markov_2"):
        credit = attributed.of(model)
        assert max(credit, key=credit.__getitem__) == "branch"


def test_the_last_touch_is_misled_to_what_follows_the_channel_of_weight(attributed: AttributionTable) -> None:
    credit = attributed.of("last")
    assert max(credit, key=credit.__getitem__) == "email"
    assert credit["email"] > 1.3 * credit["branch"]


@pytest.mark.parametrize("model", ["markov", "markov_2"])
def test_true_removal_effects_lie_within_the_intervals_of_markov(
    model: str, attributed: AttributionTable, truth: dict[str, float]
) -> None:
    place = attributed.models.index(model)
    expected = np.array([truth[touch] for touch in attributed.touches])
    assert (attributed.lower[place] <= expected).all()
    assert (expected <= attributed.upper[place]).all()
    # and they say something: no interval is wider than a tenth
    assert (attributed.upper[place] - attributed.lower[place]).max() < 0.1


def test_the_interval_of_the_last_touch_misses_the_truth(attributed: AttributionTable, truth: dict[str, float]) -> None:
    place = attributed.models.index("last")
    branch = attributed.touches.index("branch")
    assert attributed.upper[place, branch] < truth["branch"]


def test_the_disagreement_of_the_models_is_told(attributed: AttributionTable) -> None:
    assert {"branch", "email"} <= {one.touch for one in attributed.disagreements}
