from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.config.exports import FileFormat
from engine.domain.errors import CheckFailed
from engine.exports.manifest import Audience
from engine.exports.verify import verify
from tests.engine.exports import builders

FORMATS: tuple[FileFormat, ...] = ("csv", "csv_spreadsheet", "jsonl", "parquet")


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("file_format", FORMATS)
def test_bundle_verifies_and_counts_what_it_holds(file_format: FileFormat, tmp_path: Path) -> None:
    manifest = builders.export(builders.offers(5, 2), tmp_path / "all", file_format)
    report = verify(tmp_path / "all")
    assert (report.rows, report.files) == (10, 3)  # ten rows, four to a part
    assert report.manifest == manifest
    assert manifest.counts.model_dump() == {
        "selected": 10,
        "withheld": 0,
        "exported": 10,
        "rejected": 0,
        "customers": 5,
    }


@pytest.mark.parametrize("file_format", FORMATS)
def test_same_run_exported_twice_gives_the_same_bytes(file_format: FileFormat, tmp_path: Path) -> None:
    builders.export(builders.offers(), tmp_path / "one", file_format)
    builders.export(builders.offers(), tmp_path / "two", file_format)
    assert _files(tmp_path / "one") == _files(tmp_path / "two")
    builders.export(builders.offers(), tmp_path / "one", file_format)
    assert _files(tmp_path / "one") == _files(tmp_path / "two")


def test_all_formats_carry_the_same_content_hash(tmp_path: Path) -> None:
    found = {builders.export(builders.offers(), tmp_path / name, name).content_sha256 for name in FORMATS[2:]}
    found.add(builders.export(builders.offers(), tmp_path / "csv", "csv").content_sha256)
    assert len(found) == 1


def test_row_holds_what_a_campaign_tool_needs_and_no_risk(tmp_path: Path) -> None:
    builders.export(builders.offers(1, 1), tmp_path / "all")
    (line,) = (tmp_path / "all/add/part-00001.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line) == {
        "external_id": "C0000",
        "run_id": "R1",
        "recommendation_id": "abc-C0000-1",
        "action_code": "index_fund",
        "offer_code": "index_fund",
        "action_rank": 1,
        "channel": "email",
        "score": 0.123457,
        "annual_rate": 0.0565,
        "limit_minor": 2_000_000,
        "track": "fast_track",
        "reason_text": "Already has: Debit card.",
        "reason_text_zh": "已持有借记卡。",
        "reason_2_text": None,
        "reason_2_text_zh": None,
        "valid_from": "2026-06-30T23:59:59Z",
        "valid_to": "2026-07-30T23:59:59Z",
    }


def test_no_offer_holds_longer_than_the_answer_of_the_risk_gate(tmp_path: Path) -> None:
    """C0000 in ten days and a half second, C0001 after the bundle, C0002 was never answered for."""
    soon = builders.AS_OF.replace(tzinfo=None) + timedelta(days=10, microseconds=500_000)
    late = builders.AS_OF.replace(tzinfo=None) + timedelta(days=90)
    answers = pa.table({"customer_id": ["C0000", "C0001"], "expires_at": pa.array([soon, late], pa.timestamp("us"))})
    manifest = builders.export(builders.offers(3, 2), tmp_path / "all", parts=2, answers=answers)
    lines = [json.loads(line) for path in sorted((tmp_path / "all/add").iterdir()) for line in path.open("rb")]
    assert [line["valid_to"][:10] for line in lines] == ["2026-07-10"] * 2 + ["2026-07-30"] * 4
    assert lines[0]["valid_to"] == "2026-07-10T23:59:59Z", "cut to the second before, never rounded up"
    assert manifest.expires_at == "2026-07-30T23:59:59Z"
    assert verify(tmp_path / "all").rows == 6


def test_small_scores_are_written_without_an_exponent(tmp_path: Path) -> None:
    builders.export(builders.table([builders.offer("C1", propensity=0.0000042)]), tmp_path / "all", "csv")
    (row,) = csv.DictReader((tmp_path / "all/add/part-00001.csv").open(encoding="utf-8"))
    assert row["score"] == "0.000004"


def test_folder_table_and_batches_give_the_same_bundle(tmp_path: Path) -> None:
    rows = builders.offers(7, 2)
    (tmp_path / "mart").mkdir()
    pq.write_table(rows, tmp_path / "mart" / "part-00000.parquet")
    batches = (rows.slice(start, 3) for start in range(0, 14, 3))
    for name, source in (("folder", tmp_path / "mart"), ("table", rows), ("batches", batches)):
        builders.export(source, tmp_path / name)
    assert _files(tmp_path / "folder") == _files(tmp_path / "table") == _files(tmp_path / "batches")


