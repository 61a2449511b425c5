"""Whole-file faults: each a clear sentence, and nothing half loaded."""

import gzip
import io
import sqlite3
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.config.intake import IntakeSettings
from engine.domain.errors import ContractBroken, EmptySource, MissingColumns, UnknownName, UnreadableSource
from engine.intake.guards import GuardedStream, likely_encoding
from tests.engine.intake.builders import CUSTOMERS, RULES, Delivery


def _limited(**limits: int) -> IntakeSettings:
    return RULES.model_copy(update={"limits": RULES.limits.model_copy(update=limits)})


def _refusal(delivery: Delivery) -> str:
    with pytest.raises(ContractBroken) as caught:
        delivery.load()
    assert not (delivery.workspace.home / "curated").exists()
    assert not (delivery.workspace.home / "curated.tmp").exists()
    return str(caught.value)


def test_a_missing_column_is_named_with_what_was_found(delivery: Delivery) -> None:
    delivery.table("customers", "customer_id,joined\nC1,2020-01-01\n")
    with pytest.raises(MissingColumns) as caught:
        delivery.load()
    assert caught.value.missing == ("joined_at",)
    assert 'If "joined" is the same thing, map it under [customers.columns]' in str(caught.value)


def test_a_column_missing_from_one_of_several_files_names_that_file(delivery: Delivery) -> None:
    delivery.file("c/1.csv", CUSTOMERS)
    delivery.file("c/2.csv", "customer_id\nC9\n")
    assert "c/2.csv" in _refusal(delivery.table("customers", source="c/*.csv"))


@pytest.mark.parametrize("content", ["", "customer_id,joined_at\n", "customer_id,joined_at"])
def test_an_empty_file_is_refused(delivery: Delivery, content: str) -> None:
    sentence = _refusal(delivery.table("customers", content))
    assert "customers" in sentence
    assert "empty" in sentence or "no rows" in sentence


def test_an_empty_parquet_table_is_refused(delivery: Delivery) -> None:
    empty = pa.table({"customer_id": pa.array([], pa.string()), "joined_at": pa.array([], pa.timestamp("us"))})
    pq.write_table(empty, delivery.folder / "c.parquet")
    with pytest.raises(EmptySource):
        delivery.table("customers", source="c.parquet").load()


def test_a_parquet_file_cut_in_the_middle_is_refused(delivery: Delivery) -> None:
    path = delivery.folder / "c.parquet"
    pq.write_table(pa.table({"customer_id": ["C1"] * 1000}), path)
    path.write_bytes(path.read_bytes()[:-20])
    assert "cut" in _refusal(delivery.table("customers", source="c.parquet"))


def test_a_parquet_file_damaged_inside_is_refused(delivery: Delivery) -> None:
    path = delivery.folder / "c.parquet"
    ids = pa.array([f"C{number:06d}" for number in range(5000)])
    pq.write_table(pa.table({"customer_id": ids, "joined_at": ["2020-01-01"] * 5000}), path, compression="zstd")
    content = bytearray(path.read_bytes())
    content[100:4000] = bytes(3900)
    path.write_bytes(content)
    assert "damaged inside" in _refusal(delivery.table("customers", source="c.parquet"))


def test_a_gzip_file_cut_in_the_middle_is_refused(delivery: Delivery) -> None:
    packed = gzip.compress((CUSTOMERS * 50).encode())
    assert "ends early" in _refusal(delivery.table("customers", packed[:-15], source="c.csv.gz"))


def test_a_csv_cut_inside_a_quoted_value_is_refused(delivery: Delivery) -> None:
    cut = 'customer_id,joined_at,full_name\nC1,2020-01-01,"Ann"\nC2,2020-01-01,"Be'
    assert "inside a quoted value (line 3)" in _refusal(delivery.table("customers", cut))


def test_a_quote_that_is_never_closed_does_not_swallow_the_rest_unseen(delivery: Delivery) -> None:
    open_quote = 'customer_id,joined_at,full_name\nC1,2020-01-01,"Ann\nC2,2020-01-01,Ben\nC3,2020-01-01,Cid\n'
    assert "quote is never closed" in _refusal(delivery.table("customers", open_quote))


def test_a_csv_cut_in_the_middle_of_a_row_is_refused(delivery: Delivery) -> None:
    cut = "customer_id,joined_at,full_name\nC1,2020-01-01,Ann\nC2,2020"
    assert "in the middle of a row" in _refusal(delivery.table("customers", cut))


