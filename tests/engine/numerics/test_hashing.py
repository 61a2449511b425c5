import hashlib

import ibis
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.lake.engine import DuckDBEngine
from engine.numerics.hashing import share_column, share_of, shares_of

ids = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)


@pytest.fixture(scope="module")
def engine():
    with DuckDBEngine(threads=1) as engine:
        yield engine


def test_a_share_is_the_head_of_the_hash_by_hand():
    digest = hashlib.sha256(b"salt:c1").hexdigest()
    assert share_of("c1", "salt") == int(digest[:13], 16) / 2**52


def test_a_share_never_changes():
    # printf 'card_onboarding:c1' | sha256sum | cut -c1-13 is 30527f8076ed3, over 2^52
    # pinned: a customer who moves to another variant after an upgrade would spoil a running experiment
    assert share_of("c1", "card_onboarding") == 0.1887588204034969


@given(ids, ids)
def test_every_share_lies_from_0_up_to_but_not_1(unit, salt):
    assert 0 <= share_of(unit, salt) < 1


@settings(deadline=None, max_examples=25)
@given(st.lists(ids, min_size=1, max_size=20), st.text("abc_123'", max_size=8))
def test_the_table_form_agrees_with_the_scalar_form(engine, units, salt):
    engine.attach("units", pa.table({"unit": pa.array(units, pa.string()), "row": range(len(units))}))
    table = ibis.table({"unit": "string", "row": "int64"}, name="units")
    rows = engine.arrow(table.select("row", share=share_column(table.unit, salt)).order_by("row"))
    assert rows["share"].to_pylist() == shares_of(units, salt).tolist()


def test_a_missing_unit_has_no_share(engine):
    engine.attach("units", pa.table({"unit": pa.array([None], pa.string())}))
    table = ibis.table({"unit": "string"}, name="units")
    assert engine.arrow(table.select(share=share_column(table.unit, "s")))["share"].to_pylist() == [None]


def test_shares_are_even_and_salts_are_independent():
    units = [f"c{i}" for i in range(4000)]
    one, two = shares_of(units, "one"), shares_of(units, "two")
    assert abs((one < 0.5).mean() - 0.5) < 0.03  # 0.03 is 3.8 standard errors of 4000 draws
    assert abs(((one < 0.5) & (two < 0.5)).mean() - 0.25) < 0.03
