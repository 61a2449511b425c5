"""Rows that are good, bad or mended, and what the report says of them."""

import gzip
import sqlite3
from datetime import UTC, date, datetime

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.config.intake import IntakeSettings
from engine.domain.curated import CURATED
from engine.domain.errors import WorkspaceBusy
from engine.intake import report as reports
from engine.intake.cleaning import mend
from engine.intake.load import recover
from engine.lake.schema import arrow_schema
from tests.engine.intake.builders import CUSTOMERS, RULES, Delivery

BOOKINGS = "transaction_id,customer_id,booked_at,amount_minor,currency,channel\n"


def _without(rule: str) -> IntakeSettings:
    off = RULES.repairs[rule].model_copy(update={"enabled": False})  # type: ignore[index]
    return RULES.model_copy(update={"repairs": {**RULES.repairs, rule: off}})


# contracts


def test_every_fault_has_its_row_number_code_and_column(delivery: Delivery) -> None:
    rows = """customer_id,joined_at,birth_date,dependants,kyc_status
C1,2020-01-01T00:00:00Z,1980-02-29,1,verified
,2020-01-01T00:00:00Z,,,
C3,yesterday,,,
C4,2020-01-01T00:00:00Z,1981-02-29,,
C5,2020-01-01T00:00:00Z,,two,
C6,2020-01-01T00:00:00Z,,190,
C7,2026-07-01T00:00:00Z,,,
C8,2020-01-01T00:00:00Z,1836-05-17,,
C9,2020-01-01T00:00:00Z,2026-07-02,,
C1,2020-01-01T00:00:00Z,1980-02-29,1,verified
C1,2021-01-01T00:00:00Z,,,
"""
    report = delivery.table("customers", rows).load().table("customers")
    assert delivery.codes("customers") == [
        (1, "missing_value", "customer_id"),
        (2, "wrong_type", "joined_at"),
        (3, "wrong_type", "birth_date"),  # 1981 was no leap year
        (4, "wrong_type", "dependants"),
        (5, "out_of_range", "dependants"),
        (6, "future_time", "joined_at"),
        (7, "out_of_range", "birth_date"),
        (8, "future_time", "birth_date"),
        (9, "duplicate_row", "customer_id"),
        (10, "duplicate_key", "customer_id"),
    ]
    assert (report.read, report.kept, report.quarantined) == (11, 1, 10)
    assert sum(report.by_code.values()) == 10


def test_a_row_of_several_faults_counts_once_and_names_them_all(delivery: Delivery) -> None:
    rows = CUSTOMERS.replace("joined_at", "joined_at,dependants").replace("Z\n", "Z,1\n") + ",never,190\n"
    report = delivery.table("customers", rows).load().table("customers")
    assert report.by_code == {"missing_value": 1}
    assert delivery.refused("customers")[0]["faults"] == (
        "missing_value:customer_id wrong_type:joined_at out_of_range:dependants"
    )


def test_transactions_of_unknown_customers_and_currencies_are_set_aside(with_customers: Delivery) -> None:
    rows = (
        "T1,C1,2024-01-05T00:00:00Z,100,CNY,app\n"
        "T2,C9,2024-01-05T00:00:00Z,100,CNY,app\n"
        "T3,C2,2024-01-05T00:00:00Z,100,XQQ,app\n"
        "T4,C2,2024-01-05T00:00:00Z,,CNY,app\n"
    )
    with_customers.table("transactions", BOOKINGS + rows).load()
    assert with_customers.codes("transactions") == [
        (1, "orphan_reference", "customer_id"),
        (2, "unknown_currency", "currency"),
        (3, "missing_value", "amount_minor"),
    ]


def test_a_row_of_a_quarantined_customer_is_an_orphan(delivery: Delivery) -> None:
    delivery.table("customers", CUSTOMERS + "C4,2099-01-01T00:00:00Z\n")
    delivery.table("transactions", BOOKINGS + "T1,C4,2024-01-05T00:00:00Z,100,CNY,app\n").load()
    assert delivery.codes("transactions") == [(0, "orphan_reference", "customer_id")]