def test_a_last_line_without_its_newline_is_no_cut(delivery: Delivery) -> None:
    assert delivery.table("customers", CUSTOMERS.rstrip("\n")).load().table("customers").kept == 3


def test_a_jsonl_file_cut_in_the_middle_is_refused(delivery: Delivery) -> None:
    cut = '{"customer_id":"C1","joined_at":"2020-01-01"}\n{"customer_id":"C2","joi'
    assert "middle of line 2" in _refusal(delivery.table("customers", cut, source="c.jsonl"))


def test_a_zip_bomb_is_refused_long_before_it_is_unpacked(tmp_path: Path) -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("c.csv", "customer_id,joined_at\n" + "C,2020-01-01\n" * 3_000_000)
    rules = _limited(expansion_free_bytes=1 << 20)
    sentence = _refusal(Delivery(tmp_path, rules).table("customers", bomb.getvalue(), source="c.zip"))
    assert "zip bomb" in sentence
    # of 39 MB, at the first megabyte past 250 times what it is packed in
    assert int(sentence.split("more than ")[1].split(" ")[0].replace(",", "")) < 22 << 20


def test_a_gzip_bomb_is_refused_by_its_absolute_size_too(tmp_path: Path) -> None:
    rules = _limited(expanded_bytes=1 << 20)
    packed = gzip.compress(CUSTOMERS.encode() * 40_000)
    assert "bomb" in _refusal(Delivery(tmp_path, rules).table("customers", packed, source="c.csv.gz"))


def test_a_workbook_bomb_is_refused(tmp_path: Path) -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * (4 << 20))
    rules = _limited(expansion_free_bytes=1 << 20)
    assert "bomb" in _refusal(Delivery(tmp_path, rules).table("customers", bomb.getvalue(), source="c.xlsx"))


