"""Golden cases of the one pass: exact sums of days add up to the byte, and every number is worked by hand."""

from __future__ import annotations

from pytest import approx

from engine.domain.curated import EVENTS, EXPOSURES
from engine.lake.engine import DuckDBEngine
from engine.lake.schema import unbound
from experiments.collection import Collected, Sources, collect
from experiments.metrics import readings
from experiments.moments import Sums
from tests.experiments.builders import LATER, Event, Exposure, day, events_table, experiment, exposures_table

PLAN = experiment(
    metrics=[{"metric": "spend", "kind": "mean", "event": "buy", "window_days": 30}],
    covariates=[{"covariate": "before", "event": "buy", "days": 10}],
)

# who, arm, first exposed on day; bought before; bought after
EXPOSED: list[Exposure] = [
    ("p", "a", 10),
    ("p", "a", 12),
    ("q", "a", 11),
    ("r", "b", 10),
    ("s", "b", 11),
    ("t", "b", 11),
]
BOUGHT: list[Event] = [
    ("p", "buy", 5, 2.0),
    ("p", "buy", 10, 3.0),
    ("p", "buy", 39.9, 4.0),
    ("p", "buy", 40, 100.0),
    ("q", "buy", 0.5, 100.0),
    ("q", "buy", 1, 1.0),
    ("r", "buy", 20, 5.0),
    ("s", "buy", 10.9, 6.0),
    ("s", "buy", 11, 8.0),
]


def collected() -> Collected:
    with DuckDBEngine(threads=1) as engine:
        engine.attach("exposures", exposures_table(EXPOSED))
        engine.attach("events", events_table(BOUGHT))
        sources = Sources(engine=engine, exposures=unbound(EXPOSURES), events=unbound(EVENTS), as_of=LATER)
        return collect(sources, PLAN)


def test_moments_of_spending_and_of_what_was_spent_before() -> None:
    # spend:  p 3 + 4 (day 40 is day 30 of the window: out), q 0;   r 5, s 8, t 0
    # before: p 2, q 1 (day 0.5 is more than ten days before 11);    r 0, s 6, t 0
    a, b = (collected().sums.sample("spend", variant=arm).moments for arm in "ab")
    assert (a.n, list(a.means)) == (2, [3.5, 1.5])
    assert a.covariance.tolist() == [[24.5, 3.5], [3.5, 0.5]]
    assert (b.n, list(b.means)) == (3, [approx(13 / 3), 2.0])
    # spend about 13/3: 2/3, 11/3, -13/3; before about 2: -2, 4, -2: products -4/3 + 44/3 + 26/3 = 22
    assert b.covariance[0, 1] == approx(22 / 2)
    assert b.covariance[1, 1] == approx(24 / 2)


def test_days_of_exposure_add_up_to_the_whole_to_the_byte() -> None:
    found = collected()
    days = {row["exposed_on"] for row in found.sums.rows}
    assert days == {day(10).date(), day(11).date()}
    parts = [Sums(readings(PLAN), [row for row in found.sums.rows if row["exposed_on"] == one]) for one in sorted(days)]
    together, backwards = parts[0] + parts[1], parts[1] + parts[0]
    for arm in "ab":
        whole = found.sums.sample("spend", variant=arm).moments
        for other in (together, backwards):
            again = other.sample("spend", variant=arm).moments
            assert (again.n, again.total.tobytes(), again.products.tobytes()) == (
                whole.n,
                whole.total.tobytes(),
                whole.products.tobytes(),
            )


def test_exposures_are_counted_by_day_of_the_first() -> None:
    exposed = collected().exposed
    assert dict(exposed.daily) == {day(10).date(): {"a": 1, "b": 1}, day(11).date(): {"a": 1, "b": 2}}
    assert (exposed.customers, exposed.several) == ({"a": 2, "b": 3}, 0)