def test_the_first_row_of_a_key_is_kept_across_files_in_the_order_of_their_names(delivery: Delivery) -> None:
    delivery.file("c/2.csv", "customer_id,joined_at,region\nC1,2020-01-01,second\n")
    delivery.file("c/1.csv", "customer_id,joined_at,region\nC1,2020-01-01,first\n")
    delivery.table("customers", source="c/*.csv").load()
    assert [row["region"] for row in delivery.rows("customers")] == ["first"]
    assert delivery.refused("customers")[0]["source_file"] == "c/2.csv"


def test_a_later_row_takes_the_key_of_an_earlier_one_that_was_refused(delivery: Delivery) -> None:
    delivery.table("customers", "customer_id,joined_at\nC1,never\nC1,2020-01-01T00:00:00Z\n").load()
    assert delivery.codes("customers") == [(0, "wrong_type", "joined_at")]
    assert len(delivery.rows("customers")) == 1


def test_a_line_of_other_length_is_set_aside_and_the_others_keep_their_numbers(delivery: Delivery) -> None:
    rows = "C1,2020-01-01\nC2\nC3,2020-01-01\nC4,2020-01-01,extra\nC5,never\n"
    delivery.table("customers", "customer_id,joined_at\n" + rows).load()
    refused = delivery.refused("customers")
    assert [(row["row_number"], row["code"], row["expected"]) for row in refused] == [
        (1, "broken_row", "2 fields, found 1"),
        (3, "broken_row", "2 fields, found 3"),
        (4, "wrong_type", "an instant such as 2026-06-30T09:15:00Z"),
    ]
    assert refused[0]["raw_row"] == "C2"


def test_row_numbers_hold_over_many_blocks_of_a_large_file(delivery: Delivery) -> None:
    filler = "x" * 200
    lines = [f"C{number:06d},2020-01-01T00:00:00Z,{filler}\n" for number in range(60_000)]  # 13 MB, several blocks
    lines[40_000] = "C040000\n"
    lines[59_999] = f"C059999,never,{filler}\n"
    report = delivery.table("customers", "customer_id,joined_at,full_name\n" + "".join(lines)).load()
    assert report.table("customers").kept == 59_998
    assert delivery.codes("customers") == [(40_000, "broken_row", ""), (59_999, "wrong_type", "joined_at")]


def test_what_was_refused_appears_in_no_report(delivery: Delivery) -> None:
    secret = "Zaphod Beeblebrox"
    delivery.table("customers", f"customer_id,joined_at,full_name\nC1,2020-01-01,Ann\nC2,never,{secret}\n").load()
    assert secret in delivery.refused("customers")[0]["raw_row"]
    assert secret not in delivery.workspace.report_path.read_text()


# time


def test_instants_with_offsets_become_utc(delivery: Delivery) -> None:
    delivery.table("customers", "customer_id,joined_at\nC1,2020-06-01T02:00:00+08:00\nC2,2020-06-01 02:00Z\n").load()
    # 02:00 in Shanghai is 18:00 UTC the day before
    assert [row["joined_at"] for row in delivery.rows("customers")] == [
        datetime(2020, 5, 31, 18, 0),
        datetime(2020, 6, 1, 2, 0),
    ]


def test_instants_without_offset_are_read_in_the_zone_of_the_mapping(delivery: Delivery) -> None:
    rows = "customer_id,joined_at\nC1,2020-01-15 12:00\nC2,2020-07-15 12:00\n"
    delivery.table("customers", rows, more='time_zone = "Europe/Prague"').load()
    # winter is UTC+1, summer UTC+2
    assert [row["joined_at"].hour for row in delivery.rows("customers")] == [11, 10]


