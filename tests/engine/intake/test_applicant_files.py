"""What the columns of a file of applicants are taken for, and what is read of their cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.config.intake import IntakeSettings
from engine.config.load import load
from engine.domain.errors import UnreadableSource
from engine.intake import applicant_files
from engine.intake.applicant_files import ROW, LeftOut, Unread
from engine.intake.event_files import EventFile
from engine.lake.engine import DuckDBEngine

Open = Callable[[Path], EventFile]
RULES = load(IntakeSettings, "intake")
N = 40


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[DuckDBEngine]:
    with DuckDBEngine("1GB", 1, tmp_path / "spill") as made:
        yield made


@pytest.fixture
def opened(tmp_path: Path, engine: DuckDBEngine) -> Open:
    spool = tmp_path / "spool"
    spool.mkdir()
    return lambda path: applicant_files.read(path, engine, spool, RULES)


def write(path: Path, columns: dict[str, Sequence[object]]) -> Path:
    rows = zip(*columns.values(), strict=True)
    lines = [",".join(columns), *(",".join("" if cell is None else str(cell) for cell in row) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_kinds_are_found_and_what_is_none_is_left_out_with_the_reason(
    tmp_path: Path, opened: Open, engine: DuckDBEngine
) -> None:
    every = range(N)
    path = write(
        tmp_path / "f.csv",
        {
            "number": [place * 7919 % 101 / 4 for place in every],
            "kind": ["abc"[place % 3] for place in every],
            "ref": [f"X{place:05d}" for place in every],
            "row": [place + 1000 for place in every],
            "customer_id": [place * 7919 for place in every],
            "opened": [f"2026-01-{place % 28 + 1:02d}" for place in every],
            "day": [20260101 + place % 28 for place in every],
            "czech_day": [930101 + place % 28 for place in every],
            "note": [f"the customer rang and said that {place} was fine by him" for place in every],
            "street": [f"{place} Quay Street" for place in every],
            "town": [f"t{place % 25}" for place in every],
            "same": [1] * N,
            "nothing": [None] * N,
        },
    )
    found = applicant_files.columns(opened(path), engine)
    assert found.kinds == {"number": "number", "kind": "category"}
    assert {one.name: one.why for one in found.left_out} == {
        "ref": "id",
        "row": "id",
        "customer_id": "id",
        "opened": "date",
        "day": "date",
        "czech_day": "date",
        "note": "free_text",
        "street": "free_text",
        "town": "many_values",
        "same": "constant",
        "nothing": "empty",
    }


def test_unique_amounts_are_numbers_and_not_ids(tmp_path: Path, opened: Open, engine: DuckDBEngine) -> None:
    path = write(tmp_path / "f.csv", {"amount": [place * 7919 for place in range(N)], "g": list("ab") * (N // 2)})
    assert applicant_files.columns(opened(path), engine).kinds["amount"] == "number"


def test_two_thousand_categories_are_left_out(tmp_path: Path, opened: Open, engine: DuckDBEngine) -> None:
    path = write(tmp_path / "f.csv", {"shop": [f"s{place % 2_000}" for place in range(20_000)]})
    assert applicant_files.columns(opened(path), engine).left_out == (
        LeftOut(name="shop", why="many_values", values=2_000),
    )


def test_stray_words_and_endless_numbers_are_missing_and_counted(
    tmp_path: Path, opened: Open, engine: DuckDBEngine
) -> None:
    cells: list[object] = [place % 7 for place in range(100)]
    cells[3], cells[8], cells[9], cells[10] = "inf", "unknown", "NA", None
    file = opened(write(tmp_path / "f.csv", {"x": cells, "g": ["a", "b"] * 50}))
    found = applicant_files.columns(file, engine)
    # row 4 is the first with something that is no number; NA and an empty cell are plainly missing
    assert found.unread == (Unread(name="x", no_number=1, infinite=1, first_row=4),)
    read = applicant_files.table(file, found.kinds, engine)
    assert read["x"].null_count == 4
    assert read[ROW].to_pylist() == list(range(1, 101))


def test_column_said_to_hold_names_does_so(tmp_path: Path, opened: Open, engine: DuckDBEngine) -> None:
    path = tmp_path / "f.parquet"
    pq.write_table(pa.table({"code": [1.0, 2.0, None] * 20}), path)
    file = opened(path)
    found = applicant_files.columns(file, engine, categories=["code"])
    assert found.kinds == {"code": "category"}
    # as a file of text has them
    assert applicant_files.table(file, found.kinds, engine)["code"].to_pylist()[:3] == ["1", "2", None]


def test_blocks_hold_the_rows_of_the_table_in_order(tmp_path: Path, opened: Open, engine: DuckDBEngine) -> None:
    path = write(tmp_path / "f.csv", {"x": range(10_000), "g": ["a", "b"] * 5_000})
    file = opened(path)
    kinds = {"x": "number", "g": "category"}
    blocks = list(applicant_files.batches(file, kinds, engine, size=2_048))  # type: ignore[arg-type]
    assert len(blocks) >= 4
    assert pa.concat_tables(blocks).equals(applicant_files.table(file, kinds, engine))  # type: ignore[arg-type]


def test_times_of_every_common_form_are_read(tmp_path: Path, opened: Open, engine: DuckDBEngine) -> None:
    cells = ["2026-06-30", "2026-06-30 10:00:00", "20260630", "260630", "2026", "soon"]
    file = opened(write(tmp_path / "f.csv", {"at": cells, "x": range(6)}))
    read = applicant_files.table(file, {}, engine, time="at")["at"].to_pylist()
    assert [moment and (moment.year, moment.month, moment.day) for moment in read] == [
        (2026, 6, 30),
        (2026, 6, 30),
        (2026, 6, 30),
        (2026, 6, 30),
        (2026, 1, 1),
        None,
    ]


def test_workbook_is_read_like_its_csv(tmp_path: Path, opened: Open, engine: DuckDBEngine) -> None:
    book = openpyxl.Workbook()
    for row in (["x", "g"], *([place, "ab"[place % 2]] for place in range(30))):
        book.active.append(row)
    book.save(tmp_path / "f.xlsx")
    file = opened(tmp_path / "f.xlsx")
    assert applicant_files.table(file, {"x": "number", "g": "category"}, engine).slice(0, 2).to_pylist() == [
        {"x": 0.0, "g": "a", ROW: 1},
        {"x": 1.0, "g": "b", ROW: 2},
    ]


def test_two_columns_of_one_name_are_refused(tmp_path: Path, opened: Open) -> None:
    (tmp_path / "f.csv").write_text("x,y,x\n1,2,3\n")
    with pytest.raises(UnreadableSource, match="two columns"):
        opened(tmp_path / "f.csv")
    pq.write_table(pa.table([pa.array([1]), pa.array([2])], names=["x", "X"]), tmp_path / "f.parquet")
    with pytest.raises(UnreadableSource, match="two columns"):
        opened(tmp_path / "f.parquet")
