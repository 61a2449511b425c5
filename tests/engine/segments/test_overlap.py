"""What audiences share, worked by hand on a thousand customers."""

from __future__ import annotations

import pyarrow as pa
import pytest

from engine.segments.audiences import overlap


def test_two_audiences_by_hand() -> None:
    # of 1,000 customers 200 save, 100 travel, and 40 do both
    rows = pa.table(
        {
            "savers": [False, False, True, True],
            "travellers": [False, True, False, True],
            "customers": [740, 60, 160, 40],
        }
    )
    found = overlap.overlap(rows, ["savers", "travellers"])
    assert (found.customers, found.sizes) == (1000, {"savers": 200, "travellers": 100})
    assert found.alone == {"savers": 160, "travellers": 60}
    assert (found.in_all, found.in_any) == (40, 260)
    (pair,) = found.pairs
    assert (pair.both, pair.either) == (40, 260)
    assert pair.jaccard == pytest.approx(40 / 260)
    assert pair.first_share == pytest.approx(0.2)
    assert pair.second_share == pytest.approx(0.4)
    # by chance 200 x 100 / 1,000 = 20 would do both: twice as many do
    assert pair.lift == pytest.approx(2)


def test_with_nobody_nothing_can_be_divided() -> None:
    rows = pa.table({"savers": [False], "nobody": [False], "customers": [10]})
    found = overlap.overlap(rows, ["savers", "nobody"])
    (pair,) = found.pairs
    assert (pair.both, pair.either) == (0, 0)
    assert (pair.jaccard, pair.first_share, pair.second_share, pair.lift) == (None, None, None, None)
    nobody_there = overlap.overlap(rows.slice(0, 0), ["savers", "nobody"])
    assert (nobody_there.customers, nobody_there.in_all) == (0, 0)
