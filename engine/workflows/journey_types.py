"""Find the types of journeys in a log of events, wherever it lies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from engine.domain.errors import UnknownName
from engine.workflows.event_logs import LogSource, OpenLog, opened
from engine.workflows.journey_funnel import journey_named
from journeys import journey_portraits, journey_types, journey_wording
from journeys.event_log import EventLog
from journeys.journey_types import Found
from journeys.journey_wording import Fact, JourneyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which journeys to part into types.

    journey : of the settings; the events are narrowed to its products. only : the events that count, all where empty.
    conversion : events that count as a conversion and do not shape the types. types : how many; None to choose.
    """

    journey: str | None = None
    only: tuple[str, ...] = ()
    conversion: tuple[str, ...] = ()
    types: int | None = None
    seed: int = 0


def study(source: LogSource, question: Question) -> dict[str, Any]:
    """Return the types as a mapping.

    Keys: customers, learned_from, outside (customers like no type), types (number, names, size, facts, path, durations,
    channels, conversion, portraits), choices (every number of types that was tried), reason (why there are none, else
    None) and notes (sentences).
    """
    with opened(source) as open_log:
        log = narrowed(open_log.log, source, question.journey)
        _check_events(open_log, log, question)
        found = journey_types.find(
            open_log.engine,
            log,
            open_log.as_of,
            conversion=question.conversion,
            names=(*question.only, *question.conversion) if question.only else None,
            seed=question.seed,
            types=question.types,
        )
    return _answer(found)


def narrowed(log: EventLog, source: LogSource, journey: str | None) -> EventLog:
    """Return the log with the events about the products of a journey of the settings; all where none is named."""
    if journey is None:
        return log
    products = journey_named(source.home, journey).products
    if not products or log.product is None:
        return log
    return replace(log, table=log.table.filter(log.table[log.product].isin(products)))


def _check_events(open_log: OpenLog, log: EventLog, question: Question) -> None:
    known = log.event_names(open_log.engine, open_log.as_of)
    for name in (*question.only, *question.conversion):
        if name not in known:
            raise UnknownName("event", name, known[:50])


def _answer(found: Found) -> dict[str, Any]:
    types = journey_portraits.describe(found)
    return {
        "customers": found.customers,
        "learned_from": len(found.sample),
        "outside": journey_portraits.outside(found) if types else None,
        "types": [_told(one) for one in types],
        "choices": found.choices,
        "reason": found.reason,
        "notes": found.notes() if types else (),
    }


def _told(one: JourneyType) -> dict[str, Any]:
    interval = one.conversion_interval
    english, chinese = journey_wording.portrait(one)
    low, median, high = one.seconds
    return {
        "number": one.number,
        "name_en": one.name_en,
        "name_zh": one.name_zh,
        "customers": one.customers,
        "share": one.share,
        "median_events": one.median_events,
        "p25_seconds": low,
        "median_seconds": median,
        "p75_seconds": high,
        "converted": one.converted,
        "conversion": one.conversion,
        "conversion_lower": None if interval is None else interval.lower,
        "conversion_upper": None if interval is None else interval.upper,
        "path": [
            {"event": event, "times": times} for event, times in zip(one.path.events, one.path.times, strict=True)
        ],
        "path_share": one.path.share,
        "facts": [_fact(fact) for fact in one.facts],
        "channels": [{"channel": name, "share": share} for name, share in one.channels],
        "portrait_en": english,
        "portrait_zh": chinese,
    }


def _fact(fact: Fact) -> dict[str, Any]:
    phrase, phrase_zh = journey_wording.phrase(fact)
    return {
        "kind": fact.kind.value,
        "what": list(fact.what),
        "share": fact.share,
        "share_elsewhere": fact.share_elsewhere,
        "lift": fact.lift,
        "effect": fact.effect,
        "phrase_en": phrase,
        "phrase_zh": phrase_zh,
    }
