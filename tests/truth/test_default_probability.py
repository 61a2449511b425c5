"""A lender whose true default probabilities are known: the scorecard must come close to the truth's own separation."""

from __future__ import annotations

import functools

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from engine.risk import metrics, model, table, validation
from engine.risk.model import RiskModel
from engine.risk.table import KNOWN
from tests.engine.risk.lending import AS_OF, SETTINGS, lending, run


@functools.cache
def _fitted() -> tuple[RiskModel, pa.Table, np.ndarray]:
    """Return the model, the loans held back from it, and their true default probability."""
    bank = lending(customers=30_000, seed=11)
    training = run(bank.tables, lambda bound: table.training(bound, AS_OF, SETTINGS))
    known = training.filter(pc.equal(training["outcome_state"], KNOWN))
    ordered = known.sort_by([("booked_at", "ascending"), ("application_id", "ascending")])
    later = validation.split(ordered, SETTINGS)[1]
    true = np.array([bank.true_probability[loan] for loan in later["application_id"].to_pylist()])
    return model.fit(training, SETTINGS, AS_OF), later, true


def test_out_of_time_auc_is_within_two_points_of_the_truths_own() -> None:
    fitted, later, true = _fitted()
    bad = later["bad"].to_numpy().astype(bool)
    measured = next(m.estimate.value for m in fitted.measures if (m.sample, m.measure) == ("out_of_time", "auc"))
    assert abs(metrics.auc(true, bad).value - measured) <= 0.02


def test_probabilities_are_as_high_as_the_true_ones() -> None:
    fitted, later, true = _fitted()
    predicted = fitted.scorecard.score({name: later[name] for name in fitted.scorecard.inputs}, later.num_rows)
    slope = np.polyfit(predicted.log_odds, np.log((1 - true) / true), 1)[0]
    assert 0.9 <= slope <= 1.1
    assert predicted.probability.mean() == pytest.approx(true.mean(), rel=0.05)
    for tier in (predicted.probability < 0.03, predicted.probability >= 0.10):
        assert predicted.probability[tier].mean() == pytest.approx(true[tier].mean(), rel=0.15)
