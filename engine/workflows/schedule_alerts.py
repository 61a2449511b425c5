"""Tell somebody that a scheduled job failed: on record always, and by a program or an address where one is named."""

from __future__ import annotations

import subprocess
from typing import Any

import httpx
import orjson

from engine.config.schedule import ScheduleSettings
from engine.store import AlertRecord, Store


def raise_one(store: Store, settings: ScheduleSettings, subject: str, sentence: str) -> AlertRecord:
    """Enter an alert and tell of it outside; how that went is entered too, and never raises."""
    made = store.add_alert(subject, sentence)
    body = orjson.dumps({"alert": made.number, "at": made.at, "subject": subject, "sentence": sentence})
    how = [told for told in (_by_command(settings, body), _by_address(settings, body)) if told is not None]
    if how:
        store.told_of_alert(made.number, "; ".join(how))
    return made


def _by_command(settings: ScheduleSettings, body: bytes) -> str | None:
    """Run the program, without a shell, with the alert on its standard input."""
    if not settings.alert_command:
        return None
    try:
        ended = subprocess.run(
            list(settings.alert_command), input=body, capture_output=True, timeout=settings.alert_seconds, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as fault:
        return f"command: {type(fault).__name__}"
    return f"command: exit {ended.returncode}"


def _by_address(settings: ScheduleSettings, body: bytes) -> str | None:
    if not settings.alert_url:
        return None
    headers: dict[str, Any] = {"Content-Type": "application/json"}
    try:
        answer = httpx.post(
            settings.alert_url, content=body, headers=headers, timeout=settings.alert_seconds, follow_redirects=False
        )
    except httpx.HTTPError as fault:
        return f"address: {type(fault).__name__}"
    return f"address: status {answer.status_code}"