def test_a_column_with_and_without_offsets_keeps_only_what_is_certain(delivery: Delivery) -> None:
    rows = "customer_id,joined_at\nC1,2020-01-15T12:00:00+01:00\nC2,2020-01-15T12:00:00\n"
    delivery.table("customers", rows).load()
    assert delivery.codes("customers") == [(1, "mixed_time_zone", "joined_at")]


def test_once_the_zone_is_said_a_mixed_column_is_no_riddle(delivery: Delivery) -> None:
    rows = "customer_id,joined_at\nC1,2020-01-15T12:00:00+01:00\nC2,2020-01-15T12:00:00\n"
    delivery.table("customers", rows, more='time_zone = "Europe/Prague"').load()
    assert [row["joined_at"].hour for row in delivery.rows("customers")] == [11, 11]


def test_a_zone_that_nobody_named_is_reported(delivery: Delivery) -> None:
    report = delivery.table("customers", "customer_id,joined_at\nC1,2020-01-15T12:00:00\n").load()
    assert delivery.repairs(report, "customers") == {("assume_time_zone", "joined_at"): 1}


def test_epochs_and_odd_dates_are_read_as_the_mapping_says(delivery: Delivery) -> None:
    delivery.table("customers", "customer_id,joined_at\nC1,1577836800000\n", more='date_formats = ["epoch_ms"]').load()
    assert delivery.rows("customers")[0]["joined_at"] == datetime(2020, 1, 1)


def test_nothing_is_from_the_future_when_no_end_is_given(delivery: Delivery) -> None:
    report = delivery.without_extract().table("customers", "customer_id,joined_at\nC1,2099-01-01Z\nC2,2099-01-01\n")
    assert report.load().until is None
    assert delivery.codes("customers") == [(0, "wrong_type", "joined_at")]


def test_a_day_of_expiry_may_lie_ahead(delivery: Delivery) -> None:
    rows = "customer_id,joined_at,kyc_expires_on\nC1,2020-01-01,2030-01-01\n"
    assert delivery.table("customers", rows).load().table("customers").kept == 1


# money


def test_major_units_become_minor_units_of_the_rows_own_currency(with_customers: Delivery) -> None:
    rows = "T1,C1,2024-01-05,12.34,CNY,app\nT2,C1,2024-01-05,1200,JPY,app\nT3,C1,2024-01-05,-0.5,USD,app\n"
    with_customers.table("transactions", BOOKINGS + rows, more='money = "major"').load()
    amounts = {row["transaction_id"]: row["amount_minor"] for row in with_customers.rows("transactions")}
    assert amounts == {"T1": 1234, "T2": 1200, "T3": -50}  # the yen has no smaller unit


def test_the_amount_in_base_currency_is_exact_and_rounds_half_away_from_zero(with_customers: Delivery) -> None:
    rows = (
        "T1,C1,2024-01-05,1234,CNY,app\nT2,C1,2024-01-05,10,USD,app\n"
        "T3,C1,2024-01-05,-10,USD,app\nT4,C1,2024-01-05,100,JPY,app\n"
    )
    with_customers.table("transactions", BOOKINGS + rows).load()
    amounts = {row["transaction_id"]: row["amount_base_minor"] for row in with_customers.rows("transactions")}
    # 10 cents x 7.15 = 71.5 fen -> 72; 100 yen x 0.05 = 5 yuan = 500 fen
    assert amounts == {"T1": 1234, "T2": 72, "T3": -72, "T4": 500}


def test_a_decimal_comma_and_thousands_are_read_as_the_mapping_says(with_customers: Delivery) -> None:
    rows = BOOKINGS.replace(",", ";") + "T1;C1;2024-01-05;1.234,56;CNY;app\n"
    more = 'money = "major"\ndecimal = ","\n[transactions.csv]\ndelimiter = ";"'
    with_customers.table("transactions", rows, more=more).load()
    assert with_customers.rows("transactions")[0]["amount_minor"] == 123456


