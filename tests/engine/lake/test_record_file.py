"""Records in a mapped file are found by id, with the household, and a folder is complete or not there."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.lake import record_file

KIND = np.dtype([("value", np.float64), ("marks", np.bool_, (3,))])


def _records(count: int) -> np.ndarray:
    made = np.zeros(count, dtype=KIND)
    made["value"] = np.arange(count) / 7
    made["marks"][:, 0] = np.arange(count) % 2 == 0
    return made


def _write(folder: Path, ids: list[str], homes: list[int], cut: int = 2) -> record_file.RecordFile:
    made = _records(len(ids))
    blocks = [(ids[start : start + cut], made[start : start + cut]) for start in range(0, len(ids), cut)]
    return record_file.write(folder, iter(blocks), len(ids), np.array(homes), {"run_id": "r1"})


def test_every_id_is_found_at_its_record_and_no_other_is(tmp_path: Path) -> None:
    ids = sorted(["C1", "C10", "C2", "C200", "客户", "ä", "Z"], key=str.encode)
    kept = _write(tmp_path / "a", ids, [-1, 0, 1, 0, -1, 1, 0])
    assert [kept.row_of(one) for one in ids] == list(range(7))
    assert [kept.id_of(row) for row in range(7)] == ids
    assert [kept.row_of(one) for one in ("", "C", "C1\0", "C3", "zzz", "\ud800")] == [None] * 6
    assert np.array_equal(kept.records, _records(7))
    assert kept.facts == {"run_id": "r1"}


def test_a_household_is_all_rows_of_its_number_and_who_has_none_is_alone(tmp_path: Path) -> None:
    kept = _write(tmp_path / "a", ["A", "B", "C", "D", "E"], [1, -1, 0, 1, 1])
    assert [kept.household(row) for row in range(5)] == [(0, 3, 4), (1,), (2,), (0, 3, 4), (0, 3, 4)]
    alone = _write(tmp_path / "b", ["A", "B"], [-1, -1])
    assert [alone.household(row) for row in range(2)] == [(0,), (1,)]


def test_a_folder_that_was_not_finished_is_not_there_and_one_that_is_stays(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="rise"):
        _write(tmp_path / "a", ["B", "A"], [0, 0])
    with pytest.raises(ValueError, match="3 records, expected 4"):
        record_file.write(tmp_path / "a", [(["A", "B", "C"], _records(3))], 4, np.zeros(4), {})
    assert record_file.opened(tmp_path / "a") is None
    first = _write(tmp_path / "a", ["A", "B"], [0, 0])
    # whoever comes second reads what the first wrote
    assert np.array_equal(_write(tmp_path / "a", ["A", "B"], [0, 0]).records, first.records)
    record_file.sweep(tmp_path, {"b"})
    assert record_file.opened(tmp_path / "a") is None
    assert first.row_of("B") == 1
    assert first.records["value"][1] == 1 / 7


@given(st.sets(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8), min_size=1, max_size=30))
@settings(max_examples=30, deadline=None)
def test_any_ids_are_found(tmp_path_factory: pytest.TempPathFactory, ids: set[str]) -> None:
    rising = sorted(ids, key=str.encode)
    kept = _write(tmp_path_factory.mktemp("ids") / "a", rising, [-1] * len(rising), cut=4)
    assert [kept.row_of(one) for one in rising] == list(range(len(rising)))
