"""The challengers of a run: tried on the scorecard's own loans, and set against the tiers that were given."""

from __future__ import annotations

import functools

import numpy as np
import pyarrow as pa
import pytest

from engine.domain.marts import RISK_VALIDATION
from engine.lake.schema import arrow_schema
from engine.risk import challenge, model, models
from engine.risk.challenge import Challenge
from engine.risk.challengers import glass_box
from engine.risk.characteristics import APPLICATION
from tests.engine.risk.lending import AS_OF, SETTINGS
from tests.engine.risk.test_model import _bank


@functools.cache
def _challenged() -> tuple[model.RiskModel, Challenge, pa.Table]:
    training, scoring = _bank()
    fitted = model.fit(training, SETTINGS, AS_OF)
    watching = challenge.challenge(training, fitted, seed=1)
    return fitted, watching, watching.table(fitted, scoring, model.score(fitted, scoring))


def test_every_model_is_measured_on_the_loans_that_the_scorecard_was_measured_on() -> None:
    rows = _challenged()[2].to_pylist()
    assert _challenged()[2].schema == arrow_schema(RISK_VALIDATION)
    of_auc = {(row["model"], row["sample"]): (row["rows"], row["bads"]) for row in rows if row["measure"] == "auc"}
    for name in models.KINDS:
        for sample in ("train", "out_of_time"):
            assert of_auc[name, sample] == of_auc["scorecard", sample]
    found = {(row["model"], row["sample"], row["measure"]): row["value"] for row in rows}
    gain = found["glass_box", "out_of_time", "auc"] - found["scorecard", "out_of_time", "auc"]
    assert found["glass_box", "out_of_time", "auc_gain"] == pytest.approx(gain, abs=1e-12)


def test_shares_of_customers_with_the_same_lower_and_higher_tier_make_up_all_who_are_graded() -> None:
    fitted, _, table = _challenged()
    graded = model.score(fitted, _bank()[1])
    known = graded.num_rows - graded["default_probability"].null_count
    for name in ("glass_box", "monotone_boosting", "random_forest"):
        rows = [row for row in table.to_pylist() if (row["model"], row["sample"]) == (name, "customers")]
        assert sum(row["value"] for row in rows) == pytest.approx(1.0)
        assert {row["rows"] for row in rows} == {known} and {row["bads"] for row in rows} == {None}


def test_a_model_agrees_with_its_own_tiers() -> None:
    fitted = _challenged()[0]
    scoring = _bank()[1]
    itself = models.ScorecardModel(card=fitted.scorecard)
    same, lower, higher = challenge.agreement("scorecard", itself, scoring, model.score(fitted, scoring), SETTINGS)
    assert (same.estimate.value, lower.estimate.value, higher.estimate.value) == (1.0, 0.0, 0.0)


def test_a_glass_box_written_as_a_scorecard_gives_the_same_probabilities_and_nothing_for_what_was_not_asked() -> None:
    training, scoring = _bank()
    rows = model.training_of(model.of_known_outcome(training)[0], SETTINGS, seed=1)
    box = models.fit(glass_box.NAME, rows)
    assert isinstance(box, glass_box.GlassBox)
    card = box.as_scorecard(SETTINGS.scaling, {name: APPLICATION for name in rows.asked if name in box.inputs})
    given = card.score({**rows.columns, APPLICATION: pa.chunked_array([["yes"] * rows.rows])}, rows.rows).probability
    assert given == pytest.approx(box.default_probability(rows.columns, rows.rows), abs=1e-12)
    asked = [one.bins.name for one in card.attributes if one.asked]
    not_asked = card.score(
        {name: scoring[name] for name in card.inputs if name in scoring.column_names}, scoring.num_rows
    )
    places = [at for at, one in enumerate(card.attributes) if one.bins.name in asked]
    assert all((not_asked.codes[at] == card.attributes[at].not_asked).all() for at in places)
    assert np.isfinite(not_asked.log_odds).all()