def test_an_amount_finer_than_the_smallest_unit_is_rounded_and_counted(with_customers: Delivery) -> None:
    rows = BOOKINGS + "T1,C1,2024-01-05,1.005,CNY,app\nT2,C1,2024-01-05,1.00,CNY,app\n"
    report = with_customers.table("transactions", rows, more='money = "major"').load()
    assert {row["amount_minor"] for row in with_customers.rows("transactions")} == {101, 100}
    assert with_customers.repairs(report, "transactions")["round_money", "amount_minor"] == 1


def test_with_rounding_off_such_an_amount_is_refused(with_customers: Delivery) -> None:
    with_customers.rules = _without("round_money")
    rows = BOOKINGS + "T1,C1,2024-01-05,1.005,CNY,app\n"
    with_customers.table("transactions", rows, more='money = "major"').load()
    assert with_customers.codes("transactions") == [(0, "wrong_type", "amount_minor")]


# repairs


def test_blanks_and_case_are_mended_and_counted(delivery: Delivery) -> None:
    report = delivery.table(
        "customers", "customer_id,joined_at,gender,employment\n C1 ,2020-01-01Z,FEMALE,Self-Employed\n"
    )
    report.without_extract('[extract]\ntime_zone = "UTC"')
    rows = "customer_id,joined_at,gender,employment\n C1 ,2020-01-01,FEMALE,Self-Employed\n"
    delivery.file("customers.csv", rows)
    loaded = delivery.load()
    row = delivery.rows("customers")[0]
    assert (row["customer_id"], row["gender"], row["employment"]) == ("C1", "female", "self_employed")
    assert delivery.repairs(loaded, "customers") == {
        ("trim_space", "customer_id"): 1,
        ("fold_choice", "gender"): 1,
        ("fold_choice", "employment"): 1,
    }


def test_the_banks_own_words_are_translated(delivery: Delivery) -> None:
    rows = "customer_id,joined_at,gender\nC1,2020-01-01,F\nC2,2020-01-01,M\nC3,2020-01-01,?\n"
    more = '[customers.values.gender]\nF = "female"\nM = "male"'
    report = delivery.table("customers", rows, more=more).load()
    assert [row["gender"] for row in delivery.rows("customers")] == ["female", "male", None]
    assert delivery.repairs(report, "customers")["empty_unknown_choice", "gender"] == 1


def test_an_unknown_word_in_a_required_column_is_refused(with_customers: Delivery) -> None:
    rows = "customer_id,purpose,channel,granted,recorded_at\nC1,marketing,fax,yes,2024-01-01\n"
    with_customers.table("consents", rows).load()
    assert with_customers.codes("consents") == [(0, "unknown_value", "channel")]


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_utf8_read_in_a_western_encoding_is_read_back(encoding: str) -> None:
    assert mend("Zoë".encode().decode(encoding)) == "Zoë"


def test_chinese_names_spoilt_by_latin1_are_mended_with_their_no_break_spaces(delivery: Delivery) -> None:
    name = "张三"  # the last byte of its first character is a no-break space in Latin-1
    spoilt = name.encode().decode("latin-1")
    rows = f"customer_id,joined_at,full_name\nC1,2020-01-01,{spoilt}\nC2,2020-01-01,Zoë\n"
    report = delivery.table("customers", rows).load()
    assert [row["full_name"] for row in delivery.rows("customers")] == [name, "Zoë"]
    assert delivery.repairs(report, "customers")["mend_mojibake", "full_name"] == 1


@pytest.mark.parametrize("genuine", ["Zoë", "Ünal", "Ã", "李伟", "naïve café", "Straße"])
def test_genuine_text_is_left_alone(genuine: str) -> None:
    assert mend(genuine) is None


def test_text_with_lost_characters_is_emptied_and_counted(delivery: Delivery) -> None:
    report = delivery.table("customers", "customer_id,joined_at,full_name\nC1,2020-01-01,M�ller\n").load()
    assert delivery.rows("customers")[0]["full_name"] is None
    assert delivery.repairs(report, "customers")["empty_unreadable", "full_name"] == 1


