"""The contracts, money and errors that everything else relies on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.curated import CURATED
from engine.domain.errors import CurrencyMismatch, MissingColumns, UnknownName
from engine.domain.marts import MARTS
from engine.domain.money import Money


@pytest.mark.parametrize("table", [*CURATED.values(), *MARTS.values()], ids=lambda table: table.name)
def test_every_table_has_its_key_and_a_meaning_in_both_languages(table) -> None:
    assert set(table.key) <= set(table.names)
    assert len(set(table.names)) == len(table.names)
    assert all(column.meaning and column.meaning_zh for column in table)


@pytest.mark.parametrize("table", CURATED.values(), ids=lambda table: table.name)
def test_every_reference_points_at_a_column_that_exists(table) -> None:
    order = list(CURATED)
    for column in table:
        if column.references:
            parent, name = column.references.split(".")
            assert name in CURATED[parent].names
            assert order.index(parent) < order.index(table.name), "parents are loaded before their children"


@given(st.integers(-(10**12), 10**12), st.integers(1, 60))
def test_a_split_amount_sums_to_the_whole_and_its_parts_differ_by_one_at_most(minor: int, parts: int) -> None:
    shares = Money(minor=minor, currency="CNY").split(parts)
    assert sum(share.minor for share in shares) == minor
    assert max(shares, key=lambda s: s.minor).minor - min(shares, key=lambda s: s.minor).minor <= 1


def test_money_of_two_currencies_is_not_added() -> None:
    with pytest.raises(CurrencyMismatch):
        Money(minor=1, currency="CNY") + Money(minor=1, currency="USD")


@pytest.mark.parametrize(
    ("money", "text"),
    [
        (Money(minor=123456, currency="CNY"), "1,234.56 CNY"),
        (Money(minor=-5, currency="EUR"), "-0.05 EUR"),
        (Money(minor=1200, currency="JPY"), "1,200 JPY"),
    ],
)
def test_money_is_written_with_the_decimals_of_its_currency(money: Money, text: str) -> None:
    assert str(money) == text


def test_an_unknown_name_offers_the_nearest() -> None:
    fault = UnknownName("stage", "consideraton", ["awareness", "consideration", "decision", "retention"])
    assert fault.sentence.endswith('Did you mean "consideration"?')


def test_a_missing_column_names_the_one_that_may_be_meant() -> None:
    fault = MissingColumns("transactions.csv", "transactions", ["booked_at"], ["amount", "booked_on"])
    assert 'column "booked_at" is missing' in fault.sentence
    assert "[transactions.columns]" in fault.sentence
    assert '"booked_on"' in fault.sentence
