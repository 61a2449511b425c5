from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.errors import SettingsFault
from engine.intake import mapping
from engine.intake.mapping import CsvOptions, DatabaseSource, Extract, Mapping, TableMapping


def _read(tmp_path: Path, text: str) -> Mapping:
    path = tmp_path / "mapping.toml"
    path.write_text(text, encoding="utf-8")
    return mapping.read(path)


def test_every_fault_of_a_mapping_is_listed_at_once(tmp_path: Path) -> None:
    text = """
    [extract]
    time_zone = "Mars/Olympus"
    [customer]
    source = "a.csv"
    [events]
    source = "e.csv"
    colour = "red"
    [transactions.columns]
    bookd_at = "DATE"
    """
    with pytest.raises(SettingsFault) as caught:
        _read(tmp_path, text)
    faults = "\n".join(caught.value.faults)
    assert len(caught.value.faults) == 5
    assert "Mars/Olympus" in faults
    assert 'Did you mean "customers"?' in faults
    assert "colour" in faults
    assert "[transactions] source: missing" in faults
    assert 'Did you mean "booked_at"?' in faults


def test_a_mapping_of_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsFault, match="no table is mapped"):
        _read(tmp_path, "[extract]\n")


def test_one_column_cannot_be_both_read_and_constant(tmp_path: Path) -> None:
    text = (
        '[transactions]\nsource="t"\n[transactions.columns]\ncurrency="CCY"\n[transactions.constants]\ncurrency="CNY"'
    )
    with pytest.raises(SettingsFault, match="both a column and a constant"):
        _read(tmp_path, text)


def test_a_derived_column_cannot_be_mapped(tmp_path: Path) -> None:
    with pytest.raises(SettingsFault, match="person_id"):
        _read(tmp_path, '[customers]\nsource="c"\n[customers.columns]\nperson_id="P"')


def test_a_database_needs_one_address_and_one_table_or_query(tmp_path: Path) -> None:
    with pytest.raises(SettingsFault) as caught:
        _read(tmp_path, '[customers.database]\ntable="c"\nquery="select 1"')
    assert len(caught.value.faults) == 2


def test_a_bare_day_ends_at_its_last_microsecond_in_the_extracts_zone() -> None:
    extract = Extract(until=date(2026, 6, 30), time_zone="Asia/Shanghai")
    # midnight in Shanghai is 16:00 UTC the day before
    assert extract.until_instant == datetime(2026, 6, 30, 15, 59, 59, 999999, tzinfo=UTC)


def test_the_suffix_tells_the_format_and_a_folder_holds_parquet() -> None:
    kinds = {
        name: TableMapping(source=name).kind
        for name in ("a.csv", "a.csv.gz", "b.parquet", "c.jsonl", "d.xlsx", "exports/bookings")
    }
    assert list(kinds.values()) == ["csv", "csv", "parquet", "jsonl", "excel", "parquet"]


_NAMES = st.text(min_size=1, max_size=8).filter(lambda name: not any(0xD800 <= ord(c) <= 0xDFFF for c in name))


@given(source=_NAMES, column=_NAMES, words=st.dictionaries(_NAMES, st.sampled_from(["female", "male"]), max_size=3))
def test_a_written_mapping_reads_back_the_same(
    tmp_path_factory: pytest.TempPathFactory, source: str, column: str, words: dict[str, str]
) -> None:
    written = Mapping(
        extract=Extract(until=datetime(2026, 6, 30, tzinfo=UTC), time_zone="Europe/Prague"),
        tables={
            "customers": TableMapping(
                source=source,
                columns={"customer_id": column},
                values={"gender": words},
                csv=CsvOptions(delimiter=";"),
                date_formats=("%d.%m.%Y",),
            ),
            "products": TableMapping(database=DatabaseSource(url_env="BANK", table="p")),
        },
    )
    path = tmp_path_factory.mktemp("mapping") / "mapping.toml"
    mapping.write(written, path)
    read = mapping.read(path)
    assert read.tables["customers"].columns == written.tables["customers"].columns
    assert read.tables["customers"].values.get("gender", {}) == words
    assert read.extract == written.extract
    assert read.tables["products"] == written.tables["products"]
