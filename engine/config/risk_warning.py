"""What counts as an early warning, how long it holds, and by when a customer is looked at again."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from engine.config.load import Settings

Count = Annotated[int, Field(ge=1)]
Severity = Literal["low", "medium", "high"]
SEVERITIES: Final[tuple[Severity, ...]] = ("low", "medium", "high")

_NEEDS: Final = {
    "rise": ("column", "at_least", "reports_back"),
    "level": ("column", "at_least"),
    "bookings": ("categories", "times", "within_days"),
    "missed": ("categories", "times", "within_days", "gap_days"),
    "balance": ("below_minor", "times", "within_days"),
    "interactions": ("kinds", "times", "within_days"),
    "tier": ("at_least",),
}
"""What each kind of trigger must be told."""


class Trigger(Settings):
    """One rule that may put a customer on the watch list.

    kind : "rise" (a number is higher by `at_least` than the lowest of the `reports_back` reports before), "level" (a
        number reaches `at_least`, having been below in the report before), "bookings" (`times` bookings of `categories`
        within `within_days`), "missed" (a regular booking of `categories`, seen `times` in `within_days`, did not come
        for `gap_days`), "balance" (fell below `below_minor` `times` within `within_days`), "interactions" (`times` of
        `kinds` within `within_days`), "tier" (worse by `at_least` steps than a month before).
    holds_days : days for which an event counts; one that follows in that time makes it count longer.
    """

    code: str
    kind: Literal["rise", "level", "bookings", "missed", "balance", "interactions", "tier"]
    table: Literal["bureau", "transactions", "interactions", "risk"]
    severity: Severity
    holds_days: Count
    text: str
    text_zh: str
    column: str | None = None
    at_least: float | None = None
    reports_back: Count | None = None
    categories: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    times: Count | None = None
    within_days: Count | None = None
    gap_days: Count | None = None
    below_minor: int | None = None

    @model_validator(mode="after")
    def _complete(self) -> Trigger:
        missing = [name for name in _NEEDS[self.kind] if getattr(self, name) in (None, ())]
        if missing:
            raise ValueError(f'the trigger "{self.code}" of kind "{self.kind}" needs {", ".join(missing)}')
        return self


class BySeverity(Settings):
    """A number for each severity."""

    low: Count
    medium: Count
    high: Count

    def of(self, severity: Severity) -> int:
        """Return the number of one severity."""
        return int(getattr(self, severity))


class WarningSettings(Settings):
    """When a customer enters the watch list, when severity goes up a step, and by when a person looks."""

    looks_back_days: Count
    enters_at: Count
    escalates_at: Count
    shows_left_days: Count
    weights: BySeverity
    review_days: BySeverity
    triggers: tuple[Trigger, ...]

    @model_validator(mode="after")
    def _told_apart(self) -> WarningSettings:
        codes = [trigger.code for trigger in self.triggers]
        twice = sorted({code for code in codes if codes.count(code) > 1})
        if twice:
            raise ValueError(f"the trigger {twice[0]} stands here twice: give each a code of its own")
        return self

    def severity(self, code: str) -> Severity:
        """Return the severity of a trigger by its code; raises KeyError for none."""
        return {trigger.code: trigger.severity for trigger in self.triggers}[code]


class ReassessmentSettings(Settings):
    """Days after the last assessment by which a customer of a tier is assessed again.

    person_from : severity on the watch list from which only a person's review counts; below it a newer risk record,
        graded by the engine, does too.
    """

    person_from: Severity
    low_days: Count
    medium_days: Count
    high_days: Count
    unknown_days: Count
