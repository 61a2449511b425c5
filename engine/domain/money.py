"""Money as an integer number of minor units and a currency, so that sums are exact on every engine."""

from __future__ import annotations

from dataclasses import dataclass

from engine.domain.errors import CurrencyMismatch

# ISO 4217 exponents that are not 2, for the currencies a bank in the region is likely to keep
_EXPONENTS = {"JPY": 0, "KRW": 0, "VND": 0, "KWD": 3, "BHD": 3}


def minor_digits(currency: str) -> int:
    """Return how many decimals the currency has: 2 unless ISO 4217 says otherwise."""
    return _EXPONENTS.get(currency, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """An amount of one currency. Negative is owed or paid out."""

    minor: int
    currency: str

    def __add__(self, other: Money) -> Money:
        if other.currency != self.currency:
            raise CurrencyMismatch(self.currency, other.currency)
        return Money(minor=self.minor + other.minor, currency=self.currency)

    def split(self, parts: int) -> tuple[Money, ...]:
        """Share the amount over `parts` so that the parts differ by at most one unit and sum to the whole."""
        if parts < 1:
            raise ValueError(f"parts = {parts}: expected 1 or more")
        share, rest = divmod(self.minor, parts)
        return tuple(Money(minor=share + (1 if part < rest else 0), currency=self.currency) for part in range(parts))

    def __str__(self) -> str:
        digits = minor_digits(self.currency)
        sign = "-" if self.minor < 0 else ""
        whole, fraction = divmod(abs(self.minor), 10**digits)
        decimals = f".{fraction:0{digits}d}" if digits else ""
        return f"{sign}{whole:,}{decimals} {self.currency}"
