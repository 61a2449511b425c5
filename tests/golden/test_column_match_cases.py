"""Columns of banks' files, matched to the tables' by hand and by the matcher: see column_matches.toml."""

from __future__ import annotations

import csv
import gzip
import io
import tomllib
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from engine.domain.curated import CURATED
from engine.intake import matching

CASES: dict[str, dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("column_matches.toml").read_text(encoding="utf-8")
)
KNOWN = [name for name, case in CASES.items() if not case.get("unseen")]
NO_TABLE = {"bank_marketing", "uci_credit_default", "insurance_users"}  # too little of a table is in them to tell which


def sample_of(case: dict[str, Any], real_data: Path) -> tuple[str, dict[str, list[str]]]:
    if "rows" in case:
        return case["name"], _rows(io.StringIO(case["rows"].strip()), case)
    path = real_data / case["file"]
    if path.suffix == ".parquet":
        batch = next(pq.ParquetFile(path).iter_batches(200))
        return path.name, {
            name: [_text(value) for value in batch.column(name).to_pylist()] for name in batch.schema.names
        }
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        return path.name, _rows(file, case)


def _rows(file: Any, case: dict[str, Any]) -> dict[str, list[str]]:
    reader = csv.reader(file, delimiter=case.get("delimiter", ","))
    header = next(reader)
    rows = list(islice(reader, 200))
    return {name: [row[place] if place < len(row) else "" for row in rows] for place, name in enumerate(header)}


def _text(value: Any) -> str:
    return "" if value is None else str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def matched(case: dict[str, Any], real_data: Path) -> dict[str, matching.Match]:
    _, sample = sample_of(case, real_data)
    return {match.column: match for match in matching.columns(CURATED[case["table"]], sample)}


@pytest.mark.parametrize("name", KNOWN)
def test_every_column_that_a_person_matched_is_matched_alike(name: str, real_data: Path) -> None:
    case = CASES[name]
    found = matched(case, real_data)
    assert {column: found[column].source for column in case["columns"] if column in found} == case["columns"]


@pytest.mark.parametrize("name", [name for name in KNOWN if name not in NO_TABLE])
def test_file_is_taken_for_the_table_that_it_is(name: str, real_data: Path) -> None:
    file, sample = sample_of(CASES[name], real_data)
    assert matching.tables(file, sample)[0].table == CASES[name]["table"]


def test_of_headers_never_seen_before_three_in_four_are_matched_and_none_wrongly(real_data: Path) -> None:
    cases = [case for case in CASES.values() if case.get("unseen")]
    pairs = [(case["columns"], matched(case, real_data)) for case in cases]
    right = sum(
        found[column].source == source
        for columns, found in pairs
        for column, source in columns.items()
        if column in found
    )
    wrong = sum(
        found[column].source != source
        for columns, found in pairs
        for column, source in columns.items()
        if column in found
    )
    # 34 of 43 when it was measured; what is left is left to a person
    assert (right, wrong) == (34, 0)
    assert sum(len(columns) for columns, _ in pairs) == 43
