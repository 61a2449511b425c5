"""What a feature is, what a theme is, and the instant they are computed at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Protocol

import ibis

from engine.config.bank import BankSettings
from engine.domain.money import minor_digits
from engine.domain.schema import Column, Kind
from engine.lake.schema import naive_utc

Tables = Mapping[str, Any]
"""Curated tables by name, as Ibis expressions; a table that the bank did not bring is missing."""

CLUSTERING: Final = "clustering"
"""Says how a customer behaves: fit for distances between customers."""

PROPENSITY: Final = "propensity"
"""Says something of what a customer will buy next, and is known before it is bought."""

BOTH: Final = (CLUSTERING, PROPENSITY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One column of the feature table.

    `zero_without_rows` is true for counts and sums: a customer without any row has 0 of them. Of a mean, a share, a
    latest value or a maximum such a customer has none, and the feature is null. Where the bank did not bring the
    table at all, every feature of the theme is null.
    """

    name: str
    theme: str
    kind: Kind
    meaning: str
    meaning_zh: str
    unit: str | None = None
    zero_without_rows: bool = False
    suits: tuple[str, ...] = ()

    def column(self) -> Column:
        """Return the feature as a column of a contract."""
        return Column(name=self.name, kind=self.kind, meaning=self.meaning, meaning_zh=self.meaning_zh, unit=self.unit)


class FeatureMaker(Protocol):
    """Makes the features of one theme."""

    def __call__(
        self,
        name: str,
        kind: Kind,
        meaning: str,
        meaning_zh: str,
        *,
        unit: str | None = None,
        zero: bool = False,
        suits: tuple[str, ...] = (),
    ) -> Feature:
        """Return one feature of the theme."""


def features_of(theme: str) -> FeatureMaker:
    """Return what makes the features of a theme, so that its name is written once."""

    def make(
        name: str,
        kind: Kind,
        meaning: str,
        meaning_zh: str,
        *,
        unit: str | None = None,
        zero: bool = False,
        suits: tuple[str, ...] = (),
    ) -> Feature:
        return Feature(
            name=name,
            theme=theme,
            kind=kind,
            meaning=meaning,
            meaning_zh=meaning_zh,
            unit=unit,
            zero_without_rows=zero,
            suits=suits,
        )

    return make


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The instant that features look back from. A row exactly at it counts, a later one does not."""

    as_of: datetime

    def known(self, at: Any) -> Any:
        """Whether something that became known at `at` is known."""
        return at <= ibis.timestamp(naive_utc(self.as_of))

    def within(self, at: Any, days: int) -> Any:
        """Whether `at` lies less than `days` times 24 hours back, or is the instant itself; the future is not cut."""
        return at > ibis.timestamp(self.before(days))

    def before(self, days: int) -> datetime:
        """Return the instant so many days earlier, naive UTC as on disk."""
        return naive_utc(self.as_of) - timedelta(days=days)

    def still(self, ended_at: Any) -> Any:
        """Whether something that ends at `ended_at` (null: never) has not ended yet."""
        return ended_at.isnull() | (ended_at > ibis.timestamp(naive_utc(self.as_of)))

    def days_since(self, at: Any) -> Any:
        """Return the calendar days (UTC) from `at` to the day of the instant."""
        return -(at.date().delta(self.day, unit="day"))

    def months_since(self, at: Any) -> Any:
        """Return the full months from `at` to the day of the instant: the 31st to the 30th is none."""
        today = naive_utc(self.as_of)
        months = (today.year * 12 + today.month) - (at.year() * 12 + at.month())
        return months - (at.day() > today.day).cast("int64")

    def years_since(self, on: Any) -> Any:
        """Return the full years from a date to the day of the instant, as an age is counted."""
        today = naive_utc(self.as_of)
        birthday_to_come = (on.month() * 100 + on.day()) > today.month * 100 + today.day
        return today.year - on.year() - birthday_to_come.cast("int64")

    @property
    def day(self) -> Any:
        """The day (UTC) of the instant, as a literal."""
        return ibis.date(naive_utc(self.as_of).date())


Build = Callable[[Tables, Moment, BankSettings], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """Features that are computed by one expression: from the tables it reads to one row per customer_id."""

    name: str
    reads: tuple[str, ...]
    features: tuple[Feature, ...]
    build: Build


def in_base(amount: Any, currency: Any, bank: BankSettings) -> Any:
    """Return amounts in minor units of the base currency, as intake converts them; null for an unknown currency.

    Exact decimals, rounded half away from zero. Their widths are such that neither engine narrows the product.
    """
    cases = [(currency == bank.base_currency, amount)]
    for code in sorted(bank.rates):
        if code != bank.base_currency:
            shift = minor_digits(bank.base_currency) - minor_digits(code)
            factor = ibis.literal(Decimal(str(bank.rates[code])).scaleb(shift), type="decimal(19, 8)")
            cases.append((currency == code, (amount.cast("decimal(18, 0)") * factor).round().cast("int64")))
    return ibis.cases(*cases)
