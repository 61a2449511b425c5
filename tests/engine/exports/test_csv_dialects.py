from __future__ import annotations

import csv
import io
import json

import pyarrow as pa
import pytest

from engine.exports import csv_dialects as text


@pytest.mark.parametrize(
    "value",
    [
        "=1+1",
        "+1+1",
        "-1+cmd|' /C calc'!A0",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\x00=1",
        "＝1+1",
        "＋1a",
        "－x",
        "＠x",
        "+",
        "-",
    ],
)
def test_text_that_a_spreadsheet_would_run_is_a_formula(value: str) -> None:
    assert text.is_formula(pa.array([value])).to_pylist() == [True]


@pytest.mark.parametrize(
    "value", ["+8613800138000", "-5", "-0.25", "+1", "C-1", "a=b", "", "13800138000", "王芳", None]
)
def test_numbers_telephone_numbers_and_plain_text_are_no_formula(value: str | None) -> None:
    assert text.is_formula(pa.array([value], pa.string())).to_pylist() == [False]


def test_guard_marks_formulas_and_touches_nothing_else() -> None:
    rows = pa.table({"a": ["=1", "+8613800138000", "-5", None, ""], "n": [-1, -2, -3, -4, -5]})
    assert text.guarded(rows).to_pydict() == {"a": ["'=1", "+8613800138000", "-5", None, ""], "n": [-1, -2, -3, -4, -5]}


def test_dangerous_cells_are_named_by_row_and_column() -> None:
    rows = pa.table({"b": ["x", "=1"], "a": ["@x", "=2"]})
    assert text.dangerous(rows).to_pylist() == [
        {"row": 0, "column": "a"},
        {"row": 1, "column": "a"},
        {"row": 1, "column": "b"},
    ]


def test_control_characters_become_spaces() -> None:
    assert text.clean(pa.table({"a": ["x\ny\tz\u2028w", "王 芳"]}))["a"].to_pylist() == ["x y z w", "王 芳"]


def test_import_csv_quotes_only_where_needed_and_tells_unknown_from_empty() -> None:
    rows = pa.table({"a": ["plain", 'say "hi"', "a,b", "", None], "n": pa.array([1, None, -3, 4, 5])})
    assert text.csv_lines(rows, text.IMPORT) == b'plain,1\n"say ""hi""",\n"a,b",-3\n"",4\n,5\n'


def test_spreadsheet_csv_has_a_byte_order_mark_and_windows_line_ends() -> None:
    dialect = text.spreadsheet(";")
    rows = pa.table({"name": ["王芳"], "n": [1]})
    content = text.csv_header(["name", "n"], dialect) + text.csv_lines(rows, dialect)
    assert content == b"\xef\xbb\xbfname;n\r\n" + "王芳;1\r\n".encode()


def test_csv_reads_back_with_any_reader() -> None:
    values = ["plain", 'q"q', "a,b;c", "王芳", " lead", "'quoted'"]
    content = text.csv_lines(pa.table({"a": values, "b": values}), text.IMPORT).decode()
    assert [row[0] for row in csv.reader(io.StringIO(content))] == values


def test_json_lines_are_valid_with_keys_in_order() -> None:
    values = ['q"q', "back\\slash", "王芳", None, ""]
    lines = text.json_lines(pa.table({"b": values, "a": [1, 2, 3, None, 5]})).decode().splitlines()
    assert [json.loads(line)["b"] for line in lines] == values
    assert lines[3] == '{"a":null,"b":null}'


def test_float_has_no_one_spelling_and_is_refused() -> None:
    with pytest.raises(TypeError, match="decimal"):
        text.csv_lines(pa.table({"a": [0.1]}), text.IMPORT)


def test_slices_and_chunks_give_the_same_bytes_as_the_whole() -> None:
    rows = pa.table({"a": [f"v{number}" for number in range(10)]})
    chunked = pa.concat_tables([rows.slice(0, 3), rows.slice(3, 4), rows.slice(7)])
    assert text.json_lines(chunked) == text.json_lines(rows)
    assert text.json_lines(rows.slice(0, 4)) + text.json_lines(rows.slice(4)) == text.json_lines(rows)
    assert text.json_lines(rows.slice(0, 0)) == b""
