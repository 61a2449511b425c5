"""The words for periods and weeks that commands about journeys share."""

from __future__ import annotations

from enum import StrEnum


class Period(StrEnum):
    """What is counted by."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class WeekStart(StrEnum):
    """The first day of the week."""

    MONDAY = "monday"
    SUNDAY = "sunday"
