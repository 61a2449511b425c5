"""Alerts: facts of a run and of the store that somebody should look at. The same fact is the same alert in every run.

An alert is not kept anywhere: it is worked out from what a run wrote, so that it is there as long as its fact is. It
becomes a case as soon as somebody begins to work on it. Columns of the query: alert_id, kind, severity, customer_id,
raised_at, seen_from (the instant from which its age is counted: the data cut-off of the run, or now), text_en, text_zh.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from engine.config.cases import CaseSettings
from engine.domain.errors import MartMissing
from engine.domain.labels import filled, label
from engine.domain.text_marts import TOPIC_WORDS
from engine.lake.runs import Run
from engine.lake.workspace import Workspace
from engine.store import OverrideRecord, Store, Webhooks
from engine.workflows import session

KINDS: Final = (
    "watch_list",
    "complaint",
    "reassessment_due",
    "experiment_stopped",
    "guardrail_harmed",
    "drift",
    "job_failed",
    "webhook_dead",
    "override_ended",
)
COLUMNS: Final = (
    "alert_id", "kind", "severity", "customer_id", "raised_at", "seen_from", "text_en", "text_zh",
)  # fmt: skip
SCHEMA: Final = pa.schema(
    [(name, pa.timestamp("us") if name in ("raised_at", "seen_from") else pa.string()) for name in COLUMNS]
)
_DEAD: Final = 1_000  # dead letters looked at

_WATCHED: Final = """
SELECT 'watch_list/' || customer_id || '/' || strftime(entered_at, '%Y-%m-%d') AS alert_id, 'watch_list' AS kind,
       severity, customer_id, entered_at AS raised_at, $as_of::TIMESTAMP AS seen_from, text AS text_en, text_zh
FROM risk_watch_list WHERE status = 'watched'"""
_DUE: Final = """
SELECT 'reassessment_due/' || customer_id || '/' || coalesce(strftime(reassess_at, '%Y-%m-%d'), cause) AS alert_id,
       'reassessment_due' AS kind,
       CASE cause WHEN 'no_signal' THEN '{no_risk_signal}' ELSE '{reassessment_due}' END AS severity, customer_id,
       coalesce(reassess_at, $as_of::TIMESTAMP) AS raised_at, $as_of::TIMESTAMP AS seen_from,
       CASE cause WHEN 'no_signal' THEN $no_signal_en ELSE $due_en END AS text_en,
       CASE cause WHEN 'no_signal' THEN $no_signal_zh ELSE $due_zh END AS text_zh
FROM risk_reassessment WHERE is_due AND cause IN ('tier', 'no_signal')"""
_STOPPED: Final = """
SELECT 'experiment_stopped/' || experiment_id || '/' || "check" AS alert_id, 'experiment_stopped' AS kind,
       '{experiment_stopped}' AS severity, NULL AS customer_id, $as_of::TIMESTAMP AS raised_at,
       $as_of::TIMESTAMP AS seen_from, experiment_id || ': ' || detail AS text_en,
       experiment_id || '：' || detail_zh AS text_zh
FROM experiment_health WHERE status = 'stop'"""
_HARMED: Final = """
SELECT 'guardrail_harmed/' || experiment_id || '/' || metric || '/' || variant AS alert_id,
       'guardrail_harmed' AS kind, '{guardrail_harmed}' AS severity, NULL AS customer_id,
       $as_of::TIMESTAMP AS raised_at, $as_of::TIMESTAMP AS seen_from,
       replace(replace(replace($harmed_en, '@e', experiment_id), '@m', metric), '@v', variant) AS text_en,
       replace(replace(replace($harmed_zh, '@e', experiment_id), '@m', metric), '@v', variant) AS text_zh
FROM experiment_results WHERE role = 'guardrail' AND verdict = 'worse'"""
_DRIFTED: Final = """
SELECT 'drift/' || population || '/' || what || '/' || measure || '/' || strftime(coalesce(since, ends), '%Y-%m-%d')
           AS alert_id, 'drift' AS kind, '{drift}' AS severity, NULL AS customer_id,
       coalesce(since, ends) AS raised_at, $as_of::TIMESTAMP AS seen_from, text AS text_en, text_zh
FROM risk_stability WHERE verdict = 'drifted'
QUALIFY dense_rank() OVER (PARTITION BY population, what, measure ORDER BY ends DESC) <= {looks_back}"""
_COMPLAINED: Final = """
SELECT 'complaint/' || interaction_id AS alert_id, 'complaint' AS kind,
       CASE WHEN occurred_at <= $as_of::TIMESTAMP - INTERVAL {late} DAY THEN '{complaint_late}' ELSE '{complaint}' END
           AS severity,
       customer_id, occurred_at AS raised_at, $as_of::TIMESTAMP AS seen_from,
       replace($complaint_en, '@t', {topic_en}) AS text_en,
       replace($complaint_zh, '@t', {topic_zh}) AS text_zh