def test_an_unknown_holding_is_emptied_since_it_may_be_empty(with_customers: Delivery) -> None:
    rows = "transaction_id,customer_id,booked_at,amount_minor,currency,holding_id\nT1,C1,2024-01-05,1,CNY,H9\n"
    report = with_customers.table("transactions", rows).load()
    assert with_customers.rows("transactions")[0]["holding_id"] is None
    assert with_customers.repairs(report, "transactions")["empty_orphan", "holding_id"] == 1


def test_late_events_are_kept_and_counted(with_customers: Delivery) -> None:
    rows = (
        "event_id,customer_id,event_name,occurred_at,ingested_at\n"
        "E1,C1,login,2024-01-01T00:00:00Z,2024-01-02T00:00:00Z\n"
        "E2,C1,login,2024-01-01T00:00:00Z,2024-01-02T00:00:01Z\n"
    )
    report = with_customers.table("events", rows).load()
    assert report.table("events").kept == 2
    assert with_customers.repairs(report, "events")["note_late_row", "ingested_at"] == 1  # 24 hours are not late


# what lies on disk


def test_tables_lie_as_their_contracts_say(with_customers: Delivery) -> None:
    rows = "T2,C2,2024-02-01,1,CNY,app\nT1,C1,2024-01-05,1,CNY,app\nT3,C1,2024-01-01,1,CNY,app\n"
    with_customers.table("transactions", BOOKINGS + rows).load()
    folder = with_customers.workspace.curated("transactions")
    assert sorted(path.parent.name for path in folder.rglob("*.parquet")) == ["month=2024-01", "month=2024-02"]
    for table in ("customers", "transactions"):
        path = next(with_customers.workspace.curated(table).rglob("*.parquet"))
        stored, contract = pq.read_schema(path), arrow_schema(CURATED[table])
        assert (stored.names, stored.types) == (contract.names, contract.types)
    january = pq.read_table(folder / "month=2024-01").column("transaction_id").to_pylist()
    assert january == ["T3", "T1"]  # by customer, then time


def test_unknown_columns_are_kept_aside_with_the_key(delivery: Delivery) -> None:
    rows = "customer_id,joined_at,shoe_size,secret\nC1,2020-01-01,42,x\n"
    report = delivery.table("customers", rows, more='ignore = ["secret"]').load()
    assert report.table("customers").unknown_columns == ("shoe_size",)
    aside = pq.read_table(delivery.workspace.home / "curated" / "_extras" / "customers").to_pylist()
    assert aside == [{"customer_id": "C1", "shoe_size": "42"}]


def test_the_same_files_give_the_same_bytes(with_customers: Delivery) -> None:
    rows = "".join(f"T{n:04d},C{n % 3 + 1},2024-{n % 12 + 1:02d}-05,{n},CNY,app\n" for n in range(3000))
    with_customers.table("transactions", BOOKINGS + rows)

    def contents() -> dict[str, bytes]:
        with_customers.load()
        home = with_customers.workspace.home / "curated"
        return {str(path.relative_to(home)): path.read_bytes() for path in sorted(home.rglob("*.parquet"))}

    assert contents() == contents()


def test_the_report_reads_back_and_names_each_file_with_its_hash(with_customers: Delivery) -> None:
    report = with_customers.load()
    assert reports.read(with_customers.workspace.report_path) == report
    source = report.table("customers").sources[0]
    assert (source.name, source.rows, len(source.sha256)) == ("customers.csv", 3, 64)
    assert report.table("customers").first_at == datetime(2020, 1, 1, tzinfo=UTC)


def test_a_check_reports_the_same_and_leaves_nothing(with_customers: Delivery) -> None:
    checked = with_customers.check().table("customers")
    assert not with_customers.workspace.home.exists()
    loaded = with_customers.load().table("customers")
    assert checked.model_copy(update={"seconds": 0}) == loaded.model_copy(update={"seconds": 0})


