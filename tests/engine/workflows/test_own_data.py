"""A bank's own files become a mapping that loads the same at the command line, and bad input becomes a sentence."""

from __future__ import annotations

import gzip
import io
import os
import sqlite3
import zipfile
from datetime import date
from pathlib import Path

import duckdb
import openpyxl
import pytest

from engine.domain.access import Role, Viewer
from engine.domain.errors import NotAllowed, SaidInBoth, UnreadableSource, WaylineError
from engine.intake import mapping, templates
from engine.lake.runs import folder_digest
from engine.lake.workspace import Workspace
from engine.workflows import load, own_data
from engine.workflows.own_data import Consent

OWNER = Viewer(name="ann", role=Role.OWNER)
CUSTOMERS = (
    "Kundennummer;Name;客户号;OpenDate;Sex;mail ok;NetIncome\n"
    "x;Ada Long;C1;01.06.2015;F;yes;3.200,50\n"
    "y;Bob Short;C2;20.01.2011;M;no;2.100,00\n"
    "z;Cy Round;C3;15.09.2020;M;;4.000,00\n"
)
BOOKINGS = (
    "txn_id,cust_id,posting_date,amount,ccy\n"
    "T1,C1,2026-01-03 10:00:00,-12.50,CNY\n"
    "T2,C3,2026-01-05 10:00:00,100.00,CNY\n"
    "T3,C9,2026-01-06 10:00:00,100.00,CNY\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "extract"
    place.mkdir()
    (place / "customers.csv").write_text(CUSTOMERS, encoding="gb18030")
    (place / "bookings.csv").write_text(BOOKINGS, encoding="utf-8")
    return place


def test_files_are_matched_saved_and_loaded_alike_by_the_app_and_the_command_line(folder: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    files = own_data.propose(OWNER, home, own_data.look(OWNER, home, str(folder)))
    customers = next(file for file in files if file.table == "customers")
    assert (customers.head.csv.delimiter, customers.head.csv.encoding) == (";", "gb18030")
    assert customers.columns == {
        "customer_id": "客户号",
        "full_name": "Name",
        "gender": "Sex",
        "income_monthly_minor": "NetIncome",
        "joined_at": "OpenDate",
    }
    assert (customers.decimal, customers.money, customers.date_formats) == (",", "major", ("%d.%m.%Y",))
    consent = own_data.suggested_consent(files)
    assert consent.per_channel == {"email": "mail ok"}
    assert own_data.exportable(files, consent) == ("email",)
    made = own_data.to_mapping(
        files, Consent(per_channel=consent.per_channel, recorded_on=date(2024, 1, 1)), date(2026, 6, 30), "UTC"
    )
    saved = own_data.save(OWNER, home, made)

    report = load.load(home, saved)
    assert [(table.table, table.read, table.kept) for table in report.tables] == [
        ("customers", 3, 3),
        ("transactions", 3, 2),  # C9 is no customer
        ("consents", 2, 2),  # one of three did not answer
    ]
    rows = Workspace(home).curated("customers")
    income = duckdb.sql(
        f"SELECT customer_id, income_monthly_minor, joined_at::DATE::TEXT, gender FROM '{rows}/*.parquet'"
    )
    assert sorted(income.fetchall()) == [
        ("C1", 320050, "2015-06-01", "female"),
        ("C2", 210000, "2011-01-20", "male"),
        ("C3", 400000, "2020-09-15", "male"),
    ]
    other = tmp_path / "other"
    load.load(other, saved)
    for table in Workspace(home).curated_tables():
        assert folder_digest(Workspace(home).curated(table)) == folder_digest(Workspace(other).curated(table))


def test_check_of_the_saved_mapping_names_the_rows_to_mend(folder: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    files = own_data.propose(OWNER, home, own_data.look(OWNER, home, str(folder)))
    saved = own_data.save(OWNER, home, own_data.to_mapping(files, Consent(), None, None))
    load.check(saved, home, errors=home / own_data.ERRORS)
    assert [(row["column"], row["error_code"], row["row_number"]) for row in own_data.examples(OWNER, home)] == [
        ("cust_id", "orphan_reference", "4")
    ]
    assert not (home / "curated").exists()


def test_without_a_column_of_consent_nothing_may_be_exported(folder: Path, tmp_path: Path) -> None:
    files = own_data.propose(OWNER, tmp_path, own_data.look(OWNER, tmp_path / "home", str(folder)))
    assert own_data.exportable(files, Consent()) == ()
    assert "consents" not in own_data.to_mapping(files, Consent(), None, None).tables
    with pytest.raises(SaidInBoth, match="day on which"):
        own_data.to_mapping(files, Consent(per_channel={"email": "mail ok"}), None, None)


def test_column_that_a_person_chose_is_read_as_it_is_written(folder: Path, tmp_path: Path) -> None:
    files = own_data.propose(OWNER, tmp_path, own_data.look(OWNER, tmp_path / "home", str(folder)))
    customers = next(file for file in files if file.table == "customers")
    chosen = own_data.rematched(customers, {"customer_id": "Kundennummer"}, {"joined_at": "2020-01-01T00:00:00Z"})
    assert chosen.date_formats == ()
    assert chosen.missing == ()
    without = own_data.rematched(customers, {"customer_id": "Kundennummer"}, {})
    with pytest.raises(SaidInBoth, match="joined_at"):
        own_data.to_mapping([without], Consent(), None, None)


def test_files_with_the_same_columns_are_one_table(folder: Path, tmp_path: Path) -> None:
    (folder / "bookings2.csv").write_text(BOOKINGS.replace("T", "U"), encoding="utf-8")
    files = own_data.propose(OWNER, tmp_path, own_data.look(OWNER, tmp_path / "home", str(folder)))
    both = next(file for file in files if file.table == "transactions")
    assert [one.source.name for one in (both.head, *both.more)] == ["bookings.csv", "bookings2.csv"]
    made = own_data.to_mapping(files, Consent(), None, None)
    assert len(made.tables["transactions"].sources) == 2


def _workbook(path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (("customer_id", "joined_at"), ("C1", "2020-01-01")):
        book.active.append(row)
    book.save(path)


def _database(path: Path) -> None:
    with duckdb.connect(str(path)) as bank:
        bank.execute("CREATE TABLE customers AS SELECT 'C1' AS customer_id, DATE '2020-01-01' AS joined_at")


def _sqlite(path: Path) -> None:
    with sqlite3.connect(path) as bank:
        bank.execute("CREATE TABLE customers (customer_id TEXT, joined_at TEXT)")
        bank.execute("INSERT INTO customers VALUES ('C1', '2020-01-01')")


@pytest.mark.parametrize(("name", "make"), [("bank.xlsx", _workbook), ("bank.duckdb", _database), ("bank.db", _sqlite)])
def test_workbooks_and_database_files_are_matched_and_loaded(name: str, make: object, tmp_path: Path) -> None:
    assert callable(make)
    make(tmp_path / name)
    files = own_data.propose(OWNER, tmp_path, own_data.look(OWNER, tmp_path / "home", str(tmp_path / name)))
    if name == "bank.xlsx":  # its one sheet is called Sheet, which says nothing of the table
        files = tuple(own_data.taken_for(file, "customers", "CNY") for file in files)
    saved = own_data.save(OWNER, tmp_path / "home", own_data.to_mapping(files, Consent(), None, None))
    assert load.load(tmp_path / "home", saved).table("customers").kept == 1


BAD: dict[str, tuple[str, bytes, str]] = {
    "a text that is no table": ("letter.csv", b"Dear bank,\nplease\ncall me,\nthanks\n", "one column"),
    "an empty file": ("empty.csv", b"", "0 bytes"),
    "two columns of one name": ("twice.csv", b"a,b,a\n1,2,3\n", "two columns are called"),
    "a picture": ("picture.csv", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "not valid|zero bytes|one column"),
    "a Parquet file that was cut": ("cut.parquet", b"PAR1....", "Parquet"),
    "an archive of several files": ("two.csv.zip", b"", "2 files"),
    "a database that is none": ("bank.duckdb", b"nothing of a database" * 50, "DuckDB"),
    "a workbook that is none": ("book.xlsx", b"a,b\n", "workbook"),
    "lines that are no JSON": ("rows.jsonl", b"a,b\n1,2\n", "JSON"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_file_is_a_sentence(what: str, tmp_path: Path) -> None:
    name, content, said = BAD[what]
    if name == "two.csv.zip":
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("a.csv", "a,b\n")
            archive.writestr("b.csv", "a,b\n")
        content = packed.getvalue()
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WaylineError, match=said) as fault:
        own_data.look(OWNER, tmp_path / "home", str(tmp_path / name))
    assert name in fault.value.sentence


@pytest.mark.parametrize("path", ["", "  ", "relative/path.csv", "/nowhere/at/all", "/etc/passwd", "/etc/hostname\0"])
def test_bad_path_is_a_sentence_in_both_languages(path: str, tmp_path: Path) -> None:
    with pytest.raises(SaidInBoth) as fault:
        own_data.look(OWNER, tmp_path / "home", path)
    assert fault.value.sentence_zh


def test_nothing_is_taken_out_of_the_workspace_or_of_hidden_or_barred_folders(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for place in (home, tmp_path / ".ssh", tmp_path / "open"):
        place.mkdir()
        (place / "wayline.csv").write_text("customer_id,joined_at\nC1,2020-01-01\n")
    (tmp_path / "open" / "link.csv").symlink_to(home / "wayline.csv")
    for path in (home / "wayline.csv", tmp_path / ".ssh" / "wayline.csv", tmp_path / "open" / "link.csv"):
        with pytest.raises(SaidInBoth, match="may not be taken"):
            own_data.look(OWNER, home, str(path))
    assert own_data.look(OWNER, home, str(tmp_path / "open" / "wayline.csv"))
    (home / "wayline.toml").write_text(f'[intake.picking]\nfolders = ["{tmp_path / "elsewhere"}"]\n')
    with pytest.raises(SaidInBoth, match="may not be taken"):
        own_data.look(OWNER, home, str(tmp_path / "open" / "wayline.csv"))


def test_file_of_a_gigabyte_is_matched_by_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "customers.csv"
    path.write_text("customer_id,joined_at\nC1,2020-01-01\n" + "C2,2020-01-01\n" * 200_000)
    os.truncate(path, 1_000_000_000)  # the rest is not there to be read
    (file,) = own_data.propose(OWNER, tmp_path, own_data.look(OWNER, tmp_path / "home", str(path)))
    assert (file.table, file.head.rows) == ("customers", 200)


def test_upload_is_kept_under_a_plain_name_and_is_not_too_large(tmp_path: Path) -> None:
    kept = own_data.keep_upload(OWNER, tmp_path / "home", "../../.evil dir/客户.csv", b"a,b\n1,2\n")
    assert kept == tmp_path / "home" / "uploads" / "客户.csv"
    (tmp_path / "home" / "wayline.toml").write_text("[intake.picking]\nupload_megabytes = 1\n")
    with pytest.raises(SaidInBoth, match="1 MB"):
        own_data.keep_upload(OWNER, tmp_path / "home", "big.csv", b"0" * 1_000_001)
    with pytest.raises(NotAllowed):
        own_data.keep_upload(Viewer(name="cem", role=Role.MARKETING), tmp_path / "home", "a.csv", b"")


def test_templates_load_as_they_are(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(own_data.templates_zip())) as archive:
        assert {"dictionary.en.md", "dictionary.zh.md", "mapping.toml"} < set(archive.namelist())
        archive.extractall(tmp_path / "files")
    report = load.check(tmp_path / "files" / "mapping.toml", tmp_path / "home")
    assert [(table.table, table.by_code) for table in report.tables if table.quarantined] == []
    assert {table.read for table in report.tables} == {templates.ROWS}
    assert mapping.read(tmp_path / "files" / "mapping.toml").tables.keys() == {table.table for table in report.tables}


def test_public_set_is_known_by_its_files(real_data: Path) -> None:
    assert own_data.public_set(str(real_data / "berka")) == "berka"
    assert own_data.public_set(str(real_data / "vanguard")) == "vanguard"
    assert own_data.public_set(str(real_data / "zimnat")) is None


def test_file_that_cannot_be_read_to_its_end_is_told_by_the_check(tmp_path: Path) -> None:
    path = tmp_path / "customers.csv.gz"
    path.write_bytes(gzip.compress(b"customer_id,joined_at\n" + b"C1,2020-01-01\n" * 8_000_000, 9))
    files = own_data.propose(OWNER, tmp_path, own_data.look(OWNER, tmp_path / "home", str(path)))
    saved = own_data.save(OWNER, tmp_path / "home", own_data.to_mapping(files, Consent(), None, None))
    with pytest.raises(UnreadableSource, match="zip bomb"):
        load.check(saved, tmp_path / "home")


def test_currency_of_the_bank_is_kept_once_and_not_against_the_settings(folder: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes().replace(b",ccy", b"").replace(b",CNY", b""))
    own_data.keep_currency(OWNER, home, "CNY")
    assert not home.exists(), "it is the base currency already"
    own_data.keep_currency(OWNER, home, "EUR")
    files = own_data.propose(OWNER, home, own_data.look(OWNER, home, str(folder)), "EUR")
    saved = own_data.save(OWNER, home, own_data.to_mapping(files, Consent(), None, None))
    assert load.load(home, saved).table("transactions").kept == 2
    with pytest.raises(SaidInBoth, match="another base currency"):
        own_data.keep_currency(OWNER, home, "USD")
    with pytest.raises(SaidInBoth, match="no currency code"):
        own_data.keep_currency(OWNER, tmp_path / "other", "euro")


def test_file_that_cannot_be_read_does_not_keep_the_others_out(folder: Path, tmp_path: Path) -> None:
    (folder / "README.txt").write_text("Extract of June.\nAsk Ada.\n", encoding="utf-8")
    (folder / "empty.csv").write_bytes(b"")
    heads, faults = own_data.looked_at(OWNER, tmp_path / "home", str(folder))
    assert [head.source.name for head in heads] == ["bookings.csv", "customers.csv"]
    assert [fault.sentence.partition(":")[0] for fault in faults] == ["README.txt", "empty.csv"]


def test_day_of_consent_is_found_by_its_name_alone(folder: Path, tmp_path: Path) -> None:
    for column, found in (("consent date", "consent date"), ("last visit", None)):
        text = f"customer_id,joined_at,email ok,{column}\nC1,2020-01-01,yes,2024-01-01\n"
        (folder / "customers.csv").write_text(text, encoding="utf-8")
        files = own_data.propose(OWNER, tmp_path, own_data.look(OWNER, tmp_path / "home", str(folder)))
        assert own_data.suggested_consent(files).recorded_at == found
