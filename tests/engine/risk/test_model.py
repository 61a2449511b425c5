"""Fitting, grading, and what happens when there is too little to learn from."""

from __future__ import annotations

import functools
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from engine.domain.errors import ModelSpoilt, NotEnoughData
from engine.domain.marts import RISK, RISK_SCORECARD, RISK_VALIDATION
from engine.lake.schema import arrow_schema
from engine.risk import model, sealing, table
from engine.risk.characteristics import reason_text
from engine.risk.model import RiskModel
from tests.engine.risk.lending import AS_OF, BANK, SETTINGS, lending, run


@functools.cache
def _bank() -> tuple[pa.Table, pa.Table]:
    tables = lending(customers=4_000, seed=7).tables
    scoring = run(tables, lambda bound: table.scoring(bound, AS_OF, SETTINGS, BANK))
    # the builder's records stop with each application: pretend that the newest is of last month
    fresh = pa.array([datetime(2026, 6, 1)] * scoring.num_rows, pa.timestamp("us"))
    at = scoring.column_names.index("signal_at")
    training = run(tables, lambda bound: table.training(bound, AS_OF, SETTINGS))
    return training, scoring.set_column(at, "signal_at", fresh)


@functools.cache
def _model() -> RiskModel:
    return model.fit(_bank()[0], SETTINGS, AS_OF)


def _with(rows: pa.Table, **columns: object) -> pa.Table:
    for name, values in columns.items():
        at = rows.column_names.index(name)
        rows = rows.set_column(at, name, pa.array(values, rows.schema.field(name).type))
    return rows


def test_marts_have_the_columns_of_their_contracts() -> None:
    graded = model.score(_model(), _bank()[1])
    assert graded.schema == arrow_schema(RISK)
    assert _model().scorecard_table().schema == arrow_schema(RISK_SCORECARD)
    assert _model().validation_table().schema == arrow_schema(RISK_VALIDATION)
    ids = graded["customer_id"].to_pylist()
    assert ids == sorted(set(ids))
    assert len(ids) == 4_000


def test_what_predicts_by_construction_is_in_and_what_does_not_is_out() -> None:
    names = _model().scorecard.names
    assert {"utilisation_rate", "delinquencies_12m", "debt_to_income"} <= set(names)
    assert "age_years" not in names  # everyone is equally old


def test_the_order_of_rows_changes_neither_the_model_nor_the_grades() -> None:
    training, scoring = _bank()
    draw = np.random.default_rng(3)
    shuffled = training.take(pa.array(draw.permutation(training.num_rows)))
    again = model.fit(shuffled, SETTINGS, AS_OF)
    assert again.to_json() == _model().to_json()
    others = scoring.take(pa.array(draw.permutation(scoring.num_rows)))
    assert model.score(again, others).equals(model.score(_model(), scoring))


def test_a_model_read_back_from_json_grades_the_same() -> None:
    back = RiskModel.from_json(_model().to_json())
    assert back.to_json() == _model().to_json()
    assert model.score(back, _bank()[1]).equals(model.score(_model(), _bank()[1]))


def test_a_model_of_the_bank_that_was_changed_cut_or_is_another_is_refused() -> None:
    text = _model().to_json()
    forged = sealing.written(model.NAME, {**_model().to_dict(), "settings": {"tiers": "all low"}})
    for spoilt, said in (
        (text.replace('"loans": ', '"loans": 9'), r"risk_model\.json.*checksum differs"),
        (text[:-30], "cut short"),
        (_model().scorecard.to_json(), 'a model called "scorecard", not a bank model'),
        (forged, "not shaped like a bank model"),
        ("[1, 2]", "not a model written by Wayline"),
    ):
        with pytest.raises(ModelSpoilt, match=said):
            RiskModel.from_json(spoilt, "risk_model.json")


def test_a_model_tried_again_on_the_loans_it_was_learned_from_parts_them_as_it_did() -> None:
    made, again = _model(), _model().tried(_bank()[0])
    assert again.scorecard == made.scorecard
    kept = [(one.sample, one.measure, one.rows, one.bads) for one in made.measures]
    assert [(one.sample, one.measure, one.rows, one.bads) for one in again.measures] == kept
    # a level that was moved since changes no order
    areas = [[one.estimate.value for one in each.measures if one.measure == "auc"] for each in (made, again)]
    assert areas[0] == pytest.approx(areas[1], abs=1e-12)
    with pytest.raises(NotEnoughData, match="defaults or more"):
        made.tried(_bank()[0].slice(0, 0))


def test_tiers_follow_the_cut_offs_and_expected_loss_the_exposure() -> None:
    scoring = _bank()[1]
    graded = model.score(_model(), scoring).to_pandas()
    low, high = SETTINGS.tiers.medium_from, SETTINGS.tiers.high_from
    assert (graded.default_probability[graded.risk_tier == "low"] < low).all()
    assert (graded.default_probability[graded.risk_tier == "high"] >= high).all()
    assert graded.default_probability[graded.risk_tier == "medium"].between(low, high, inclusive="left").all()
    losses = scoring.sort_by("customer_id")["default_loss_minor"].to_numpy()
    assert graded.expected_loss_minor.tolist() == np.rint(graded.default_probability * losses).tolist()


def test_an_old_record_or_none_makes_the_tier_unknown_and_hides_the_probability() -> None:
    scoring = _bank()[1].slice(0, 4)
    edge = datetime(2026, 6, 30, 23, 59, 59) - timedelta(days=SETTINGS.signal_max_age_days)
    dates = [edge, edge - timedelta(microseconds=1), None, datetime(2026, 7, 1)]
    graded = model.score(_model(), _with(scoring, signal_at=dates)).to_pylist()
    assert [row["risk_tier"] != "unknown" for row in graded] == [True, False, False, False]
    for row in graded[1:]:
        assert row["score"] is row["default_probability"] is row["expected_loss_minor"] is row["reason_1"] is None
    assert graded[1]["exposure_minor"] > 0


