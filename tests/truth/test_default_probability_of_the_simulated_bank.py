"""The simulated bank writes every true default probability down: the scorecard must come close to it.

Few payments and sessions and three times the lending: a lender large enough to learn from, in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from engine.config.bank import BankSettings
from engine.config.intake import IntakeSettings
from engine.config.load import load
from engine.config.products import Catalogue
from engine.config.risk import RiskSettings
from engine.config.simulation import SimulationSettings
from engine.intake.load import load_sources
from engine.intake.simulation.bank import simulate_bank
from engine.lake.engine import DuckDBEngine
from engine.lake.workspace import Workspace
from engine.risk import metrics, model, table, tiers, validation
from engine.risk.model import RiskModel
from engine.risk.table import KNOWN

AS_OF = datetime(2026, 6, 30, 23, 59, 59, tzinfo=UTC)
SETTINGS = load(RiskSettings, "risk")
NEEDED = ("customers", "products", "holdings", "bureau", "applications", "outcomes")


@dataclass(frozen=True)
class Lender:
    model: RiskModel
    later: pa.Table
    true_of_later: np.ndarray
    grades: Any


def _rules() -> SimulationSettings:
    rules = load(SimulationSettings, "simulation")
    credit = {product.product_id for product in load(Catalogue, "products").products if product.is_credit}
    quiet = {"sessions_per_month": 0.01, "spending_per_month": 0.02}
    demand = (
        each.model_copy(update={"yearly_rate": min(1.0, each.yearly_rate * (3 if each.product_id in credit else 1))})
        for each in rules.demand
    )
    segments = tuple(each.model_copy(update=quiet) for each in rules.segments)
    return rules.model_copy(update={"segments": segments, "demand": tuple(demand)})


def _mapping(bank: Path) -> Path:
    """Keep the part of the mapping that lending needs."""
    head, *sections = (bank / "mapping.toml").read_text(encoding="utf-8").split("\n[")
    kept = [part for part in sections if part.split("]")[0] in NEEDED]
    small = bank / "lending.toml"
    small.write_text("\n[".join([head, *kept]), encoding="utf-8")
    return small


@pytest.fixture(scope="module")
def lender(tmp_path_factory: pytest.TempPathFactory) -> Lender:
    folder = tmp_path_factory.mktemp("lender")
    settings, workspace, bank = load(BankSettings, "bank"), Workspace(folder / "workspace"), folder / "bank"
    simulate_bank(20_000, 5, bank, catalogue=load(Catalogue, "products"), bank=settings, rules=_rules(), months=36)
    with DuckDBEngine(memory_limit="1GB") as engine:
        rules = load(IntakeSettings, "intake")
        load_sources(_mapping(bank), workspace, bank=settings, rules=rules, engine=engine)
        tables = workspace.attach(engine)
        training = engine.arrow(table.training(tables, AS_OF, SETTINGS))
        scoring = engine.arrow(table.scoring(tables, AS_OF, SETTINGS, settings))
    fitted = model.fit(training, SETTINGS, AS_OF)
    known = training.filter(pc.equal(training["outcome_state"], KNOWN))
    ordered = known.sort_by([("booked_at", "ascending"), ("application_id", "ascending")])
    later = validation.split(ordered, SETTINGS)[1]
    true = pd.read_parquet(bank / "truth" / "default_probability.parquet").set_index("application_id")["true_pd"]
    of_customers = pd.read_parquet(bank / "truth" / "customer_default_probability.parquet")
    return Lender(
        model=fitted,
        later=later,
        true_of_later=true.loc[later["application_id"].to_pylist()].to_numpy(),
        grades=fitted.score(scoring).to_pandas().merge(of_customers, on="customer_id"),
    )


def test_out_of_time_auc_is_within_two_points_of_the_truths_own(lender: Lender) -> None:
    bad = lender.later["bad"].to_numpy().astype(bool)
    measures = {(each.sample, each.measure): each.estimate for each in lender.model.measures}
    assert abs(metrics.auc(lender.true_of_later, bad).value - measures["out_of_time", "auc"].value) <= 0.02


def test_the_slope_of_the_calibrated_probability_against_the_truth_is_one(lender: Lender) -> None:
    card, later = lender.model.scorecard, lender.later
    said = card.score({name: later[name] for name in card.inputs}, later.num_rows).log_odds
    true = np.log((1 - lender.true_of_later) / lender.true_of_later)
    assert 0.9 <= np.polyfit(said, true, 1)[0] <= 1.1


def test_graded_probabilities_are_as_high_as_the_true_ones_tier_by_tier(lender: Lender) -> None:
    graded = lender.grades[lender.grades["risk_tier"] != "unknown"]
    means = graded.groupby("risk_tier")[["true_pd", "default_probability"]].mean()
    assert means.loc["low", "true_pd"] < means.loc["medium", "true_pd"] < means.loc["high", "true_pd"]
    # true_pd is that of a customer applying for nothing in particular, as the grade's is
    assert graded["default_probability"].mean() == pytest.approx(graded["true_pd"].mean(), rel=0.15)


def test_whoever_the_bureau_does_not_know_or_has_forgotten_has_no_tier(lender: Lender) -> None:
    oldest = pd.Timestamp(AS_OF).tz_localize(None) - pd.Timedelta(days=SETTINGS.signal_max_age_days)
    has_signal = lender.grades["signal_at"] >= oldest
    assert ((lender.grades["risk_tier"] == "unknown") == ~has_signal).all()
    assert 0.2 < 1 - has_signal.mean() < 0.5


def test_observed_defaults_of_later_loans_rise_from_tier_to_tier(lender: Lender) -> None:
    card, later = lender.model.scorecard, lender.later
    said = card.score({name: later[name] for name in card.inputs}, later.num_rows).probability
    tier = tiers.codes(said, np.ones(later.num_rows, dtype=bool), SETTINGS.tiers)
    bad = later["bad"].to_numpy().astype(bool)
    low, medium, high = (bad[tier == place].mean() for place in range(3))
    assert low < medium < high


def test_the_slope_of_what_a_run_serves_against_the_truth_is_one(lender: Lender) -> None:
    served = lender.grades[lender.grades["default_probability"].notna()]
    said, true = (
        np.log((1 - served[name].to_numpy()) / served[name].to_numpy()) for name in ("default_probability", "true_pd")
    )
    assert len(served) > 10_000
    assert 0.9 <= np.polyfit(said, true, 1)[0] <= 1.1
    assert np.corrcoef(said, true)[0, 1] > 0.95
