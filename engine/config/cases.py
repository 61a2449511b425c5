"""How alerts become urgent and late, and how long a case may be put off."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from engine.config.load import Settings

Days = Annotated[int, Field(ge=1, le=3_650)]
Severity = Literal["low", "medium", "high"]


class SlaDays(Settings):
    """Days by severity within which somebody should have dealt with an alert or a case."""

    high: Days
    medium: Days
    low: Days


class ComplaintDays(Settings):
    """After how many days an open complaint is urgent."""

    late: Days


class AlertSeverities(Settings):
    """How urgent an alert is whose source does not say so itself."""

    complaint: Severity
    complaint_late: Severity
    experiment_stopped: Severity
    guardrail_harmed: Severity
    reassessment_due: Severity
    no_risk_signal: Severity
    drift: Severity
    job_failed: Severity
    webhook_dead: Severity
    override_ended: Severity


class CaseSettings(Settings):
    """`defaults/cases.toml` explains every key."""

    max_snooze_days: Days
    drift_looks_back: Annotated[int, Field(ge=1, le=120)]
    sla_days: SlaDays
    severities: AlertSeverities
    complaint_days: ComplaintDays
