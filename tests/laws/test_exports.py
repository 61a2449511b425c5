"""What holds of every bundle, whatever the texts in it are."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config.exports import FileFormat
from engine.domain.errors import CheckFailed
from engine.exports import csv_dialects
from engine.exports.verify import verify
from tests.engine.exports import builders

_text = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12)
_offers = st.lists(
    st.fixed_dictionaries(
        {"reason_1": _text, "reason_1_zh": st.none() | _text, "propensity": st.floats(0, 1), "product_id": _text}
    ),
    max_size=12,
)
_FORMATS: tuple[FileFormat, ...] = ("csv", "csv_spreadsheet", "jsonl", "parquet")


def _rows(changes: list[dict[str, Any]]) -> Any:
    return builders.table([builders.offer(f"C{number:04d}", **change) for number, change in enumerate(changes)])


@given(changes=_offers, file_format=st.sampled_from(_FORMATS), parts=st.integers(1, 5))
@settings(max_examples=50, deadline=None)
def test_whatever_is_exported_verifies_and_nothing_is_lost(
    changes: list[dict[str, Any]], file_format: FileFormat, parts: int
) -> None:
    with TemporaryDirectory() as folder:
        manifest = builders.export(_rows(changes), Path(folder) / "all", file_format, parts)
        report = verify(Path(folder) / "all")
    assert manifest.counts.selected == len(changes) == report.rows + manifest.counts.rejected


@given(changes=_offers)
@settings(max_examples=20, deadline=None)
def test_content_hash_does_not_depend_on_the_size_of_the_parts(changes: list[dict[str, Any]]) -> None:
    with TemporaryDirectory() as folder:
        found = {
            builders.export(_rows(changes), Path(folder) / f"{name}{parts}", name, parts).content_sha256
            for name, parts in (("jsonl", 1), ("jsonl", 3), ("parquet", 100))
        }
    assert len(found) == 1


@given(changes=_offers)
@settings(max_examples=25, deadline=None)
def test_no_cell_of_a_csv_for_a_campaign_tool_is_a_formula(changes: list[dict[str, Any]]) -> None:
    with TemporaryDirectory() as folder:
        manifest = builders.export(_rows(changes), Path(folder) / "csv", "csv", 100)
        files = sorted((Path(folder) / "csv" / "add").glob("*.csv"))
        lines = [line for path in files for line in csv.reader(path.open(encoding="utf-8", newline=""))][1:]
    cells = pa.array([cell for line in lines for cell in line], pa.string())
    assert not any(csv_dialects.is_formula(cells).to_pylist())
    assert len(lines) == manifest.counts.exported == len(changes) - manifest.counts.rejected


@given(cut=st.floats(0, 1), file_format=st.sampled_from(_FORMATS))
@settings(max_examples=12, deadline=None)
def test_bundle_cut_at_any_byte_of_any_file_never_verifies(cut: float, file_format: FileFormat) -> None:
    with TemporaryDirectory() as folder:
        whole = Path(folder) / "all"
        builders.export(builders.offers(6, 2), whole, file_format)
        for path in sorted(path for path in whole.rglob("*") if path.is_file()):
            copy = Path(folder) / "cut"
            shutil.copytree(whole, copy)
            half = copy / path.relative_to(whole)
            content = half.read_bytes()
            half.write_bytes(content[: min(int(cut * len(content)), len(content) - 1)])
            with pytest.raises(CheckFailed):
                verify(copy)
            shutil.rmtree(copy)
