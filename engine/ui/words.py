"""How the app speaks: its texts in English and Chinese, and how numbers, money and times are written.

Undefined is an em dash, never a zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache
from typing import Final, Literal

import pandas as pd

from engine.domain import labels
from engine.domain.errors import (
    GroupTooSmall,
    MartMissing,
    NotAllowed,
    RunMissing,
    SaidInBoth,
    WaylineError,
)
from engine.domain.money import minor_digits

Language = Literal["en", "zh"]
LANGUAGES: Final[dict[Language, str]] = {"en": "English", "zh": "中文"}
UNDEFINED: Final = "—"
_MINUS: Final = "−"  # the sign that the axes of charts use too

_UNITS: Final = ((86_400.0, "unit.days"), (3_600.0, "unit.hours"), (60.0, "unit.minutes"))


@cache
def catalogue() -> Mapping[str, tuple[str, str]]:
    """Return every fixed text of the app and every word of the vocabulary by its key: English and Chinese."""
    return {**labels.labels(), **labels.texts("engine.ui", "texts")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """One language, the base currency, and what the bank calls its own things.

    `names` maps a kind (product, journey, experiment, feature, characteristic) to ids, and each id to its English and
    Chinese name.
    """

    language: Language = "en"
    currency: str = "CNY"
    names: Mapping[str, Mapping[str, tuple[str, str]]] = field(default_factory=dict)

    def t(self, key: str, **values: object) -> str:
        """Return a fixed text in the reader's language; raises KeyError for a key that the catalogue lacks."""
        text = self.pick(*catalogue()[key])
        return text.format(**values) if values else text

    def pick(self, english: object, chinese: object) -> str:
        """Return the text in the reader's language, or in the other one when it has none."""
        first, second = (chinese, english) if self.language == "zh" else (english, chinese)
        return str(second if is_undefined(first) or first == "" else first)

    def name(self, kind: str, identifier: object) -> str:
        """Return what the bank calls a product, journey or experiment; its id when it has no name for it."""
        if is_undefined(identifier):
            return UNDEFINED
        named = self.names.get(kind, {}).get(str(identifier))
        return capital(self.pick(*named)) if named else readable(str(identifier))

    def label(self, kind: str, value: object) -> str:
        """Return the word for a value of the vocabulary, such as a stage or a tier; else what the bank calls it."""
        if is_undefined(value):
            return UNDEFINED
        text = catalogue().get(f"{kind}.{value}")
        return self.pick(*text) if text else self.name(kind, value)

    def number(self, value: object, digits: int = 0) -> str:
        """Write a number with thousands separators."""
        if is_undefined(value):
            return UNDEFINED
        text = f"{abs(_float(value)):,.{digits}f}"
        return (_MINUS if _float(value) < 0 and float(text.replace(",", "")) else "") + text

    def share(self, value: object, digits: int = 1) -> str:
        """Write a share of 1 as percent."""
        return UNDEFINED if is_undefined(value) else f"{self.number(_float(value) * 100, digits)} %"

    def signed(self, value: object, digits: int = 0) -> str:
        """Write a difference, always with its sign."""
        return UNDEFINED if is_undefined(value) else ("+" if _float(value) > 0 else "") + self.number(value, digits)

    def points(self, value: object, digits: int = 1) -> str:
        """Write a difference of two shares as percentage points, always with its sign."""
        if is_undefined(value):
            return UNDEFINED
        return self.t("unit.points", value=self.signed(_float(value) * 100, digits))

    def probability(self, value: object) -> str:
        """Write a p-value; one too small for four digits is said to be smaller."""
        if is_undefined(value):
            return UNDEFINED
        return "< 0.0001" if _float(value) < 0.0001 else self.number(value, 4)

    def money(self, minor: object, digits: int = 0) -> str:
        """Write minor units of the base currency as an amount of it."""
        if is_undefined(minor):
            return UNDEFINED
        return f"{self.number(self.major(minor), digits)} {self.currency}"

    def major(self, minor: object) -> float:
        """Return minor units as units of the base currency."""
        return _float(minor) / float(10 ** minor_digits(self.currency))

    def duration(self, seconds: object) -> str:
        """Write a length of time in the largest unit that leaves at least one whole."""
        if is_undefined(seconds):
            return UNDEFINED
        length = _float(seconds)
        for size, key in _UNITS:
            if length >= size:
                return self.t(key, value=self.number(length / size, 1))
        return self.t("unit.seconds", value=self.number(length, 1 if length < 10 else 0))

    def day(self, value: object) -> str:
        """Write a date, or the UTC day of an instant."""
        if is_undefined(value):
            return UNDEFINED
        moment = pd.Timestamp(value)  # type: ignore[arg-type]
        return f"{moment:%Y-%m-%d}"

    def instant(self, value: object) -> str:
        """Write an instant to the minute; all of them are UTC."""
        if is_undefined(value):
            return UNDEFINED
        return f"{pd.Timestamp(value):%Y-%m-%d %H:%M}"  # type: ignore[arg-type]

    def sentence(self, fault: WaylineError) -> str:
        """Say in the reader's language why there is nothing to show."""
        if isinstance(fault, MartMissing):
            return self.t("fault.mart_missing", reason=fault.reason)
        if isinstance(fault, RunMissing):
            return self.t("fault.run_missing", home=fault.home)
        if isinstance(fault, SaidInBoth):
            return self.pick(fault.sentence, fault.sentence_zh)
        if isinstance(fault, GroupTooSmall):
            return self.t("fault.group_too_small", least=fault.least)
        if isinstance(fault, NotAllowed):
            holders = self.t("word.comma").join(self.label("viewer_role", role) for role in fault.holders)
            right, role = self.label("right", fault.right), self.label("viewer_role", fault.role)
            return self.t("fault.not_allowed", role=role, right=right, holders=holders or UNDEFINED)
        return self.t("fault.other", sentence=fault.sentence)


def is_undefined(value: object) -> bool:
    """Whether a value is missing: None, NaN, NaT or an infinity."""
    if value is None or value is pd.NaT or value is pd.NA:
        return True
    return isinstance(value, float) and not math.isfinite(value)


def readable(identifier: str) -> str:
    """Return an id as words: `credit_card` reads `Credit card`."""
    return capital(identifier.replace("_", " ").strip())


def capital(text: str) -> str:
    """Return a text that begins with a capital letter."""
    return text[:1].upper() + text[1:]


def plain(text: str) -> str:
    """Keep names that a bank chose from being read as formatting."""
    return text.replace("*", r"\*").replace("_", r"\_").replace("$", r"\$").replace("[", r"\[")


def days_between(earlier: datetime, later: datetime) -> int:
    """Return whole days from one instant to another."""
    return (later.astimezone(UTC) - earlier.astimezone(UTC)).days


def age_on(day: date, birth_date: date) -> int:
    """Return completed years on a day."""
    return day.year - birth_date.year - ((day.month, day.day) < (birth_date.month, birth_date.day))


def _float(value: object) -> float:
    return float(value)  # type: ignore[arg-type]
