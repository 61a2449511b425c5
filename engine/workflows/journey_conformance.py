"""Hold what happened against the intended journey: fitness, deviations, broken rules, waits and repeats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from engine.config.journeys import ANY_EVENT, JourneySettings, RuleSettings
from engine.domain.errors import SettingsFault
from engine.workflows import event_names
from engine.workflows.event_logs import LogSource, OpenLog, opened
from journeys import conformance, notation, rules, spec, throughput
from journeys.conformance import Intended, Share
from journeys.event_log import EventLog
from journeys.spec import Funnel, Step

NO_OWNER: Final = "nobody named"
"""The owner of a rule that was written on the command line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is intended, and what is asked.

    steps : as they are written, or those of `journey`. mandatory : "X" before the last step, or "X:Y", X before Y.
    within : "X:Y:2d", after X comes Y within two days. complete : every case must run to the last step.
    top : cases and findings listed. times : durations, waits and repeats of all events.
    """

    steps: tuple[Step, ...]
    journey: JourneySettings | None = None
    mandatory: tuple[str, ...] = ()
    within: tuple[str, ...] = ()
    complete: bool = False
    top: int = 20
    times: bool = False


def study(source: LogSource, question: Question) -> dict[str, Any]:
    """Return how far the cases of a log went as intended, as a mapping.

    Keys: cases, events (of the steps), conforming and completed (count, of, share, interval), mean_fitness,
    log_fitness, fitness_percentiles, steps (a row per step), worst_cases; rules (a row per rule, worst first) and
    findings (evidence); throughput with `times`.

    Raises
    ------
    SettingsFault
        The steps or a rule cannot be answered as they are written.
    """
    asked = _intended(question)
    with opened(source) as open_log:
        log = _narrowed(open_log.log, question)
        for name, hint in event_names.missing(open_log, _names(question, asked)).items():
            source.say(f'The log has no event "{name}"{hint}.')
        found = _cases(open_log, log, question)
        answer = _told(found, question)
        answer |= _rules(open_log, open_log.log, asked, question.top)
        if question.times:
            answer["throughput"] = _throughput(open_log, log)
    return answer


def _intended(question: Question) -> tuple[Intended, ...]:
    """Return the rules to check: those of the journey, and those that were written."""
    own = () if question.journey is None else conformance.intended([question.journey])
    last = question.steps[-1].events
    asked = tuple(_mandatory(text, last) for text in question.mandatory)
    asked += tuple(_within(text) for text in question.within)
    if not asked:
        return own
    # a funnel of the written rules is read for its events only: they name no step
    funnel = Funnel(steps=question.steps[:1], window_seconds=1)
    written = Intended(journey=question.journey.journey if question.journey else "", funnel=funnel, rules=asked)
    products = question.journey.products if question.journey else ()
    return (*own, replace(written, products=products))


def _names(question: Question, asked: Sequence[Intended]) -> set[str]:
    """Return every event that the steps and the rules name."""
    of_rules = {name for one in asked for name in rules.concerned(one.rules)}
    return (of_rules | {name for step in question.steps for name in step.events}) - {ANY_EVENT}


def _mandatory(text: str, last: tuple[str, ...]) -> RuleSettings:
    words = notation.split(text, ":")
    events = notation.listed(words[0].replace("|", ","))
    then = notation.listed(words[1].replace("|", ",")) if len(words) == 2 else last
    if len(words) > 2 or not events or not then:
        raise SettingsFault(
            "--mandatory", [f'"{text}": expected an event, or EVENT:BEFORE, such as KYC_VERIFIED:ACCOUNT_OPENED']
        )
    name = f"{'|'.join(events)} before {'|'.join(then)}"
    return RuleSettings(rule="mandatory", kind="precedes", events=events, then=then, owner=NO_OWNER, text_en=name)


def _within(text: str) -> RuleSettings:
    words = notation.split(text, ":")
    if len(words) != 3 or not all(words):
        raise SettingsFault("--within", [f'"{text}": expected EVENT:THEN:TIME, such as APPLIED:ANSWERED:14d'])
    events, then = (notation.listed(word.replace("|", ",")) for word in words[:2])
    days = notation.seconds(words[2]) / 86_400
    name = f"{'|'.join(then)} within {words[2]} of {'|'.join(events)}"
    return RuleSettings(rule="within", kind="within", events=events, then=then, days=days, owner=NO_OWNER, text_en=name)


def _narrowed(log: EventLog, question: Question) -> EventLog:
    """Narrow the events to the products of the journey, and name the column of the phase as conditions do."""
    table = log.table
    conditions = {name for step in question.steps for name in step.where}
    if throughput.LIFECYCLE in conditions and log.lifecycle not in (None, throughput.LIFECYCLE):
        table = table.mutate(**{throughput.LIFECYCLE: table[log.lifecycle]})
    for name in sorted(conditions):
        replace(log, table=table).require(name)
    if question.journey is not None and question.journey.products and log.product is not None:
        table = table.filter(table[log.product].isin(question.journey.products))
    return replace(log, table=table)


def _cases(open_log: OpenLog, log: EventLog, question: Question) -> pa.Table:
    named = {name for step in question.steps for name in step.events}
    names = None if any(step.any_event for step in question.steps) else sorted(named)
    return log.map_blocks(
        open_log.engine,
        partial(conformance.cases, steps=question.steps, complete=question.complete),
        open_log.as_of,
        names=names,
        attributes=sorted({name for step in question.steps for name in step.where}),
    )


def _told(found: pa.Table, question: Question) -> dict[str, Any]:
    summary = conformance.summarise(found, question.steps)
    steps = [
        {
            "step": one.step,
            "optional": one.optional,
            "in_place": one.in_place,
            "skipped": _share(one.skipped),
            "wrong_order": _share(one.misplaced),
            "repeated": _share(one.repeated),
            "extra_events": one.extra_events,
        }
        for one in summary.steps
    ]
    return {
        "cases": summary.cases,
        "events": summary.events,
        "conforming": _share(summary.conforming),
        "completed": _share(summary.completed),
        "mean_fitness": summary.mean_fitness,
        "log_fitness": summary.log_fitness,
        "fitness_percentiles": summary.fitness_percentiles,
        "steps": steps,
        "worst_cases": _worst(found, question),
    }


def _worst(found: pa.Table, question: Question) -> list[dict[str, Any]]:
    """Return the cases that deviate most, with what deviates in each."""
    worst = found.filter(pc.greater(found.column("cost"), 0)).sort_by(
        [("fitness", "ascending"), ("cost", "descending"), ("customer_id", "ascending")]
    )
    names = [step.name for step in question.steps]
    return [
        {
            "case": row["customer_id"],
            "fitness": row["fitness"],
            "cost": row["cost"],
            "reached": names[row["deepest"] - 1],
            "skipped": [name for name, marked in zip(names, row["skipped"], strict=True) if marked],
            "wrong_order": [name for name, marked in zip(names, row["misplaced"], strict=True) if marked],
            "repeated": {name: times for name, times in zip(names, row["repeats"], strict=True) if times},
        }
        for row in worst.slice(0, question.top).to_pylist()
    ]


def _rules(open_log: OpenLog, log: EventLog, asked: Sequence[Intended], top: int) -> dict[str, Any]:
    if log.product is None:
        asked = [replace(one, products=()) for one in asked]
    found = conformance.check(open_log.engine, log, asked, open_log.as_of)
    summed = [
        {
            "rule": one.rule.rule,
            "text": one.rule.text_en,
            "kind": one.rule.kind,
            "severity": one.rule.severity,
            "owner": one.rule.owner,
            "breached": _share(one.breached),
            "open": one.open,
            "kinds": dict(one.kinds),
        }
        for one in conformance.results(found, asked)
    ]
    findings = conformance.evidence(found, asked)
    listed = ["rule", "text_en", "customer_id", "breach", "breached_at", "severity"]
    return {"rules": summed, "n_findings": len(findings), "findings": findings.select(listed).slice(0, top)}


def _throughput(open_log: OpenLog, log: EventLog) -> Any:
    """Count times over all events of the cases, whatever the steps name."""
    phases = log.lifecycle is not None
    if phases and log.lifecycle != throughput.LIFECYCLE:
        log = replace(log, table=log.table.mutate(**{throughput.LIFECYCLE: log.table[log.lifecycle]}))
    rows = log.map_blocks(
        open_log.engine,
        partial(throughput.count, phases=phases),
        open_log.as_of,
        attributes=(throughput.LIFECYCLE,) if phases else (),
    )
    return throughput.summarise(rows)


def _share(share: Share) -> dict[str, Any]:
    return {
        "count": share.count,
        "of": share.of,
        "share": share.share,
        "lower": share.interval.lower,
        "upper": share.interval.upper,
    }


def steps_of(journey: JourneySettings) -> tuple[Step, ...]:
    """Return the steps of a journey of the settings."""
    return spec.of(journey).steps
