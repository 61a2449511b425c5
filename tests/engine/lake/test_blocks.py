"""Rows in blocks of whole keys: nobody lost, nobody in two, and text of few values as codes."""

from __future__ import annotations

from functools import partial

import ibis
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from engine.lake.engine import DuckDBEngine

EVENTS = ibis.table({"customer": "string", "event": "string", "n": "int64"}, name="events")


def rows(names: int = 3) -> pa.Table:
    return pa.table(
        {
            "customer": [f"c{n % 97}" for n in range(2_000)],
            "event": [f"it's e{n % names}" for n in range(2_000)],
            "n": pa.array(range(2_000), pa.int64()),
        }
    )


def _counted(block: pa.Table, kinds: list[pa.DataType]) -> pa.Table:
    kinds.append(block.schema.field("event").type)
    return pa.table({"customers": [pc.count_distinct(block["customer"]).as_py()], "sum": [pc.sum(block["n"]).as_py()]})


@pytest.mark.parametrize("blocks", [1, 2, 7])
def test_every_key_is_in_exactly_one_block_with_all_its_rows(blocks: int) -> None:
    with DuckDBEngine(threads=2) as engine:
        engine.attach("events", rows())
        found = engine.map_blocks(EVENTS, "customer", partial(_counted, kinds=[]), blocks=blocks)
    assert len(found) == blocks
    assert pc.sum(found["customers"]).as_py() == 97
    assert pc.sum(found["sum"]).as_py() == 2_000 * 1_999 // 2


@pytest.mark.parametrize("known", [None, ["it's e0", "it's e1", "it's e2", "never"]], ids=["looked up", "known"])
def test_text_of_few_values_comes_as_codes_and_is_the_same_text(known: list[str] | None) -> None:
    with DuckDBEngine(threads=1) as engine:
        engine.attach("events", rows())
        (block,) = engine.blocks(EVENTS, "customer", 1, {"event": known})
        assert pa.types.is_dictionary(block.schema.field("event").type)
        plain = block.set_column(1, "event", block["event"].cast(pa.string())).sort_by("n")
        assert plain.equals(rows().cast(plain.schema))


def test_text_of_many_values_and_a_block_of_no_rows_come_as_text() -> None:
    with DuckDBEngine(threads=1) as engine:
        engine.attach("events", rows(names=1_500))
        kinds: list[pa.DataType] = []
        engine.map_blocks(EVENTS, "customer", partial(_counted, kinds=kinds), coded={"event": None})
        nobody = EVENTS.filter(EVENTS.customer == "nobody")
        engine.map_blocks(nobody, "customer", partial(_counted, kinds=kinds), coded={"event": None})
    assert kinds == [pa.string(), pa.string()]