def test_a_busy_workspace_is_not_loaded_into(with_customers: Delivery) -> None:
    with with_customers.workspace.lock("run"), pytest.raises(WorkspaceBusy):
        with_customers.load()


def test_a_kill_between_the_renames_is_undone_at_the_next_start(with_customers: Delivery) -> None:
    with_customers.load()
    home = with_customers.workspace.home
    (home / "curated").rename(home / "curated.old")
    recover(with_customers.workspace)
    assert len(with_customers.rows("customers")) == 3
    assert not (home / "curated.old").exists()


# formats


def test_parquet_of_other_types_is_cast_and_ids_stay_text(delivery: Delivery) -> None:
    table = pa.table(
        {
            "customer_id": pa.array([1.0, 2.0, 3.0]),  # a spreadsheet's idea of an id
            "joined_at": pa.array([datetime(2020, 1, 1, 12)] * 3, pa.timestamp("ns", tz="Asia/Shanghai")),
            "dependants": pa.array([1.0, 1.5, None]),
            "birth_date": pa.array(["1980-01-01", None, None]),
        }
    )
    pq.write_table(table, delivery.folder / "c.parquet")
    delivery.table("customers", source="c.parquet").load()
    rows = delivery.rows("customers")
    assert [row["customer_id"] for row in rows] == ["1", "3"]
    assert rows[0]["birth_date"] == date(1980, 1, 1)
    assert rows[0]["joined_at"] == datetime(2020, 1, 1, 12)  # the instant that Arrow held
    assert delivery.codes("customers") == [(1, "wrong_type", "dependants")]


def test_a_folder_of_parquet_files_is_one_table(delivery: Delivery) -> None:
    (delivery.folder / "c").mkdir()
    for number in (1, 2):
        rows = pa.table({"customer_id": [f"C{number}"], "joined_at": [datetime(2020, 1, 1)]})
        pq.write_table(rows, delivery.folder / "c" / f"part-{number}.parquet")
    report = delivery.table("customers", source="c").load().table("customers")
    assert [source.name for source in report.sources] == ["c/part-1.parquet", "c/part-2.parquet"]
    assert report.kept == 2


def test_jsonl_is_read_and_lines_that_are_no_object_are_set_aside(delivery: Delivery) -> None:
    lines = '{"customer_id": "C1", "joined_at": "2020-01-01", "dependants": 2}\n[1, 2]\n{"customer_id": "C3"\n'
    lines += '{"customer_id": "C4", "joined_at": "2020-01-01", "region": "a\\"b"}\n'
    delivery.table("customers", lines, source="c.jsonl").load()
    rows = delivery.rows("customers")
    assert [(row["customer_id"], row["dependants"], row["region"]) for row in rows] == [
        ("C1", 2, None),
        ("C4", None, 'a"b'),
    ]
    assert [(number, code) for number, code, _ in delivery.codes("customers")] == [(1, "broken_row"), (2, "broken_row")]


def test_a_workbook_sheet_is_read_with_its_dates_and_numbers(delivery: Delivery) -> None:
    book = openpyxl.Workbook()
    sheet = book.create_sheet("Kunden")
    sheet.append(["customer_id", "joined_at", "dependants", None])
    sheet.append([1001, datetime(2020, 1, 1, 9, 30), 2.0])
    sheet.append([None, None, None])
    sheet.append(["C2", "2021-01-01", None])
    book.save(delivery.folder / "c.xlsx")
    delivery.table("customers", source="c.xlsx", more='sheet = "Kunden"').load()
    rows = delivery.rows("customers")
    assert [(row["customer_id"], row["dependants"]) for row in rows] == [("1001", 2), ("C2", None)]
    assert rows[0]["joined_at"] == datetime(2020, 1, 1, 9, 30)


