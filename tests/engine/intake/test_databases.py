"""A bank's tables are read out of PostgreSQL as they are, typed by the server, in the order of their keys."""

import pytest
import sqlalchemy as sa

from engine.domain.errors import UnreadableSource
from tests.engine.intake.builders import Delivery

pytestmark = pytest.mark.postgres


def fill(address: str) -> None:
    engine = sa.create_engine(sa.make_url(address).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "create table clients (nr integer primary key, since timestamptz not null, born date,"
                " kids numeric(4,0), staff boolean)"
            )
        )
        connection.execute(
            sa.text(
                "insert into clients select n, timestamptz '2020-01-01 09:30:00+08' + n * interval '1 day',"
                " case when n <> 2 then date '1980-05-01' + n end, n % 3, n = 1 from generate_series(1, 2000) n"
            )
        )
    engine.dispose()


def test_a_postgresql_table_is_loaded_with_its_types(
    delivery: Delivery, postgres_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(postgres_address)
    monkeypatch.setenv("BANK_DATABASE", postgres_address)
    columns = '[customers.columns]\ncustomer_id = "nr"\njoined_at = "since"\nbirth_date = "born"\ndependants = "kids"'
    delivery.section(f'[customers]\n{columns}\n[customers.database]\nurl_env = "BANK_DATABASE"\ntable = "clients"')
    report = delivery.load().table("customers")
    assert (report.read, report.kept, report.unknown_columns) == (2000, 2000, ("staff",))
    rows = {row["customer_id"]: row for row in delivery.rows("customers")}
    # 09:30 in a zone of +08 is 01:30 in UTC
    assert rows["1"]["joined_at"].isoformat() == "2020-01-02T01:30:00"
    assert rows["1"]["birth_date"].isoformat() == "1980-05-02"
    assert rows["2"]["birth_date"] is None
    assert [rows[nr]["dependants"] for nr in ("1", "2", "3")] == [1, 2, 0]


def test_a_query_that_fails_is_a_sentence_without_the_address(
    delivery: Delivery, postgres_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BANK_DATABASE", postgres_address)
    delivery.section('[customers.database]\nurl_env = "BANK_DATABASE"\nquery = "select * from nowhere"')
    with pytest.raises(UnreadableSource) as fault:
        delivery.load()
    assert "database query" in fault.value.sentence
    assert postgres_address not in fault.value.sentence