FROM interactions
WHERE kind = 'complaint' AND resolved_at IS NULL AND occurred_at <= $as_of::TIMESTAMP"""
_OF_RUN: Final = {
    "risk_watch_list": (_WATCHED,),
    "risk_reassessment": (_DUE,),
    "experiment_health": (_STOPPED,),
    "experiment_results": (_HARMED,),
    "risk_stability": (_DRIFTED,),
}
_SPOKEN: Final = {
    "no_signal": ("no_signal_en", "no_signal_zh"),
    "due": ("due_en", "due_zh"),
    "harmed": ("harmed_en", "harmed_zh"),
    "complaint": ("complaint_en", "complaint_zh"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A query that returns every alert of a run, the tables it reads, its parameters, and the alerts of the store."""

    text: str
    sources: Mapping[str, Path]
    parameters: Mapping[str, Any]
    given: Mapping[str, pa.Table] = field(default_factory=dict)


def facts(workspace: Workspace, run: Run, settings: CaseSettings, now: datetime) -> Facts:
    """Return what tells every alert of a run and of the store; tables that the run lacks raise none."""
    values = {
        **settings.severities.model_dump(),
        "late": settings.complaint_days.late,
        "looks_back": settings.drift_looks_back,
        "topic_en": _topic(0),
        "topic_zh": _topic(1),
    }
    parts: list[str] = []
    sources: dict[str, Path] = {}
    for mart, texts in _OF_RUN.items():
        if run.has(mart):
            sources[mart] = run.require(mart)
            parts += texts
    if workspace.curated("interactions").is_dir():
        sources["interactions"] = workspace.curated("interactions")
        parts.append(_COMPLAINED)
    parts.append("SELECT * FROM alerts_of_the_store")
    spoken = {
        name: text for key, names in _SPOKEN.items() for name, text in zip(names, label("alert_text", key), strict=True)
    }
    text = " UNION ALL BY NAME ".join(f"({part.format(**values)})" for part in parts)
    used = {name: value for name, value in spoken.items() if f"${name}" in text}
    moment = {"as_of": run.as_of.astimezone(UTC).replace(tzinfo=None)} if "$as_of" in text else {}
    stored = pa.Table.from_pylist(list(_of_store(workspace, settings, now)), schema=SCHEMA)
    return Facts(text=text, sources=sources, parameters={**moment, **used}, given={"alerts_of_the_store": stored})


def _topic(language: int) -> str:
    """Return what tells a topic in a language, in SQL; a topic of the bank's own is told as the bank writes it."""
    known = " ".join(f"WHEN '{topic}' THEN '{names[language]}'" for topic, names in TOPIC_WORDS.items())
    return f"CASE topic {known} ELSE replace(coalesce(topic, '—'), '_', ' ') END"


def missing(run: Run) -> tuple[MartMissing, ...]:
    """Return why tables are not there that could have raised alerts, each reason once."""
    found: dict[str, MartMissing] = {}
    for mart in _OF_RUN:
        try:
            run.require(mart)
        except MartMissing as fault:
            found.setdefault(fault.reason, fault)
    return tuple(found.values())


def _of_store(workspace: Workspace, settings: CaseSettings, now: datetime) -> Iterator[dict[str, Any]]:
    """Yield the alerts of what runs by itself: failed jobs, letters given up, overrides that have ended unnoticed."""
    if not session.has_register(workspace):
        return
    with Store(session.database_url(workspace)) as store:
        failed, dead, ended = store.alerts(), Webhooks(store).deliveries(_DEAD, "dead"), store.overrides()
    how = settings.severities
    for one in failed:
        said = filled(label("alert_text", "job_failed"), subject=one.subject, told=one.sentence)
        yield _row(f"job_failed/{one.number}", how.job_failed, one.at, now, said)
    for name in dict.fromkeys(letter.webhook for letter in dead):
        letters = [letter for letter in dead if letter.webhook == name]
        first = min(letter.ended_at or letter.created_at for letter in letters)
        said = filled(label("alert_text", "webhook_dead"), name=name, count=str(len(letters)))
        yield _row(f"webhook_dead/{name}/{first:%Y-%m-%d}", how.webhook_dead, first, now, said)
    for override in _ended(ended, now):
        said = filled(
            label("alert_text", "override_ended"),
            kind=label("override_kind", override.kind),
            owner=override.owner,
            day=f"{override.expires_at:%Y-%m-%d}",
        )
        alert_id = f"override_ended/{override.override_id}"
        yield _row(alert_id, how.override_ended, override.expires_at, now, said) | {"customer_id": override.customer_id}


def _ended(known: list[OverrideRecord], now: datetime) -> Iterator[OverrideRecord]:
    """Yield overrides that ended by themselves and that no other of the customer's has replaced."""
    for one in known:
        later = any(
            other.customer_id == one.customer_id and other.made_at > one.made_at and other.family == one.family
            for other in known
        )
        if one.revoked_at is None and one.expires_at <= now and not later:
            yield one


def _row(alert_id: str, severity: str, at: datetime, now: datetime, said: tuple[str, str]) -> dict[str, Any]:
    return {
        "alert_id": alert_id,
        "kind": alert_id.partition("/")[0],
        "severity": severity,
        "customer_id": None,
        "raised_at": at.astimezone(UTC).replace(tzinfo=None),
        "seen_from": now.astimezone(UTC).replace(tzinfo=None),
        "text_en": said[0],
        "text_zh": said[1],
    }