def test_audience_takes_only_its_customers(tmp_path: Path) -> None:
    audience = Audience(id="aud_loan", name="Loan seekers")
    manifest = builders.export(
        builders.offers(5, 2), tmp_path / "some", customer_ids=pa.array(["C0001", "C0003"]), audience=audience
    )
    assert (manifest.counts.customers, manifest.counts.exported) == (2, 4)
    assert verify(tmp_path / "some").manifest.audience == audience


def test_nobody_to_write_to_is_a_whole_bundle_without_rows(tmp_path: Path) -> None:
    manifest = builders.export(builders.offers(0), tmp_path / "none", "parquet")
    assert manifest.counts.exported == 0
    assert verify(tmp_path / "none").rows == 0


def test_formula_costs_its_row_in_the_csv_for_campaign_tools_and_is_reported(tmp_path: Path) -> None:
    rows = builders.table(
        [builders.offer("+8613800138000"), builders.offer("=cmd"), builders.offer("C1", reason_1="@SUM(A1)")]
    )
    manifest = builders.export(rows, tmp_path / "csv", "csv")
    assert manifest.counts.model_dump() == {"selected": 3, "withheld": 0, "exported": 1, "rejected": 2, "customers": 1}
    errors = list(csv.DictReader((tmp_path / "csv/errors.csv").open(encoding="utf-8")))
    assert [(row["row"], row["column"], row["code"]) for row in errors] == [
        ("2", "external_id", "FORMULA"),
        ("3", "reason_text", "FORMULA"),
    ]
    verify(tmp_path / "csv")


def test_formula_is_defused_in_the_spreadsheet_csv_and_left_alone_in_json(tmp_path: Path) -> None:
    rows = builders.table([builders.offer("=cmd")])
    builders.export(rows, tmp_path / "sheet", "csv_spreadsheet")
    assert b"\r\n'=cmd,R1," in (tmp_path / "sheet/add/part-00001.csv").read_bytes()
    builders.export(rows, tmp_path / "json", "jsonl")
    assert b'"external_id":"=cmd"' in (tmp_path / "json/add/part-00001.jsonl").read_bytes()


def test_batches_out_of_order_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    rows = builders.offers(4, 1)
    with pytest.raises(CheckFailed, match="order"):
        builders.export([rows.slice(2), rows.slice(0, 2)], tmp_path / "all")
    assert list(tmp_path.iterdir()) == []


def test_export_that_fails_leaves_the_older_bundle_as_it_was(tmp_path: Path) -> None:
    builders.export(builders.offers(), tmp_path / "all")
    before = _files(tmp_path / "all")

    def broken() -> Iterator[pa.Table]:
        yield builders.offers(2)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="disk"):
        builders.export(broken(), tmp_path / "all")
    assert _files(tmp_path / "all") == before
    assert [path.name for path in tmp_path.iterdir()] == ["all"]


def test_what_a_killed_export_left_behind_is_swept(tmp_path: Path) -> None:
    (tmp_path / "_building-all" / "add").mkdir(parents=True)
    (tmp_path / "_building-all" / "add" / "part-00009.jsonl").write_text("half")
    builders.export(builders.offers(), tmp_path / "all")
    verify(tmp_path / "all")
    assert [path.name for path in tmp_path.iterdir()] == ["all"]


@pytest.mark.parametrize("name", ["_SUCCESS", "manifest.json"])
def test_unfinished_bundle_never_verifies(name: str, tmp_path: Path) -> None:
    builders.export(builders.offers(), tmp_path / "all")
    (tmp_path / "all" / name).unlink()
    with pytest.raises(CheckFailed, match="never finished"):
        verify(tmp_path / "all")


def test_first_difference_is_named(tmp_path: Path) -> None:
    builders.export(builders.offers(), tmp_path / "all")
    part = tmp_path / "all/add/part-00002.jsonl"
    part.write_bytes(part.read_bytes().replace(b"email", b"phone"))
    with pytest.raises(CheckFailed, match=r"add/part-00002.jsonl: sha256"):
        verify(tmp_path / "all")


def test_missing_and_foreign_files_are_named(tmp_path: Path) -> None:
    builders.export(builders.offers(), tmp_path / "all")
    (tmp_path / "all" / "notes.txt").write_text("mine")
    with pytest.raises(CheckFailed, match=r"notes\.txt: there but not listed"):
        verify(tmp_path / "all")
    (tmp_path / "all" / "notes.txt").unlink()
    (tmp_path / "all" / "add" / "part-00001.jsonl").unlink()
    with pytest.raises(CheckFailed, match=r"part-00001.jsonl: listed .* but not there"):
        verify(tmp_path / "all")


def test_changed_manifest_is_found(tmp_path: Path) -> None:
    builders.export(builders.offers(), tmp_path / "all")
    path = tmp_path / "all" / "manifest.json"
    path.write_text(path.read_text(encoding="utf-8").replace("R1", "R2"), encoding="utf-8")
    with pytest.raises(CheckFailed, match=r"sha256 of manifest\.json"):
        verify(tmp_path / "all")