def test_a_customer_of_whom_nothing_is_known_has_no_tier() -> None:
    scoring = _bank()[1].slice(0, 2)
    own = [each.bins.name for each in _model().scorecard.attributes if each.asked != "application"]
    bare = _with(scoring, **{name: [None, None] for name in own})
    graded = model.score(_model(), bare).to_pylist()
    assert [(row["risk_tier"], row["signal_missing_share"]) for row in graded] == [("unknown", 1.0)] * 2


def test_reasons_are_what_costs_most_and_never_a_protected_attribute() -> None:
    scoring = _bank()[1].slice(0, 1)
    worst = _with(scoring, utilisation_rate=[0.99], delinquencies_12m=[9.0], debt_to_income=[0.01], inquiries_6m=[0.0])
    row = model.score(_model(), worst).to_pylist()[0]
    assert {row["reason_1"], row["reason_2"]} == {"utilisation_rate", "delinquencies_12m"}
    secret = SETTINGS.model_copy(update={"never_a_reason": ("utilisation_rate",)})
    hidden = model.score(model.fit(_bank()[0], secret, AS_OF), worst).to_pylist()[0]
    assert "utilisation_rate" not in (hidden["reason_1"], hidden["reason_2"], hidden["reason_3"])


def test_nothing_asked_for_is_no_reason() -> None:
    graded = model.score(_model(), _bank()[1])
    for rank in (1, 2, 3):
        assert not pc.any(pc.ends_with(graded[f"reason_{rank}"], "income_missing")).as_py()


def test_one_customer_is_graded_as_in_the_table() -> None:
    scoring = _bank()[1].slice(0, 50)
    graded = {row["customer_id"]: row for row in model.score(_model(), scoring).to_pylist()}
    for values in scoring.to_pylist():
        one, row = model.grade_one(_model(), values), graded[values["customer_id"]]
        assert one["score"] == row["score"]
        assert one["default_probability"] == row["default_probability"]
        assert one["risk_tier"] == row["risk_tier"]
        assert one["reasons"] == [row[f"reason_{rank}"] for rank in (1, 2, 3) if row[f"reason_{rank}"]]


def test_too_few_defaults_give_no_model_and_unknown_tiers_for_all() -> None:
    training, scoring = _bank()
    with pytest.raises(NotEnoughData, match="0 defaults among"):
        model.fit(training.filter(pc.equal(training["bad"], False)), SETTINGS, AS_OF)
    graded = model.ungraded(scoring)
    assert graded.schema == arrow_schema(RISK)
    assert set(graded["risk_tier"].to_pylist()) == {"unknown"}
    assert graded["default_probability"].null_count == graded.num_rows


def test_one_class_in_the_held_back_loans_leaves_its_separation_undefined_with_a_reason() -> None:
    training = _bank()[0]
    late = pc.greater_equal(training["booked_at"], datetime(2024, 6, 1))
    no_late_bads = training.filter(pc.or_(pc.invert(late), pc.equal(training["bad"], False)))
    fitted = model.fit(no_late_bads, SETTINGS, AS_OF)
    rows = {(row["sample"], row["measure"]): row for row in fitted.validation_table().to_pylist()}
    auc = rows["out_of_time", "auc"]
    assert auc["value"] is None
    assert auc["note"] == "undefined: none of these loans went bad"
    assert rows["out_of_time", "observed_rate"]["upper"] > 0


def test_few_defaults_are_called_a_small_sample() -> None:
    rows = _model().validation_table().to_pylist()
    out_of_time = next(row for row in rows if row["sample"] == "out_of_time" and row["measure"] == "auc")
    assert out_of_time["bads"] < SETTINGS.small_sample_bads
    assert out_of_time["note"].startswith("small sample")
    assert out_of_time["upper"] - out_of_time["lower"] > 0.08


def test_loans_whose_outcome_is_open_are_left_out_and_counted() -> None:
    states = pc.value_counts(_bank()[0]["outcome_state"]).to_pylist()
    open_now = next(state["counts"] for state in states if state["values"] == "open")
    assert _model().left_out == {"open": open_now}
    assert f"{open_now} loans left out: outcome open" in _model().notes


def test_a_level_off_beyond_chance_is_moved_to_that_of_the_latest_loans() -> None:
    training = _bank()[0]
    late = pc.greater_equal(training["booked_at"], datetime(2024, 7, 1))
    # every third good of the later loans turns bad
    third = pa.array(np.arange(training.num_rows) % 3 == 0)
    bad = pc.or_(training["bad"], pc.and_(late, third))
    worse = training.set_column(training.column_names.index("bad"), "bad", pc.if_else(pc.is_valid(bad), bad, None))
    fitted = model.fit(worse, SETTINGS, AS_OF)
    assert fitted.notes[0].startswith("level moved to that of the latest loans")
    graded = model.score(fitted, _bank()[1])
    assert (
        pc.mean(graded["default_probability"]).as_py()
        > 2 * pc.mean(model.score(_model(), _bank()[1])["default_probability"]).as_py()
    )


def test_reason_codes_read_as_words_in_both_languages() -> None:
    assert reason_text("inquiries_6m") == ("credit enquiries in 6 months", "近6月查询次数")
    assert reason_text("inquiries_6m_missing")[0] == "no record of: credit enquiries in 6 months"
    assert reason_text("house_rule_7") == ("house rule 7", "house_rule_7")
