"""Known effects are found: over 200 simulated experiments the 95 % intervals cover the truth as often as they say.

Every experiment is drawn as raw exposures and events, with noise a bank would have: customers seen twice, events
before the exposure and after the window, amounts with a long tail; all of it passes through the whole analysis.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy import stats

from engine.config.experiments import ExperimentSettings
from engine.domain.curated import EVENTS, EXPOSURES
from engine.lake.engine import DuckDBEngine
from engine.lake.schema import arrow_schema, unbound
from experiments import analysis
from experiments.collection import Sources, collect
from tests.experiments.builders import day

SEEDS = 200
BROKEN = 40
CUSTOMERS = 1_200
BASE_RATE, LIFT = 0.20, 0.05
MEAN_SPEND, MORE_SPEND = 40.0, 6.0
MICROSECONDS_A_DAY = 86_400_000_000

# of 200 intervals with a true coverage of 95 %, so many cover in all but one of a thousand repetitions
COVERED = tuple(int(stats.binom.ppf(tail, SEEDS, 0.95)) for tail in (0.0005, 0.9995))


def plan(seed: int) -> ExperimentSettings:
    metrics = [
        {"metric": "bought", "kind": "proportion", "event": "buy", "window_days": 30},
        {"metric": "spend", "kind": "mean", "role": "secondary", "event": "buy", "window_days": 30},
        {"metric": "called", "kind": "proportion", "role": "secondary", "event": "call", "window_days": 30},
    ]
    return ExperimentSettings.model_validate(
        {
            "experiment_id": f"{'sound' if seed < SEEDS else 'broken'}_{seed}",
            "name_en": "Truth",
            "weights": {"a": 0.5, "b": 0.5},
            "control": "a",
            "metrics": metrics,
            "looks": {"shares": [1.0], "days": 40},
        }
    )


def simulate(seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One experiment: b buys 5 points more often, spends 6 more on average, and calls exactly as often as a.

    A broken one splits 60:40 although 50:50 was planned.
    """
    rng = np.random.default_rng([seed, 4_711])
    experiment_id = plan(seed).experiment_id
    who = np.array([f"{seed}_{number}" for number in range(CUSTOMERS)])
    in_b = rng.random(CUSTOMERS) < (0.4 if experiment_id.startswith("broken") else 0.5)
    exposed = rng.uniform(0, 20, CUSTOMERS)
    exposures = pd.DataFrame({"customer_id": who, "variant": np.where(in_b, "b", "a"), "exposed_at": exposed})
    again = exposures.sample(frac=0.3, random_state=seed).assign(exposed_at=lambda rows: rows.exposed_at + 5)

    rate = BASE_RATE + LIFT * in_b
    buys = rng.random(CUSTOMERS) < rate
    # mean amount per buyer so that the mean per customer is exactly MEAN_SPEND, or MORE_SPEND more in b
    per_buyer = (MEAN_SPEND + MORE_SPEND * in_b) / rate
    amount = per_buyer * rng.lognormal(-0.5 * 0.6**2, 0.6, CUSTOMERS)
    calls = rng.random(CUSTOMERS) < 0.15
    inside = exposed + rng.uniform(0, 30, CUSTOMERS) * 0.999
    events = [
        pd.DataFrame({"customer_id": who, "event_name": "buy", "at": inside, "value": amount})[buys],
        pd.DataFrame({"customer_id": who, "event_name": "call", "at": inside, "value": np.nan})[calls],
        # noise that must not count: before the exposure, and after the window
        pd.DataFrame({"customer_id": who, "event_name": "buy", "at": exposed - 0.5, "value": 999.0})[::3],
        pd.DataFrame({"customer_id": who, "event_name": "buy", "at": exposed + 30.001, "value": 999.0})[::4],
    ]
    return pd.concat([exposures, again]).assign(experiment_id=experiment_id), pd.concat(events)


@cache
def analysed() -> pd.DataFrame:
    """All experiments at once, as one row per experiment and metric."""
    drawn = [simulate(seed) for seed in range(SEEDS + BROKEN)]
    exposures, events = (pd.concat([pair[side] for pair in drawn], ignore_index=True) for side in (0, 1))
    with DuckDBEngine(threads=2) as engine:
        engine.attach("exposures", _table(exposures, "exposed_at", "exposed_at", arrow_schema(EXPOSURES)))
        engine.attach("events", _table(events, "at", "occurred_at", arrow_schema(EVENTS)))
        plans = [plan(seed) for seed in range(SEEDS + BROKEN)]
        sources = Sources(engine=engine, exposures=unbound(EXPOSURES), events=unbound(EVENTS), as_of=day(60))
        judged = [(plan, analysis.judge(plan, collect(sources, plan), day(60))) for plan in plans]
    return pd.DataFrame([row for plan, one in judged for row in analysis.rows(plan, one, one.withheld)])


def _table(rows: pd.DataFrame, days: str, instant: str, schema: pa.Schema) -> pa.Table:
    start = day(0).replace(tzinfo=None)
    moments = np.datetime64(start, "us") + (rows[days] * MICROSECONDS_A_DAY).astype("int64").to_numpy()
    whole = {name: rows.get(name) for name in schema.names} | {instant: moments}
    return pa.table(
        {name: pa.array(column, from_pandas=True) if column is not None else pa.nulls(len(rows))
         for name, column in whole.items()}
    ).cast(schema)  # fmt: skip


def metric(name: str) -> pd.DataFrame:
    rows = analysed()
    return rows[(rows.metric == name) & rows.experiment_id.str.startswith("sound")]


def covered(name: str, truth: float, lower: str = "lower", upper: str = "upper") -> int:
    """How many of the 200 intervals hold the truth; one withheld by a chance alarm of the ratio check does not."""
    rows = metric(name)
    assert len(rows) == SEEDS
    return int(((rows[lower] <= truth) & (truth <= rows[upper])).sum())


def test_interval_of_a_proportion_covers_the_true_lift_at_the_stated_rate() -> None:
    assert COVERED[0] <= covered("bought", LIFT) <= COVERED[1]


def test_interval_of_a_mean_covers_the_true_difference_at_the_stated_rate() -> None:
    assert COVERED[0] <= covered("spend", MORE_SPEND) <= COVERED[1]


def test_relative_interval_covers_the_true_relative_lift_at_the_stated_rate() -> None:
    assert COVERED[0] <= covered("bought", LIFT / BASE_RATE, "relative_lower", "relative_upper") <= COVERED[1]
    assert COVERED[0] <= covered("spend", MORE_SPEND / MEAN_SPEND, "relative_lower", "relative_upper") <= COVERED[1]


def test_null_effect_is_called_a_difference_no_more_often_than_stated() -> None:
    assert COVERED[0] <= covered("called", 0.0) <= COVERED[1]
    found = metric("called").verdict.isin(["better", "worse"]).sum()
    assert found <= SEEDS - COVERED[0]


def test_real_lift_is_found_in_the_right_direction() -> None:
    verdicts = metric("bought").verdict
    # power at 600 customers a side, 20 against 25 %: about 0.55
    assert (verdicts == "better").mean() > 0.4
    assert (verdicts == "worse").sum() == 0


def test_broken_splits_are_withheld_and_sound_ones_are_not() -> None:
    rows = analysed()
    broken = rows[rows.experiment_id.str.startswith("broken")]
    assert (broken.verdict == "withheld").mean() > 0.99
    assert broken.difference.isna().sum() == (broken.verdict == "withheld").sum()
    assert (metric("bought").verdict == "withheld").sum() <= 2
