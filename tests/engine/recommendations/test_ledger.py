"""What a decision looked at is kept to the bit, and the decision made again from it anywhere is the same."""

from __future__ import annotations

import shutil
from dataclasses import fields, replace
from functools import cache, partial
from itertools import pairwise
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pytest

from engine.lake.schema import of_arrow
from engine.recommendations import ledger
from engine.recommendations.bundle import Bundle
from engine.recommendations.credit import Credit
from engine.recommendations.frame import DecisionBlock, View
from engine.recommendations.recommend import Prepared
from tests.engine.recommendations import builders

CUSTOMERS = 1500


@cache
def _prepared() -> Prepared:
    return builders.prepared(CUSTOMERS, {"block_customers": 400}, meanings={"savings": ("savings", "储蓄")})


@cache
def _kept() -> pa.Table:
    return pa.concat_tables([block.inputs for block in _prepared().blocks()])


@cache
def _written() -> dict[str, pa.Table]:
    blocks = list(_prepared().blocks())
    return {
        name: pa.concat_tables([getattr(block, name) for block in blocks]).combine_chunks()
        for name in ("recommendations", "decisions")
    }


@cache
def _lent() -> pa.Table:
    return builders.lent(builders.bank(CUSTOMERS)[3])


def _block(rows: pa.Table) -> DecisionBlock:
    return ledger.block_of(rows, _prepared().base.features, _prepared().bundle.features, _lent())


def _bits(block: DecisionBlock) -> dict[str, bytes]:
    own = {
        field.name: getattr(block, field.name)
        for field in fields(block)
        if field.name not in ("view", "customer_ids", "credit")
    }
    seen = {field.name: getattr(block.view, field.name) for field in fields(View)}
    lent = {f"credit {field.name}": getattr(block.credit, field.name) for field in fields(Credit)}
    return {name: values.dtype.str.encode() + values.tobytes() for name, values in (own | seen | lent).items()}


def test_what_is_kept_of_a_block_gives_the_very_block_back() -> None:
    for block in _prepared().decision_blocks():
        back = _block(ledger.input_rows(block))
        assert back.customer_ids.equals(block.customer_ids)
        assert _bits(back) == _bits(block)
        assert ledger.fingerprint(back) == ledger.fingerprint(block)


def test_the_fingerprint_tells_the_last_bit_of_a_feature_and_of_an_input() -> None:
    block = next(_prepared().decision_blocks()).one(3)
    x = block.view.x.copy()
    x[0, 0] = np.nextafter(x[0, 0], np.float32(np.inf))
    others = (
        replace(block, view=replace(block.view, x=x)),
        replace(block, age=np.nextafter(block.age, np.inf)),
        replace(block, customer_ids=pa.array(["C9"])),
    )
    assert len({ledger.fingerprint(one) for one in (block, *others)}) == 4


@pytest.mark.parametrize("number", [0.1 + 0.2, np.nan, np.inf, 5e-324, 1e300, -0.0, 2.0**53 + 2])
def test_numbers_that_several_share_a_cell_come_back_exact(number: float) -> None:
    block = next(_prepared().decision_blocks()).one(0)
    contacts = np.array([[1.0, number, np.nan, 3.0]])
    back = _block(ledger.input_rows(replace(block, contacts=contacts)))
    assert back.contacts.tobytes() == contacts.tobytes()


def test_a_thousand_random_customers_of_a_run_decide_the_same_again() -> None:
    bundle = Bundle.from_json(_prepared().bundle.to_json())
    drawn = np.sort(np.random.default_rng(4).choice(CUSTOMERS, 1000, replace=False))
    wanted = _kept().take(pa.array(drawn))
    made = ledger.again(_block(wanted), bundle)
    written = {name: _of(rows, wanted["customer_id"]) for name, rows in _written().items()}
    assert ledger.differences(written, made) == ()
    assert all(made[name].equals(written[name]) for name in made)
    for row in drawn[::4]:  # and alone, and in an order of their own
        one = ledger.again(_block(_kept().slice(int(row), 1)), bundle)
        assert all(one[name].equals(_of(rows, one["decisions"]["customer_id"])) for name, rows in _written().items())


def _of(rows: pa.Table, customer_ids: Any) -> pa.Table:
    return rows.filter(pa.compute.is_in(rows["customer_id"], value_set=customer_ids.combine_chunks())).combine_chunks()


def test_a_value_that_was_changed_in_a_mart_is_named_with_both_values() -> None:
    made = ledger.again(_block(_kept().slice(0, 50)), _prepared().bundle)
    column = made["decisions"]["propensity"].to_numpy().copy()
    was, column[7] = column[7], np.nextafter(column[7], 1.0)
    spoilt = made["decisions"].set_column(2, "propensity", pa.array(column))
    (found,) = ledger.differences(made | {"decisions": spoilt}, made)
    assert (found.mart, found.column, found.again) == ("decisions", "propensity", was)
    assert found.product_id == made["decisions"]["product_id"][7].as_py()


def test_an_offer_that_was_taken_out_of_a_mart_differs_in_every_column() -> None:
    made = ledger.again(_block(_kept().slice(0, 50)), _prepared().bundle)
    fewer = made | {"recommendations": made["recommendations"].slice(1)}
    found = ledger.differences(fewer, made)
    assert {one.written for one in found} == {None}
    assert {"rank", "decision_id", "propensity", "channel"} <= {one.column for one in found}


@cache
def _side_by_side() -> pa.Table:
    """What a partition is handed: inputs and features of the same customers in one row each."""
    names = _prepared().bundle.features
    return pa.concat_tables([ledger.side_by_side(block, names) for block in _prepared().decision_blocks()])


def test_rows_in_any_order_and_any_split_decide_as_the_blocks_of_the_run_did() -> None:
    random, bundle = np.random.default_rng(6), _prepared().bundle
    shuffled = _side_by_side().take(pa.array(random.permutation(CUSTOMERS)))
    cuts = [0, *np.sort(random.choice(np.arange(1, CUSTOMERS), 9, replace=False)).tolist(), CUSTOMERS]
    parts = [shuffled.slice(low, high - low) for low, high in pairwise(cuts)]
    made = pa.concat_tables([ledger.decided(part, bundle) for part in parts])
    assert (
        made.sort_by([("customer_id", "ascending"), ("product_id", "ascending")])
        .combine_chunks()
        .equals(_written()["decisions"])
    )
    assert ledger.decided(shuffled.slice(0, 0), bundle).num_rows == 0


@pytest.mark.spark
def test_partitions_of_spark_decide_the_same_bits() -> None:
    sql = pytest.importorskip("pyspark.sql", reason="pyspark is not installed: pip install 'wayline[spark]'")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java, which is not here")
    from engine.lake.spark import SparkEngine

    builder = sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    spark = SparkEngine(builder.config("spark.sql.shuffle.partitions", "2").getOrCreate())
    rows = _side_by_side()
    spark.attach("side_by_side", rows)
    made = spark.map_blocks(
        ibis.table(of_arrow(rows.schema), name="side_by_side"),
        "customer_id",
        partial(ledger.decided, bundle=_prepared().bundle),
        blocks=5,
    )
    ordered = made.sort_by([("customer_id", "ascending"), ("product_id", "ascending")])
    assert ordered.combine_chunks().cast(_written()["decisions"].schema).equals(_written()["decisions"])