def test_a_line_without_end_is_refused_after_a_few_megabytes(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    with path.open("wb") as handle:  # a hole of 2 GB reads as zero bytes, so the line itself comes first
        handle.write(b"customer_id,joined_at\nC1," + b"x" * (16 << 20))
        handle.truncate(2 << 30)
    stream = GuardedStream(path, "long.csv", "utf-8", RULES.limits)
    read = 0
    with pytest.raises(UnreadableSource, match=r"line 2 is longer than 4,194,304 bytes"):
        while part := stream.read(1 << 20):
            read += len(part)
    stream.close()
    assert read <= 6 << 20


def test_a_line_as_long_as_lines_may_be_is_a_row_wherever_it_stands(delivery: Delivery) -> None:
    # 4 MiB holds any free text: longer than what is read of a file at a time
    long = CUSTOMERS + "C8,2020-01-01," + "x" * (4_194_304 - 15) + "\n"
    rows = delivery.table("customers", long + "C9,2020-01-01,Bo\n").load()
    assert [table.read for table in rows.tables] == [CUSTOMERS.count("\n") - 1 + 2]


def test_a_long_line_in_a_delivery_is_refused(tmp_path: Path) -> None:
    rules = _limited(line_bytes=1 << 16)
    long = CUSTOMERS + "C4,2020-01-01," + "x" * (1 << 18) + "\n"
    assert "longer than" in _refusal(Delivery(tmp_path, rules).table("customers", long))


def test_invalid_utf8_is_placed_and_the_likely_encoding_named(delivery: Delivery) -> None:
    chinese = "customer_id,joined_at,full_name\nC1,2020-01-01,Ann\nC2,2020-01-01,李伟和王芳\n".encode("gb18030")
    sentence = _refusal(delivery.table("customers", chinese))
    # 32 bytes of header, 18 of the first row, 14 before the name
    assert "line 3, byte 64" in sentence
    assert 'encoding = "gb18030"' in sentence


def test_a_file_in_the_encoding_said_is_read(delivery: Delivery) -> None:
    chinese = "customer_id,joined_at,full_name\nC2,2020-01-01,李伟\n".encode("gb18030")
    delivery.table("customers", chinese, more='[customers.csv]\nencoding = "gb18030"').load()
    assert delivery.rows("customers")[0]["full_name"] == "李伟"


def test_western_bytes_suggest_a_western_encoding() -> None:
    assert likely_encoding("Jürgen Müller, Köln".encode("cp1252")) == "cp1252"


def test_utf16_is_recognised_by_its_zero_bytes(delivery: Delivery) -> None:
    assert "utf-16" in _refusal(delivery.table("customers", CUSTOMERS.encode("utf-16-le")))


def test_a_file_that_is_not_the_format_it_claims_is_refused(delivery: Delivery) -> None:
    pq.write_table(pa.table({"customer_id": ["C1"]}), delivery.folder / "c.csv")
    assert "is a Parquet file, not CSV" in _refusal(delivery.table("customers", source="c.csv"))


@pytest.mark.parametrize(("name", "words"), [("c.parquet", "not a Parquet file"), ("c.xlsx", "not an Excel workbook")])
def test_a_text_under_another_suffix_is_refused(delivery: Delivery, name: str, words: str) -> None:
    assert words in _refusal(delivery.table("customers", CUSTOMERS, source=name))


def test_a_file_that_is_not_there_is_refused(delivery: Delivery) -> None:
    assert "no such file" in _refusal(delivery.table("customers", source="nowhere/*.csv"))


def test_two_columns_of_one_name_are_refused(delivery: Delivery) -> None:
    assert "two columns" in _refusal(delivery.table("customers", "customer_id,joined_at,a,a\nC1,2020-01-01,1,2\n"))


def test_a_wrong_delimiter_shows_as_missing_columns(delivery: Delivery) -> None:
    with pytest.raises(MissingColumns) as caught:
        delivery.table("customers", CUSTOMERS.replace(",", ";")).load()
    assert caught.value.found == ("customer_id;joined_at",)


def test_a_column_of_the_wrong_type_breaks_the_contract(delivery: Delivery) -> None:
    rows = "".join(f"C{number},{number % 28 + 1:02d}.03.2020\n" for number in range(30))
    sentence = _refusal(delivery.table("customers", "customer_id,joined_at\n" + rows))
    assert '30 of 30 rows for the table customers fail one check of "joined_at" (wrong_type)' in sentence
    assert "date_formats" in sentence


def test_the_same_column_is_read_once_its_format_is_said(delivery: Delivery) -> None:
    rows = "".join(f"C{number},{number % 28 + 1:02d}.03.2020\n" for number in range(30))
    report = delivery.table("customers", "customer_id,joined_at\n" + rows, more='date_formats = ["%d.%m.%Y"]').load()
    assert report.table("customers").kept == 30


def test_a_table_whose_customers_are_all_missing_breaks_the_contract(with_customers: Delivery) -> None:
    rows = "".join(f"T{number},0{number},2024-01-01T00:00:00Z,1,CNY\n" for number in range(30))
    sentence = _refusal(
        with_customers.table("transactions", "transaction_id,customer_id,booked_at,amount_minor,currency\n" + rows)
    )
    assert "orphan_reference" in sentence
    assert "leading zeros" in sentence


def test_a_key_that_is_none_breaks_the_contract(delivery: Delivery) -> None:
    rows = "".join(f"C1,20{number:02d}-01-01\n" for number in range(25))
    assert "(duplicate_key)" in _refusal(delivery.table("customers", "customer_id,joined_at\n" + rows))


def test_a_table_without_the_table_it_refers_to_is_refused(delivery: Delivery) -> None:
    delivery.table("consents", "customer_id,purpose,channel,granted,recorded_at\nC1,marketing,email,true,2024-01-01\n")
    assert "not customers" in _refusal(delivery)


def test_a_broken_source_leaves_the_tables_of_the_last_load(with_customers: Delivery) -> None:
    with_customers.load()
    before = with_customers.rows("customers")
    with_customers.file("customers.csv", "customer_id,joined_at\n")
    with pytest.raises(EmptySource):
        with_customers.load()
    assert with_customers.rows("customers") == before


def test_a_missing_database_file_is_not_made(delivery: Delivery) -> None:
    delivery.section('[customers.database]\nurl = "sqlite:///bank.db"\ntable = "customers"')
    assert "no such SQLite file" in _refusal(delivery)
    assert not (delivery.folder / "bank.db").exists()


def test_a_missing_database_table_is_a_sentence_without_the_address(delivery: Delivery) -> None:
    sqlite3.connect(delivery.folder / "bank.db").close()
    delivery.section('[customers.database]\nurl = "sqlite:///bank.db"\ntable = "clients"')
    sentence = _refusal(delivery)
    assert "database table clients" in sentence
    assert "sqlite:" not in sentence


def test_an_unknown_sheet_is_named_with_those_there_are(delivery: Delivery) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    book.save(delivery.folder / "c.xlsx")
    with pytest.raises(UnknownName, match="Sheet"):
        delivery.table("customers", source="c.xlsx", more='sheet = "Kunden"').load()
