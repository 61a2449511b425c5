"""What a bank's own files need: consents channel by channel, a DuckDB file, columns left out, a file of errors."""

from __future__ import annotations

import csv
from pathlib import Path

import duckdb
import pytest

from engine.domain.curated import CURATED
from engine.domain.errors import MissingColumns, SettingsFault, UnreadableSource
from engine.intake import error_file
from engine.intake.load import check_sources
from engine.lake.engine import DuckDBEngine
from tests.engine.intake.builders import BANK, Delivery

WITH_OPT_INS = (
    "customer_id,joined_at,mail_ok,sms_ok,asked_on\n"
    "C1,2020-01-01T00:00:00Z,yes,no,2024-01-01T00:00:00Z\n"
    "C2,2021-01-01T00:00:00Z,,yes,2024-02-01T00:00:00Z\n"
    "C3,2022-01-01T00:00:00Z,maybe,,2024-03-01T00:00:00Z\n"
)
PER_CHANNEL = (
    '[consents]\nsource = "customers.csv"\n'
    '[consents.columns]\nrecorded_at = "asked_on"\n[consents.constants]\npurpose = "marketing"\n'
    '[consents.per_channel]\nemail = "mail_ok"\nsms = "sms_ok"\n'
)


def test_yes_or_no_for_each_channel_becomes_one_consent_for_each_answer(delivery: Delivery) -> None:
    delivery.table("customers", WITH_OPT_INS).section(PER_CHANNEL)
    report = delivery.load().table("consents")
    # six cells, two of them empty: silence is neither consent nor its withdrawal
    assert (report.read, report.kept, report.quarantined) == (4, 3, 1)
    assert [(source.name, source.rows) for source in report.sources] == [
        ("customers.csv (email)", 2),
        ("customers.csv (sms)", 2),
    ]
    kept = sorted((row["customer_id"], row["channel"], row["granted"]) for row in delivery.rows("consents"))
    assert kept == [("C1", "email", True), ("C1", "sms", False), ("C2", "sms", True)]
    assert [(row["source_file"], row["row_number"]) for row in delivery.refused("consents")] == [
        ("customers.csv (email)", 2)
    ]


def test_channel_of_a_column_that_is_not_there_or_of_another_table_is_refused(delivery: Delivery) -> None:
    delivery.table("customers", WITH_OPT_INS).section(PER_CHANNEL.replace("sms_ok", "push_ok"))
    with pytest.raises(MissingColumns, match="push_ok"):
        delivery.check()
    wrong = Delivery(delivery.folder).table("customers", more='[customers.per_channel]\nemail = "mail_ok"')
    with pytest.raises(SettingsFault, match="only consents"):
        wrong.check()
    pigeon = Delivery(delivery.folder).table("customers").section(PER_CHANNEL.replace("sms =", "pigeon ="))
    with pytest.raises(SettingsFault, match="pigeon"):
        pigeon.check()


def test_ignored_column_fills_nothing_even_when_it_is_called_like_one_of_the_table(delivery: Delivery) -> None:
    delivery.table(
        "customers", "customer_id,joined_at,gender\nC1,2020-01-01T00:00:00Z,male\n", more='ignore = ["gender"]'
    )
    assert delivery.load().table("customers").unknown_columns == ()
    assert [row["gender"] for row in delivery.rows("customers")] == [None]


def test_table_of_a_duckdb_file_is_loaded_and_the_file_may_not_reach_another(delivery: Delivery) -> None:
    secret = delivery.file("secret.csv", "customer_id,joined_at\nC9,2020-01-01\n")
    with duckdb.connect(str(delivery.folder / "bank.duckdb")) as bank:
        bank.execute(
            "CREATE TABLE clients AS SELECT 'C' || i AS customer_id, DATE '2020-01-01' AS joined_at FROM range(3) t(i)"
        )
        bank.execute(f"CREATE VIEW other AS SELECT * FROM read_csv('{secret}')")
    database = '[customers]\n[customers.database]\nurl = "duckdb:///bank.duckdb"\ntable = "{}"\n'
    assert delivery.section(database.format("clients")).load().table("customers").kept == 3
    with pytest.raises(UnreadableSource, match="database table other"):
        Delivery(delivery.folder).section(database.format("other")).check()


def test_rows_to_mend_are_written_with_row_column_code_and_a_masked_value(delivery: Delivery, tmp_path: Path) -> None:
    delivery.table(
        "customers",
        "cust,name,since,kids\nC1,Ada Long,2020-01-01T00:00:00Z,1\nC2,Bob Short,sometime,2\n"
        "C3,=cmd,2020-01-01T00:00:00Z,99\n",
        more='[customers.columns]\ncustomer_id = "cust"\nfull_name = "name"\njoined_at = "since"\ndependants = "kids"',
    )
    with DuckDBEngine(memory_limit="1GB", threads=1) as engine:
        check_sources(
            delivery.mapping_file, bank=BANK, rules=delivery.rules, engine=engine, refused=tmp_path / "refused"
        )
    assert error_file.write(tmp_path / "refused", tmp_path / "errors.csv") == 2
    with (tmp_path / "errors.csv").open(encoding="utf-8-sig", newline="") as file:
        lines = [
            (row["file"], row["row_number"], row["column"], row["error_code"], row["value_masked"])
            for row in csv.DictReader(file)
        ]
    assert lines == [
        ("customers.csv", "3", "since", "wrong_type", "sometime"),
        ("customers.csv", "4", "kids", "out_of_range", "99"),
    ]
    assert "Ada" not in (tmp_path / "errors.csv").read_text(encoding="utf-8-sig")
    assert [one["row_number"] for one in error_file.examples(tmp_path / "refused", each=1)] == [3, 4]


@pytest.mark.parametrize(
    ("column", "value", "shown"),
    [
        ("full_name", "Ada Long", "A******g (8)"),
        ("birth_date", "1988-03-12", "1******2 (10)"),
        ("dependants", "99", "99"),
        ("gender", "unknown", "unknown"),
        ("dependants", "13800138000", "1******0 (11)"),
        ("joined_at", "ada@example.org", "a******g (15)"),
        ("customer_id", "C1", "**"),
    ],
)
def test_value_of_a_person_is_veiled_and_any_other_shown(column: str, value: str, shown: str) -> None:
    assert error_file.masked(CURATED["customers"], column, value) == shown
