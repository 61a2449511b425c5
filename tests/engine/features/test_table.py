from datetime import datetime

import ibis
import pyarrow as pa
import pytest

from engine.domain.curated import CURATED
from engine.domain.schema import Kind
from engine.features import table
from engine.features.feature import in_base
from engine.lake.schema import arrow_schema, ibis_schema, unbound
from tests.engine.features.rows import AS_OF, BANK, at, curated, of_table

NUMERIC = {Kind.INTEGER, Kind.NUMBER, Kind.SHARE, Kind.MONEY}
ONE = {"customer_id": "c1", "joined_at": at("2020-01-15")}
READ = sorted({name for theme in table.THEMES for name in theme.reads})


def test_each_customer_has_one_row_even_when_two_are_one_person(engine):
    rows = [{**ONE, "person_id": "p1"}, {**ONE, "customer_id": "c2", "person_id": "p1"}]
    assert sorted(of_table(engine, customers=rows)) == ["c1", "c2"]


def test_where_a_table_is_missing_its_features_are_unknown(engine):
    found = of_table(engine, customers=[ONE])["c1"]
    assert found["tenure_months"] == 77
    assert {name for name in table.FEATURES if found[name] is not None} == {"tenure_months", "is_open"}


def test_where_a_table_is_there_a_customer_without_rows_has_counts_of_zero_and_unknown_means(engine):
    everything = {name: [] for name in READ}
    found = of_table(engine, **{**everything, "customers": [ONE]})["c1"]
    zero = {name for name, feature in table.FEATURES.items() if feature.zero_without_rows}
    assert {found[name] for name in zero if table.FEATURES[name].kind is not Kind.BOOLEAN} == {0}
    assert {found[name] for name in zero if table.FEATURES[name].kind is Kind.BOOLEAN} == {False}
    assert {
        found[name] for name in table.FEATURES if name not in zero and name not in ("tenure_months", "is_open")
    } == {None}


def test_the_expression_has_exactly_the_columns_and_types_of_the_contract():
    for names in ({"customers"}, set(READ)):
        tables = {name: unbound(CURATED[name]) for name in names}
        expression = table.build(tables, AS_OF, BANK)
        made, promised = dict(expression.schema().items()), dict(ibis_schema(table.CONTRACT).items())
        assert list(made) == list(promised)
        assert {name: kind.copy(nullable=True) for name, kind in made.items()} == promised


def test_the_rows_have_the_types_of_the_contract(engine):
    for name in READ:
        engine.attach(name, curated(name, []))
    rows = engine.arrow(table.build({name: unbound(CURATED[name]) for name in READ}, AS_OF, BANK))
    assert rows.schema == arrow_schema(table.CONTRACT)


def test_amounts_are_converted_exactly_and_rounded_half_away_from_zero_as_intake_does(engine):
    bank = BANK.model_copy(update={"rates": {"CNY": 1.0, "USD": 1.005, "JPY": 0.05}})
    rows = [("CNY", 7), ("USD", 100), ("USD", -100), ("USD", 10**15), ("JPY", 3), ("XXX", 5), ("USD", None)]
    engine.attach(
        "amounts",
        pa.table({"row": range(7), "currency": [code for code, _ in rows], "amount": [amount for _, amount in rows]}),
    )
    bound = ibis.table({"row": "int64", "currency": "string", "amount": "int64"}, name="amounts")
    found = engine.arrow(bound.select("row", base=in_base(bound.amount, bound.currency, bank)).order_by("row"))
    # 100 x 1.005 = 100.5; as floats 100.49999999999999. One yen is 100 minor units x 0.05 = 5 fen
    assert found["base"].to_pylist() == [7, 101, -101, 1_005_000_000_000_000, 15, None, None]


def test_an_instant_without_a_time_zone_is_refused():
    with pytest.raises(ValueError, match="no time zone"):
        table.build({"customers": unbound(CURATED["customers"])}, datetime(2026, 6, 30), BANK)


def test_every_feature_is_explained_in_both_languages_and_named_once():
    listed = [feature.name for theme in table.THEMES for feature in theme.features]
    assert len(set(listed)) == len(listed)
    assert all(feature.meaning and feature.meaning_zh for feature in table.FEATURES.values())
    assert all(feature.theme == theme.name for theme in table.THEMES for feature in theme.features)
    assert all(table.FEATURES[name].unit for name in listed if table.FEATURES[name].kind is Kind.MONEY)


def test_inputs_of_models_are_numbers():
    for inputs in (table.CLUSTERING_INPUTS, table.PROPENSITY_INPUTS):
        assert len(inputs) > 20
        assert {table.FEATURES[name].kind for name in inputs} <= NUMERIC


def test_missing_themes_are_named_with_the_tables_they_lack():
    assert table.themes_missing(["customers", "holdings", "events"]) == {
        "families": ("products",),
        "activity": ("transactions",),
        "balances": ("transactions",),
        "service": ("interactions",),
        "bureau": ("bureau",),
        "feedback": ("offers_feedback",),
    }


def test_a_table_that_ends_before_the_instant_is_told_by_its_newest_row(engine):
    events = [
        {"event_id": f"e{number}", "occurred_at": at(when), "event_name": "login"}
        for number, when in enumerate(["2024-01-01", "2024-03-01", "2026-07-01"])
    ]
    engine.attach("events", curated("events", events))
    engine.attach("customers", curated("customers", [ONE]))
    found = engine.arrow(table.newest({name: unbound(CURATED[name]) for name in ("customers", "events")}, AS_OF))
    assert found.to_pylist() == [
        {"table": "customers", "newest_at": at("2020-01-15")},
        {"table": "events", "newest_at": at("2024-03-01")},  # the row after the instant does not count
    ]
