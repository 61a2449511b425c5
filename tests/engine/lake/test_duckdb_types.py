import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.lake.engine import DuckDBEngine

MONEY = ibis.table({"customer_id": "string", "amount_minor": "int64"}, name="money")


@pytest.fixture
def engine():
    with DuckDBEngine(threads=1) as engine:
        engine.attach("money", pa.table({"customer_id": ["c1", "c1"], "amount_minor": [2**53, 1]}))
        yield engine


def test_a_sum_of_money_leaves_as_a_whole_number_and_not_as_a_decimal(engine, tmp_path):
    sums = MONEY.group_by("customer_id").aggregate(total=MONEY.amount_minor.sum())
    assert engine.arrow(sums)["total"].type == pa.int64()
    engine.write(sums, tmp_path / "sums", order_by=["customer_id"])
    written = pq.read_table(tmp_path / "sums")
    assert written["total"].type == pa.int64()
    assert written["total"].to_pylist() == [9_007_199_254_740_993]  # 2^53 + 1, which a float would round away


def test_a_single_number_can_be_asked_for(engine):
    assert engine.arrow(MONEY.count())[0].to_pylist() == [2]
