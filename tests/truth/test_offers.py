"""On the simulated bank, whose true propensities are known: what the chosen offers are worth beside an oracle's.

The oracle knows the probability that each customer takes each product in the quarter after the extract, which follows
from traits that the bank never sees: the segment, moves and births, what was held before the records begin. It offers
inside the same gates, at the same contact costs and terms of credit, and as many to a customer. An offer's profit is
its true probability times margin less expected loss, less the contact; what is summed is the profit of the offers made.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from engine.recommendations import columns, explore, gates, value
from engine.recommendations.decide import assess, decide
from engine.recommendations.gate import Case
from engine.workflows import kept_decisions, session


@dataclass(frozen=True, slots=True, kw_only=True)
class Offers:
    """Pairs of n customers and P products: `true_profit` in minor units, and ranks from 1, 0 where not offered."""

    true_profit: Any
    true_propensity: Any
    propensity: Any
    eligible: Any
    by_engine: Any
    by_oracle: Any
    by_mean: Any

    def profit(self, ranks: Any, most: int) -> float:
        """Return the true profit of the offers up to a rank."""
        return float(self.true_profit[(ranks > 0) & (ranks <= most)].sum())

    def share_of_oracle(self, most: int) -> float:
        """Return what the engine's offers are worth over what the oracle's are."""
        return self.profit(self.by_engine, most) / self.profit(self.by_oracle, most)


@cache
def offers_of(home: Path) -> Offers:
    """Return the offers of the newest run of a simulated bank, and those of an oracle."""
    workspace = session.workspace_at(home)
    run, bundle = kept_decisions.opened(workspace, None, marts=())
    ids = run.read("decision_inputs", columns=["customer_id"])["customer_id"].to_pylist()
    block = kept_decisions.block_of(run, bundle, ids)
    assert block is not None
    told = pq.read_table(home / "simulated" / "truth" / "propensities.parquet")
    place = columns.places(block.customer_ids, told["customer_id"])
    true = np.column_stack([told[name].to_numpy() for name in bundle.catalogue.product_ids])[place].astype(np.float64)
    found = assess(block, bundle)

    def by(propensity: Any) -> tuple[Any, Any]:
        gain = propensity * (found.terms.margin - found.worth.loss)
        worth = value.after_contact(gain, found.odds.cost[:, None], found.odds.kept)
        case = Case(
            block=block,
            catalogue=bundle.catalogue,
            settings=bundle.settings,
            value=worth,
            amount=found.terms.amount,
        )
        passed = (gates.evaluate(case) == 0) & ~found.held_out[:, None]
        return worth, np.where(passed, worth, -np.inf)

    profit, offered = by(true)
    _, offered_by_mean = by(np.broadcast_to(true.mean(axis=0), true.shape))
    top_n = bundle.settings.top_n
    return Offers(
        true_profit=profit,
        true_propensity=true,
        propensity=found.odds.propensity,
        eligible=offered > -np.inf,
        by_engine=decide(block, bundle).rank,
        by_oracle=explore.in_order(offered, top_n),
        by_mean=explore.in_order(offered_by_mean, top_n),
    )


def test_offers_earn_most_of_what_an_oracle_earns_that_knows_hidden_traits(demo_home: Path) -> None:
    # measured: 0.94, of first offers 0.91; on 20,000 customers, who have openings enough to learn from, 0.96 and 0.93
    offers = offers_of(demo_home)
    assert offers.share_of_oracle(3) >= 0.92
    assert offers.share_of_oracle(1) >= 0.88


def test_offers_earn_a_fifth_more_than_those_by_the_true_mean_rate_of_each_product(demo_home: Path) -> None:
    offers = offers_of(demo_home)
    for most in (1, 3):
        assert offers.profit(offers.by_engine, most) >= 1.2 * offers.profit(offers.by_mean, most)


def test_propensities_are_as_high_as_the_true_ones_in_sum(demo_home: Path) -> None:
    offers = offers_of(demo_home)
    expected = offers.true_propensity[offers.eligible].sum()
    # some 690 openings are expected; rates drift with the season
    assert offers.propensity[offers.eligible].sum() == pytest.approx(expected, rel=0.15)


STEPS = ("product_viewed", "calculator_used", "application_started", "documents_uploaded", "application_submitted")


def test_true_chance_of_who_stopped_a_week_ago_is_what_became_of_those_who_had_stopped_a_quarter_earlier(
    demo_home: Path,
) -> None:
    bank = session.workspace_at(demo_home)
    events = pq.read_table(bank.curated("events"), columns=["customer_id", "product_id", "event_name", "occurred_at"])
    events = events.to_pandas().dropna(subset=["customer_id", "product_id"])
    events = events[events.event_name.isin(STEPS)]
    opened = pq.read_table(bank.curated("holdings"), columns=["customer_id", "product_id", "opened_at"]).to_pandas()
    until = events.occurred_at.max().normalize()
    waiting, later = 0, 0
    for quarters in range(1, 7):
        moment = until - quarters * QUARTER
        pairs = _stalled(events, opened, moment)
        soon = opened[(opened.opened_at > moment) & (opened.opened_at <= moment + QUARTER)]
        waiting += len(pairs)
        later += len(pairs.merge(soon[["customer_id", "product_id"]].drop_duplicates()))
    told = pq.read_table(demo_home / "simulated" / "truth" / "propensities.parquet").to_pandas()
    told = told.set_index("customer_id").stack().rename("chance")
    pairs = _stalled(events, opened, until)
    true = told.reindex(pairs.set_index(["customer_id", "product_id"]).index).dropna()
    assert waiting > 900
    assert true.mean() == pytest.approx(later / waiting, abs=4 * np.sqrt(later) / waiting + 0.002)


QUARTER = pd.Timedelta(days=90)


def _stalled(events: pd.DataFrame, opened: pd.DataFrame, moment: pd.Timestamp) -> pd.DataFrame:
    """Return the pairs whose last step was taken 7 to 21 days before a moment, and that had not been opened then."""
    last = events[events.occurred_at <= moment].groupby(["customer_id", "product_id"]).occurred_at.max()
    pairs = last[(last <= moment - pd.Timedelta(days=7)) & (last > moment - pd.Timedelta(days=21))].index.to_frame(
        index=False
    )
    held = opened[opened.opened_at <= moment][["customer_id", "product_id"]].drop_duplicates()
    beside = pairs.merge(held, how="left", indicator=True)
    return beside[beside["_merge"] == "left_only"][["customer_id", "product_id"]]
