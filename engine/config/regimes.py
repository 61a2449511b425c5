"""The rules a credit model lives under, as data with dates, and what a notice says of the bank."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import Field, model_validator

from engine.config.load import Settings

Days = Annotated[int, Field(ge=1)]


class NoticeRule(Settings):
    """What a letter about a refusal owes to a rule.

    `days` from a complete application to the letter; `bureau_copy_days` to ask for a bureau's report free of charge.
    """

    days: Days | None = None
    most_reasons: Annotated[int, Field(ge=1)] | None = None
    bureau_copy_days: Days | None = None
    human_review: bool = False
    smallest_change: bool = False


class Regime(Settings):
    """One rule: where it holds, from and until when, what it asks for."""

    regime: str
    place: str
    citation: str
    applies_from: date
    applies_until: date | None = None
    title_en: str
    title_zh: str
    asks_en: str
    asks_zh: str
    notice: NoticeRule | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Regime:
        if self.applies_until is not None and self.applies_until < self.applies_from:
            raise ValueError(f"applies_until = {self.applies_until} lies before applies_from = {self.applies_from}")
        return self

    def holds_on(self, day: date) -> bool:
        """Whether the rule is in force on a day; the first and the last day count."""
        return self.applies_from <= day and (self.applies_until is None or day <= self.applies_until)


class Regimes(Settings):
    """All rules that are known."""

    regimes: tuple[Regime, ...]

    @model_validator(mode="after")
    def _once(self) -> Regimes:
        names = [one.regime for one in self.regimes]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} stands there twice; give each rule a name of its own")
        return self


class NoticeSettings(Settings):
    """The creditor, its supervisor and bureau as a notice names them, and the rules that it is written under."""

    creditor_name: str
    creditor_address: str
    creditor_contact: str
    supervisor: str
    bureau_name: str
    bureau_contact: str
    regimes: tuple[str, ...]
