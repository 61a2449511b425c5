"""Whatever a file holds: every row read is kept or quarantined, and never both."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.domain.errors import ContractBroken
from engine.intake.report import TableReport
from tests.engine.intake.builders import CUSTOMERS, Delivery

_IDS = st.sampled_from(["C1", "C2", " C3 ", "C9", "", "null", "é", "李"])
_TIMES = st.sampled_from(
    [
        "2024-01-05",
        "2024-01-05T10:00:00Z",
        "2024-01-05 10:00+08:00",
        "2099-01-01",
        "never",
        "",
        "1024-01-01",
        "infinity",
    ]
)
_AMOUNTS = st.sampled_from(["1", "-12", "1.5", "1e5", "", "x", "99999999999999999999", "nan", "1,000"])
_CURRENCIES = st.sampled_from(["CNY", "usd", "XQQ", "", "JPY"])
_ROWS = st.lists(
    st.tuples(st.sampled_from(["T1", "T2", "T3", "T4", ""]), _IDS, _TIMES, _AMOUNTS, _CURRENCIES),
    min_size=1,
    max_size=15,
)
_LINES = st.lists(st.text(alphabet="ab,\"';\t1-", max_size=12), min_size=1, max_size=10)


def _holds(report: TableReport, delivery: Delivery, table: str) -> None:
    assert report.read == report.kept + report.quarantined
    assert report.kept == len(delivery.rows(table))
    refused = delivery.refused(table)
    assert report.quarantined == len(refused) == sum(report.by_code.values())
    numbers = [row["row_number"] for row in refused]
    assert len(set(numbers)) == len(numbers)
    assert all(0 <= number < report.read for number in numbers)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=_ROWS)
def test_every_row_is_kept_or_quarantined(rows: list[tuple[str, ...]]) -> None:
    with TemporaryDirectory() as folder:
        delivery = Delivery(Path(folder)).table("customers", CUSTOMERS)
        lines = "".join(",".join(f'"{cell}"' for cell in row) + "\n" for row in rows)
        delivery.table("transactions", "transaction_id,customer_id,booked_at,amount_minor,currency\n" + lines)
        report = delivery.load().table("transactions")
        assert report.read == len(rows)
        _holds(report, delivery, "transactions")
        kept = {row["transaction_id"] for row in delivery.rows("transactions")}
        assert len(kept) == report.kept  # the key is one
        assert {row["customer_id"] for row in delivery.rows("transactions")} <= {"C1", "C2", "C3"}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=_ROWS)
def test_loading_what_was_kept_again_refuses_nothing(rows: list[tuple[str, ...]]) -> None:
    with TemporaryDirectory() as folder:
        first = Delivery(Path(folder) / "first").table("customers", CUSTOMERS)
        lines = "".join(",".join(f'"{cell}"' for cell in row) + "\n" for row in rows)
        first.table("transactions", "transaction_id,customer_id,booked_at,amount_minor,currency\n" + lines)
        if first.load().table("transactions").kept == 0:
            return
        again = Delivery(Path(folder) / "again")
        for table in ("customers", "transactions"):
            again.table(
                table, source=str(first.workspace.curated(table)), more='ignore = ["person_id", "amount_base_minor"]'
            )
        report = again.load()
        assert report.quarantined == 0
        assert again.rows("transactions") == first.rows("transactions")


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(lines=_LINES)
def test_a_mangled_csv_is_refused_whole_or_accounted_for_row_by_row(lines: list[str]) -> None:
    with TemporaryDirectory() as folder:
        content = "customer_id,joined_at\n" + "\n".join(lines) + "\n"
        delivery = Delivery(Path(folder)).table("customers", content)
        try:
            report = delivery.load().table("customers")
        except ContractBroken as refused:
            assert str(refused).endswith((".", "!"))
            return
        _holds(report, delivery, "customers")