def test_a_database_table_is_read_in_the_order_of_its_key(delivery: Delivery, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = sqlite3.connect(delivery.folder / "bank.db")
    connection.execute("create table clients (nr text primary key, since text)")
    connection.executemany("insert into clients values (?, ?)", [("C2", "2021-01-01"), ("C1", "never")])
    connection.commit()
    connection.close()
    monkeypatch.setenv("BANK_DATABASE", "sqlite:///bank.db")
    columns = '[customers.columns]\ncustomer_id = "nr"\njoined_at = "since"'
    delivery.section(f'[customers]\n{columns}\n[customers.database]\nurl_env = "BANK_DATABASE"\ntable = "clients"')
    delivery.load()
    assert [row["customer_id"] for row in delivery.rows("customers")] == ["C2"]
    assert delivery.codes("customers") == [(0, "wrong_type", "joined_at")]


def test_packed_files_are_read_as_their_content(delivery: Delivery) -> None:
    report = delivery.table("customers", gzip.compress(CUSTOMERS.encode()), source="c.csv.gz").load()
    assert report.table("customers").kept == 3


# free text

TALKS = "interaction_id,customer_id,occurred_at,kind,text\n"


def test_personal_data_in_free_text_are_masked_before_the_table_is_written(with_customers: Delivery) -> None:
    rows = (
        TALKS
        + "I1,C1,2026-01-01T00:00:00Z,call,Call 13812345678 or me@a.com about 5000000 yuan\n"
        + "I2,C2,2026-01-02T00:00:00Z,call,Call 13812345678 or me@a.com about 5000000 yuan\n"
        + "I3,C3,2026-01-03T00:00:00Z,survey,身份证11010519491231002X\n"
        + "I4,C3,2026-01-04T00:00:00Z,survey,\n"
        + "I5,C3,2026-01-05T00:00:00Z,survey,עברית 😀 fine\n"
        + f"I6,C3,2026-01-06T00:00:00Z,survey,{'long ' * 2000}\n"
    )
    report = with_customers.table("interactions", rows).load().table("interactions")
    texts = [row["text"] for row in sorted(with_customers.rows("interactions"), key=lambda row: row["interaction_id"])]
    assert texts[:3] == [*["Call [phone] or [email] about 5000000 yuan"] * 2, "身份证[resident_id]"]
    assert texts[3:5] == [None, "עברית 😀 fine"]
    assert len(texts[5]) <= RULES.limits.text_characters
    (masks,) = report.masks
    # two rows with a phone and an address each, one with a resident id; one row was too long
    assert (masks.column, masks.rows, masks.cut_rows) == ("text", 3, 1)
    assert masks.kinds == {"email": 2, "phone": 2, "resident_id": 1}
    assert (report.read, report.kept) == (6, 6)


def test_no_file_of_a_workspace_holds_what_was_masked(with_customers: Delivery) -> None:
    with_customers.table("interactions", TALKS + "I1,C1,2026-01-01T00:00:00Z,call,Call 13812345678\n").load()
    files = [path for path in with_customers.workspace.home.rglob("*") if path.is_file()]
    assert files
    assert not any(b"13812345678" in path.read_bytes() for path in files)


def test_a_text_of_10_mb_is_cut_and_counted(with_customers: Delivery) -> None:
    row = {"interaction_id": "I1", "customer_id": "C1", "occurred_at": datetime(2026, 1, 1, tzinfo=UTC), "kind": "call"}
    table = pa.Table.from_pylist([{**row, "text": "Call 13812345678 " * 620_000}])
    pq.write_table(table, with_customers.folder / "talks.parquet")
    report = with_customers.table("interactions", source="talks.parquet").load().table("interactions")
    (kept,) = with_customers.rows("interactions")
    assert report.masks[0].cut_rows == 1
    assert kept["text"].startswith("Call [phone] Call [phone]")
    assert len(kept["text"]) <= RULES.limits.text_characters
